"""Training on the torch engine: `mcore train`, and the same from Python."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcore.training.averaging import EMA
    from mcore.training.data.base import Source
    from mcore.training.errors import DataError, NotFiniteError, StateError, TrainingError
    from mcore.training.loop import Trainer
    from mcore.training.running import Result, check, train
    from mcore.training.settings import Settings, settings_of

# Where each name lives; loaded when first asked for: a configuration is checked without torch.
_HOMES = {
    "DataError": "errors",
    "EMA": "averaging",
    "NotFiniteError": "errors",
    "Result": "running",
    "Settings": "settings",
    "Source": "data.base",
    "StateError": "errors",
    "Trainer": "loop",
    "TrainingError": "errors",
    "check": "running",
    "settings_of": "settings",
    "train": "running",
}

__all__ = [
    "DataError",
    "EMA",
    "NotFiniteError",
    "Result",
    "Settings",
    "Source",
    "StateError",
    "Trainer",
    "TrainingError",
    "check",
    "settings_of",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mcore.training' has no {name!r}; it has {', '.join(__all__)}.", name=name)
    value = getattr(importlib.import_module(f"mcore.training.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
