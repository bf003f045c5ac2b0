"""Words that look at the same elements under another shape: reshape, flatten, squeeze and their kin.

All are views as torch's are. Symbolic sizes stay symbolic: what keeps its place is copied by the runtime (0), one
size is left to it (-1), only the rest is computed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dim import Dim
from mcore.platform.dtypes import dtype
from mcore.platform.errors import ShapeError, unsupported
from mcore.platform.graph import current
from mcore.platform.tensor import Tensor, View
from mcore.platform.word import word
from mcore.platform.words import _views
from mcore.platform.words._common import axis_of, cast, plain
from mcore.platform.words._views import alias, plain_shape, reshaped, speaking


def sizes_of(given: Sequence[Any], name: str, argument: str) -> tuple[int, ...]:
    """Sizes given one by one or as one sequence, as ints; symbolic ones stay so."""
    if len(given) == 1 and not isinstance(given[0], int | Tensor) and hasattr(given[0], "__iter__"):
        given = given[0]
    for size in given:
        if type(size) is not int and type(size) is not Dim:
            return tuple(_index(n, k, name, argument) for k, n in enumerate(given))
    return tuple(given)


def spread(given: tuple, named: dict[str, Any], name: str, argument: str) -> tuple[int, ...]:
    """Sizes of a method that takes them one by one, as one sequence, or by the argument's name."""
    if named:
        if list(named) != [argument] or given:
            raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(named))}'")
        given = (named[argument],)
    if not given:
        raise TypeError(f'{name}() missing 1 required positional arguments: "{argument}"')
    return sizes_of(given, name, argument)


def _index(value: Any, position: int, name: str, argument: str) -> int:
    if type(value) is Dim:
        return value
    try:
        return operator.index(value)
    except TypeError:
        kind = type(value).__name__
        raise TypeError(
            f"{name}(): argument '{argument}' must be tuple of ints, but found element of type {kind} at pos {position}"
        ) from None


# --- reshape and its kin


def complete(old: Sequence[int], sizes: Sequence[int]) -> tuple[tuple, int]:
    """The new shape with -1 filled in, and the axis where it stood (or -1)."""
    hole, known, total, symbolic = -1, 1, 1, False
    for k, size in enumerate(sizes):
        symbolic |= type(size) is Dim
        number = int(size)
        if number >= 0:
            known *= number
        elif number != -1:
            raise ShapeError(f"invalid shape dimension {number} at index {k} of shape {plain(sizes)}")
        elif hole >= 0:
            raise ShapeError("only one dimension can be inferred")
        else:
            hole = k
    for size in old:
        symbolic |= type(size) is Dim
        total *= int(size)
    if hole >= 0 and total == 0 and known == 0:
        raise ShapeError(
            f"cannot reshape tensor of 0 elements into shape {plain(sizes)} because the unspecified dimension "
            "size -1 can be any value and is ambiguous"
        )
    if (total != known) if hole < 0 else (known == 0 or total % known != 0):
        raise ShapeError(f"shape '{plain(sizes)}' is invalid for input of size {total}")
    if hole < 0:
        return tuple(sizes), hole
    before, after = sizes[:hole], sizes[hole + 1 :]
    return (*before, _quotient(old, (*before, *after)) if symbolic else total // known, *after), hole


def _quotient(numerator: Sequence[int], denominator: Sequence[int]) -> int:
    """Product over product; equal symbolic sizes cancel first, so that the rest stays short."""
    above, below = list(numerator), []
    for size in denominator:
        twin = next((k for k, n in enumerate(above) if type(n) is Dim and dims.equal_always(n, size)), None)
        if twin is None:
            below.append(size)
        else:
            del above[twin]
    return dims.product(above) // dims.product(below)


@speaking
def _reshape_to(x: Tensor, shape: tuple) -> Tensor:
    return reshaped(x, shape)


def viewed(x: Tensor, shape: tuple, inferred: int = -1) -> Tensor:
    """`x` under another shape: a view where torch has one, else a copy."""
    old = plain_shape(x)
    if len(shape) == len(old) and all(map(dims.equal_always, shape, old)):
        return alias(x)
    out = reshaped(x, shape, inferred=inferred)
    if x._view is not None and _views.viewed_strides(old, _views.strides_of(x), shape) is None:
        return out
    out._view = View(
        x,
        lambda base: _reshape_to(base, shape),
        lambda base, new: _reshape_to(new, base.shape),
        lambda strides: _views.viewed_strides(old, strides, shape) or [],
    )
    return out


@word("torch.reshape")
def reshape(input: Tensor, shape: Sequence[int]) -> Tensor:
    """The same elements under another shape; one size may be -1.

    Raises: RuntimeError where the number of elements differs.
    """
    return viewed(input, *complete(plain_shape(input), sizes_of((shape,), "reshape", "shape")))


@word("Tensor.reshape")
def reshape_method(self: Tensor, *sizes: Any, **named: Any) -> Tensor:
    """`reshape`, the sizes one by one or as a tuple."""
    return viewed(self, *complete(plain_shape(self), spread(sizes, named, "reshape", "shape")))


# Element types of one byte each: reading the bytes as the other is what Cast does.
_BYTES = (dtypes.bool_, dtypes.uint8, dtypes.int8)


@word("Tensor.view")
def view(self: Tensor, *sizes: Any, dtype: dtype | None = None, **named: Any) -> Tensor:
    """The same elements under another shape, or (`dtype`) the same bytes as another type.

    Differs: where torch refuses because strides don't allow a view, this copies.
    Raises: NotImplementedError for a type whose bytes ONNX cannot reinterpret.
    """
    if dtype is not None:
        return _view_as_type(self, dtype)
    if len(sizes) == 1 and isinstance(sizes[0], dtypes.dtype):
        return _view_as_type(self, sizes[0])
    return viewed(self, *complete(plain_shape(self), spread(sizes, named, "view", "size")))


def _view_as_type(x: Tensor, kind: dtype) -> Tensor:
    if kind is x._dtype:
        return alias(x)
    if x._dtype in _BYTES and kind in _BYTES:
        out, old = _cast_to(x, kind), x._dtype
        out._view = View(
            x, lambda base: _cast_to(base, kind), lambda base, new: _cast_to(new, old), lambda strides: strides
        )
        return out
    raise unsupported(
        "view", f"reading the bytes of {x._dtype} as {kind}", "another shape; between bool, uint8 and int8"
    )


@speaking
def _cast_to(x: Tensor, kind: dtype) -> Tensor:
    return cast(x, kind)


@word("Tensor.view_as")
def view_as(self: Tensor, other: Tensor) -> Tensor:
    """`view` with the shape of `other`."""
    return viewed(self, *complete(self.shape, other.shape))


@word("Tensor.reshape_as")
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """`reshape` with the shape of `other`."""
    return viewed(self, *complete(self.shape, other.shape))


@word("torch.flatten", "Tensor.flatten")
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Axes `start_dim` to `end_dim` as one.

    Shapes: (a, b, c, d) from 1 to 2 gives (a, b * c, d).
    """
    shape = plain_shape(input)
    rank = len(shape)
    first, last = axis_of(start_dim, rank), axis_of(end_dim, rank)
    if first > last:
        raise ShapeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if rank == 0:
        return viewed(input, (1,))
    if first == last:
        return alias(input)
    return viewed(input, (*shape[:first], dims.product(shape[first : last + 1]), *shape[last + 1 :]), first)


@word("torch.ravel", "Tensor.ravel")
def ravel(input: Tensor) -> Tensor:
    """All axes as one."""
    return viewed(input, (dims.product(input.shape),), 0)


@word("torch.unflatten")
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One axis cut into several; one of `sizes` may be -1."""
    return _unflattened(input, dim, sizes)


@word("Tensor.unflatten")
def unflatten_method(self: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """`unflatten`."""
    return _unflattened(self, dim, sizes)


def _unflattened(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    shape = input.shape
    axis = axis_of(dim, len(shape))
    sizes = sizes_of((sizes,), "unflatten", "sizes")
    if not sizes:
        raise ShapeError("unflatten: sizes must be non-empty")
    try:
        inner, hole = complete(shape[axis : axis + 1], sizes)
    except ShapeError as error:
        if "only one" in error.args[0]:
            raise
        raise ShapeError(
            f"unflatten: Provided sizes {plain(sizes)} don't multiply up to the size of dim {axis} "
            f"({int(shape[axis])}) in the input tensor"
        ) from None
    return viewed(input, (*shape[:axis], *inner, *shape[axis + 1 :]), axis + hole if hole >= 0 else -1)


# --- axes of size 1


@speaking
def _squeeze(x: Tensor, axes: tuple) -> Tensor:
    return _views.squeezed(x, axes)


@speaking
def _unsqueeze(x: Tensor, axes: tuple) -> Tensor:
    return _views.unsqueezed(x, axes)


def _is_one(size: int) -> bool:
    """Whether an axis has size 1 now; a symbolic one holds for that answer only, which is noted."""
    if type(size) is not Dim:
        return size == 1
    if int(size) == 1:
        current().fix(size, "squeeze removes axes of size 1")
    elif dims.least(dims.add(size.expr, dims.constant(2), sign=-1)) < 0:
        _views.note(f"{dims.text(size.expr)} != 1 (squeeze removes axes of size 1)")
    return int(size) == 1


@word("torch.squeeze", "Tensor.squeeze")
def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """`input` without its axes of size 1: all, or those named by `dim`."""
    shape = input.shape
    rank = len(shape)
    if dim is None:
        wanted = list(range(rank))
    elif isinstance(dim, int):
        wanted = [axis_of(dim, rank)]
    else:
        wanted = [axis_of(d, rank) for d in dim]
        for axis in wanted:
            if wanted.count(axis) > 1:
                raise ShapeError(f"dim {axis} appears multiple times in the list of dims")
    axes = tuple(a for a in sorted(wanted) if a < rank and _is_one(shape[a]))
    if not axes:
        return alias(input)
    out = _views.squeezed(input, axes)
    out._view = View(
        input,
        lambda base: _squeeze(base, axes),
        lambda base, new: _unsqueeze(new, axes),
        lambda strides: [s for a, s in enumerate(strides) if a not in axes],
    )
    return out


@word("torch.unsqueeze", "Tensor.unsqueeze")
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """`input` with one more axis of size 1 at `dim` of the result."""
    axis = axis_of(dim, len(input._shape) + 1)
    out = _views.unsqueezed(input, (axis,))
    out._view = View(
        input,
        lambda base: _unsqueeze(base, (axis,)),
        lambda base, new: _squeeze(new, (axis,)),
        lambda strides: [*strides[:axis], 1, *strides[axis:]],
    )
    return out


# --- as one axis more at least


def _atleast(function: Callable[[Tensor], Tensor], tensors: tuple) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return function(tensors[0])
    if len(tensors) == 1:
        tensors = tuple(tensors[0])
    return tuple(function(t) for t in tensors)


@word("torch.atleast_1d")
def atleast_1d(*tensors: Any) -> Any:
    """Tensors with one axis at least."""
    return _atleast(lambda x: x if x._shape else viewed(x, (1,)), tensors)


@word("torch.atleast_2d")
def atleast_2d(*tensors: Any) -> Any:
    """Tensors with two axes at least; a vector becomes a row."""
    return _atleast(as_matrix, tensors)


def as_matrix(x: Tensor) -> Tensor:
    if len(x._shape) >= 2:
        return x
    return unsqueeze(x, 0) if x._shape else viewed(x, (1, 1))


@word("torch.atleast_3d")
def atleast_3d(*tensors: Any) -> Any:
    """Tensors with three axes at least; a vector lies along the second, a matrix along the first two."""

    def one(x: Tensor) -> Tensor:
        rank = len(x._shape)
        if rank >= 3:
            return x
        if rank == 2:
            return unsqueeze(x, 2)
        return viewed(x, (1, x.shape[0], 1) if rank else (1, 1, 1))

    return _atleast(one, tensors)


@word("torch.as_strided", "Tensor.as_strided")
def as_strided(input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Tensor:
    """Refused: a graph has no memory to stride over."""
    raise unsupported("as_strided", "memory layout", "unfold, diagonal, slices and index tensors")
