"""The table in its folder: `table.json`, and beside it `code.json`, which tells what code each row was made of.

One run at a time writes there. A file that is damaged is kept aside, and the table begins anew, which is said.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import mcore
from mcore.exchange.atomic import atomic_file
from tools.support.extras import needed
from tools.support.rows import KINDS

FORMAT = 1
# What every row has, of the table and of what is known of its code, and every state of the code.
_ROW = ("kind", "name", "parts", "folder", "layers", "parameters", "fingerprint", "code", "own", "request", "changed",
        "error", "excluded", "excused", "cells")  # fmt: skip
_CODE, _STATE = ("hash", "state"), ("machinery", "nodes")
TABLE, CODE, LOCK = "table.json", "code.json", ".table.lock"


class BusyError(RuntimeError):
    """Another run is writing the table."""


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool) -> Iterator[None]:
    """Keeps other runs out of `folder` during the block.

    Raises:
        BusyError: another run is there, and `wait` is false; the message names it.
        StorageError: the folder can't be written.
    """
    filelock = needed("filelock")
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / LOCK, timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise BusyError(
            f"{folder}: another run is writing this table ({_owner(folder)}); give --wait to go on after it, or "
            "another --out."
        ) from None
    try:
        # Beside the lock: Windows lets nobody read a file that is locked.
        (folder / f"{LOCK}.owner").write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        (folder / f"{LOCK}.owner").unlink(missing_ok=True)
        lock.release()


def _owner(folder: Path) -> str:
    try:
        return (folder / f"{LOCK}.owner").read_text(encoding="utf-8")
    except OSError:
        return "it has just begun"


def empty() -> dict[str, Any]:
    """A table without rows."""
    return {"format": FORMAT, "project": "mcore", "version": mcore.__version__, "date": "", "commit": None,
            "engine": "", "machine": {}, "devices": [], "rows": [], "excluded": []}  # fmt: skip


def machine() -> dict[str, Any]:
    """What is told of the machine that checks."""
    return {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count(),
            "python": platform.python_version()}  # fmt: skip


def read(folder: Path, *, aside: bool = False) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """The table and what is known of its code; and what was wrong with either, in words.

    Args:
        folder: the table's.
        aside: whether a damaged file is moved aside: only whoever writes there may.

    Raises:
        ValueError: it is of a later format.
    """
    notes: list[str] = []
    table = _read(folder / TABLE, empty(), notes, aside=aside)
    code = _read(folder / CODE, {"format": FORMAT, "files": {}, "rows": {}, "states": {}}, notes, aside=aside)
    return table, code, notes


def parsed(text: bytes | str, name: str) -> dict[str, Any]:
    """A table's text.

    Raises:
        ValueError: it is damaged, or of a later format; the message begins with `name`.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Damaged(f"{name}: damaged: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("format"), int):
        raise _Damaged(f"{name}: no table of mcore.")
    if found["format"] > FORMAT:
        raise ValueError(f"{name}: format {found['format']} is of a later mcore; this one reads up to {FORMAT}.")
    return found


class _Damaged(ValueError):
    """A file that isn't whole."""


def _read(path: Path, otherwise: dict[str, Any], notes: list[str], *, aside: bool) -> dict[str, Any]:
    if not path.is_file():
        return otherwise
    try:
        found = parsed(path.read_bytes(), str(path))
        for key, value in otherwise.items():
            # A table of whole rows, or none: half of one would pass for what was never checked.
            if not isinstance(found.get(key), type(value)) and value is not None:
                raise _Damaged(f"{path}: damaged: its {key!r} is missing or no {type(value).__name__}.")
        _whole(found, path)
    except _Damaged as error:
        if not aside:
            notes.append(f"{error} The next run keeps it aside, and makes all that it told anew.")
            return otherwise
        kept = _aside(path)
        os.replace(path, kept)
        notes.append(f"{error} It is kept as {kept.name}; all that it told is made anew.")
        return otherwise
    return found


def _whole(found: Mapping[str, Any], path: Path) -> None:
    """Raises _Damaged where a row, or a state of the code, lacks something."""
    parts: list[tuple[str, tuple[str, ...], Iterable[Any]]]
    if path.name == TABLE:
        parts = [("row", _ROW, enumerate(found["rows"]))]
    else:
        parts = [("row", _CODE, found["rows"].items()), ("state", _STATE, found["states"].items())]
    for what, keys, entries in parts:
        for place, entry in entries:
            lost = [key for key in keys if key not in entry] if isinstance(entry, dict) else [*keys]
            if lost:
                raise _Damaged(f"{path}: damaged: its {what} {place} has no {', '.join(lost)}.")


def _aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return aside


def in_order(rows: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Rows by kind and name."""
    return sorted(rows, key=lambda row: (KINDS.index(row["kind"]), row["name"].lower(), row["name"]))


def write(folder: Path, table: Mapping[str, Any], code: Mapping[str, Any]) -> None:
    """Writes both files, each whole or not at all; the code first, so that no row claims code that isn't told.

    Raises:
        StorageError: a file cannot be written; what was there is unchanged.
    """
    rows = in_order(table["rows"])
    _write(folder / CODE, _lines(code, ("files", "rows", "states")))
    _write(folder / TABLE, json.dumps({**table, "rows": rows}, indent=1, allow_nan=False, ensure_ascii=False))


def _lines(code: Mapping[str, Any], parts: tuple[str, ...]) -> str:
    """JSON with one entry of each part a line: a change of one definition is a change of one line."""
    said = []
    for key, value in code.items():
        if key == "states":
            inner = ",\n".join(
                f"{json.dumps(name)}: {{{_of_lines('machinery', state)},\n{_of_lines('nodes', state)}}}"
                for name, state in value.items()
            )
            said.append(f'"states": {{\n{inner}}}')
        else:
            said.append(_of_lines(key, code) if key in parts else f"{json.dumps(key)}: {json.dumps(value)}")
    return "{" + ",\n".join(said) + "}"


def _of_lines(key: str, holder: Mapping[str, Any]) -> str:
    entries = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(holder[key].items()))
    return f"{json.dumps(key)}: {{\n{entries}}}"


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as file:
        file.write((text + "\n").encode("utf-8", "backslashreplace"))


__all__ = ["BusyError", "empty", "in_order", "locked", "machine", "parsed", "read", "write"]
