"""An index taken apart: what each part of `x[...]` asks for, in torch's rules and words.

Source: torch/csrc/autograd/python_variable_indexing.cpp.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dim import Dim
from mcore.platform.tensor import Tensor, constant
from mcore.platform.words._common import cast, plain
from mcore.platform.words._views import END, joined, plain_shape, reshaped, unsqueezed

_INT64 = dtypes.int64
# Parts that make torch read a list as if it were a tuple.
_NESTED = Tensor | slice | list | tuple | range | np.ndarray
_KINDS = "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices"


class Cut:
    """One axis of the tensor narrowed: `size` elements from `start`, `step` apart; `dropped` for a bare number.

    `low` and `high` are the bounds as the Slice operator reads them, negative and open ones included.
    """

    __slots__ = ("axis", "dropped", "high", "low", "size", "start", "step")

    def __init__(self, axis: int, start: int, size: int, step: int, low: int, high: int, *, dropped: bool) -> None:
        self.axis, self.start, self.size, self.step = axis, start, size, step
        self.low, self.high, self.dropped = low, high, dropped


class Plan:
    """An index taken apart.

    Attributes:
        picks: (axis, 0-d tensor) for each axis at which a tensor selects one element.
        cuts: narrowed axes, counted after the picked ones are gone.
        added: places of new axes of size 1 in the result of the basic part.
        advanced: axis of that result -> index tensor or mask that starts there.
    """

    __slots__ = ("added", "advanced", "cuts", "picks")

    def __init__(self) -> None:
        self.picks: list[tuple[int, Tensor]] = []
        self.cuts: list[Cut] = []
        self.added: list[int] = []
        self.advanced: list[tuple[int, Tensor]] = []

    @property
    def dropped(self) -> list[int]:
        """Axes that bare numbers take away."""
        return [c.axis for c in self.cuts if c.dropped]

    def basic_shape(self, shape: Sequence[int]) -> tuple:
        """Shape of the basic part's result."""
        gone = [axis for axis, _ in self.picks]
        out = [n for a, n in enumerate(shape) if a not in gone]
        for c in self.cuts:
            out[c.axis] = c.size
        dropped = self.dropped
        out = [n for a, n in enumerate(out) if a not in dropped]
        for axis in self.added:
            out.insert(axis, 1)
        return tuple(out)


# --- taking an index apart


def _items(index: Any) -> list[Any]:
    """An index as the list of its parts."""
    if isinstance(index, tuple):
        return list(index)
    nested = isinstance(index, list) and any(i is None or i is ... or isinstance(i, _NESTED) for i in index)
    if nested and len(index) < 32:
        warnings.warn(
            "Using a non-tuple sequence for multidimensional indexing is deprecated and will be changed in pytorch "
            "2.9; use x[tuple(seq)] instead of x[seq].",
            UserWarning,
            stacklevel=2,
        )
        return list(index)
    return [index]


def _part(item: Any) -> Any:
    """One part of an index as None, Ellipsis, a slice, a bool, a number, a 0-d or an index tensor."""
    if item is None or item is ... or isinstance(item, slice | bool):
        return item
    if isinstance(item, np.bool_):
        return bool(item)
    if isinstance(item, Tensor):
        if item._dtype.category == dtypes.FLOAT:
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        if item._shape and item._dtype in (dtypes.int8, dtypes.int16):
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        return item
    if isinstance(item, int):
        return item
    if isinstance(item, list | tuple | range | np.ndarray):
        return _listed(item)
    if isinstance(item, str):
        raise TypeError("new(): invalid data type 'str'")
    try:
        return operator.index(item)
    except TypeError:
        raise IndexError(f"{_KINDS} (got {type(item).__name__})") from None


def _listed(item: Any) -> Any:
    """A list, range or array as an index tensor (a number where it has no axes)."""
    if isinstance(item, list | tuple) and any(isinstance(i, Tensor) for i in item):
        if any(not isinstance(i, Tensor) or i._shape for i in item):
            item = [int(i) for i in item]
        else:
            return joined([unsqueezed(cast(i, _INT64), [0]) for i in item], 0)
    array = np.asarray(item)
    if array.size == 0 and not isinstance(item, np.ndarray):
        array = array.astype(np.int64)
    if array.dtype.kind == "b":
        return constant(array) if array.ndim else bool(array)
    if array.dtype == np.uint8 and array.ndim:
        return constant(array)
    if array.dtype.kind not in "iu":
        if array.dtype.kind in "US":
            raise TypeError("new(): invalid data type 'str'")
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return constant(array.astype(np.int64)) if array.ndim else int(array)


def is_mask(item: Any) -> bool:
    return isinstance(item, Tensor) and item._dtype in (dtypes.bool_, dtypes.uint8)


def _width(item: Any) -> int:
    """How many axes of the tensor a part takes."""
    if item is None or item is ... or isinstance(item, bool):
        return 0
    return len(item._shape) if is_mask(item) else 1


def plan_of(x: Tensor, index: Any) -> Plan:
    """The index taken apart for `x`. Raises IndexError in torch's words."""
    parts = [_part(item) for item in _items(index)]
    shape, rank = plain_shape(x), len(x._shape)
    taken = sum(map(_width, parts))
    if taken > rank:
        if rank == 0 and any(isinstance(p, slice) for p in parts):
            raise IndexError("slice() cannot be applied to a 0-dim tensor.")
        if rank == 0 and len(parts) == 1 and isinstance(parts[0], int):
            raise IndexError(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to "
                "convert a 0-dim tensor to a number"
            )
        raise IndexError(f"too many indices for tensor of dimension {rank}")
    plan = Plan()
    axis = out = 0  # in x after picks; in the result of the basic part
    source = 0  # in x
    for part in parts:
        if part is ...:
            skip = rank - taken
            taken = rank  # a second Ellipsis stands for nothing
            axis, out, source = axis + skip, out + skip, source + skip
        elif part is None:
            plan.added.append(out)
            out += 1
        elif isinstance(part, bool):
            plan.added.append(out)
            plan.advanced.append((out, constant([0] if part else np.zeros(0, np.int64), _INT64)))
            out += 1
        elif isinstance(part, slice):
            found = slice_cut(part, axis, shape[source])
            if found is not None:
                plan.cuts.append(found)
            axis, out, source = axis + 1, out + 1, source + 1
        elif isinstance(part, Tensor):
            if part._shape:
                _check_mask(part, shape, source)
                plan.advanced.append((out, part))
                width = _width(part)
                axis, out, source = axis + width, out + width, source + width
            elif is_mask(part):
                plan.added.append(out)
                plan.advanced.append((out, reshaped(part, (1,))))
                out += 1
            else:
                plan.picks.append((source, part))
                source += 1
        else:
            plan.cuts.append(number_cut(part, axis, shape[source], source))
            axis, source = axis + 1, source + 1
    return plan


def number_cut(number: int, axis: int, size: int, source: int) -> Cut:
    if not -int(size) <= int(number) < int(size):
        raise IndexError(f"index {int(number)} is out of bounds for dimension {source} with size {int(size)}")
    start = number if int(number) >= 0 else size + number
    if type(number) is Dim:
        return Cut(axis, start, 1, 1, start, start + 1, dropped=True)
    return Cut(axis, start, 1, 1, number, END if number == -1 else number + 1, dropped=True)


def _bound(value: Any) -> Any:
    if value is None or type(value) is int or type(value) is Dim:
        return value
    if isinstance(value, Tensor):
        return operator.index(value)
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError("slice indices must be integers or None or have an __index__ method") from None


def slice_cut(part: slice, axis: int, size: int) -> Cut | None:
    """A slice of an axis; None where it takes all of it."""
    start, stop, step = _bound(part.start), _bound(part.stop), _bound(part.step)
    step = 1 if step is None else step
    if int(step) == 0:
        raise ValueError("slice step cannot be zero")
    if int(step) < 0:
        raise ValueError("step must be greater than zero")
    first, last = clamped(start, size, 0), clamped(stop, size, size)
    span = dims.dim_max(last - first, 0)
    count = span if type(step) is not Dim and step == 1 else (span + step - 1) // step
    if dims.equal_always(count, size):
        return None
    low = 0 if start is None else start
    high = END if stop is None else stop
    return Cut(axis, first, count, step, low, high, dropped=False)


def clamped(bound: Any, size: int, default: int) -> int:
    """A bound of a slice as a place between 0 and `size`."""
    if bound is None:
        return default
    return dims.dim_max(size + bound, 0) if int(bound) < 0 else dims.dim_min(bound, size)


def _check_mask(part: Tensor, shape: Sequence[int], source: int) -> None:
    if not is_mask(part):
        return
    if part._dtype is dtypes.uint8:
        warnings.warn(
            "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.",
            UserWarning,
            stacklevel=2,
        )
    for k, size in enumerate(part.shape):
        if int(size) != int(shape[source + k]):
            raise IndexError(
                f"The shape of the mask {plain(part.shape)} at index {k} does not match the shape of the indexed "
                f"tensor {plain(shape)} at index {source + k}"
            )
