"""Elements named by index tensors: gather, scatter and its reductions, the index_* words, take and put."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcore.platform import dtypes
from mcore.platform.dim import product
from mcore.platform.dtypes import dtype
from mcore.platform.errors import ShapeError
from mcore.platform.tensor import Tensor, constant, emit
from mcore.platform.word import inplace, word
from mcore.platform.words._common import (
    as_tensor,
    axis_of,
    broadcast,
    cast,
    check_tensor,
    is_number,
    plain,
    same_shape,
)  # fmt: skip
from mcore.platform.words._plan import plan_of
from mcore.platform.words._views import (
    expanded,
    reshaped,
    resized,
    same_value,
    sliced,
    unsqueezed,
)  # fmt: skip
from mcore.platform.words.assigning import assigned, put_advanced
from mcore.platform.words.comparison import choose
from mcore.platform.words.indexing import check_bounds

_INT64, _INDEX = dtypes.int64, (dtypes.int32, dtypes.int64)


def as_vector(x: Tensor) -> Tensor:
    """A tensor without axes as one of one element."""
    return x if x._shape else reshaped(x, (1,))


def _empty(shape: Sequence[int]) -> bool:
    return any(type(n) is int and n == 0 for n in shape)


# --- gather and scatter


def _check_index(index: Tensor, x: Tensor, name: str, what: str) -> None:
    check_tensor(index, "index", name)
    if index._dtype not in _INDEX:
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    if max(len(index._shape), 1) != max(len(x._shape), 1):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {what} tensor")


def _larger(index: Sequence[int], x: Sequence[int], axis: int) -> bool:
    return any(int(a) > int(b) for k, (a, b) in enumerate(zip(index, x, strict=True)) if k != axis)


@word("torch.gather", "Tensor.gather")
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """At each place of `index`, the element of `input` that stands there but for `dim`, where the index says.

    Shapes: the result has the shape of `index`, which is nowhere larger than `input` but along `dim`.
    """
    axis = axis_of(dim, len(input._shape))
    if _empty(index._shape):
        return constant(np.zeros(plain(index.shape)), input._dtype)
    _check_index(index, input, "gather", "input")
    shape, places = index.shape, as_vector(index)
    x = as_vector(input)
    if _larger(places.shape, x.shape, axis):
        raise ShapeError(
            f"Size does not match at dimension {_where_larger(places.shape, x.shape, axis)} expected index "
            f"{plain(shape)} to be no larger than self {plain(input.shape)} apart from dimension {axis}"
        )
    check_bounds(places, x.shape[axis], axis, kind=RuntimeError)
    out = emit("GatherElements", [x, places], places.shape, x._dtype, axis=axis)
    return out if len(shape) == len(out._shape) else reshaped(out, shape)


def _where_larger(index: Sequence[int], x: Sequence[int], axis: int) -> int:
    return next(k for k in range(len(index)) if k != axis and int(index[k]) > int(x[k]))


# torch's names of reductions -> ONNX's.
_REDUCTIONS = {"sum": "add", "prod": "mul", "mean": "add", "amax": "max", "amin": "min"}


# Types in which a mean is divided, where that is not float32 or int64.
_COUNTED = {dtypes.float64: dtypes.float64}


def _scatter_elements(x: Tensor, axis: int, index: Tensor, src: Tensor, reduction: str = "none") -> Tensor:
    """One ScatterElements; reductions lack kernels for bool and float16, which are widened."""
    kind: dtype = x._dtype
    if reduction != "none":
        kind = {dtypes.bool_: dtypes.int32, dtypes.float16: dtypes.float32}.get(kind, kind)
    attributes = {"axis": axis} if reduction == "none" else {"axis": axis, "reduction": reduction}
    out = emit("ScatterElements", [cast(x, kind), index, cast(src, kind)], x.shape, kind, **attributes)
    return cast(out, x._dtype)


def _scattered(input: Tensor, dim: int, index: Tensor, src: Any, how: Any, name: str) -> Tensor:
    """What all scatters share: checks, tensors without axes, `src` cut to the shape of `index`."""
    axis = axis_of(dim, len(input._shape))
    if _empty(index._shape):
        return same_value(input)
    _check_index(index, input, name, "self")
    x, places = as_vector(input), as_vector(index)
    if isinstance(src, Tensor):
        src = _fitting_source(x, axis, places, as_vector(src), name)
    else:
        if _larger(places.shape, x.shape, axis):
            raise ShapeError(
                f"Expected index {plain(places.shape)} to be no larger than self {plain(x.shape)} apart from "
                f"dimension {axis}"
            )
        src = expanded(as_tensor(src, x._dtype), places.shape)
    check_bounds(places, x.shape[axis], axis, kind=RuntimeError)
    out = how(x, axis, places, src)
    return out if input._shape else reshaped(out, ())


def _fitting_source(x: Tensor, axis: int, index: Tensor, src: Tensor, name: str) -> Tensor:
    if src._dtype is not x._dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype")
    if len(src._shape) != len(index._shape):
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    if _larger(index.shape, x.shape, axis) or _larger(index.shape, src.shape, -1):
        raise ShapeError(
            f"Expected index {plain(index.shape)} to be no larger than self {plain(x.shape)} apart from dimension "
            f"{axis} and to be no larger size than src {plain(src.shape)}"
        )
    cuts = [(k, 0, a, 1) for k, (a, b) in enumerate(zip(index.shape, src.shape, strict=True)) if int(a) != int(b)]
    return sliced(src, cuts, index.shape) if cuts else src


@word("torch.scatter", "Tensor.scatter")
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """`input` with elements of `src` (or one number) put where `index` says along `dim`; the last one wins.

    Raises: RuntimeError where `index` is larger than `input` or `src`, or their types differ.
    """
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    reduction = {"add": "add", "multiply": "mul"}.get(reduce or "", "none")
    source = value if src is None else src

    def put(x: Tensor, axis: int, places: Tensor, values: Tensor) -> Tensor:
        return _scatter_elements(x, axis, places, values, reduction)

    return _scattered(input, dim, index, source, put, "scatter")


@word("torch.scatter_add", "Tensor.scatter_add")
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`input` with elements of `src` added where `index` says along `dim`."""
    if not isinstance(src, Tensor):
        raise TypeError(f"scatter_add(): argument 'src' (position 3) must be Tensor, not {type(src).__name__}")

    def put(x: Tensor, axis: int, places: Tensor, values: Tensor) -> Tensor:
        return _scatter_elements(x, axis, places, values, "add")

    return _scattered(input, dim, index, src, put, "scatter_add")


@word("torch.scatter_reduce", "Tensor.scatter_reduce")
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """`input` with elements of `src` reduced (sum, prod, mean, amax, amin) into the places that `index` names.

    Without `include_self` what stood there does not take part.
    """
    if reduce not in _REDUCTIONS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if reduce == "mean" and input._dtype is dtypes.bool_:
        raise NotImplementedError("\"scatter_gather_tensor_cpu_reduce_mean\" not implemented for 'Bool'")

    def put(x: Tensor, axis: int, places: Tensor, values: Tensor) -> Tensor:
        return _reduced(x, axis, places, values, reduce, include_self=include_self)

    return _scattered(input, dim, index, src, put, "scatter_reduce")


def _reduced(x: Tensor, axis: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool) -> Tensor:
    start = x
    if not include_self:  # named places begin at what changes nothing
        neutral = expanded(constant(_neutral(reduce, x._dtype), x._dtype), index.shape)
        start = _scatter_elements(x, axis, index, neutral)
    out = _scatter_elements(start, axis, index, src, _REDUCTIONS[reduce])
    if reduce == "mean":
        return _divided_by_count(out, axis, index, include_self=include_self)
    if reduce in ("amax", "amin") and x._dtype.is_floating_point:
        return _with_nans(out, start, axis, index, src)
    return out


def _neutral(reduce: str, kind: dtype) -> Any:
    if reduce in ("sum", "mean"):
        return 0
    if reduce == "prod":
        return 1
    low = reduce == "amax"
    if kind.is_floating_point:
        return -np.inf if low else np.inf
    if kind is dtypes.bool_:
        return not low
    info = np.iinfo(kind.numpy.type)  # type: ignore[type-var]
    return info.min if low else info.max


def _divided_by_count(total: Tensor, axis: int, index: Tensor, *, include_self: bool) -> Tensor:
    """A sum over as many as came to each place; of whole numbers rounded down."""
    kind = total._dtype
    counted = _COUNTED.get(kind, dtypes.float32 if kind.is_floating_point else _INT64)
    one = constant(1, counted)
    start = expanded(one if include_self else constant(0, counted), total.shape)
    count = _scatter_elements(start, axis, index, expanded(one, index.shape), "add")
    if not include_self:
        count = emit("Max", [count, one], count.shape, counted)
    total = cast(total, counted)
    if not counted.is_floating_point:
        # ONNX's Div of integers cuts towards zero; Mod has the sign of the divisor.
        rest = emit("Mod", [total, count], total.shape, counted)
        total = emit("Sub", [total, rest], total.shape, counted)
    return cast(emit("Div", [total, count], total.shape, counted), kind)


def _with_nans(out: Tensor, x: Tensor, axis: int, index: Tensor, src: Tensor) -> Tensor:
    """The runtime's max and min lose NaN that came second; torch keeps every NaN."""
    nans = [emit("IsNaN", [t], t.shape, dtypes.bool_) for t in (x, src)]
    seen = _scatter_elements(nans[0], axis, index, nans[1], "max")
    return choose(seen, constant(np.nan, out._dtype), out, out._dtype)


# --- rows by a vector of indices


def _check_vector(index: Tensor, name: str) -> Tensor:
    if len(index._shape) > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector")
    if index._dtype not in _INDEX:
        raise RuntimeError(f"{name}(): Expected dtype int32 or int64 for index")
    return as_vector(index)


@word("torch.index_select", "Tensor.index_select")
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The elements along `dim` that a vector names, in its order."""
    axis = axis_of(dim, len(input._shape))
    places = _check_vector(index, "index_select")
    x = as_vector(input)
    shape = resized(x.shape, axis, places.shape[0])
    check_bounds(places, x.shape[axis], axis, kind=RuntimeError)
    out = emit("Gather", [x, places], shape, x._dtype, axis=axis)
    return out if input._shape else reshaped(out, ())


def _along(
    input: Tensor, dim: int, index: Tensor, source: Tensor, name: str, kind: type[Exception]
) -> tuple[Tensor, int, Tensor, Tensor]:
    """Checked arguments of index_add and index_copy, with an axis at least."""
    axis = axis_of(dim, len(input._shape))
    places = _check_vector(index, name)
    x, source = as_vector(input), as_vector(source)
    count = int(source.shape[axis]) if axis < len(source._shape) else 1
    if int(places.shape[0]) != count:
        between = f": ({count}), for dim: {axis}" if kind is RuntimeError else f" ({count})"
        raise kind(
            f"{name}_(): Number of indices ({int(places.shape[0])}) should be equal to source.size(dim){between}"
        )
    wanted = resized(x.shape, axis, places.shape[0])
    if not same_shape(source.shape, wanted):
        raise ShapeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape = "
            f"{plain(x.shape)} source.shape = {plain(source.shape)}"
        )
    return x, axis, places, source


@word("torch.index_add", "Tensor.index_add")
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """`input` with `alpha * source` added to the elements along `dim` that a vector names."""
    x, axis, places, source = _along(input, dim, index, source, "index_add", RuntimeError)
    if source._dtype is not x._dtype:
        raise RuntimeError(
            f"index_add_(): self ({x._dtype.title}) and source ({source._dtype.title}) must have the same scalar type"
        )
    if not (is_number(alpha) and alpha == 1) and x._dtype is not dtypes.bool_:
        factor = alpha if x._dtype.is_floating_point else int(alpha)
        source = emit("Mul", [source, as_tensor(factor, x._dtype)], source.shape, x._dtype)
    out = put_advanced(x, [(axis, places)], source, accumulate=True)
    return out if input._shape else reshaped(out, ())


@word("torch.index_copy", "Tensor.index_copy")
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """`input` with the elements along `dim` that a vector names taken from `source`."""
    if source._dtype is not input._dtype:
        raise RuntimeError(
            "index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{input._dtype.title} and (source) {source._dtype.title}"
        )
    x, axis, places, source = _along(input, dim, index, source, "index_copy", IndexError)
    out = put_advanced(x, [(axis, places)], source)
    return out if input._shape else reshaped(out, ())


@word("torch.index_fill", "Tensor.index_fill")
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """`input` with one number at all elements along `dim` that a vector names."""
    axis = axis_of(dim, len(input._shape))
    if isinstance(value, Tensor) and value._shape:
        raise RuntimeError(
            "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{len(value._shape)} dimension(s)."
        )
    places = _check_vector(index, "index_fill")
    x = as_vector(input)
    size = x.shape[axis]
    check_bounds(places, size, axis)
    # A mask along one axis broadcasts: nothing as large as `x` is built.
    yes = expanded(constant(True), places.shape)
    mask = expanded(constant([False]), (size,))
    mask = emit("ScatterElements", [mask, places, yes], (size,), dtypes.bool_, axis=0)
    mask = unsqueezed(mask, range(1, len(x._shape) - axis))
    out = choose(mask, as_tensor(value, x._dtype), x, x._dtype)
    return out if input._shape else reshaped(out, ())


@word("torch.index_reduce", "Tensor.index_reduce")
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """`input` with `source` reduced (prod, mean, amax, amin) into the elements along `dim` that a vector names."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}.")
    x, axis, places, source = _along(input, dim, index, source, "index_reduce", RuntimeError)
    places = unsqueezed(places, range(1, len(x._shape) - axis))
    places = expanded(places, source.shape)
    out = _reduced(x, axis, places, source, reduce, include_self=include_self)
    return out if input._shape else reshaped(out, ())


# --- elements by several index tensors


@word("torch.index_put", "Tensor.index_put")
def index_put(input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False) -> Tensor:
    """`input` with the elements that index tensors name replaced by `values`, or `values` added to them."""
    given = tuple(slice(None) if i is None else i for i in indices)
    plan = plan_of(input, given)
    if values._shape and values._dtype is not input._dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{input._dtype.title} for the destination and {values._dtype.title} for the source."
        )
    return assigned(input, plan, cast(values, input._dtype), accumulate=accumulate)


@word("torch.take", "Tensor.take")
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements of the flattened `input` that `index` names."""
    flat = input if len(input._shape) == 1 else reshaped(input, (product(input.shape),))
    if index._dtype is not _INT64:
        raise RuntimeError(f"take(): Expected a long tensor for index, but got {index._dtype.title}")
    text = "out of range: tried to access index {index} on a tensor of {size} elements."
    check_bounds(index, flat.shape[0], text=text)
    return emit("Gather", [flat, index], index.shape, input._dtype, axis=0)


@word("torch.take_along_dim", "Tensor.take_along_dim")
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` where `input` and `indices` broadcast along the other axes; without `dim` both are flattened."""
    if indices._dtype not in _INDEX:
        raise RuntimeError("torch.take_along_dim(): dtype of indices should be Long but got " + indices._dtype.title)
    if dim is None:
        return emit(
            "GatherElements", [reshaped(input, (product(input.shape),)), reshaped(indices, (product(indices.shape),))],
            (product(indices.shape),), input._dtype, axis=0,
        )  # fmt: skip
    rank = len(input._shape)
    if rank != len(indices._shape):
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{rank} dimensions for input, and {len(indices._shape)} dimensions for indices"
        )
    axis = axis_of(dim, rank)
    common = broadcast(resized(input.shape, axis, 1), resized(indices.shape, axis, 1))
    x = expanded(input, resized(common, axis, input.shape[axis]))
    places = expanded(indices, resized(common, axis, indices.shape[axis]))
    return emit("GatherElements", [x, places], places.shape, x._dtype, axis=axis)


@word("torch.put", "Tensor.put")
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """`input` with elements of its flattened self replaced by `source`, or `source` added to them."""
    count, given = (int(product(t.shape)) for t in (index, source))
    if count != given:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{given}, index.numel() = {count}"
        )
    if source._dtype is not input._dtype:
        raise RuntimeError(
            f"put_(): self and source expected to have the same dtype, but got self.dtype = {input._dtype.title} and "
            f"source.dtype = {source._dtype.title}"
        )
    flat, places, values = (
        t if len(t._shape) == 1 else reshaped(t, (product(t.shape),)) for t in (input, index, source)
    )
    out = put_advanced(flat, [(0, places)], values, accumulate=accumulate)
    return reshaped(out, input.shape) if len(input._shape) != 1 else out


for _word in (
    scatter, scatter_add, scatter_reduce, index_add, index_copy, index_fill, index_reduce, index_put, put
):  # fmt: skip
    inplace(_word, f"Tensor.{_word.__name__}_")
inplace(index_put, "torch.index_put_")
