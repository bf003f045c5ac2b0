"""`history.json` of a folder: what was asked for, when and of what code it was made, where it has passed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mcore
from mcore.exchange import description
from mcore.exchange.atomic import atomic_file
from mcore.exchange.errors import ModelFileError
from tools.support import git

HISTORY, FORMAT = "history.json", 1
# Passes that are kept of a device, the newest.
PASSES = 100
_KINDS: dict[str, Any] = {
    "format": int,
    "name": str,
    "identity": str | None,
    "request": dict | None,
    "created": dict,
    "updated": dict,
    "code_hash": str | None,
    "code": dict | None,
    "weights": object,
    "passed": dict,
    "network": dict | None,
}
_SOURCES = Path(mcore.__file__).resolve().parent
_PACKAGES = ("mcore", "models", "tools")


def read(folder: Path) -> dict[str, Any]:
    """The history of a folder.

    Raises:
        FileNotFoundError: there is none.
        ModelFileError: it is damaged.
        ValueError: it is of a later format.
    """
    path = folder / HISTORY
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{folder}: there is no {HISTORY} in it.") from None
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is damaged: {error}.") from error
    if not isinstance(found, dict):
        raise ModelFileError(f"{path} is damaged: it holds no mapping.")
    if isinstance(found.get("format"), int) and found["format"] > FORMAT:
        raise ValueError(f"{path} is of format {found['format']}, of a later mcore; this one reads {FORMAT}.")
    wrong = [key for key, kind in _KINDS.items() if key not in found or not isinstance(found[key], kind)]
    passes = found.get("passed")
    if isinstance(passes, dict) and not all(_is_passes(entries) for entries in passes.values()):
        wrong.append("passed")
    if isinstance(found.get("code"), dict) and not _is_code(found["code"]):
        wrong.append("code")
    if not isinstance(found.get("data", {}), dict):
        wrong.append("data")
    if wrong:
        raise ModelFileError(f"{path} is damaged: {', '.join(wrong)} missing or of another kind.")
    return found


def mended(folder: Path) -> list[str]:
    """Keeps a damaged history aside and begins another from what the artifact says of itself; what was done, in words.

    Where there is none, or a sound one, nothing is done.
    """
    if not (folder / HISTORY).is_file():
        return []
    try:
        read(folder)
        return []
    except ModelFileError as error:
        number = next(n for n in range(1, 10**6) if not (folder / f"{HISTORY}.damaged-{n}").exists())
        aside = folder / f"{HISTORY}.damaged-{number}"
        os.rename(folder / HISTORY, aside)
        told = f"{error} It is kept as {aside.name}, and a new one was begun."
    try:
        said: Mapping[str, Any] = description.read(folder)
    except (FileNotFoundError, ModelFileError):
        said = {}  # both are damaged: what is made now begins a history of its own
    made = {"mcore": (said.get("versions") or {}).get("mcore"), "commit": said.get("commit"), "dirty": None}
    history = {"format": FORMAT, "name": folder.name, "identity": None, "request": None, "created": made}
    history |= {"updated": made, "code_hash": said.get("code_hash"), "code": None, "weights": None, "passed": {}}
    history["network"] = None
    write(folder, history)
    return [told]


def write(folder: Path, history: Mapping[str, Any], *, atomic: bool = True) -> None:
    """Writes a history; not atomically into a folder that isn't there for others yet."""
    text = json.dumps(history, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if not atomic:
        (folder / HISTORY).write_text(text, encoding="utf-8")
        return
    with atomic_file(folder / HISTORY) as file:
        file.write(text.encode())


def with_pass(history: Mapping[str, Any], device: str, *, version: str, date: str | None = None) -> dict[str, Any]:
    """A history in which a device has passed now, at this commit; see `folder.record_pass`."""
    entry = {
        "commit": git.head(_SOURCES),
        "date": date or git.now(),
        "code_hash": history["code_hash"],
        "version": version,
    }
    # Of one commit, code and runtime, the last time counts.
    others = [old for old in history["passed"].get(device, []) if {**entry, "date": ""} != {**old, "date": ""}]
    return {**history, "passed": {**history["passed"], device: [entry, *others][:PASSES]}}


def origin() -> dict[str, Any]:
    """The version and the commit of mcore, and whether sources differ from it; None where there is no repository."""
    commit = git.head(_SOURCES)
    dirty = None if commit is None else any(git.is_changed(_SOURCES.parent / name) for name in _PACKAGES)
    return {"mcore": mcore.__version__, "commit": commit, "dirty": dirty}


def _is_passes(entries: Any) -> bool:
    return isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)


def _is_code(said: dict[str, Any]) -> bool:
    names = [said.get(key) for key in ("roots", "made_of")]
    return all(isinstance(one, list) and all(isinstance(name, str) for name in one) for one in names) and "hash" in said


__all__ = ["FORMAT", "HISTORY", "PASSES", "mended", "origin", "read", "with_pass", "write"]
