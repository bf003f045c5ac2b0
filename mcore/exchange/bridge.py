"""The engine to talk to: the one that speaks in this process, or the one that a module or tensor is of.

Both may be loaded side by side, so what is asked is whose the object is, never which name was chosen.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import numpy as np

from mcore.backend import ENGINE

# What an object's engine has loaded if the object exists.
_ROOTS = {"torch": "torch", "platform": "mcore.platform.tensor"}


def this() -> ModuleType:
    """The bridge of the engine that speaks in this process."""
    return importlib.import_module(f"mcore.exchange.bridge_{ENGINE}")


def of_module(module: Any) -> ModuleType:
    """The bridge of the engine that `module` is of. Raises TypeError for what is no module."""
    for bridge in loaded():
        if bridge.is_module(module):
            return bridge
    raise TypeError(f"expected a Module, got {type(module).__name__}.")


def array_of(value: Any) -> np.ndarray:
    """The data of a tensor of any engine, or of an array. Raises TypeError for other things."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, np.generic):
        return np.asarray(value)
    for bridge in loaded():
        if bridge.is_tensor(value):
            return bridge.array_of(value)
    raise TypeError(f"expected a tensor, got {type(value).__name__}.")


def is_tensor(value: Any) -> bool:
    """Whether `value` is an array, or a tensor of an engine that is loaded."""
    return isinstance(value, np.ndarray) or any(bridge.is_tensor(value) for bridge in loaded())


def loaded() -> list[ModuleType]:
    """The bridges of the engines that this process has loaded."""
    return [
        importlib.import_module(f"mcore.exchange.bridge_{engine}")
        for engine, root in _ROOTS.items()
        if root in sys.modules
    ]
