"""Weights and models from files, by position, by name, whole; and repositories of checkpoints."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcore.checkpoint.errors import (
        Busy,
        CorruptCheckpoint,
        Incompatible,
        LimitExceeded,
        NotFound,
        PathEscape,
        QueryError,
        SchemaError,
        UnsafeFormat,
    )
    from mcore.checkpoint.loading import load_model
    from mcore.checkpoint.model_cache import clear_model_cache
    from mcore.checkpoint.parts.measuring import measure
    from mcore.checkpoint.positions import load_by_position
    from mcore.checkpoint.repository import Repository
    from mcore.checkpoint.saver import Saver
    from mcore.checkpoint.weights import load_weights_file, save_model

# Where each name lives; loaded when first asked for: reading a file of weights needs no records and no schema.
_HOMES = {
    "Repository": "repository",
    "Saver": "saver",
    "measure": "parts.measuring",
    "clear_model_cache": "model_cache",
    "load_by_position": "positions",
    "load_model": "loading",
    "load_weights_file": "weights",
    "save_model": "weights",
    **dict.fromkeys(
        (
            "Busy",
            "CorruptCheckpoint",
            "Incompatible",
            "LimitExceeded",
            "NotFound",
            "PathEscape",
            "QueryError",
            "SchemaError",
            "UnsafeFormat",
        ),
        "errors",
    ),
}

__all__ = [
    "Busy",
    "CorruptCheckpoint",
    "Incompatible",
    "LimitExceeded",
    "NotFound",
    "PathEscape",
    "QueryError",
    "Repository",
    "Saver",
    "SchemaError",
    "UnsafeFormat",
    "clear_model_cache",
    "load_by_position",
    "load_model",
    "load_weights_file",
    "measure",
    "save_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}.")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    # Submodules of this name would hide it, once loaded.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
