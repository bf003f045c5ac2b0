"""The index that searches a repository. It is made of the records and events, may go at any time, and heals itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mcore.checkpoint.errors import CorruptCheckpoint, LimitExceeded, NotFound, SchemaError
from mcore.checkpoint.extras import needed
from mcore.checkpoint.history import state_of
from mcore.checkpoint.records import LARGEST, Event, Record, read
from mcore.checkpoint.search.nodes import Node, checked
from mcore.checkpoint.store.base import Store, event_key, record_key
from mcore.exchange.errors import StorageError, first_line

try:
    import sqlalchemy as sa
except ModuleNotFoundError:
    needed("sqlalchemy")
    raise

from mcore.checkpoint.search import schema
from mcore.checkpoint.search.files import FOLDERS, Area, Look, changed, listed, whole
from mcore.checkpoint.search.finding import found
from mcore.checkpoint.search.places import Missing, Place, place_of
from mcore.checkpoint.search.query import ordering
from mcore.checkpoint.search.rows import clean, rows_of

# Records that are read and written together.
_TOGETHER = 500
# Values that one statement compares with; databases take some thousands.
_MOST_BOUND = 5000
# Files that couldn't be read and are tried again each time.
_TRIED_AGAIN = 20
# Reads at once from a store that answers late.
_AT_ONCE = 16

Result = TypeVar("Result")
_TABLES = {"records/": schema.checkpoint, "events/": schema.event}


@dataclass
class _Changes:
    """What an index lacks, by id with the checkpoint it is about, and the ids it has too many."""

    new: dict[str, dict[str, str]] = field(default_factory=lambda: {folder: {} for folder in FOLDERS})
    gone: dict[str, set[str]] = field(default_factory=lambda: {folder: set() for folder in FOLDERS})

    def __bool__(self) -> bool:
        return any(self.new.values()) or any(self.gone.values())


class Index:
    """Tables of what questions ask of the checkpoints in a store.

    Several processes may use one at once. One that was deleted, cut short, or changed in any bit is made anew from the
    store without being asked, when it is opened or, where its time shows it, before the next question.

    Args:
        url: None for a file of SQLite's in the user's cache (MCORE_CACHE, XDG_CACHE_HOME or ~/.cache), "sqlite:///FILE"
            for one elsewhere, or "postgresql+psycopg://USER@HOST/DATABASE" (extra `postgres`) for a team.
        store: whose records and events they are.
        identity: the repository's id.

    Raises:
        ImportError: the extra `checkpoints`, or `postgres`, isn't installed.
        StorageError: the cache can't be written.
        ValueError: `url` is no place for an index.
    """

    def __init__(self, url: str | None, store: Store, identity: str) -> None:
        self.store = store
        at = getattr(store, "path", store.url)
        self._place: Place = place_of(url, identity, str(at))
        self._mutex = threading.RLock()

    def update(self, *, full: bool = False) -> list[str]:
        """Takes in what came to the store, and was removed from it, since the last time; with `full` compares all.

        Returns:
            What couldn't be read, a line each; searches don't find it, and it's tried again each time.
        """
        with self._mutex:
            return self._healed(lambda: self._caught_up(full))

    def search(
        self,
        node: Node | None = None,
        order: str | Sequence[str] = (),
        limit: int | None = None,
        *,
        deleted: bool = False,
    ) -> list[str]:
        """The ids of the checkpoints that a question means, of those that the last `update` saw.

        Args:
            node: the question, as `mcore.checkpoint.search.query` makes it; None for all.
            order: fields to sort by, "-" before those whose largest come first; what lacks a field comes last. The
                newest come first where nothing else decides.
            limit: at most so many.
            deleted: those too that are deleted.

        Raises:
            QueryError, LimitExceeded: the question doesn't fit.
        """
        if node is not None:
            checked(node)
        sorting = ordering(order)
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
            raise ValueError(f"search: limit is a whole number from 0, or None, got {limit!r}.")

        def asked() -> list[str]:
            with self._place.reading() as connection:
                return found(connection, node, sorting, limit, deleted=deleted, sqlite=self._place.sqlite)

        return self._healed(asked)

    def events(self, ids: Sequence[str]) -> dict[str, list[str]]:
        """The keys of the events of these checkpoints, oldest first, of those that the last `update` saw."""
        table = schema.event

        def asked() -> dict[str, list[str]]:
            keys: dict[str, list[str]] = {id: [] for id in ids}
            with self._place.reading() as connection:
                for some in _chunks(list(keys), _MOST_BOUND):
                    those = sa.select(table.c.id, table.c.checkpoint).where(table.c.checkpoint.in_(some))
                    for row in connection.execute(those.order_by(table.c.id)):
                        keys[row.checkpoint].append(event_key(row.id, row.checkpoint))
            return keys

        return self._healed(asked)

    def count(self) -> int:
        """How many checkpoints it knows, without deleted ones."""
        return len(self.search())

    def rebuild(self) -> list[str]:
        """Makes it anew; what couldn't be read, as `update` tells it."""
        with self._mutex:
            look = whole(self.store)
            with self._place.writing(anew=True) as connection:
                self._take(connection, self._compared(connection, look.areas))
            return self._remembered(look)

    def drop(self) -> None:
        """Removes it; the next question makes it anew."""
        with self._mutex:
            self._place.drop()

    # --- staying right

    def _healed(self, ask: Callable[[], Result]) -> Result:
        """What `ask` gives; where the index is missing or not what was written, it is made anew before."""
        try:
            return ask()
        except (Missing, sa.exc.DatabaseError) as error:
            # Errors of a database elsewhere aren't cured so.
            if not isinstance(error, Missing) and not self._place.sqlite:
                raise StorageError(None, f"index: {first_line(getattr(error, 'orig', None) or error)}") from error
            with self._mutex, self._place.alone():
                if not self._is_there() or not isinstance(error, Missing):
                    self.rebuild()
            return ask()

    def _is_there(self) -> bool:
        try:
            with self._place.reading():
                return True
        except (Missing, sa.exc.DatabaseError):
            return False

    def _caught_up(self, full: bool) -> list[str]:
        known = self._place.remembered()
        with self._place.reading() as connection:
            look = whole(self.store) if full else self._changed(connection, known)
            changes = self._compared(connection, look.areas)
        if changes:
            with self._place.writing() as connection:
                # Another process may have been faster.
                self._take(connection, self._still(connection, changes))
        if look.known != known:
            return self._remembered(look)
        return self._notes()

    def _changed(self, connection: sa.Connection, known: dict[str, Any]) -> Look:
        newest, counts = {}, {}
        if getattr(self.store, "path", None) is None:
            for folder, table in _TABLES.items():
                most, count = connection.execute(sa.select(sa.func.max(table.c.id), sa.func.count())).one()
                newest[folder], counts[folder] = most or "", count
        return changed(self.store, known, newest, counts)

    def _remembered(self, look: Look) -> list[str]:
        self._place.remember(look.known)
        return self._notes()

    def _notes(self) -> list[str]:
        with self._place.reading() as connection:
            rows = connection.execute(sa.select(schema.unread).order_by(schema.unread.c.key)).all()
        return [f"{row.key} can't be read, and isn't found: {row.why}" for row in rows]

    # --- what changed

    def _compared(self, connection: sa.Connection, areas: Iterable[Area]) -> _Changes:
        changes = _Changes()
        unread = {row.key: row.why for row in connection.execute(sa.select(schema.unread))}
        for area in areas:
            table = _TABLES[area.folder]
            ids = connection.execute(sa.select(table.c.id).where(table.c.id >= area.first, table.c.id < area.end))
            # Before the listing: what another process takes in between is no file that went.
            known = set(ids.scalars())
            there = listed(self.store, area)
            changes.gone[area.folder] |= known - there.keys()
            changes.new[area.folder] |= {id: there[id] for id in there.keys() - known}
        self._drop_still_unread(changes, unread)
        return changes

    def _still(self, connection: sa.Connection, changes: _Changes) -> _Changes:
        """Of what an index lacked, what it still lacks."""
        for folder, table in _TABLES.items():
            for ids in _chunks(list(changes.new[folder]), _MOST_BOUND):
                for id in connection.execute(sa.select(table.c.id).where(table.c.id.in_(ids))).scalars():
                    del changes.new[folder][id]
        return changes

    def _drop_still_unread(self, changes: _Changes, unread: dict[str, str]) -> None:
        """Of the files that couldn't be read: those that still can't aren't new; some others are tried again."""
        for key in list(unread)[:_TRIED_AGAIN]:
            folder, id = f"{key.split('/')[0]}/", key.rpartition("/")[2][:26]
            checkpoint = key.rpartition("/")[2][27:53] if folder == "events/" else id
            changes.new[folder].setdefault(id, checkpoint)
        for folder in FOLDERS:
            for id, checkpoint in list(changes.new[folder].items()):
                key = record_key(id) if folder == "records/" else event_key(id, checkpoint)
                if key in unread and self._why_not(key) == unread[key]:
                    del changes.new[folder][id]

    def _why_not(self, key: str) -> str | None:
        kind: Any = Record if key.startswith("records/") else Event
        got = self._read(key, kind)
        return got if isinstance(got, str) else None

    # --- taking it in

    def _take(self, connection: sa.Connection, changes: _Changes) -> None:
        """Writes what changed: the rows of every checkpoint that it touches are made anew, whole."""
        touched = set(changes.new["records/"])
        self._forget_unread(connection, changes)
        events = self._take_events(connection, changes)
        touched |= {event.checkpoint for event in events.values()}
        for ids in _chunks(sorted(changes.gone["events/"]), _MOST_BOUND):
            those = schema.event.c.id.in_(ids)
            touched |= set(connection.execute(sa.select(schema.event.c.checkpoint).where(those)).scalars())
            connection.execute(sa.delete(schema.event).where(those))
        for ids in _chunks(sorted(changes.gone["records/"]), _MOST_BOUND):
            connection.execute(sa.delete(schema.checkpoint).where(schema.checkpoint.c.id.in_(ids)))
        touched -= changes.gone["records/"]
        number = connection.execute(sa.select(sa.func.max(schema.checkpoint.c.n))).scalar() or 0
        for ids in _chunks(sorted(touched), _TOGETHER):
            number = self._take_checkpoints(connection, ids, events, number)
        if events or changes.gone["events/"] or changes.gone["records/"] or touched:
            self._take_aliases(connection)

    def _take_events(self, connection: sa.Connection, changes: _Changes) -> dict[str, Event]:
        """Reads new events and keeps their names; by id."""
        keys = {id: event_key(id, checkpoint) for id, checkpoint in changes.new["events/"].items()}
        events = self._all_read(connection, keys, Event)
        rows = [
            {
                "id": id,
                "checkpoint": event.checkpoint,
                "address": clean(event.value) if event.do == "alias" else None,
                "alias": event.name if event.do == "alias" else None,
            }
            for id, event in events.items()
        ]
        if rows:
            connection.execute(sa.insert(schema.event), rows)
        return events

    def _take_checkpoints(
        self, connection: sa.Connection, ids: list[str], events: dict[str, Event], number: int
    ) -> int:
        records = self._all_read(connection, {id: record_key(id) for id in ids}, Record)
        histories = self._histories(connection, list(records), events)
        tables: dict[str, list[dict[str, Any]]] = {name: [] for name in ("checkpoint", *schema.CHILDREN)}
        for id, record in records.items():
            number += 1
            for name, rows in rows_of(record, state_of(record, histories.get(id, [])), number).items():
                tables[name] += rows
        connection.execute(sa.delete(schema.checkpoint).where(schema.checkpoint.c.id.in_(ids)))
        for name, rows in tables.items():
            if rows:
                connection.execute(sa.insert(schema.TABLES[name]), rows)
        return number

    def _histories(self, connection: sa.Connection, ids: list[str], events: dict[str, Event]) -> dict[str, list[Event]]:
        """All events of these checkpoints, oldest first: the new ones, and those known before, which are read again."""
        table = schema.event
        known = connection.execute(sa.select(table.c.id, table.c.checkpoint).where(table.c.checkpoint.in_(ids))).all()
        before = {row.id: event_key(row.id, row.checkpoint) for row in known if row.id not in events}
        there = events | self._all_read(connection, before, Event)
        histories: dict[str, list[Event]] = {}
        for row in sorted(known):
            if row.id in there:
                histories.setdefault(row.checkpoint, []).append(there[row.id])
        return histories

    def _take_aliases(self, connection: sa.Connection) -> None:
        """An alias means what it was last moved to."""
        event, checkpoint = schema.event, schema.checkpoint
        moved = sa.select(event.c.address, event.c.alias, checkpoint.c.n)
        moved = moved.join(checkpoint, checkpoint.c.id == event.c.checkpoint).where(event.c.alias.is_not(None))
        last = {(row.address, row.alias): row.n for row in connection.execute(moved.order_by(event.c.id))}
        connection.execute(sa.delete(schema.alias))
        if last:
            rows = [{"address": address, "key": name, "n": number} for (address, name), number in last.items()]
            connection.execute(sa.insert(schema.alias), rows)

    # --- reading

    def _all_read(self, connection: sa.Connection, keys: dict[str, str], kind: Any) -> dict[str, Any]:
        """Records or events by id; those that can't be read are noted, those that are gone by now are left out."""
        if getattr(self.store, "path", None) is None and len(keys) > 1:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                got = dict(zip(keys, pool.map(lambda key: self._read(key, kind), keys.values()), strict=True))
        else:
            got = {id: self._read(key, kind) for id, key in keys.items()}
        wrong = [{"key": keys[id], "why": clean(why)} for id, why in got.items() if isinstance(why, str)]
        if wrong:
            connection.execute(sa.delete(schema.unread).where(schema.unread.c.key.in_([row["key"] for row in wrong])))
            connection.execute(sa.insert(schema.unread), wrong)
        return {id: one for id, one in got.items() if isinstance(one, kind)}

    def _read(self, key: str, kind: Any) -> Any:
        """A record or an event; a text that says why it can't be read; None where it isn't there any more."""
        id = key.rpartition("/")[2][:26]
        try:
            one = read(self.store.read(key, most=LARGEST), kind, key)
        except NotFound:
            return None
        except (SchemaError, LimitExceeded, CorruptCheckpoint, StorageError) as error:
            return first_line(error)
        if one.id != id or (isinstance(one, Event) and one.checkpoint != key.rpartition("/")[2][27:53]):
            return f"{key}: it says that it is {one.id}."
        return one

    def _forget_unread(self, connection: sa.Connection, changes: _Changes) -> None:
        """What is tried again, or is gone, is noted anew where it still can't be read."""
        keys = [record_key(id) for id in changes.new["records/"]]
        keys += [event_key(id, checkpoint) for id, checkpoint in changes.new["events/"].items()]
        for some in _chunks(keys, _MOST_BOUND):
            connection.execute(sa.delete(schema.unread).where(schema.unread.c.key.in_(some)))


def _chunks(items: list[str], size: int) -> Iterable[list[str]]:
    return (items[at : at + size] for at in range(0, len(items), size))


__all__ = ["Index"]
