"""Which files of a store an index hasn't seen yet, without listing a million names at each question.

In a folder, a shard (`records/01J5/`) that hasn't changed since it was last listed isn't listed again: its time of
change is that of its last new name. What changed is compared whole, name by name, so what comes late, with an older id,
is found too, and what was removed. An object store has no such times: there the names behind the newest known one, less
a day, are listed each time, and all of them once a day, or always where they are few.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcore.checkpoint.ids import first_id, is_id, milliseconds
from mcore.checkpoint.store.base import Store, event_key, record_key

FOLDERS = ("records/", "events/")
DAY = 86_400.0
# Names of an object store that are always listed whole: one answer has as many.
FEW = 1000
# Seconds behind a folder's time of change in which it may change again without showing it: the coarsest clock's tick.
TICK = 2.5
# Behind every id.
_END = "~"


@dataclass(frozen=True)
class Area:
    """Files that are compared: those of `prefix` behind the key `after`, whose ids are from `first` to before `end`."""

    prefix: str
    after: str = ""
    first: str = ""
    end: str = _END

    @property
    def folder(self) -> str:
        return self.prefix.partition("/")[0] + "/"


@dataclass
class Look:
    """What is to be compared, and what will be known when that is done."""

    areas: list[Area] = field(default_factory=list)
    known: dict[str, Any] = field(default_factory=dict)


def whole(store: Store) -> Look:
    """All of it."""
    root = _root(store)
    marks = {} if root is None else dict(_marks(root))
    return Look([Area(folder) for folder in FOLDERS], {"full": time.time(), "marks": _settled(marks)})


def changed(store: Store, known: dict[str, Any], newest: dict[str, str], counts: dict[str, int]) -> Look:
    """What may have changed since `known`.

    Args:
        store: where the files are.
        known: of the last look.
        newest: the newest id that is known of each folder; "" where none is.
        counts: how many are known.
    """
    root = _root(store)
    # A clock that was turned back since isn't waited for.
    if not 0 <= time.time() - float(known.get("full", 0)) < DAY:
        return whole(store)
    if root is None:
        return Look([_behind(folder, newest[folder], counts[folder]) for folder in FOLDERS], known)
    before, marks = known.get("marks", {}), dict(_marks(root))
    areas = [_shard(name) for name in sorted({*before, *marks}) if before.get(name) != marks.get(name)]
    return Look(areas, {**known, "marks": _settled(marks)})


def listed(store: Store, area: Area) -> dict[str, str]:
    """The files of an area: their checkpoint by their id. Other names aren't a repository's."""
    found = {}
    for kept in store.files(area.prefix, after=area.after):
        id, checkpoint = kept.key.rpartition("/")[2][:26], kept.key.rpartition("/")[2][27:53]
        if area.folder == "records/" and kept.key == (record_key(id) if is_id(id) else ""):
            found[id] = id
        elif area.folder == "events/" and is_id(id) and is_id(checkpoint) and kept.key == event_key(id, checkpoint):
            found[id] = checkpoint
    return {id: checkpoint for id, checkpoint in found.items() if area.first <= id < area.end}


def _root(store: Store) -> Path | None:
    path = getattr(store, "path", None)
    return path if isinstance(path, Path) else None


def _marks(root: Path) -> Iterator[tuple[str, int]]:
    """When each shard was last changed."""
    for folder in FOLDERS:
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        yield f"{folder}{entry.name}/", entry.stat(follow_symlinks=False).st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            continue


def _settled(marks: dict[str, int]) -> dict[str, int]:
    """Those that can be relied on: a folder that has just been changed may change again within the same tick."""
    latest = (time.time() - TICK) * 1e9
    return {name: mark for name, mark in marks.items() if mark < latest}


def _shard(name: str) -> Area:
    shard = name.split("/")[1]
    return Area(name, first=shard, end=shard + _END)


def _behind(folder: str, newest: str, count: int) -> Area:
    if not newest or count <= FEW:
        return Area(folder)
    first = first_id(max(0, milliseconds(newest) - int(DAY * 1000)))
    # Without an ending, it sorts just before the file of this very id.
    after = record_key(first).replace(FOLDERS[0], folder).removesuffix(".json")
    return Area(folder, after=after, first=first)


__all__ = ["Area", "FOLDERS", "Look", "changed", "listed", "whole"]
