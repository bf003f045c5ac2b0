"""Words that change the order of axes: permute, transpose, movedim, `x.T`; and the in-place twins of views."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from mcore.platform.errors import ShapeError
from mcore.platform.tensor import Tensor, View
from mcore.platform.word import publish, word
from mcore.platform.words._common import axis_of
from mcore.platform.words._views import alias, inverse, speaking, transposed
from mcore.platform.words.shape import sizes_of, spread, squeeze, unsqueeze

# --- order of axes


@speaking
def _transpose(x: Tensor, order: tuple) -> Tensor:
    return transposed(x, order)


def reordered(x: Tensor, order: tuple) -> Tensor:
    """`x` with its axes in another order, as a view."""
    out = transposed(x, order)
    if out is x:
        return alias(x)
    out._view = View(
        x,
        lambda base: _transpose(base, order),
        lambda base, new: _transpose(new, inverse(order)),
        lambda strides: [strides[a] for a in order],
    )
    return out


def _permuted(x: Tensor, dims_: Sequence[int]) -> Tensor:
    rank = len(x._shape)
    if len(dims_) != rank:
        raise ShapeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the "
            f"desired ordering of dimensions i.e. input.dim() = {rank} is not equal to len(dims) = {len(dims_)}"
        )
    order = tuple([d if 0 <= d < rank else axis_of(d, rank) for d in dims_])
    if len(set(order)) != rank:
        raise ShapeError("permute(): duplicate dims are not allowed.")
    return reordered(x, order)


@word("torch.permute")
def permute(input: Tensor, dims: Sequence[int]) -> Tensor:
    """Axes in the order `dims`."""
    return _permuted(input, sizes_of((dims,), "permute", "dims"))


@word("Tensor.permute")
def permute_method(self: Tensor, *axes: Any, **named: Any) -> Tensor:
    """`permute`, the axes one by one or as a tuple."""
    return _permuted(self, spread(axes, named, "permute", "dims"))


def _swapped(x: Tensor, a: int, b: int) -> Tensor:
    rank = len(x._shape)
    a, b = axis_of(a, rank), axis_of(b, rank)
    order = list(range(rank))
    if rank:
        order[a], order[b] = b, a
    return reordered(x, tuple(order))


@word("torch.transpose", "Tensor.transpose", "torch.swapdims", "Tensor.swapdims")
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged."""
    return _swapped(input, dim0, dim1)


@word("torch.swapaxes", "Tensor.swapaxes")
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Two axes exchanged, by numpy's name."""
    return _swapped(input, axis0, axis1)


@word("torch.t", "Tensor.t")
def t(input: Tensor) -> Tensor:
    """A matrix transposed; a vector or number as it is."""
    rank = len(input._shape)
    if rank > 2:
        raise ShapeError(f"t() expects a tensor with <= 2 dimensions, but self is {rank}D")
    return reordered(input, tuple(reversed(range(rank))))


@word("torch.movedim", "Tensor.movedim", "torch.moveaxis", "Tensor.moveaxis")
def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Axes `source` brought to the places `destination`; the others keep their order."""
    if isinstance(source, int) is not isinstance(destination, int):
        raise TypeError("movedim() received an invalid combination of arguments: one int and one tuple")
    rank = len(input._shape)
    lists = [[v] if isinstance(v, int) else list(v) for v in (source, destination)]
    if len(lists[0]) != len(lists[1]):
        raise ShapeError(
            "movedim: Invalid source or destination dims: source "
            f"({lists[0]} dims) should contain the same number of dims as destination ({lists[1]} dims)"
        )
    places = [[axis_of(d, rank) for d in given] for given in lists]
    for given, axes, name in zip(lists, places, ("source", "destination"), strict=True):
        if len(set(axes)) != len(axes):
            raise ShapeError(f"movedim: repeated dim in `{name}` ({given})")
    if rank == 0:
        return alias(input)
    order: list[int] = [-1] * rank
    for a, b in zip(*places, strict=True):
        order[b] = a
    rest = iter(a for a in range(rank) if a not in places[0])
    return reordered(input, tuple(a if a >= 0 else next(rest) for a in order))


def _matrix_transpose(x: Tensor, name: str) -> Tensor:
    rank = len(x._shape)
    if rank < 2:
        raise ShapeError(f"tensor.{name} is only supported on matrices or batches of matrices. Got {rank}-D tensor.")
    return _swapped(x, -2, -1)


@word("torch.adjoint", "Tensor.adjoint")
def adjoint(input: Tensor) -> Tensor:
    """The last two axes exchanged: all numbers here are real."""
    return _matrix_transpose(input, "adjoint()")


@word("Tensor.T.__get__")
def all_reversed(self: Tensor) -> Tensor:
    """`x.T`: all axes in reverse order."""
    return reordered(self, tuple(reversed(range(len(self._shape)))))


@word("Tensor.mT.__get__")
def matrix_transpose(self: Tensor) -> Tensor:
    """`x.mT`: the last two axes exchanged."""
    return _matrix_transpose(self, "mT")


@word("Tensor.mH.__get__")
def matrix_adjoint(self: Tensor) -> Tensor:
    """`x.mH`: the last two axes exchanged, the numbers being real."""
    return _matrix_transpose(self, "mH")


@word("Tensor.H.__get__")
def matrix_adjoint_of_one(self: Tensor) -> Tensor:
    """`x.H`: a matrix transposed, the numbers being real."""
    rank = len(self._shape)
    if rank not in (0, 2):
        hint = "" if rank < 2 else " For batches of matrices, consider using tensor.mH"
        raise ShapeError(f"tensor.H is only supported on matrices (2-D tensors). Got {rank}-D tensor.{hint}")
    return reordered(self, tuple(reversed(range(rank))))


for _name, _getter in (
    ("T", all_reversed), ("mT", matrix_transpose), ("mH", matrix_adjoint), ("H", matrix_adjoint_of_one)
):  # fmt: skip
    publish(property(_getter), f"Tensor.{_name}")  # type: ignore[type-var]


# --- in-place twins


def _in_place(function: Callable[..., Tensor], *names: str) -> None:
    """Publishes words that give the tensor itself another shape.

    Differs: views of it that were taken before keep their shape only until it is written to.
    """

    @functools.wraps(function)
    def write(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self._view is None:
            self._take(function(self, *args, **kwargs))
            return self
        before = Tensor.__new__(Tensor)
        for slot in Tensor.__slots__:
            if slot != "__weakref__":
                setattr(before, slot, getattr(self, slot))
        new = function(before, *args, **kwargs)
        self._take(new)
        self._view = new._view
        return self

    publish(write, *names)


_in_place(squeeze, "Tensor.squeeze_")
_in_place(unsqueeze, "Tensor.unsqueeze_")
_in_place(transpose, "Tensor.transpose_", "Tensor.swapdims_")
_in_place(swapaxes, "Tensor.swapaxes_")
_in_place(t, "Tensor.t_")
