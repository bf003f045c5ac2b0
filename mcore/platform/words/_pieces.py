"""Single operators with their shape rule: what words made of several operators are written with.

Nothing is emitted where nothing is to do: a reshape to the same shape, a transposition that keeps the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dim import Dim
from mcore.platform.dtypes import dtype
from mcore.platform.tensor import Tensor, constant, emit, ints, size_tensor
from mcore.platform.word import write_out
from mcore.platform.words._common import broadcast, cast

# int64's largest: "to the end" for Slice.
END = 2**63 - 1


def reshape(x: Tensor, shape: Sequence[int]) -> Tensor:
    """`x` in another shape of as many elements; symbolic sizes as 0 (kept) or -1 (inferred) where one may."""
    old, new = x.shape, tuple(shape)
    if len(old) == len(new) and all(_alike(a, b) for a, b in zip(old, new, strict=True)):
        return x
    if any(type(s) is not Dim and s == 0 for s in new):
        return emit("Reshape", [x, ints(new)], new, x._dtype, allowzero=1)
    wanted: list[int] = []
    for axis, size in enumerate(new):
        kept = type(size) is Dim and axis < len(old) and _alike(size, old[axis])
        wanted.append(0 if kept else size)
    left = [k for k, s in enumerate(wanted) if type(s) is Dim]
    if len(left) == 1:
        wanted[left[0]] = -1
    return emit("Reshape", [x, ints(wanted)], new, x._dtype)


def _alike(a: int, b: int) -> bool:
    """Equal at every size, not only now."""
    if type(a) is Dim or type(b) is Dim:
        return dims.expr_of(a) == dims.expr_of(b)
    return a == b


def permute(x: Tensor, order: Sequence[int]) -> Tensor:
    """Axes in another order."""
    order = tuple(order)
    if order == tuple(range(len(order))):
        return x
    return emit("Transpose", [x], tuple([x.shape[k] for k in order]), x._dtype, perm=order)


def swap(x: Tensor, a: int, b: int) -> Tensor:
    """Two axes exchanged."""
    order = list(range(x.ndim))
    order[a], order[b] = order[b], order[a]
    return permute(x, order)


def unsqueeze(x: Tensor, *axes: int) -> Tensor:
    """Axes of size 1 put in; `axes` count in the result."""
    if not axes:
        return x
    rank = x.ndim + len(axes)
    places = sorted(a % rank for a in axes)
    shape = list(x.shape)
    for place in places:
        shape.insert(place, 1)
    return emit("Unsqueeze", [x, ints(places)], tuple(shape), x._dtype)


def squeeze(x: Tensor, *axes: int) -> Tensor:
    """Axes of size 1 taken out."""
    if not axes:
        return x
    places = sorted(a % x.ndim for a in axes)
    shape = tuple([s for k, s in enumerate(x.shape) if k not in places])
    return emit("Squeeze", [x, ints(places)], shape, x._dtype)


def unary(op: str, x: Tensor, **attributes: Any) -> Tensor:
    """An elementwise operator of one tensor."""
    return emit(op, [x], x.shape, x._dtype, **attributes)


def binary(op: str, a: Tensor, b: Tensor) -> Tensor:
    """A broadcasting operator of two tensors of one type."""
    return emit(op, [a, b], broadcast(a.shape, b.shape), a._dtype)


def test(op: str, *values: Tensor) -> Tensor:
    """An operator that answers with bools: Equal, Less, IsNaN, ..."""
    return emit(op, values, broadcast(*[v.shape for v in values]), dtypes.bool_)


def where(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """`a` where the condition holds, else `b`; both of one type."""
    shape = broadcast(condition.shape, a.shape, b.shape)
    if a._dtype is dtypes.bool_ or a._dtype is dtypes.int16:  # no kernels
        wide = dtypes.uint8 if a._dtype is dtypes.bool_ else dtypes.int32
        out = emit("Where", [condition, cast(a, wide), cast(b, wide)], shape, wide)
        return cast(out, a._dtype)
    return emit("Where", [condition, a, b], shape, a._dtype)


def fill(value: Any, like: Tensor) -> Tensor:
    """A 0-d constant of a tensor's type."""
    return constant(value, like._dtype)


def scaled(x: Tensor, factor: float) -> Tensor:
    """`x * factor`; `x` itself at 1."""
    return x if factor == 1 else binary("Mul", x, constant(factor, x._dtype))


def expand(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Broadcast to `shape`."""
    shape = tuple(shape)
    if len(shape) == x.ndim and all(_alike(a, b) for a, b in zip(x.shape, shape, strict=True)):
        return x
    return emit("Expand", [x, ints(shape)], shape, x._dtype)


def filled(value: Any, shape: Sequence[int], kind: dtype) -> Tensor:
    """A tensor of one value."""
    return expand(constant(value, kind), shape)


def section(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    """`x[start:stop]` along an axis; `start` and `stop` are already within 0..size."""
    size = stop - start
    if _alike(size, x.shape[axis]):
        return x
    shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
    if _alike(stop, x.shape[axis]):
        stop = END
    return emit("Slice", [x, ints([start]), ints([stop]), ints([axis])], shape, x._dtype)


def concat(parts: Sequence[Tensor], axis: int) -> Tensor:
    """Tensors of one type joined along an axis."""
    if len(parts) == 1:
        return parts[0]
    size = sum((p.shape[axis] for p in parts[1:]), parts[0].shape[axis])
    shape = parts[0].shape
    return emit("Concat", parts, (*shape[:axis], size, *shape[axis + 1 :]), parts[0]._dtype, axis=axis)


def take(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    """`x` at `indices` along an axis (Gather): the indices' axes stand in its place."""
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    return emit("Gather", [x, indices], shape, x._dtype, axis=axis)


def take_along(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    """`x` at `indices`, one per element (GatherElements)."""
    return emit("GatherElements", [x, indices], indices.shape, x._dtype, axis=axis)


def counted(size: int) -> Tensor:
    """`0, 1, ..., size - 1` in int64."""
    if type(size) is not Dim:
        return constant(np.arange(size), dtypes.int64)
    zero, one = constant(0, dtypes.int64), constant(1, dtypes.int64)
    return emit("Range", [zero, size_tensor(size), one], (size,), dtypes.int64)


def lower_triangle(rows: int, columns: int, kind: dtype = dtypes.bool_) -> Tensor:
    """Ones where the column is at most the row, else zeros."""
    if type(rows) is not Dim and type(columns) is not Dim and rows * columns <= 1 << 14:  # keeps files small
        return constant(np.tri(rows, columns, dtype=bool), kind)
    below = test("GreaterOrEqual", unsqueeze(counted(rows), 1), unsqueeze(counted(columns), 0))
    return cast(below, kind)


def reduced_shape(shape: Sequence[int], axes: Sequence[int], keepdim: bool) -> tuple:
    """Sizes after a reduction over `axes`."""
    if keepdim:
        return tuple([1 if k in axes else s for k, s in enumerate(shape)])
    return tuple([s for k, s in enumerate(shape) if k not in axes])


def reduce(op: str, x: Tensor, axes: Sequence[int], keepdim: bool = False) -> Tensor:
    """A Reduce operator over `axes` (0 <= axis < rank); over all of them without naming them."""
    shape = x.shape
    if not shape and op not in ("ReduceL1", "ReduceL2", "ReduceSumSquare"):
        return x
    out = reduced_shape(shape, axes, keepdim)
    inputs = [x] if len(axes) == len(shape) else [x, ints(axes)]
    return emit(op, inputs, out, x._dtype) if keepdim else emit(op, inputs, out, x._dtype, keepdims=0)


def count_of(shape: Sequence[int], axes: Sequence[int]) -> int:
    """Number of elements that a reduction over `axes` joins into one."""
    return dims.product(shape[a] for a in axes)


def flat(x: Tensor) -> Tensor:
    """All elements in one axis."""
    return reshape(x, (dims.product(x.shape),))


def softmax_of(x: Tensor, axis: int) -> Tensor:
    """Softmax as the one operator."""
    return emit("Softmax", [x], x.shape, x._dtype, axis=axis)


def hand_out(result: Tensor, out: Tensor | None) -> Tensor:
    """`result`, or `out=` made to hold it (in its own type), as every word with `out=` ends."""
    return result if out is None else write_out(result, out, "out")
