"""Reading by index: `x[...]` in every form that torch reads, and select, narrow.

The basic part of an index (numbers, slices, None) is a view, made by one Slice; the advanced part (index tensors,
masks) a copy, made by Gather, GatherND or Compress.

Source: aten/src/ATen/native/TensorAdvancedIndexing.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dim import Dim
from mcore.platform.errors import ShapeError
from mcore.platform.graph import current
from mcore.platform.tensor import Tensor, constant, emit, size_tensor, unknown_sizes
from mcore.platform.word import view_of, word
from mcore.platform.words._common import axis_of, cast, plain
from mcore.platform.words._plan import Cut, Plan, is_mask, number_cut, plan_of
from mcore.platform.words._views import (
    alias,
    counting,
    expanded,
    joined,
    plain_shape,
    reshaped,
    resized,
    sliced,
    speaking,
    squeezed,
    transposed,
    unsqueezed,
)  # fmt: skip

_INT64 = dtypes.int64

# --- the basic part


def _picked(x: Tensor, axis: int, place: Tensor) -> Tensor:
    shape = x.shape
    place = place if place._dtype in (dtypes.int32, _INT64) else cast(place, _INT64)
    return emit("Gather", [x, place], (*shape[:axis], *shape[axis + 1 :]), x._dtype, axis=axis)


def narrowed(x: Tensor, cuts: Sequence[Cut]) -> Tensor:
    """All cuts in one Slice; axes of bare numbers stay, with size 1."""
    shape = list(plain_shape(x))
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


def basic_strides(plan: Plan) -> Callable[[list[int]], list[int]]:
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
        lambda base, new: write_basic(base, new, plan), basic_strides(plan),
    )  # fmt: skip


# --- the advanced part


def split_masks(advanced: Sequence[tuple[int, Tensor]]) -> list[tuple[int, Tensor]]:
    """Index tensors by axis: a mask of k axes becomes the k columns of where it is true."""
    out = []
    for axis, index in advanced:
        if not is_mask(index):
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
                raise IndexError(
                    f"shape mismatch: indexing tensors could not be broadcast together with shapes {listed}"
                )
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
    if len(advanced) == 1 and is_mask(advanced[0][1]):
        return compressed(x, *advanced[0])
    columns = split_masks(advanced)
    shape = x.shape
    if len(columns) == 1:
        axis, index = columns[0]
        check_bounds(index, shape[axis], axis)
        wanted = (*shape[:axis], *index.shape, *shape[axis + 1 :])
        index = index if index._dtype in (dtypes.int32, _INT64) else cast(index, _INT64)
        return emit("Gather", [x, index], wanted, x._dtype, axis=axis)
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
        plan.cuts.append(number_cut(index, 0, plain_shape(self)[0], 0))
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
        plan.cuts.append(number_cut(index, axis, input.shape[axis], axis))
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
