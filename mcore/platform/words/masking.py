"""Elements named by truth: masks, nonzero; and copies of a tensor with one view of it replaced."""

from __future__ import annotations

from collections.abc import Sequence

from mcore.platform import dtypes
from mcore.platform.dim import product
from mcore.platform.errors import ShapeError
from mcore.platform.tensor import Tensor, constant, emit
from mcore.platform.word import inplace, word
from mcore.platform.words._common import axis_of, broadcast, cast, plain, same_shape
from mcore.platform.words._plan import Plan, number_cut, slice_cut
from mcore.platform.words._views import expanded, reshaped, same_value, sliced, squeezed, transposed
from mcore.platform.words.arranging import diagonal_view
from mcore.platform.words.assigning import write_basic
from mcore.platform.words.comparison import choose
from mcore.platform.words.indexing import compressed, where_true
from mcore.platform.words.scattering import as_vector

_INT64 = dtypes.int64

# --- masks


@word("torch.masked_select", "Tensor.masked_select")
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where a broadcastable mask is true, in order, as a vector. Its size depends on data."""
    if mask._dtype is not dtypes.bool_:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    shape = broadcast(mask.shape, input.shape)
    x, mask = as_vector(expanded(input, shape)), as_vector(expanded(mask, shape))
    return compressed(x, 0, mask)


@word("torch.masked_scatter", "Tensor.masked_scatter")
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """`input` with the places where a mask is true filled by the elements of `source`, in order.

    How many trues came before says which element belongs to a place, so that no size depends on data.
    """
    if mask._dtype is not dtypes.bool_:
        raise RuntimeError(f"masked_scatter_ only supports boolean masks, but got mask with dtype {mask._dtype.title}")
    if source._dtype is not input._dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got"
            f"{input._dtype.title} and {source._dtype.title}"
        )
    shape = broadcast(input.shape, mask.shape)
    count = product(shape)
    if any(type(n) is int and n == 0 for n in (*shape, *source.shape)):
        return same_value(expanded(input, shape))
    mask = expanded(mask, shape)
    flat = mask if len(shape) == 1 else reshaped(mask, (count,))
    seen = emit("CumSum", [cast(flat, _INT64), constant(0, _INT64)], (count,), _INT64)
    place = emit("Sub", [seen, constant(1, _INT64)], (count,), _INT64)
    place = emit("Max", [place, constant(0, _INT64)], (count,), _INT64)
    values = source if len(source._shape) == 1 else reshaped(source, (product(source.shape),))
    values = emit("Gather", [values, place], (count,), source._dtype, axis=0)
    values = values if len(shape) == 1 else reshaped(values, shape)
    return choose(mask, values, expanded(input, shape), input._dtype)


# --- where elements are not zero


def _coordinates(x: Tensor) -> Tensor:
    """(count, rank) places of what is not zero."""
    if not x._shape:  # as a vector, whose one coordinate is then left out
        found = where_true(reshaped(x, (1,)))
        return reshaped(sliced(found, [(0, 0, 0, 1)], (0, found.shape[1])), (found.shape[1], 0))
    return transposed(where_true(x), (1, 0))


def _columns(x: Tensor) -> tuple[Tensor, ...]:
    """One vector of places for each axis; a tensor without axes counts as a vector."""
    found = where_true(as_vector(x))
    count = found.shape[1]
    if len(found._shape) and int(found.shape[0]) == 1:
        return (squeezed(found, [0]),)
    return tuple(
        emit("Gather", [found, constant(k, _INT64)], (count,), _INT64, axis=0) for k in range(int(found.shape[0]))
    )


@word("torch.nonzero", "Tensor.nonzero")
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Tensor | tuple[Tensor, ...]:
    """Where elements are not zero, in order: (count, rank), or one vector for each axis. Depends on data."""
    return _columns(input) if as_tuple else _coordinates(input)


@word("torch.argwhere", "Tensor.argwhere")
def argwhere(input: Tensor) -> Tensor:
    """Where elements are not zero: (count, rank)."""
    return _coordinates(input)


# --- a copy of a tensor with a view of it replaced


def _replaced_view(x: Tensor, src: Tensor, wanted: Sequence[int], plan: Plan) -> Tensor:
    _check_slice(src, wanted)
    if not (plan.cuts or plan.picks or plan.added):
        return same_value(cast(src, x._dtype))
    return write_basic(x, cast(src, x._dtype), plan)


def _check_slice(src: Tensor, wanted: Sequence[int]) -> None:
    if not same_shape(src.shape, wanted):
        raise ShapeError(
            f"expected src to have a size equal to the slice of self. src size = {plain(src.shape)}, slice size = "
            f"{plain(wanted)}"
        )


@word("torch.select_scatter", "Tensor.select_scatter")
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """`input` with `select(dim, index)` replaced by `src`."""
    axis = axis_of(dim, len(input._shape))
    plan = Plan()
    plan.cuts.append(number_cut(index, axis, input.shape[axis], axis))
    return _replaced_view(input, src, plan.basic_shape(input.shape), plan)


@word("torch.slice_scatter", "Tensor.slice_scatter")
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """`input` with a slice of one axis replaced by `src`."""
    axis = axis_of(dim, len(input._shape))
    found = slice_cut(slice(start, end, step), axis, input.shape[axis])
    plan = Plan()
    if found is not None:
        plan.cuts.append(found)
    return _replaced_view(input, src, plan.basic_shape(input.shape), plan)


@word("torch.diagonal_scatter", "Tensor.diagonal_scatter")
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """`input` with a diagonal replaced by `src`."""
    view = diagonal_view(input, offset, dim1, dim2)
    _check_slice(src, view.shape)
    assert view._view is not None
    return view._view.write(input, cast(src, input._dtype))


inplace(masked_scatter, "Tensor.masked_scatter_")
