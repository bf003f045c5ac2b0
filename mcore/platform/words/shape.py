"""Words that look at the same elements under another shape, order or repetition: reshape, permute, expand.

All are views as torch's are. Symbolic sizes stay symbolic: what keeps its place is copied by the runtime (0), one
size is left to it (-1), only the rest is computed.
"""

from __future__ import annotations

import functools
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
from mcore.platform.word import publish, word
from mcore.platform.words import _views
from mcore.platform.words._common import axis_of, broadcast, cast, plain
from mcore.platform.words._views import alias, expanded, reshaped, speaking, transposed


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
            f"{name}(): argument '{argument}' must be tuple of ints, but found element of type {kind} "
            f"at pos {position}"
        ) from None


# --- reshape and its kin


def complete(old: Sequence[int], sizes: Sequence[int]) -> tuple[tuple, int]:
    """The new shape with -1 filled in, and the axis where it stood (or -1)."""
    hole, known = -1, 1
    for k, size in enumerate(sizes):
        number = int(size)
        if number >= 0:
            known *= number
        elif number != -1:
            raise ShapeError(f"invalid shape dimension {number} at index {k} of shape {plain(sizes)}")
        elif hole >= 0:
            raise ShapeError("only one dimension can be inferred")
        else:
            hole = k
    total = 1
    for size in old:
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
    rest = [*sizes[:hole], *sizes[hole + 1 :]]
    return (*sizes[:hole], _quotient(old, rest), *sizes[hole + 1 :]), hole


def _quotient(numerator: Sequence[int], denominator: Sequence[int]) -> int:
    """Product over product; equal symbolic sizes cancel first, so that the rest stays short."""
    if not dims.is_symbolic(numerator) and not dims.is_symbolic(denominator):
        return int(dims.product(numerator)) // int(dims.product(denominator))
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
    old = x.shape
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
    return viewed(input, *complete(input.shape, sizes_of((shape,), "reshape", "shape")))


@word("Tensor.reshape")
def reshape_method(self: Tensor, *sizes: Any, **named: Any) -> Tensor:
    """`reshape`, the sizes one by one or as a tuple."""
    return viewed(self, *complete(self.shape, spread(sizes, named, "reshape", "shape")))


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
    return viewed(self, *complete(self.shape, spread(sizes, named, "view", "size")))


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
    shape = input.shape
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
        lambda base, new: _transpose(new, _views.inverse(order)),
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
    order = tuple([axis_of(d, rank) for d in dims_])
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
        raise ShapeError(
            f"tensor.{name} is only supported on matrices or batches of matrices. Got {rank}-D tensor."
        )
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
        raise ShapeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {rank}-D tensor.{hint}"
        )
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


@word("torch.as_strided", "Tensor.as_strided")
def as_strided(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """Refused: a graph has no memory to stride over."""
    raise unsupported("as_strided", "memory layout", "unfold, diagonal, slices and index tensors")


# --- repetition without memory


def _expanded_view(x: Tensor, shape: tuple) -> Tensor:
    out = expanded(x, shape)
    if out is x:
        return alias(x)
    old = x.shape

    def write(base: Tensor, new: Tensor) -> Tensor:
        if dims.product(map(int, shape)) == dims.product(map(int, old)):  # nothing came to stand twice
            return _reshape_to(new, base.shape)
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory "
            "location. Please clone() the tensor before performing the operation."
        )

    def strides(given: list[int]) -> list[int]:
        lead = len(shape) - len(old)
        kept = [
            0 if int(n) == 1 and int(shape[lead + k]) != 1 else s
            for k, (s, n) in enumerate(zip(given, old, strict=True))
        ]
        return [0] * lead + kept

    out._view = View(x, lambda base: _expand(base, shape), write, strides)
    return out


@speaking
def _expand(x: Tensor, shape: tuple) -> Tensor:
    return expanded(x, shape)


def expand_shape(x: Tensor, sizes: Sequence[int]) -> tuple:
    """What `expand` to `sizes` gives, -1 filled in. Raises RuntimeError in torch's words."""
    old = x.shape
    lead = len(sizes) - len(old)
    if lead < 0:
        raise ShapeError(
            f"expand(torch.{x._dtype.title}Tensor{{{plain(old)}}}, size={plain(sizes)}): the number of sizes "
            f"provided ({len(sizes)}) must be greater or equal to the number of dimensions in the tensor ({len(old)})"
        )
    out = []
    for k, size in enumerate(sizes):
        if k < lead:
            if int(size) < 0:
                raise ShapeError(
                    f"The expanded size of the tensor ({int(size)}) isn't allowed in a leading, non-existing "
                    f"dimension {k}"
                )
            out.append(size)
        elif int(size) == -1:
            out.append(old[k - lead])
        elif int(size) == int(old[k - lead]) or (int(old[k - lead]) == 1 and int(size) >= 0):
            out.append(size if type(size) is Dim or int(size) != int(old[k - lead]) else old[k - lead])
        else:
            raise ShapeError(
                f"The expanded size of the tensor ({int(size)}) must match the existing size "
                f"({int(old[k - lead])}) at non-singleton dimension {k}.  Target sizes: {plain(sizes)}.  "
                f"Tensor sizes: {plain(old)}"
            )
    return tuple(out)


@word("Tensor.expand")
def expand(self: Tensor, *sizes: Any, implicit: bool = False, **named: Any) -> Tensor:
    """`self` repeated along axes of size 1 and along new leading axes; -1 keeps a size."""
    return _expanded_view(self, expand_shape(self, spread(sizes, named, "expand", "size")))


@word("Tensor.expand_as")
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """`expand` to the shape of `other`."""
    return _expanded_view(self, expand_shape(self, other.shape))


@word("torch.broadcast_to", "Tensor.broadcast_to")
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """`expand` by numpy's name."""
    return _expanded_view(input, expand_shape(input, sizes_of((size,), "broadcast_to", "size")))


@word("torch.broadcast_tensors")
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Tensors expanded to their common shape."""
    if len(tensors) == 1 and isinstance(tensors[0], tuple | list):
        tensors = tuple(tensors[0])
    shape = broadcast(*(t.shape for t in tensors))
    return tuple(_expanded_view(t, shape) for t in tensors)


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
    return _atleast(_as_matrix, tensors)


def _as_matrix(x: Tensor) -> Tensor:
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
