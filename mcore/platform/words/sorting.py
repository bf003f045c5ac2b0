"""Order: sort, topk, kthvalue, median, quantile, mode.

The runtime's TopK keeps the order of equals and misplaces NaN; torch counts NaN as the largest, so floats are
ordered by a key that has infinity in its place. Differs: a NaN and an infinity in one row count as equals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from mcore.platform import dtypes
from mcore.platform.tensor import Tensor, constant, emit, emit_many, ints, size_tensor
from mcore.platform.word import word
from mcore.platform.words._common import axis_of, cast, is_number
from mcore.platform.words._pieces import (
    binary,
    expand,
    fill,
    flat,
    hand_out,
    permute,
    reduce,
    reduced_shape,
    reshape,
    section,
    squeeze,
    swap,
    take,
    take_along,
    test,
    unary,
    unsqueeze,
    where,
)
from mcore.platform.words.extremes import extreme


class Sorted(NamedTuple):
    """Values in order, and where each stood."""

    values: Tensor
    indices: Tensor


# TopK's kernels take no bool; bfloat16 is not in its definition.
_KEYS = {"bool": dtypes.uint8, "bfloat16": dtypes.float32}


def top(x: Tensor, k: int, axis: int, *, largest: bool, ordered: bool = True) -> Sorted:
    """The `k` largest or smallest along an axis; equals keep their order."""
    if not x.ndim:
        return Sorted(x, constant(0, dtypes.int64))
    key = cast(x, _KEYS.get(x._dtype.name, x._dtype))
    exact = x._dtype.category == dtypes.FLOAT
    if exact:
        key = where(test("IsNaN", key), fill(math.inf, key), key)
    shape = (*x.shape[:axis], k, *x.shape[axis + 1 :])
    attributes = {"axis": axis, "largest": int(largest)} | ({} if ordered else {"sorted": 0})
    values, indices = emit_many("TopK", [key, ints([k])], [(shape, key._dtype), (shape, dtypes.int64)], **attributes)
    return Sorted(take_along(x, indices, axis) if exact else cast(values, x._dtype), indices)


def _given(result: Sorted, out: tuple | None) -> Sorted:
    if out is None:
        return result
    return Sorted(hand_out(result.values, out[0]), hand_out(result.indices, out[1]))


def _size(x: Tensor, axis: int) -> int:
    return x.shape[axis] if x.ndim else 1


@word("torch.sort", "Tensor.sort")
def sort(
    input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False, out: tuple | None = None
) -> Sorted:
    """Values in order along an axis, and their indices; equals keep their order always; NaN is largest."""
    axis = axis_of(dim, input.ndim)
    return _given(top(input, _size(input, axis), axis, largest=descending), out)


@word("torch.argsort", "Tensor.argsort")
def argsort(
    input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False, out: Tensor | None = None
) -> Tensor:
    """Indices that sort along an axis."""
    return hand_out(sort(input, dim, descending).indices, out)


@word("torch.msort", "Tensor.msort")
def msort(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Values in ascending order along the first axis."""
    return hand_out(sort(input, 0).values, out)


@word("torch.topk", "Tensor.topk")
def topk(
    input: Tensor,
    k: int,
    dim: int = -1,
    largest: bool = True,
    sorted: bool = True,
    *,
    out: tuple | None = None,
) -> Sorted:
    """The `k` largest (or smallest) along an axis and their indices; `k` may be a symbolic size.

    Raises:
        RuntimeError: `k` is negative or larger than the axis.
    """
    axis = axis_of(dim, input.ndim)
    if isinstance(k, Tensor):
        k = int(k)
    if not 0 <= int(k) <= int(_size(input, axis)):
        raise RuntimeError("selected index k out of range")
    if input._dtype is dtypes.bool_:
        raise RuntimeError("topk does not support bool dtypes on CPU")
    return _given(top(input, k, axis, largest=largest), out)


@word("torch.kthvalue", "Tensor.kthvalue")
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False, *, out: tuple | None = None) -> Sorted:
    """The `k`-th smallest along an axis, counted from 1, and its index."""
    axis = axis_of(dim, input.ndim)
    if not 0 < int(k) <= int(_size(input, axis)):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {axis}")
    return _given(_kth(input, k, axis, keepdim), out)


def _kth(x: Tensor, k: int, axis: int, keepdim: bool) -> Sorted:
    if not x.ndim:
        return top(x, 1, 0, largest=False)
    found = [section(part, axis, k - 1, k) for part in top(x, k, axis, largest=False)]
    return Sorted(*(found if keepdim else [squeeze(part, axis) for part in found]))


# --- medians


@word("torch.median", "Tensor.median")
def median(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Tensor | tuple | None = None
) -> Tensor | Sorted:
    """The lower median of all, or along an axis with an index of it; NaN where there is one."""
    if dim is None:
        return hand_out(_median(flat(input), 0, False).values, out)  # type: ignore[arg-type]
    axis = axis_of(dim, input.ndim)
    _check_some(input, axis, "median")
    return _given(_median(input, axis, keepdim), out)  # type: ignore[arg-type]


def _check_some(x: Tensor, axis: int, name: str) -> None:
    if x.ndim and int(x.shape[axis]) == 0:
        raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")


def _median(x: Tensor, axis: int, keepdim: bool) -> Sorted:
    if x.ndim and int(x.shape[axis]) == 0:  # of nothing: all of it, and only when asked for all
        return Sorted(
            constant(math.nan if x._dtype.category == dtypes.FLOAT else -(2**63), x._dtype),
            constant(0, dtypes.int64),
        )
    found = _kth(x, (_size(x, axis) + 1) // 2, axis, keepdim)
    if x._dtype.category != dtypes.FLOAT or not x.ndim:
        return found
    nan = cast(test("IsNaN", x), dtypes.uint8)
    spoilt = cast(reduce("ReduceMax", nan, (axis,), keepdim), dtypes.bool_)
    shape = reduced_shape(x.shape, (axis,), keepdim)
    first = emit("ArgMax", [nan], shape, dtypes.int64, axis=axis, keepdims=int(keepdim))
    return Sorted(where(spoilt, fill(math.nan, x), found.values), where(spoilt, first, found.indices))


@word("torch.nanmedian", "Tensor.nanmedian")
def nanmedian(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Tensor | tuple | None = None
) -> Tensor | Sorted:
    """The lower median of what is not NaN; NaN where nothing else is."""
    if input._dtype.category != dtypes.FLOAT or not input.ndim:
        return median(input, dim, keepdim, out=out)
    x, axis = (flat(input), 0) if dim is None else (input, axis_of(dim, input.ndim))
    _check_some(x, axis, "nanmedian")
    ordered = top(x, x.shape[axis], axis, largest=False)
    valid = reduce("ReduceSum", cast(unary("Not", test("IsNaN", x)), dtypes.int64), (axis,), keepdim=True)
    # (valid - 1) // 2, and 0 where nothing is valid: the division truncates.
    middle = binary("Div", binary("Sub", valid, constant(1)), constant(2))
    found = [take_along(part, middle, axis) for part in ordered]
    result = Sorted(*(found if keepdim and dim is not None else [squeeze(part, axis) for part in found]))
    return hand_out(result.values, out) if dim is None else _given(result, out)  # type: ignore[arg-type]


# --- quantiles

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


@word("torch.quantile", "Tensor.quantile")
def quantile(
    input: Tensor,
    q: float | Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    out: Tensor | None = None,
) -> Tensor:
    """Quantiles `q` (a number, or a tensor: then they stand on a new first axis); NaN where there is one."""
    return hand_out(_quantile(input, q, dim, keepdim, interpolation, "quantile"), out)


@word("torch.nanquantile", "Tensor.nanquantile")
def nanquantile(
    input: Tensor,
    q: float | Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    out: Tensor | None = None,
) -> Tensor:
    """Quantiles of what is not NaN."""
    return hand_out(_quantile(input, q, dim, keepdim, interpolation, "nanquantile"), out)


def _levels(input: Tensor, q: float | Tensor, interpolation: str, name: str) -> Tensor:
    """`q` as a tensor, after torch's checks."""
    if input._dtype.name not in ("float32", "float64"):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    if is_number(q):
        if not 0 <= q <= 1:  # type: ignore[operator]
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q:g}")
        return fill(q, input)
    assert isinstance(q, Tensor)
    if q.ndim > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
    if q._dtype is not input._dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
    return q


def _quantile(x: Tensor, q: float | Tensor, dim: int | None, keepdim: bool, interpolation: str, name: str) -> Tensor:
    levels = _levels(x, q, interpolation, name)
    rank = x.ndim
    if dim is None or not rank:
        shape: Sequence[int] = (1,) * rank
        x, axis = flat(x), 0
    else:
        axis = axis_of(dim, rank)
        shape = reduced_shape(x.shape, (axis,), True)
    if int(x.shape[axis]) == 0:
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    many = levels.ndim == 1
    found = _at(swap(x, axis, x.ndim - 1), levels if many else unsqueeze(levels, 0), interpolation, name == "quantile")
    # Rows by levels: the levels go to the front, or away; the axis returns as 1, or not at all.
    last = found.ndim - 1
    if not many:
        found = swap(found, axis, last)
        return reshape(found, shape) if keepdim else squeeze(found, axis)
    found = permute(swap(unsqueeze(found, last), axis, last), (last + 1, *range(last + 1)))
    return reshape(found, (found.shape[0], *shape)) if keepdim else squeeze(found, axis + 1)


def _at(x: Tensor, levels: Tensor, interpolation: str, strict: bool) -> Tensor:
    """Quantiles along the last axis: (..., n) and (m,) to (..., m). `strict`: a NaN spoils its row."""
    axis, kind = x.ndim - 1, x._dtype
    shape = (*x.shape[:-1], levels.shape[0])
    nan = test("IsNaN", x)
    ordered = top(x, x.shape[axis], axis, largest=False).values
    if strict:
        ranks = binary("Mul", levels, size_tensor(x.shape[axis] - 1, kind))
        pick = lambda places: take(ordered, cast(places, dtypes.int64), axis)  # noqa: E731
    else:
        valid = reduce("ReduceSum", cast(unary("Not", nan), kind), (axis,), keepdim=True)
        last = binary("Max", binary("Sub", valid, fill(1, x)), fill(0, x))
        ranks = expand(binary("Mul", last, levels), shape)
        pick = lambda places: take_along(ordered, cast(places, dtypes.int64), axis)  # noqa: E731
    result = _between(pick, ranks, interpolation, x)
    if not strict:
        return result
    return where(reduce("ReduceMax", nan, (axis,), keepdim=True), fill(math.nan, x), result)


def _between(pick, ranks: Tensor, interpolation: str, x: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
    """Values at fractional ranks."""
    rounding = {"lower": "Floor", "higher": "Ceil", "nearest": "Round"}.get(interpolation)
    if rounding:
        return pick(unary(rounding, ranks))
    floor = unary("Floor", ranks)
    low, high = pick(floor), pick(unary("Ceil", ranks))
    weight = fill(0.5, x) if interpolation == "midpoint" else binary("Sub", ranks, floor)
    # torch's lerp: from the nearer end, which decides what infinities give.
    step = binary("Sub", high, low)
    rising = binary("Add", low, binary("Mul", weight, step))
    falling = binary("Sub", high, binary("Mul", step, binary("Sub", fill(1, x), weight)))
    return where(test("Less", weight, fill(0.5, x)), rising, falling)


@word("torch.mode", "Tensor.mode")
def mode(input: Tensor, dim: int = -1, keepdim: bool = False, *, out: tuple | None = None) -> Sorted:
    """The most frequent value along an axis (the smallest of several) and its last index.

    Compares all pairs: n * n elements for an axis of n. Differs: NaN is never the most frequent; torch
    gives the index of any of the equals (on short axes the last).
    """
    axis = axis_of(dim, input.ndim)
    if not input.ndim:
        return _given(top(input, 1, 0, largest=False), out)
    _check_some(input, axis, "mode")
    x = swap(input, axis, input.ndim - 1)
    last = x.ndim - 1
    equal = test("Equal", unsqueeze(x, last), unsqueeze(x, last + 1))
    counts = reduce("ReduceSum", cast(equal, dtypes.int32), (last + 1,))
    frequent = test("Equal", counts, reduce("ReduceMax", counts, (last,), keepdim=True))
    # Among the most frequent the smallest: the others are raised to the largest of the row.
    wide = cast(x, dtypes.uint8) if x._dtype is dtypes.bool_ else x
    raised = where(frequent, wide, extreme("ReduceMax", wide, (last,), True))
    values = cast(extreme("ReduceMin", raised, (last,), True), x._dtype)
    here = cast(test("Equal", x, values), dtypes.uint8)
    indices = emit("ArgMax", [here], values.shape, dtypes.int64, axis=last, select_last_index=1)
    found = [swap(part, axis, last) for part in (values, indices)]
    return _given(Sorted(*(found if keepdim else [squeeze(part, axis) for part in found])), out)
