"""Reading by index: `x[...]` in every form that torch reads, and select, narrow.

An index is taken apart into a basic part (numbers, slices, None), which is a view made by one Slice, and an
advanced part (index tensors, masks), which is a copy made by Gather, GatherND or Compress.

Source: torch/csrc/autograd/python_variable_indexing.cpp and aten/src/ATen/native/TensorAdvancedIndexing.cpp.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dim import Dim
from mcore.platform.errors import ShapeError
from mcore.platform.graph import current
from mcore.platform.tensor import Tensor, constant, emit, size_tensor, unknown_sizes
from mcore.platform.word import view_of, word
from mcore.platform.words._common import axis_of, cast, plain
from mcore.platform.words._views import (
    END, alias, counting, expanded, joined, reshaped, resized, sliced, speaking, squeezed, transposed, unsqueezed,
)  # fmt: skip

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
    if isinstance(index, list) and len(index) < 32:
        if any(i is None or i is ... or isinstance(i, _NESTED) for i in index):
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


def _is_mask(item: Any) -> bool:
    return isinstance(item, Tensor) and item._dtype in (dtypes.bool_, dtypes.uint8)


def _width(item: Any) -> int:
    """How many axes of the tensor a part takes."""
    if item is None or item is ... or isinstance(item, bool):
        return 0
    return len(item._shape) if _is_mask(item) else 1


def plan_of(x: Tensor, index: Any) -> Plan:
    """The index taken apart for `x`. Raises IndexError in torch's words."""
    parts = [_part(item) for item in _items(index)]
    shape, rank = x.shape, len(x._shape)
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
            found = _slice_cut(part, axis, shape[source])
            if found is not None:
                plan.cuts.append(found)
            axis, out, source = axis + 1, out + 1, source + 1
        elif isinstance(part, Tensor):
            if part._shape:
                _check_mask(part, shape, source)
                plan.advanced.append((out, part))
                width = _width(part)
                axis, out, source = axis + width, out + width, source + width
            elif _is_mask(part):
                plan.added.append(out)
                plan.advanced.append((out, reshaped(part, (1,))))
                out += 1
            else:
                plan.picks.append((source, part))
                source += 1
        else:
            plan.cuts.append(_number_cut(part, axis, shape[source], source))
            axis, source = axis + 1, source + 1
    return plan


def _number_cut(number: int, axis: int, size: int, source: int) -> Cut:
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


def _slice_cut(part: slice, axis: int, size: int) -> Cut | None:
    """A slice of an axis; None where it takes all of it."""
    start, stop, step = _bound(part.start), _bound(part.stop), _bound(part.step)
    step = 1 if step is None else step
    if int(step) == 0:
        raise ValueError("slice step cannot be zero")
    if int(step) < 0:
        raise ValueError("step must be greater than zero")
    first, last = _clamped(start, size, 0), _clamped(stop, size, size)
    span = dims.dim_max(last - first, 0)
    count = span if type(step) is not Dim and step == 1 else (span + step - 1) // step
    if dims.equal_always(count, size):
        return None
    low = 0 if start is None else start
    high = END if stop is None else stop
    return Cut(axis, first, count, step, low, high, dropped=False)


def _clamped(bound: Any, size: int, default: int) -> int:
    """A bound of a slice as a place between 0 and `size`."""
    if bound is None:
        return default
    return dims.dim_max(size + bound, 0) if int(bound) < 0 else dims.dim_min(bound, size)


def _check_mask(part: Tensor, shape: Sequence[int], source: int) -> None:
    if not _is_mask(part):
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


# --- the basic part


def _picked(x: Tensor, axis: int, place: Tensor) -> Tensor:
    shape = x.shape
    place = place if place._dtype in (dtypes.int32, _INT64) else cast(place, _INT64)
    return emit("Gather", [x, place], (*shape[:axis], *shape[axis + 1 :]), x._dtype, axis=axis)


def narrowed(x: Tensor, cuts: Sequence[Cut]) -> Tensor:
    """All cuts in one Slice; axes of bare numbers stay, with size 1."""
    shape = list(x.shape)
    for c in cuts:
        shape[c.axis] = c.size
    return sliced(x, [(c.axis, c.low, c.high, c.step) for c in cuts], shape)


@speaking
def read_basic(x: Tensor, plan: Plan) -> Tensor:
    """What numbers, slices and None take out of `x`."""
    for gone, (axis, place) in enumerate(plan.picks):
        x = _picked(x, axis - gone, place)
    cuts = plan.cuts
    if len(cuts) == 1 and cuts[0].dropped:
        x = _picked(x, cuts[0].axis, size_tensor(cuts[0].low))
    elif cuts:
        x = squeezed(narrowed(x, cuts), plan.dropped)
    return unsqueezed(x, plan.added)


def _basic_strides(plan: Plan) -> Callable[[list[int]], list[int]]:
    def strides(given: list[int]) -> list[int]:
        gone = [axis for axis, _ in plan.picks]
        out = [s for a, s in enumerate(given) if a not in gone]
        for c in plan.cuts:
            out[c.axis] *= int(c.step)
        dropped = plan.dropped
        out = [s for a, s in enumerate(out) if a not in dropped]
        for axis in plan.added:
            out.insert(axis, 1)
        return out

    return strides


class Reading:
    """Reads the basic part of an index from a base, again and again; `x[i] += y` knows its view by the plan."""

    __slots__ = ("plan",)

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __call__(self, base: Tensor) -> Tensor:
        return read_basic(base, self.plan)


def basic_view(x: Tensor, plan: Plan) -> Tensor:
    """The basic part as a view of `x`."""
    from mcore.platform.words.assigning import write_basic

    if not (plan.picks or plan.cuts or plan.added):
        return alias(x)
    return view_of(
        x, read_basic(x, plan), Reading(plan),
        lambda base, new: write_basic(base, new, plan), _basic_strides(plan),
    )  # fmt: skip


# --- the advanced part


def split_masks(advanced: Sequence[tuple[int, Tensor]]) -> list[tuple[int, Tensor]]:
    """Index tensors by axis: a mask of k axes becomes the k columns of where it is true."""
    out = []
    for axis, index in advanced:
        if not _is_mask(index):
            out.append((axis, index))
            continue
        places = where_true(index)
        count = places.shape[1]
        for k in range(len(index._shape)):
            row = emit("Gather", [places, constant(k, _INT64)], (count,), _INT64, axis=0)
            out.append((axis + k, row))
    return out


def where_true(mask: Tensor) -> Tensor:
    """Where a tensor is not zero, as torch's nonzero transposed: (rank, count)."""
    # NonZero lacks kernels for some types, and takes no tensor without axes.
    if mask._dtype not in (dtypes.bool_, dtypes.uint8, dtypes.int32, _INT64, dtypes.float32):
        mask = cast(mask, dtypes.bool_)
    return unknown_sizes(emit("NonZero", [mask], (len(mask._shape), None), _INT64))


def common_shape(indices: Sequence[Tensor]) -> tuple:
    """The shape to which index tensors broadcast. Raises IndexError in torch's words."""
    rank = max(len(i._shape) for i in indices)
    out: list[int] = [1] * rank
    for index in indices:
        for k, size in enumerate(reversed(index.shape), 1):
            if int(out[-k]) == 1:
                out[-k] = size
            elif int(size) != int(out[-k]) and int(size) != 1:
                listed = ", ".join(str(plain(i.shape)) for i in indices)
                raise IndexError(f"shape mismatch: indexing tensors could not be broadcast together with shapes {listed}")
    return tuple(out)


def stacked(indices: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
    """Index tensors side by side on a new last axis, as GatherND and ScatterND take them."""
    columns = [unsqueezed(expanded(cast(i, _INT64), shape), [len(shape)]) for i in indices]
    return joined(columns, len(shape))


def check_bounds(
    index: Tensor, size: int, axis: int = 0, *, kind: type[Exception] = IndexError,
    text: str = "index {index} is out of bounds for dimension {axis} with size {size}",
) -> None:  # fmt: skip
    """An error for what can be seen now: indices written in the program, and data of a word spoken alone."""
    r = current()
    array = r.constants.get(index._value) if index._recorder is r else None
    if array is None and not r.bake_state and not r.exporting:
        array = r.feeds.get(r.use(index))
    if array is None or not array.size or type(size) is Dim:
        return
    low, high = int(array.min()), int(array.max())
    if low < -int(size) or high >= int(size):
        bad = high if high >= int(size) else low
        raise kind(text.format(index=bad, axis=axis, size=int(size)))


def advanced_layout(axes: Sequence[int]) -> int:
    """Where the axes of the index tensors stand in the result: at the first of them, or in front if apart."""
    adjacent = list(axes) == list(range(axes[0], axes[0] + len(axes)))
    return axes[0] if adjacent else 0


def read_advanced(x: Tensor, advanced: Sequence[tuple[int, Tensor]]) -> Tensor:
    """What index tensors and masks take out of `x`."""
    if len(advanced) == 1 and _is_mask(advanced[0][1]):
        return compressed(x, *advanced[0])
    columns = split_masks(advanced)
    shape = x.shape
    if len(columns) == 1:
        axis, index = columns[0]
        check_bounds(index, shape[axis], axis)
        out = (*shape[:axis], *index.shape, *shape[axis + 1 :])
        index = index if index._dtype in (dtypes.int32, _INT64) else cast(index, _INT64)
        return emit("Gather", [x, index], out, x._dtype, axis=axis)
    axes, indices = [a for a, _ in columns], [i for _, i in columns]
    for axis, index in columns:
        check_bounds(index, shape[axis], axis)
    order = (*axes, *(a for a in range(len(shape)) if a not in axes))
    spread = common_shape(indices)
    places = stacked(indices, spread)
    rest = tuple(shape[a] for a in order[len(axes) :])
    out = emit("GatherND", [transposed(x, order), places], (*spread, *rest), x._dtype)
    front = advanced_layout(axes)
    return transposed(out, result_order(len(spread), front, len(spread) + len(rest)))


def result_order(count: int, place: int, rank: int) -> tuple[int, ...]:
    """The order that brings `count` leading axes to `place`."""
    rest = list(range(count, rank))
    return (*rest[:place], *range(count), *rest[place:])


def compressed(x: Tensor, axis: int, mask: Tensor) -> Tensor:
    """The elements where a mask over some axes is true, those axes as one."""
    shape, width = x.shape, len(mask._shape)
    mask = cast(mask, dtypes.bool_)
    if width != 1:
        x = reshaped(x, (*shape[:axis], dims.product(shape[axis : axis + width]), *shape[axis + width :]))
        mask = reshaped(mask, (dims.product(mask.shape),))
    return unknown_sizes(emit("Compress", [x, mask], resized(x.shape, axis, None), x._dtype, axis=axis))


@word("Tensor.__getitem__")
def getitem(self: Tensor, index: Any) -> Tensor:
    """`x[index]`: a view where the index is of numbers, slices and None, a copy where it has tensors.

    Raises: IndexError for too many indices and indices out of bounds; ValueError for steps below one.
    """
    if type(index) is int and self._shape:  # by far the most frequent with slices
        plan = Plan()
        plan.cuts.append(_number_cut(index, 0, self.shape[0], 0))
        return basic_view(self, plan)
    plan = plan_of(self, index)
    if not plan.advanced:
        return basic_view(self, plan)
    basic = read_basic(self, plan) if plan.picks or plan.cuts or plan.added else self
    return read_advanced(basic, plan.advanced)


# --- by method


@word("torch.select", "Tensor.select")
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """One element of an axis, which is gone in the result."""
    rank = len(input._shape)
    if not rank:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis = axis_of(dim, rank)
    plan = Plan()
    if isinstance(index, Tensor):
        plan.picks.append((axis, index))
        return basic_view(input, plan)
    try:
        plan.cuts.append(_number_cut(index, axis, input.shape[axis], axis))
    except IndexError:
        raise IndexError(
            f"select(): index {int(index)} out of range for tensor of size {plain(input.shape)} at dimension {axis}"
        ) from None
    return basic_view(input, plan)


def slice_view(x: Tensor, axis: int, start: int, size: int, step: int = 1) -> Tensor:
    """`size` elements of an axis as a view."""
    plan = Plan()
    if not dims.equal_always(size, x.shape[axis]):
        end = start + (size - 1) * step + 1 if int(step) != 1 else start + size
        plan.cuts.append(Cut(axis, start, size, step, start, end, dropped=False))
    return basic_view(x, plan)


@word("torch.narrow", "Tensor.narrow")
def narrow(input: Tensor, dim: int, start: int | Tensor, length: int) -> Tensor:
    """`length` elements of an axis from `start`."""
    rank = len(input._shape)
    if not rank:
        raise ShapeError("narrow() cannot be applied to a 0-dim tensor.")
    axis = axis_of(dim, rank)
    size = input.shape[axis]
    if int(length) < 0:
        raise ShapeError("narrow(): length must be non-negative.")
    if isinstance(start, Tensor):
        return _narrowed_by_tensor(input, axis, start, length)
    if not -int(size) <= int(start) <= int(size):
        raise IndexError(
            f"start out of range (expected to be in range of [{-int(size)}, {int(size)}], but got {int(start)})"
        )
    first = start if int(start) >= 0 else size + start
    if int(first) + int(length) > int(size):
        raise ShapeError(f"start ({int(first)}) + length ({int(length)}) exceeds dimension size ({int(size)}).")
    return slice_view(input, axis, first, length)


def _narrowed_by_tensor(x: Tensor, axis: int, start: Tensor, length: int) -> Tensor:
    """A copy, since where it starts is known only to the graph."""
    if (start._shape and plain(start.shape) != [1]) or start._dtype.category != dtypes.INTEGER:
        raise ShapeError("start must be an 0-dim integral Tensor.")
    # Gather, unlike Slice, reads a negative start whose run reaches the end.
    first = reshaped(cast(start, _INT64), (1,))
    places = emit("Add", [first, counting(length)], (length,), _INT64)
    return emit("Gather", [x, places], resized(x.shape, axis, length), x._dtype, axis=axis)
