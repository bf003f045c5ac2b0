"""Paths that users give: found, or told with what is there instead."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mcore.vocabulary import nearest


def path_of(path: Any, who: str) -> Path:
    """`path` as a Path. Raises TypeError where it is none."""
    if not isinstance(path, str | os.PathLike) or isinstance(os.fspath(path), bytes):
        raise TypeError(f"{who}: a path is text or an os.PathLike, got {type(path).__name__}.")
    return Path(path)


def existing(path: Path, who: str) -> Path:
    """`path`, if something is there. Raises FileNotFoundError with the nearest names in its folder."""
    if path.exists():
        return path
    folder = path.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{who}: there is no {path}, nor a folder {folder}.")
    likely = nearest(path.name, os.listdir(folder))
    meant = f"; the nearest names there are {', '.join(likely)}" if likely else ""
    raise FileNotFoundError(f"{who}: there is no {path.name} in {folder.resolve()}{meant}.")


__all__ = ["existing", "path_of"]
