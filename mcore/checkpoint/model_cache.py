"""The two models that were loaded last, kept for whoever asks for the same file again."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

LIMIT = 2
# The files of an artifact that make its module.
ARTIFACT = ("model.onnx", "model.onnx.data", "model.json", "state.safetensors")
# Where exporters put weights that are too large for the graph's own file.
_BESIDE = ("{name}.data", "{name}_data", "{stem}.data")

_models: OrderedDict[tuple[Hashable, ...], Any] = OrderedDict()
# One lock, entered again where a model's spec loads another one; held while loading, so that nothing loads twice.
_lock = threading.RLock()

Stamp = tuple[tuple[str, int, int, int], ...]


def cached(path: Path, rest: tuple[Hashable, ...], load: Callable[[], Any]) -> Any:
    """The model that `load` gave for this path, its change time and `rest`; loaded where it isn't kept."""
    real = path.resolve()
    with _lock:
        key = (real, rest, stamp(real))  # before loading: a file that changes meanwhile is loaded again next time
        if key in _models:
            _models.move_to_end(key)
            return _models[key]
        # What was loaded from an older state of the file is asked for by nobody any more.
        for old in [old for old in _models if old[:2] == key[:2]]:
            del _models[old]
        made = load()
        _models[key] = made
        while len(_models) > LIMIT:
            _models.popitem(last=False)
        return made


def clear_model_cache() -> None:
    """Forgets the models that `load_model(use_cache=True)` keeps; those in use elsewhere live on."""
    with _lock:
        _models.clear()


def stamp(path: Path) -> Stamp:
    """Change time and size of a model's files: an artifact has several, and a graph's weights may lie beside it."""
    folder = path if path.is_dir() else path.parent if path.name == ARTIFACT[0] else None
    if folder is not None:
        files = [folder / name for name in ARTIFACT]
    else:
        files = [path, *(path.with_name(form.format(name=path.name, stem=path.stem)) for form in _BESIDE)]
    return tuple(_of_file(file) for file in files if file.exists())


def _of_file(file: Path) -> tuple[str, int, int, int]:
    # The inode too: a file that was replaced may have its predecessor's time, where clocks are coarse.
    found = os.stat(file)
    return file.name, found.st_mtime_ns, found.st_size, found.st_ino


__all__ = ["LIMIT", "cached", "clear_model_cache", "stamp"]
