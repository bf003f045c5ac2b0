"""Sets and histograms: unique, isin, searchsorted, bucketize, bincount, histc. Sizes that depend on data."""

from __future__ import annotations

from typing import Any

from mcore.platform import dtypes
from mcore.platform.tensor import Tensor, constant, emit, emit_many, ints, unknown_sizes
from mcore.platform.word import word
from mcore.platform.words._common import as_tensor, axis_of, cast, promote, same_shape
from mcore.platform.words._pieces import (
    binary,
    concat,
    counted,
    fill,
    filled,
    flat,
    hand_out,
    reduce,
    reshape,
    section,
    take_along,
    test,
    unary,
    unsqueeze,
    where,
)
from mcore.platform.words.sorting import top


def _packed(values: Tensor, inverse: Tensor, counts: Tensor, with_inverse: bool, with_counts: bool) -> Any:
    out = (values, *([inverse] if with_inverse else []), *([counts] if with_counts else []))
    return out[0] if len(out) == 1 else out


def _unique(x: Tensor, with_inverse: bool, with_counts: bool, dim: int | None) -> Any:
    """Distinct values in ascending order; how many is known when it runs."""
    if dim is None and x._dtype.category == dtypes.FLOAT:  # the runtime's Unique takes all for equal once one is NaN
        values, places = top(flat(x), flat(x).shape[0], 0, largest=False)
        values, sorted_inverse, counts = _runs(values, 0)
        inverse = emit(
            "ScatterElements",
            [filled(0, places.shape, dtypes.int64), places, sorted_inverse],
            places.shape,
            dtypes.int64,
            axis=0,
        )
        return _packed(values, reshape(inverse, x.shape), counts, with_inverse, with_counts)
    kind = x._dtype if x._dtype.name in ("int8", "int64", "float32", "float64") else dtypes.int64
    if x._dtype.category == dtypes.FLOAT and kind is dtypes.int64:
        kind = dtypes.float32
    wide, attributes = cast(x, kind), {}
    shape: tuple = (None,)
    if dim is not None:
        axis = axis_of(dim, x.ndim)
        attributes = {"axis": axis}
        shape = (*x.shape[:axis], None, *x.shape[axis + 1 :])
    elif not x.ndim:
        wide = flat(wide)
    size = x.shape[attributes["axis"]] if attributes else flat(x).shape[0]
    outputs = [(shape, kind), ((None,), dtypes.int64), ((size,), dtypes.int64), ((None,), dtypes.int64)]
    values, _, inverse, counts = emit_many("Unique", [wide], outputs, **attributes)
    values = cast(unknown_sizes(values), x._dtype)
    if with_counts:
        unknown_sizes(counts)
    inverse = reshape(inverse, x.shape) if dim is None else inverse
    return _packed(values, inverse, counts, with_inverse, with_counts)


@word("torch.unique")
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """Distinct values (or slices along `dim`), ascending, optionally with inverse indices and counts."""
    return _unique(input, return_inverse, return_counts, dim)


@word("Tensor.unique")
def tensor_unique(
    self: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """Distinct values (or slices along `dim`), ascending, optionally with inverse indices and counts."""
    return _unique(self, return_inverse, return_counts, dim)


def _runs(x: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    """Runs of equals along an axis: the first of each, each element's run by number, and the lengths."""
    size = x.shape[axis]
    if not int(size):
        empty = filled(0, (0,), dtypes.int64)
        return x, empty, empty
    differs = unary("Not", test("Equal", section(x, axis, 1, size), section(x, axis, 0, size - 1)))
    if x.ndim > 1:
        others = [a for a in range(x.ndim) if a != axis]
        differs = cast(reduce("ReduceMax", cast(differs, dtypes.uint8), others), dtypes.bool_)
    starts = concat([constant([True]), differs], 0)
    number = emit("CumSum", [cast(starts, dtypes.int64), constant(0)], (size,), dtypes.int64)
    inverse = binary("Sub", number, constant(1))
    shape = (*x.shape[:axis], None, *x.shape[axis + 1 :])
    values = unknown_sizes(emit("Compress", [x, starts], shape, x._dtype, axis=axis))
    count = values.shape[axis]
    firsts = emit("Compress", [counted(size), starts], (count,), dtypes.int64, axis=0)
    ends = concat([section(firsts, 0, 1, count), ints([size])], 0)
    return values, inverse, binary("Sub", ends, firsts)


def _consecutive(x: Tensor, with_inverse: bool, with_counts: bool, dim: int | None) -> Any:
    axis = 0 if dim is None else axis_of(dim, x.ndim)
    values, inverse, counts = _runs(flat(x) if dim is None else x, axis)
    return _packed(values, reshape(inverse, x.shape) if dim is None else inverse, counts, with_inverse, with_counts)


@word("torch.unique_consecutive")
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The first of each run of equals, optionally with inverse indices and lengths of the runs."""
    return _consecutive(input, return_inverse, return_counts, dim)


@word("Tensor.unique_consecutive")
def tensor_unique_consecutive(
    self: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The first of each run of equals, optionally with inverse indices and lengths of the runs."""
    return _consecutive(self, return_inverse, return_counts, dim)


@word("torch.isin")
def isin(
    elements: Tensor,
    test_elements: Tensor,
    *,
    assume_unique: bool = False,
    invert: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Whether each element is among `test_elements`. Compares all pairs."""
    (a, b), _ = promote(elements, test_elements)
    if a._dtype is dtypes.bool_:
        a, b = cast(a, dtypes.uint8), cast(b, dtypes.uint8)
    equal = cast(test("Equal", unsqueeze(a, -1), flat(b)), dtypes.uint8)  # over nothing: 0
    found = cast(reduce("ReduceMax", equal, (a.ndim,)), dtypes.bool_)
    return hand_out(unary("Not", found) if invert else found, out)


# --- places in sorted sequences


def _places(sequence: Tensor, values: Tensor, right: bool, out_int32: bool) -> Tensor:
    """How many of the sequence stand before each value: (..., n) and (..., m) to (..., m). All pairs."""
    (a, b), _ = promote(sequence, values)
    a = unsqueeze(a, -2) if a.ndim > 1 else a
    behind = test("Greater" if right else "GreaterOrEqual", a, unsqueeze(b, -1))
    before = cast(unary("Not", behind), dtypes.int64)  # NaN stands behind all
    return cast(reduce("ReduceSum", before, (before.ndim - 1,)), dtypes.int32 if out_int32 else dtypes.int64)


@word("torch.searchsorted")
def searchsorted(
    sorted_sequence: Tensor,
    input: Tensor | float,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Where each value would go in a sorted sequence: before its equals, or behind them (`right`)."""
    if side not in (None, "left", "right"):
        raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True"
        )
    sequence = sorted_sequence
    if sorter is not None:
        sequence = take_along(sequence, sorter, sequence.ndim - 1)
    values = input if isinstance(input, Tensor) else as_tensor(input, sequence._dtype)
    if sequence.ndim != 1 and not (values.ndim == sequence.ndim and same_shape(values.shape[:-1], sequence.shape[:-1])):
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 "
            "dimensions of boundaries "
            f"tensor and input value tensor must match, but we got boundaries tensor "
            f"{[int(s) for s in sequence.shape]} "
            f"and input value tensor {[int(s) for s in values.shape]}"
        )
    return hand_out(_places(sequence, values, right or side == "right", out_int32), out)


@word("torch.bucketize")
def bucketize(
    input: Tensor | float,
    boundaries: Tensor,
    *,
    out_int32: bool = False,
    right: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """The bucket of each value between sorted boundaries."""
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    values = input if isinstance(input, Tensor) else as_tensor(input, boundaries._dtype)
    return hand_out(_places(boundaries, values, right, out_int32), out)


# --- counts


def _tally(places: Tensor, weights: Tensor, bins: Tensor, size: int | None) -> Tensor:
    """Sums of weights by place. `bins`: their number, of shape [1]."""
    zeros = emit("Expand", [constant(0, weights._dtype), bins], (size,), weights._dtype)
    if size is None:
        unknown_sizes(zeros)
    return emit("ScatterElements", [zeros, places, weights], zeros.shape, weights._dtype, axis=0, reduction="add")


@word("torch.bincount", "Tensor.bincount")
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each value 0, 1, ... occurs, or the sum of its weights.

    Differs: a negative value that is computed in the graph is an index error.
    """
    if input.ndim != 1 or input._dtype.category == dtypes.FLOAT or input._dtype is dtypes.bool_:
        if input._dtype.category == dtypes.FLOAT or input._dtype is dtypes.bool_:
            raise NotImplementedError(f"\"bincount_cpu\" not implemented for '{input._dtype.title}'")
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if input._recorder is None and input._data().size and input._data().min() < 0:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    x = cast(input, dtypes.int64)
    if weights is None:
        weights = filled(1, x.shape, dtypes.int64)
    elif weights._dtype.name not in ("float32", "float64"):
        weights = cast(weights, dtypes.float64)
    # A -1 in front, so that nothing has a largest too.
    largest = reduce("ReduceMax", concat([constant([-1]), x], 0), (0,), keepdim=True)
    bins = binary("Max", binary("Add", largest, constant([1])), ints([minlength]))
    return _tally(x, weights, bins, None)


@word("torch.histc", "Tensor.histc")
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0, *, out: Tensor | None = None) -> Tensor:
    """Histogram with `bins` equal bins between `min` and `max`; between the extremes of the data when both
    are equal.

    Raises:
        RuntimeError: no bins, or `min` above `max`.
    """
    if input._dtype.category != dtypes.FLOAT:
        raise NotImplementedError(f"\"histogram_cpu\" not implemented for '{input._dtype.title}'")
    if bins <= 0:
        raise RuntimeError("bins must be > 0")
    if min > max:
        raise RuntimeError("max must be larger than min")
    x = flat(input)
    low, high = fill(min, x), fill(max, x)
    if min == max and int(x.shape[0]):
        low, high = reduce("ReduceMin", x, (0,)), reduce("ReduceMax", x, (0,))
    one, flat_range = fill(1, x), test("Equal", low, high)
    low, high = (
        where(flat_range, binary("Sub", low, one), low),
        where(flat_range, binary("Add", high, one), high),
    )
    inside = emit("And", [test("GreaterOrEqual", x, low), test("LessOrEqual", x, high)], x.shape, dtypes.bool_)
    share = binary("Div", binary("Mul", binary("Sub", x, low), fill(bins, x)), binary("Sub", high, low))
    share = where(inside, share, fill(0, x))
    places = binary("Min", cast(share, dtypes.int64), constant(bins - 1))
    counts = _tally(places, cast(inside, dtypes.float32), ints([bins]), bins)
    return hand_out(cast(counts, input._dtype), out)
