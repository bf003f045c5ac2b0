"""Arrays that the caller may still edit: `from_numpy` shares them, and what torch would copy must copy them.

The engine never writes an array, so its own are shared freely. Memory that came from outside is remembered here,
as long as it lives, and is copied where torch makes a copy (`clone`, `copy_`, `cat`, `load_state_dict`) or where a
session keeps it (parameters).
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

_lent: weakref.WeakValueDictionary[int, np.ndarray] = weakref.WeakValueDictionary()


def _root(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def lend(array: np.ndarray) -> np.ndarray:
    """Remembers that an array's memory belongs to the caller."""
    root = _root(array)
    if root.flags.writeable:
        _lent[id(root)] = root
    return array


def own(array: Any) -> Any:
    """The array, or a copy where its memory belongs to the caller; what is yet to be computed stays as it is."""
    if not _lent or not isinstance(array, np.ndarray):
        return array
    root = _root(array)
    return array.copy() if _lent.get(id(root)) is root else array
