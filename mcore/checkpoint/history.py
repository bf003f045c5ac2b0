"""What happened to checkpoints since they were saved: events, read from the store and put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mcore.checkpoint.ids import is_id
from mcore.checkpoint.records import LARGEST, Event, Record, read
from mcore.checkpoint.store.base import Store

EVENTS = "events/"


@dataclass
class State:
    """A checkpoint as events left it: tags, notes, and whether and when it was deleted."""

    tags: dict[str, str]
    notes: str
    deleted: str = ""
    events: list[Event] = field(default_factory=list)


class History:
    """The events of a store. Names are listed each time; what they hold, which never changes, is read once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._read: dict[str, Event] = {}

    def of(self, checkpoint: str) -> list[Event]:
        """The events of one checkpoint, oldest first."""
        return [*self._those(f"-{checkpoint}.json")]

    def all(self) -> list[Event]:
        """All events, oldest first."""
        return [*self._those(".json")]

    def grouped(self) -> dict[str, list[Event]]:
        """All events by checkpoint, each checkpoint's oldest first: for many checkpoints, the names are listed once."""
        found: dict[str, list[Event]] = {}
        for event in self.all():
            found.setdefault(event.checkpoint, []).append(event)
        return found

    def deleted(self) -> dict[str, str]:
        """The checkpoints that are deleted, with the moment."""
        found: dict[str, str] = {}
        for event in self.all():
            if event.do == "delete":
                found[event.checkpoint] = event.created
            elif event.do == "restore":
                found.pop(event.checkpoint, None)
        return found

    def alias(self, address: str, name: str) -> str | None:
        """The checkpoint that an alias within an address means: where it was put last."""
        moved = [event for event in self.all() if (event.do, event.name, event.value) == ("alias", name, address)]
        return moved[-1].checkpoint if moved else None

    def aliases(self) -> dict[tuple[str, str], str]:
        """Every alias, by address and name."""
        return {(event.value, event.name): event.checkpoint for event in self.all() if event.do == "alias"}

    def state(self, record: Record, events: Iterable[Event] | None = None) -> State:
        """A record with what happened to it; its `events`, where they are known already."""
        return state_of(record, self.of(record.id) if events is None else events)

    def at(self, key: str) -> Event:
        """The event of a key.

        Raises:
            NotFound: there is none.
            SchemaError: it is damaged.
        """
        if key not in self._read:
            content = self.store.read(key, most=LARGEST)
            self._read[key] = read(content, Event, f"{self.store.url}: {key}")
        return self._read[key]

    def _those(self, ending: str) -> Iterator[Event]:
        for kept in self.store.files(EVENTS):
            if kept.key.endswith(ending) and is_id(kept.key.rpartition("/")[2][:26]):
                yield self.at(kept.key)


def state_of(record: Record, events: Iterable[Event]) -> State:
    """A record as its events, oldest first, left it."""
    state = State(dict(record.tags), record.notes)
    for event in events:
        state.events.append(event)
        if event.do == "tag":
            state.tags[event.name] = event.value
        elif event.do == "untag":
            state.tags.pop(event.name, None)
        elif event.do == "note":
            state.notes = f"{state.notes}\n{event.value}".strip()
        elif event.do in ("delete", "restore"):
            state.deleted = event.created if event.do == "delete" else ""
    return state


__all__ = ["EVENTS", "History", "State", "state_of"]
