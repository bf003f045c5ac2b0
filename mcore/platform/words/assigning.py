"""Writing by index: `x[...] = value` in every form that torch reads, and the writing half of every view.

Nothing is written in place: a basic region is put back by Concat, or by Gather from both where it has steps;
elements named by tensors by ScatterND; a mask that takes one value everywhere by Where.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dim import Dim
from mcore.platform.dtypes import dtype
from mcore.platform.errors import ShapeError
from mcore.platform.tensor import Tensor, constant, emit, ints
from mcore.platform.word import word
from mcore.platform.words._common import as_tensor, cast, is_number, plain
from mcore.platform.words._plan import Cut, Plan, is_mask, plan_of
from mcore.platform.words._views import (
    END,
    counting,
    cut,
    expanded,
    inverse,
    joined,
    reshaped,
    resized,
    same_value,
    sliced,
    speaking,
    squeezed,
    transposed,
    unsqueezed,
)  # fmt: skip
from mcore.platform.words.comparison import choose
from mcore.platform.words.expanding import expand_shape
from mcore.platform.words.indexing import (
    advanced_layout,
    check_bounds,
    common_shape,
    read_basic,
    result_order,
    split_masks,
    stacked,
)  # fmt: skip

_INT64 = dtypes.int64

# --- a region of one axis


def put_slice(x: Tensor, axis: int, start: int, size: int, step: int, part: Tensor) -> Tensor:
    """`x` with `size` elements of one axis, from `start` and `step` apart, taken from `part`."""
    length = x.shape[axis]
    if type(size) is not Dim and size == 0:
        return x
    if (type(step) is not Dim and step == 1) or (type(size) is not Dim and size == 1):
        pieces = []
        if type(start) is Dim or start:
            pieces.append(cut(x, axis, 0, start, start))
        pieces.append(part)
        end = start + size
        if not dims.equal_always(end, length):
            pieces.append(cut(x, axis, end, END, length - end))
        return joined(pieces, axis)
    both = joined([x, part], axis)
    return emit("Gather", [both, _interleaved(length, start, size, step)], x.shape, x._dtype, axis=axis)


def _interleaved(length: int, start: int, size: int, step: int) -> Tensor:
    """Where each element comes from, in `x` followed by the part: 0, length, 2, length + 1, ... for `1::2`."""
    if not dims.is_symbolic((length, start, size, step)):
        known = np.arange(int(length))
        known[int(start) : int(start) + int(size) * int(step) : int(step)] = int(length) + np.arange(int(size))
        return constant(known, _INT64)
    target = emit("Mul", [counting(size), ints([step])], (size,), _INT64)
    target = emit("Add", [target, ints([start])], (size,), _INT64)
    source = emit("Add", [counting(size), ints([length])], (size,), _INT64)
    places = [counting(length), unsqueezed(target, [1]), source]
    return emit("ScatterND", places, (length,), _INT64)


def _put_cuts(x: Tensor, cuts: Sequence[Cut], part: Tensor) -> Tensor:
    """`x` with the region of all cuts taken from `part`, whose bare-number axes have size 1."""
    if not cuts:
        return part
    first, rest = cuts[0], cuts[1:]
    if rest:
        shape = resized(x.shape, first.axis, first.size)
        inner = sliced(x, [(first.axis, first.low, first.high, first.step)], shape)
        part = _put_cuts(inner, rest, part)
    return put_slice(x, first.axis, first.start, first.size, first.step, part)


@speaking
def write_basic(x: Tensor, new: Tensor, plan: Plan) -> Tensor:
    """`x` with what the basic part of an index takes out of it replaced by `new`, which has that shape."""
    if plan.picks:
        return _write_picked(x, new, plan)
    cuts, dropped = plan.cuts, plan.dropped
    new = squeezed(new, plan.added)
    # x[i], x[i, j]: one ScatterND writes the row.
    if len(cuts) == len(dropped) > 0 and dropped == list(range(len(dropped))) and x._dtype is not dtypes.bfloat16:
        place = reshaped(ints([c.low for c in cuts]), (1, len(cuts)))
        return emit("ScatterND", [x, place, unsqueezed(new, [0])], x.shape, x._dtype)
    return _put_cuts(x, cuts, unsqueezed(new, dropped))


def _write_picked(x: Tensor, new: Tensor, plan: Plan) -> Tensor:
    """As `write_basic` where some numbers are tensors: those axes are brought to the front and scattered."""
    rest = Plan()
    rest.cuts, rest.added = plan.cuts, plan.added
    axes, places = [a for a, _ in plan.picks], [p for _, p in plan.picks]
    if rest.cuts or rest.added:
        outer = Plan()
        outer.picks = plan.picks
        new = write_basic(read_basic(x, outer), new, rest)
    order = (*axes, *(a for a in range(len(x._shape)) if a not in axes))
    index = joined([reshaped(cast(p, _INT64), (1, 1)) for p in places], 1)
    moved = transposed(x, order)
    out = emit("ScatterND", [moved, index, unsqueezed(new, [0])], moved.shape, x._dtype)
    return transposed(out, inverse(order))


# --- elements named by tensors


def put_advanced(
    x: Tensor, advanced: Sequence[tuple[int, Tensor]], value: Tensor, *, accumulate: bool = False
) -> Tensor:
    """`x` with the elements that index tensors and masks name taken from `value` (or added to them)."""
    if len(advanced) == 1 and is_mask(advanced[0][1]) and not accumulate:
        axis, mask = advanced[0]
        if len(value._shape) <= len(x._shape) - axis - len(mask._shape) or _one_for_all(x, axis, mask, value):
            return _where_mask(x, axis, mask, value)
    columns = split_masks(advanced)
    axes, indices = [a for a, _ in columns], [i for _, i in columns]
    shape = x.shape
    order = (*axes, *(a for a in range(len(shape)) if a not in axes))
    spread = common_shape(indices)
    rest = tuple(shape[a] for a in order[len(axes) :])
    front = advanced_layout(axes)
    wanted = (*rest[:front], *spread, *rest[front:])
    value = _fitted(value, wanted)
    count = len(wanted)
    for axis, index in columns:
        check_bounds(index, shape[axis], axis)
    value = transposed(value, inverse(result_order(len(spread), front, count)))
    places = stacked(indices, spread)
    return transposed(scattered(transposed(x, order), places, value, accumulate=accumulate), inverse(order))


def scattered(x: Tensor, places: Tensor, value: Tensor, *, accumulate: bool = False) -> Tensor:
    """ScatterND. Adding lacks kernels for bool and float16, which are widened; any true makes true."""
    if not accumulate:
        return emit("ScatterND", [x, places, value], x.shape, x._dtype)
    kind: dtype = {dtypes.bool_: dtypes.int32, dtypes.float16: dtypes.float32}.get(x._dtype, x._dtype)
    out = emit("ScatterND", [cast(x, kind), places, cast(value, kind)], x.shape, kind, reduction="add")
    return cast(out, x._dtype)


def _fitted(value: Tensor, wanted: Sequence[int]) -> Tensor:
    """`value` expanded to what the index names. Raises RuntimeError in torch's words."""
    shape = value.shape
    lead = max(len(shape) - len(wanted), 0)
    fits = all(int(n) == 1 for n in shape[:lead]) and all(
        int(a) in (1, int(b)) for a, b in zip(reversed(shape[lead:]), reversed(wanted), strict=False)
    )
    if not fits:
        raise ShapeError(
            f"shape mismatch: value tensor of shape {plain(shape)} cannot be broadcast to indexing result of shape "
            f"{plain(wanted)}"
        )
    return expanded(squeezed(value, range(lead)), wanted)


def _one_for_all(x: Tensor, axis: int, mask: Tensor, value: Tensor) -> bool:
    """Whether every place of the mask takes the same value: its axis has size 1."""
    place = len(value._shape) - (len(x._shape) - axis - len(mask._shape)) - 1
    size = value.shape[place]
    return len(value._shape) <= len(x._shape) - len(mask._shape) + 1 and type(size) is not Dim and size == 1


def _where_mask(x: Tensor, axis: int, mask: Tensor, value: Tensor) -> Tensor:
    """A mask whose places all take one value needs no places: Where, at a size known before data has passed."""
    shape, width = x.shape, len(mask._shape)
    after = len(shape) - axis - width
    if len(value._shape) > after:  # the axis of the places becomes the axes of the mask
        place = len(value._shape) - after - 1
        old = value.shape
        value = reshaped(value, (*old[:place], *(1,) * width, *old[place + 1 :])) if width != 1 else value
    wanted = (*shape[:axis], *(1,) * width, *shape[axis + width :])
    for a, b in zip(reversed(value.shape), reversed(wanted), strict=False):
        if int(a) not in (1, int(b)):
            listed = [*plain(shape[:axis]), *plain(shape[axis + width :])]
            raise ShapeError(
                f"shape mismatch: value tensor of shape {plain(value.shape)} cannot be broadcast to indexing result "
                f"of shape {listed}"
            )
    mask = unsqueezed(cast(mask, dtypes.bool_), range(width, width + after))
    return choose(mask, value, x, x._dtype)


# --- the word


def _value_of(x: Tensor, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return cast(value, x._dtype)
    if not is_number(value):
        raise TypeError(f"can't assign a {_full_name(value)} to a torch.{x._dtype.title}Tensor")
    return as_tensor(value, x._dtype)


def _full_name(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _filled(value: Tensor, shape: Sequence[int]) -> Tensor:
    """`value` expanded to a basic region; leading axes of size 1 that are too many are dropped, as torch does."""
    lead = 0
    while lead < len(value._shape) and int(value.shape[lead]) == 1 and len(value._shape) - lead > len(shape):
        lead += 1
    value = squeezed(value, range(lead))
    return expanded(value, expand_shape(value, tuple(shape)))


def assigned(x: Tensor, plan: Plan, value: Tensor, *, accumulate: bool = False) -> Tensor:
    """`x` with what `plan` names taken from `value`."""
    whole = not (plan.picks or plan.cuts or plan.added)
    if plan.advanced:
        basic = x if whole else read_basic(x, plan)
        new = put_advanced(basic, plan.advanced, value, accumulate=accumulate)
    else:
        new = _filled(value, plan.basic_shape(x.shape))
    return new if whole else write_basic(x, new, plan)


@word("Tensor.__setitem__")
def setitem(self: Tensor, index: Any, value: Any) -> None:
    """`x[index] = value`: a number, or a tensor that broadcasts to what the index names; cast to the type of `x`.

    Raises: IndexError as reading does; RuntimeError where the value does not fit.
    """
    plan = plan_of(self, index)
    view = value._view if isinstance(value, Tensor) else None
    if view is not None and view.base is self and view.version == self._version and _same_place(view, plan):
        return  # `x[index] += 1` has written through the view that it read
    if plan.advanced and isinstance(value, Tensor) and value._shape and value._dtype is not self._dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{self._dtype.title} for the destination and {value._dtype.title} for the source."
        )
    new = assigned(self, plan, _value_of(self, value))
    self._write(same_value(new) if new is value else new)


def _same_place(view: Any, plan: Plan) -> bool:
    """Whether a view of the same base was read by the same basic index."""
    other = getattr(view.read, "plan", None)
    if other is None or plan.picks or other.picks or plan.advanced or plan.added != other.added:
        return False
    return len(plan.cuts) == len(other.cuts) and all(
        a.axis == b.axis and a.dropped == b.dropped
        and all(map(dims.equal_always, (a.start, a.size, a.step), (b.start, b.size, b.step)))
        for a, b in zip(plan.cuts, other.cuts, strict=True)
    )  # fmt: skip
