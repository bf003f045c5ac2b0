"""Sums, products, means, spreads and truth over axes.

Differs: the runtime adds int64 in float64, so integer sums and products are exact up to 2**53.
"""

from __future__ import annotations

from collections.abc import Sequence

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dim import Dim
from mcore.platform.dtypes import dtype as Kind
from mcore.platform.tensor import Tensor, constant, size_tensor
from mcore.platform.word import word
from mcore.platform.words._common import axes_of, axis_of, cast
from mcore.platform.words._pieces import (
    binary,
    count_of,
    fill,
    hand_out,
    reduce,
    squeeze,
    test,
    unary,
    where,
)

Axes = int | Sequence[int] | None


def _summed(x: Tensor, dtype: Kind | None) -> tuple[Tensor, Kind]:
    """`x` in a type that the runtime adds in, and the type of the result: int64 for integers and bools."""
    kind = dtype or (x._dtype if x._dtype.category == dtypes.FLOAT else dtypes.int64)
    if kind.category == dtypes.FLOAT:
        return cast(x, kind), kind
    # Cast to a narrow type first, as torch does: sum(300, dtype=uint8) wraps.
    return cast(cast(x, kind), dtypes.int64), kind


@word("torch.sum", "Tensor.sum")
def sum(
    input: Tensor,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    dtype: Kind | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Sum over axes; of integers and bools in int64.

    Shapes:
        returns: without the axes of `dim`, or with 1 in their place; a 0-d tensor when `dim` is None
    """
    x, kind = _summed(input, dtype)
    result = cast(reduce("ReduceSum", x, axes_of(dim, x.ndim), keepdim), kind)
    return result if out is None else hand_out(result, out)


@word("torch.mean", "Tensor.mean")
def mean(
    input: Tensor,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    dtype: Kind | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Mean over axes; NaN where there is nothing. Raises RuntimeError for integers without `dtype`."""
    kind = dtype or input._dtype
    if kind.category != dtypes.FLOAT:
        told = "could not infer output dtype. Input" if dtype is None else "Optional"
        raise RuntimeError(f"mean(): {told} dtype must be either a floating point or complex dtype. Got: {kind.title}")
    x = cast(input, kind)
    result = _mean(x, axes_of(dim, x.ndim), keepdim)
    return result if out is None else hand_out(result, out)


def _mean(x: Tensor, axes: Sequence[int], keepdim: bool) -> Tensor:
    """ReduceMean; the runtime's mean of nothing is 0, so there the sum is divided."""
    if not x.ndim or int(count_of(x.shape, axes)):
        return reduce("ReduceMean", x, axes, keepdim)
    count = size_tensor(count_of(x.shape, axes), x._dtype)
    return binary("Div", reduce("ReduceSum", x, axes, keepdim), count)


@word("torch.prod", "Tensor.prod")
def prod(
    input: Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    dtype: Kind | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Product over one axis or all; of integers and bools in int64."""
    if dim is not None and not isinstance(dim, int):
        raise TypeError(
            "prod() received an invalid combination of arguments: dim must be an int, "
            f"got {type(dim).__name__}; give several axes one after the other"
        )
    x, kind = _summed(input, dtype)
    return hand_out(cast(reduce("ReduceProd", x, axes_of(dim, x.ndim), keepdim), kind), out)


@word("torch.nansum", "Tensor.nansum")
def nansum(
    input: Tensor,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    dtype: Kind | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Sum over axes with NaN as 0."""
    x = where(test("IsNaN", input), fill(0, input), input) if _is_float(input) else input
    return hand_out(sum(x, dim, keepdim, dtype=dtype), out)


@word("torch.nanmean", "Tensor.nanmean")
def nanmean(
    input: Tensor,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    dtype: Kind | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Mean over axes of what is not NaN. Raises RuntimeError for integers."""
    if not _is_float(input):
        raise RuntimeError(
            f"nanmean(): expected input to have floating point or complex dtype but got {input._dtype.title}"
        )
    kind = dtype or input._dtype
    valid = cast(unary("Not", test("IsNaN", input)), kind)
    count = reduce("ReduceSum", valid, axes_of(dim, input.ndim), keepdim)
    return hand_out(binary("Div", nansum(input, dim, keepdim, dtype=dtype), count), out)


def _is_float(x: Tensor) -> bool:
    return x._dtype.category == dtypes.FLOAT


# --- truth


def _truth(op: str, input: Tensor, dim: Axes, keepdim: bool) -> Tensor:
    kind = dtypes.uint8 if input._dtype is dtypes.uint8 else dtypes.bool_  # uint8 was torch's bool once
    x = cast(input, dtypes.bool_)
    if isinstance(dim, tuple | list) and not dim:  # unlike other reductions, no axes mean none
        return cast(x, kind)
    axes = axes_of(dim, x.ndim)
    count = count_of(x.shape, axes)
    # Over nothing the runtime answers for uint8 (its least and greatest value), not for bool.
    if x.ndim and (type(count) is Dim or not count):
        x = cast(x, dtypes.uint8)
    return cast(cast(reduce(op, x, axes, keepdim), dtypes.bool_), kind)


@word("torch.any", "Tensor.any")
def any(input: Tensor, dim: Axes = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """Whether some element is not 0; False over nothing. uint8 gives uint8, else bool."""
    return hand_out(_truth("ReduceMax", input, dim, keepdim), out)


@word("torch.all", "Tensor.all")
def all(input: Tensor, dim: Axes = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """Whether no element is 0; True over nothing. uint8 gives uint8, else bool."""
    return hand_out(_truth("ReduceMin", input, dim, keepdim), out)


@word("torch.count_nonzero", "Tensor.count_nonzero")
def count_nonzero(input: Tensor, dim: Axes = None) -> Tensor:
    """How many elements are not 0, in int64."""
    return sum(cast(input, dtypes.bool_), dim)


# --- spread


def spread(input: Tensor, dim: Axes, correction: float, keepdim: bool, *, root: bool) -> tuple[Tensor, Tensor]:
    """Variance (or its root) and mean over axes; the mean keeps its axes."""
    if not _is_float(input):
        raise RuntimeError("std and var only support floating point and complex dtypes")
    narrow = input._dtype.itemsize == 2
    x = cast(input, dtypes.float32) if narrow else input  # 11 bits are too few for a difference of likes
    axes = axes_of(dim, x.ndim)
    middle = _mean(x, axes, keepdim=True)
    squares = reduce("ReduceSumSquare", binary("Sub", x, middle), axes, keepdim)
    result = binary("Div", squares, _degrees(count_of(x.shape, axes), correction, x._dtype))
    if root:
        result = unary("Sqrt", result)
    return cast(result, input._dtype), cast(middle, input._dtype)


def _degrees(count: int, correction: float, kind: Kind) -> Tensor:
    """`max(count - correction, 0)`."""
    if float(correction).is_integer():
        return size_tensor(dims.dim_max(count - int(correction), 0), kind)
    left = binary("Sub", size_tensor(count, kind), constant(correction, kind))
    return binary("Max", left, constant(0, kind))


def _correction(dim: Axes | bool, unbiased: bool, correction: float | None) -> tuple[Axes, float]:
    """Sorts out torch's overloads: `var(x, False)` gives `unbiased` in the place of `dim`."""
    if isinstance(dim, bool):
        return None, int(dim) if correction is None else correction
    return dim, int(unbiased) if correction is None else correction


@word("torch.var", "Tensor.var")
def var(
    input: Tensor,
    dim: Axes = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Variance over axes, divided by `count - correction` (1 unless told); RuntimeError for integers."""
    dim, correction = _correction(dim, unbiased, correction)
    return hand_out(spread(input, dim, correction, keepdim, root=False)[0], out)


@word("torch.std", "Tensor.std")
def std(
    input: Tensor,
    dim: Axes = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Standard deviation over axes: the root of `var`."""
    dim, correction = _correction(dim, unbiased, correction)
    return hand_out(spread(input, dim, correction, keepdim, root=True)[0], out)


def _both(input: Tensor, dim: Axes, correction: float, keepdim: bool, *, root: bool) -> tuple[Tensor, Tensor]:
    result, middle = spread(input, dim, correction, keepdim, root=root)
    return result, middle if keepdim else squeeze(middle, *axes_of(dim, input.ndim))


@word("torch.var_mean")
def var_mean(
    input: Tensor,
    dim: Axes = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Variance and mean over axes."""
    dim, correction = _correction(dim, unbiased, correction)
    return _both(input, dim, correction, keepdim, root=False)


@word("torch.std_mean")
def std_mean(
    input: Tensor,
    dim: Axes = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Standard deviation and mean over axes."""
    dim, correction = _correction(dim, unbiased, correction)
    return _both(input, dim, correction, keepdim, root=True)


@word("torch.logsumexp", "Tensor.logsumexp")
def logsumexp(input: Tensor, dim: int | Sequence[int], keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """`log(sum(exp(x)))` over axes without overflow; integers give the default float type."""
    x = input if _is_float(input) else cast(input, dtypes.get_default_dtype())
    axes = axes_of(dim, x.ndim)
    if not x.ndim:
        axis_of(dim if isinstance(dim, int) else 0, 0)
        return hand_out(x, out)
    return hand_out(reduce("ReduceLogSumExp", x, axes, keepdim), out)
