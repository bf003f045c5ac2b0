"""Adaptive pooling: output sizes are given, windows follow from them, at every size of the exported graph.

Window i of an axis spans floor(i * in / out) to ceil((i + 1) * in / out). Where these have one length, it is
ordinary pooling. Elsewhere ONNX has no operator: the mean is one matrix per axis (torch's own exporters bake
the windows of one size, which is wrong at others), the maximum is read off gathered windows.
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
from mcore.platform.tensor import Tensor, constant, emit
from mcore.platform.word import word
from mcore.platform.words._common import cast, plain
from mcore.platform.words._pieces import (
    binary,
    expand,
    permute,
    reduce,
    reshape,
    squeeze,
    take,
    take_along,
    unsqueeze,
)
from mcore.platform.words._spatial import (
    Table,
    along,
    always_equal,
    amount,
    batch_of_one,
    calc,
    calc_cast,
    column,
    pick,
    refuse_integers,
    row,
    span,
    tabled,
    unbatched,
)  # fmt: skip

Sizes = int | Sequence[int | None]


def _targets(output_size: Any, x: Tensor, rank: int, name: str) -> list[int]:
    """Output sizes; None keeps the input's."""
    if isinstance(output_size, int | np.integer):
        wanted: list[Any] = [output_size] * rank
    else:
        wanted = list(output_size)
    if len(wanted) != rank:
        raise RuntimeError(f"{name}: output_size must be {rank}")
    sizes = [x.shape[k - rank] if w is None else w for k, w in enumerate(wanted)]
    if any(int(s) < 0 for s in sizes):
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received {plain(sizes)}"
        )
    return sizes


def _checked(x: Tensor, rank: int, name: str, first: int) -> None:
    shape = x.shape
    if rank == 1 and len(shape) not in (2, 3):
        raise ShapeError(
            f"Expected 2 to 3 dimensions, but got {len(shape)}-dimensional tensor for argument #1 'self' "
            f"(while checking arguments for {name})"
        )
    if len(shape) not in (rank + 1, rank + 2):
        raise ShapeError(f"{name}(): Expected {rank + 1}D or {rank + 2}D tensor, but got {plain(shape)}")
    for axis in range(len(shape) - rank - 1 + first, len(shape)):
        if int(shape[axis]) == 0:
            raise ShapeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input "
                "has sizes "
                f"{plain(shape)} with dimension {axis} being empty"
            )


def _even(size: int, out: int) -> int | None:
    """The window's fixed length where all windows of an axis are alike at every size, else None."""
    if int(out) == 0 or int(size) % int(out):
        return None
    length = size // out
    return length if type(length) is not Dim and always_equal(length * out, size) else None


def _starts(size: int, out: int) -> Table:
    """First index of each window."""
    return calc("Div", calc("Mul", span(out), amount(size)), amount(out))


def _stops(size: int, out: int) -> Table:
    """Index after the last of each window: a quotient rounded up."""
    ends = calc("Mul", calc("Add", span(out), amount(1)), amount(size))
    return calc("Div", calc("Add", ends, amount(out - 1)), amount(out))


def averaging(size: int, out: int, kind: dtype) -> Table:
    """The matrix (out, size) that takes the mean of each window."""
    start, stop, place = column(_starts(size, out)), column(_stops(size, out)), row(span(size))
    inside = calc("And", calc("GreaterOrEqual", place, start), calc("Less", place, stop))
    return calc("Div", calc_cast(inside, kind), calc_cast(calc("Sub", stop, start), kind))


# --- mean


def _adaptive_avg(input: Tensor, output_size: Any, rank: int) -> Tensor:
    name = f"adaptive_avg_pool{rank}d"
    _checked(input, rank, name, 1)
    targets = _targets(output_size, input, rank, name)
    refuse_integers(input, name)
    return average_to(input, targets)


def average_to(input: Tensor, targets: Sequence[int]) -> Tensor:
    """Mean over adaptive windows of the last axes; what F.interpolate calls "area"."""
    rank = len(targets)
    axes = [k for k in range(rank) if not always_equal(targets[k], input.shape[k - rank])]
    first = input.ndim - rank
    single = [first + k for k in axes if type(targets[k]) is not Dim and targets[k] == 1]
    x = reduce("ReduceMean", input, single, keepdim=True) if single else input
    axes = [k for k in axes if first + k not in single]
    if not axes:
        return x
    even = {k: length for k in axes if (length := _even(x.shape[first + k], targets[k])) is not None}
    if even and _poolable(x, rank):
        x = _pool_evenly(x, "AveragePool", even, rank)
        axes = [k for k in axes if k not in even]
    kind = x._dtype
    if axes and kind in (dtypes.float16, dtypes.bfloat16):  # torch sums half precision in float32
        x = cast(x, dtypes.float32)
    for k in reversed(axes):
        x = along(x, averaging(x.shape[first + k], targets[k], x._dtype), first + k)
    return cast(x, kind)


def _poolable(x: Tensor, rank: int) -> bool:
    # float64 has no pooling kernel; as a matrix it keeps its digits.
    return x._dtype is not dtypes.float64 and x.ndim in (rank + 1, rank + 2)


def _pool_evenly(x: Tensor, op: str, even: dict[int, int], rank: int) -> Tensor:
    window = tuple([even.get(k, 1) for k in range(rank)])
    x, alone = batch_of_one(x, rank + 2)
    shape = (*x.shape[:2], *(s // w for s, w in zip(x.shape[2:], window, strict=True)))
    return unbatched(emit(op, [x], shape, x._dtype, kernel_shape=window, strides=window), alone)


@word("F.adaptive_avg_pool1d", "torch.adaptive_avg_pool1d")
def adaptive_avg_pool1d(input: Tensor, output_size: Sizes) -> Tensor:
    """Mean of `output_size` windows that cover the axis.

    Shapes:
        input: (n, c, l) or (c, l)
        returns: (n, c, output_size)
    """
    return _adaptive_avg(input, output_size, 1)


@word("F.adaptive_avg_pool2d")
def adaptive_avg_pool2d(input: Tensor, output_size: Sizes) -> Tensor:
    """Mean of windows that cover the plane; a None in `output_size` keeps the axis."""
    return _adaptive_avg(input, output_size, 2)


@word("F.adaptive_avg_pool3d")
def adaptive_avg_pool3d(input: Tensor, output_size: Sizes) -> Tensor:
    """Mean of windows that cover the volume; a None in `output_size` keeps the axis."""
    return _adaptive_avg(input, output_size, 3)


# --- maximum


def _windows(size: int, out: int) -> Table:
    """Indices (out, longest window); shorter windows repeat their last, which changes no maximum."""
    start, stop = column(_starts(size, out)), column(_stops(size, out))
    if type(size) is Dim or type(out) is Dim:
        longest = dims.dim_min((size + out - 1) // out + 1, size)
    else:
        longest = int((stop - start).max()) if int(out) else 1
    return calc("Min", calc("Add", start, row(span(longest))), calc("Sub", stop, amount(1)))


def _max_axis(x: Tensor, out: int, axis: int) -> Tensor:
    """Maximum over the windows of one axis."""
    indices = _windows(x.shape[axis], out)
    count, longest = indices.shape
    flat = reshape(tabled(indices), (dims.product((count, longest)),))
    shape = (*x.shape[:axis], count, longest, *x.shape[axis + 1 :])
    return reduce("ReduceMax", reshape(pick(x, flat, axis), shape), [axis + 1])


def _adaptive_max(input: Tensor, output_size: Any, rank: int, indices: bool) -> Any:
    name = f"adaptive_max_pool{rank}d"
    _checked(input, rank, name, 0)
    targets = _targets(output_size, input, rank, name)
    refuse_integers(input, name)
    if indices:
        x, alone = batch_of_one(input, rank + 2)
        found, places = _max_with_places(x, targets)
        return unbatched(found, alone), unbatched(places, alone)
    first = input.ndim - rank
    axes = [k for k in range(rank) if not always_equal(targets[k], input.shape[k - rank])]
    single = [first + k for k in axes if type(targets[k]) is not Dim and targets[k] == 1]
    x = reduce("ReduceMax", input, single, keepdim=True) if single else input
    axes = [k for k in axes if first + k not in single]
    even = {k: length for k in axes if (length := _even(x.shape[first + k], targets[k])) is not None}
    if even:
        x = _pool_evenly(x, "MaxPool", even, rank)
        axes = [k for k in axes if k not in even]
    for k in axes:
        x = _max_axis(x, targets[k], first + k)
    return x


def _max_with_places(x: Tensor, targets: list[int]) -> tuple[Tensor, Tensor]:
    """Maximum and its flat place in the plane: all elements of a window side by side, row by row."""
    rank, shape = len(targets), x.shape
    places, stride = constant(0, dtypes.int64), 1
    for k in reversed(range(rank)):
        # Axes before `k` are still single; those behind are pairs.
        indices = tabled(_windows(shape[2 + k], targets[k]))
        x = take(x, indices, 2 + k)
        # (out, longest) among rank such pairs of axes
        wide = unsqueeze(indices, *[a for a in range(2 * rank) if a not in (2 * k, 2 * k + 1)])
        scaled = wide if k == rank - 1 else emit("Mul", [wide, tabled(amount(stride))], wide.shape, dtypes.int64)
        stride, places = shape[2 + k] * stride, _added(places, scaled)
    order = [2 * k for k in range(rank)] + [2 * k + 1 for k in range(rank)]
    x = permute(x, (0, 1, *(2 + a for a in order)))
    places = permute(places, order)
    outs, count = x.shape[2 : 2 + rank], dims.product(x.shape[2 + rank :])
    x, places = reshape(x, (*x.shape[:2], *outs, count)), reshape(places, (*outs, count))
    best = emit("ArgMax", [x], (*x.shape[:-1], 1), dtypes.int64, axis=x.ndim - 1)
    every = expand(unsqueeze(places, 0, 1), (*x.shape[:2], *places.shape))
    last = x.ndim - 1
    return squeeze(take_along(x, best, last), last), squeeze(take_along(every, best, last), last)


def _added(a: Tensor, b: Tensor) -> Tensor:
    return b if not a.shape else binary("Add", a, b)


@word("F.adaptive_max_pool1d")
def adaptive_max_pool1d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """Largest element of windows that cover the axis; with `return_indices` also where it stood."""
    return _adaptive_max(input, output_size, 1, return_indices)


@word("F.adaptive_max_pool2d")
def adaptive_max_pool2d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """Largest element of windows that cover the plane; a None in `output_size` keeps the axis."""
    return _adaptive_max(input, output_size, 2, return_indices)


@word("F.adaptive_max_pool3d")
def adaptive_max_pool3d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """Largest element of windows that cover the volume; a None in `output_size` keeps the axis."""
    return _adaptive_max(input, output_size, 3, return_indices)


@word("torch.adaptive_max_pool1d", "F.adaptive_max_pool1d_with_indices")
def adaptive_max_pool1d_with_indices(
    input: Tensor, output_size: Sizes, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """`adaptive_max_pool1d` and the places, whatever `return_indices` says."""
    return _adaptive_max(input, output_size, 1, True)


@word("F.adaptive_max_pool2d_with_indices")
def adaptive_max_pool2d_with_indices(
    input: Tensor, output_size: Sizes, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """`adaptive_max_pool2d` and the places, whatever `return_indices` says."""
    return _adaptive_max(input, output_size, 2, True)


@word("F.adaptive_max_pool3d_with_indices")
def adaptive_max_pool3d_with_indices(
    input: Tensor, output_size: Sizes, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """`adaptive_max_pool3d` and the places, whatever `return_indices` says."""
    return _adaptive_max(input, output_size, 3, True)
