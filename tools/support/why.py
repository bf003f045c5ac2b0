"""Why a row was made again, or will be: the path from its constructor to what changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mcore.vocabulary import nearest
from tools.support import plan as plan_
from tools.support import store
from tools.support.changes import Changes
from tools.support.rows import Wanted, wanted


def told(folder: Path, name: str, *, plan: Path = plan_.PLACE) -> Iterator[str]:
    """What there is to say about each row of this name ("RSUNet", "network/RSUNet"), in lines.

    Raises:
        FileNotFoundError: there is no table.
        LookupError: no row has such a name; the message has the nearest.
    """
    if not (folder / store.TABLE).is_file():
        raise FileNotFoundError(f"{folder}: there is no {store.TABLE}; run: mcore table --out {folder}")
    table, known, notes = store.read(folder)
    yield from notes
    rows = wanted(plan_.read(plan)) + wanted(plan_.read(plan), excluded=True)
    found = {f"{row['kind']}/{row['name']}": row for row in table["rows"]}
    meant = [row for row in rows if name in (row.name, row.key)]
    if not meant:
        likely = nearest(name, [row.name for row in rows])
        raise LookupError(
            f"no row {name!r}" + (f"; the nearest names are {', '.join(likely)}." if likely else "; see mcore list.")
        )
    changes = Changes(rows, known)
    for row in meant:
        yield from _row(row, found.get(row.key), changes)


def _row(row: Wanted, found: Mapping[str, Any] | None, changes: Changes) -> Iterator[str]:
    if found is None:
        yield f"{row.key}: " + (f"excluded: {row.excluded}" if row.excluded else "not in the table yet")
        return
    path = changes.why(row, found)
    if path:
        yield f"{row.key}: stale; the next run makes it again, since this has changed:"
        yield from _steps(path)
    else:
        yield f"{row.key}: as its code is now"
    changed = found["changed"]
    yield f"  last changed on {changed['date'] or '?'}, commit {(changed['commit'] or 'none')[:12]}:"
    yield from _steps(changed["why"])


def _steps(path: list[str]) -> Iterator[str]:
    for depth, step in enumerate(path):
        yield f"  {'  ' * depth}{'-> ' if depth else ''}{step}"


__all__ = ["told"]
