"""The gate: what keeps the table from being true, or has become worse; empty where all is well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.support import git, store
from tools.support import plan as plan_
from tools.support.changes import Changes
from tools.support.rows import wanted
from tools.support.statuses import RANKS


def problems(folder: Path, *, plan: Path = plan_.PLACE, since: str | None = None) -> list[str]:
    """What is wrong with the table in `folder`, a line each.

    Something public is missing; a row's code, arguments or sizes aren't those that were checked; a cell has become
    worse than it was in the last commit that has another table (or in the commit `since`). Cells that the plan excuses
    don't count.

    Raises:
        FileNotFoundError: there is no table.
        ConfigError: mistakes in the plan.
        LookupError: no such commit.
    """
    if not (folder / store.TABLE).is_file():
        raise FileNotFoundError(f"{folder}: there is no {store.TABLE}; run: mcore table --out {folder}")
    table, known, notes = store.read(folder)
    read = plan_.read(plan)
    rows = {row.key: row for row in wanted(read)}
    found = {f"{row['kind']}/{row['name']}": row for row in table["rows"] if not row["excluded"]}
    changes = Changes(rows.values(), known)
    said = [*notes]
    said += [f"{key}: public, and not in the table" for key in rows if key not in found]
    said += [f"{key}: in the table, and not public any more, or excluded" for key in found if key not in rows]
    for key in rows:
        path = changes.why(rows[key], found[key]) if key in found else []
        if path:
            said.append(f"{key}: stale: {' -> '.join(path)}")
    excused = {key: {*read.cells.get(row.kind, {}).get(row.name, {})} for key, row in rows.items()}
    return [*said, *_worse(found, _before(folder, since), excused)]


def _before(folder: Path, since: str | None) -> dict[str, Any]:
    """The rows of the table that this one is compared with; none where there is no earlier one."""
    file = folder / store.TABLE
    if since is not None:
        commit = git.commit_of(folder, since)
    else:
        commits = git.commits_of(file)
        # One that isn't committed yet is compared with the one that is, which else is the earlier one.
        commits = commits if git.is_changed(file) else commits[1:]
        if not commits:
            return {}
        commit = commits[0]
    text = git.shown(file, commit)
    rows = store.parsed(text, f"{file} at {commit[:12]}")["rows"] if text else []
    return {f"{row['kind']}/{row['name']}": row for row in rows}


def _worse(found: Mapping[str, Any], before: Mapping[str, Any], excused: Mapping[str, set[str]]) -> Iterator[str]:
    for key, row in found.items():
        old = before.get(key)
        if old is None:
            continue
        if row["error"] and not old["error"]:
            yield f"{key}: worse: it can't be converted any more: {row['error']}"
            continue
        for device, was in old["cells"].items():
            now = row["cells"].get(device, {"status": "not tested", "detail": ""})
            if device in excused.get(key, ()) or "was" in now:
                continue  # a row that is stale as a whole was told of
            # What was stale then, was something before.
            earlier = str((was.get("was") or [was.get("before", was["status"])])[0])
            if RANKS[now["status"]] < RANKS[earlier]:
                detail = f": {now['detail']}" if now["detail"] else ""
                yield f"{key}: worse on {device}: it was {earlier}, and is {now['status']}{detail}"


__all__ = ["problems"]
