"""Tensors joined and taken apart: cat, stack, split, chunk, unbind and their kin. Pieces are views."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dim import Dim
from mcore.platform.errors import ShapeError
from mcore.platform.graph import current
from mcore.platform.tensor import Tensor, emit, emit_many
from mcore.platform.word import view_of, word
from mcore.platform.words._common import axis_of, cast, plain, same_shape
from mcore.platform.words._plan import Cut, Plan, clamped
from mcore.platform.words._views import alias, note, plain_shape, resized, same_value, unsqueezed
from mcore.platform.words.assigning import write_basic
from mcore.platform.words.indexing import Reading, basic_strides, basic_view, slice_view
from mcore.platform.words.shape import as_matrix, sizes_of, viewed

# --- joining


def _tensors(given: Any, name: str) -> list[Tensor]:
    if isinstance(given, Tensor):
        raise TypeError(f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor")
    found = list(given)
    for k, tensor in enumerate(found):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"expected Tensor as element {k} in argument 0, but got {type(tensor).__name__}")
    return found


def _promoted(tensors: list[Tensor]) -> list[Tensor]:
    """Tensors in their common type."""
    kind = tensors[0]._dtype
    if all(t._dtype is kind for t in tensors):
        return tensors
    kind = dtypes.result_type_of([(t._dtype, len(t._shape)) for t in tensors], [])
    return [cast(t, kind) for t in tensors]


def _check_sizes(tensors: list[Tensor], shape: Sequence[int], axis: int, first: int) -> None:
    for k, tensor in enumerate(tensors):
        if len(tensor._shape) != len(shape):
            raise ShapeError(f"Tensors must have same number of dimensions: got {len(shape)} and {len(tensor._shape)}")
        for d, (a, b) in enumerate(zip(shape, plain_shape(tensor), strict=True)):
            if a is not b and d != axis and int(a) != int(b):
                raise ShapeError(
                    f"Sizes of tensors must match except in dimension {axis}. Expected size {int(a)} but got size "
                    f"{int(b)} for tensor number {first + k} in the list."
                )


def _joined(tensors: list[Tensor], dim: int) -> Tensor:
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    for k, tensor in enumerate(tensors):
        if not tensor._shape:
            raise ShapeError(f"zero-dimensional tensor (at position {k}) cannot be concatenated")
    tensors = _promoted(tensors)
    # A vector of no elements joins with anything: torch's legacy.
    full = [t for t in tensors if len(t._shape) != 1 or type(t._shape[0]) is Dim or t._shape[0] != 0]
    if not full:
        return same_value(tensors[0])
    shape = plain_shape(full[0])
    axis = axis_of(dim, len(shape))
    if len(full) == 1:
        return same_value(full[0])
    _check_sizes(full, shape, axis, next(k for k, t in enumerate(tensors) if t is full[0]))
    size: int = 0
    for tensor in full:
        size = plain_shape(tensor)[axis] + size
    return emit("Concat", full, resized(shape, axis, size), full[0]._dtype, axis=axis)


@word("torch.cat", "torch.concat", "torch.concatenate")
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors one after another along an existing axis, in their common type.

    Raises: RuntimeError where another axis differs; ValueError for an empty list.
    """
    return _joined(_tensors(tensors, "cat"), dim)


@word("torch.stack")
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape side by side along a new axis, in their common type."""
    found = _tensors(tensors, "stack")
    if not found:
        raise RuntimeError("stack expects a non-empty TensorList")
    shape = found[0].shape
    axis = axis_of(dim, len(shape) + 1)
    for k, tensor in enumerate(found):
        if not same_shape(tensor.shape, shape):
            raise ShapeError(
                f"stack expects each tensor to be equal size, but got {plain(shape)} at entry 0 and "
                f"{plain(tensor.shape)} at entry {k}"
            )
    return _joined([unsqueezed(t, [axis]) for t in found], axis)


def _at_least(tensors: Any, name: str, rank: int) -> list[Tensor]:
    found = _tensors(tensors, name)
    if not found:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    if rank == 1:
        return [t if t._shape else viewed(t, (1,)) for t in found]
    return [as_matrix(t) for t in found]


@word("torch.hstack")
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors side by side: along the second axis, vectors along their only one."""
    found = _at_least(tensors, "hstack", 1)
    return _joined(found, 0 if len(found[0]._shape) == 1 else 1)


@word("torch.vstack", "torch.row_stack")
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors on top of each other: along the first axis, vectors as rows."""
    return _joined(_at_least(tensors, "vstack", 2), 0)


@word("torch.dstack")
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors behind each other: along the third axis."""
    found = _at_least(tensors, "dstack", 2)
    return _joined([unsqueezed(t, [2]) if len(t._shape) == 2 else t for t in found], 2)


@word("torch.column_stack")
def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors side by side along the second axis, vectors as columns."""
    found = _at_least(tensors, "column_stack", 1)
    return _joined([unsqueezed(t, [1]) if len(t._shape) == 1 else t for t in found], 1)


# --- taking apart


def _piece(x: Tensor, result: Tensor, axis: int, start: int, size: int) -> Tensor:
    """Marks one output of a Split as the slice of `x` that it is."""
    plan = Plan()
    plan.cuts.append(Cut(axis, start, size, 1, start, start + size, dropped=False))
    return view_of(x, result, Reading(plan), lambda base, new: write_basic(base, new, plan), basic_strides(plan))


def pieces(x: Tensor, axis: int, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """Consecutive pieces of these sizes along one axis, which they fill, by one Split."""
    if len(sizes) == 1:
        return (alias(x),)
    shape, kind = plain_shape(x), x._dtype
    outputs = [(resized(shape, axis, size), kind) for size in sizes]
    found = emit_many("Split", [x, current().ints(sizes)], outputs, axis=axis)
    out, start = [], 0
    for result, size in zip(found, sizes, strict=True):
        out.append(_piece(x, result, axis, start, size))
        start = start + size
    return tuple(out)


def _needs_axis(x: Tensor, name: str) -> None:
    if not x._shape:
        raise ShapeError(f"{name} expects at least a 1-dimensional tensor")


def _equal_pieces(x: Tensor, size: int, axis: int) -> tuple[Tensor, ...]:
    """Pieces of one size, the last one of what is left."""
    length = x.shape[axis]
    if int(size) < 0:
        raise ShapeError(f"split expects split_size be non-negative, but got split_size={int(size)}")
    if int(size) == 0:
        if int(length) != 0:
            raise ShapeError(
                f"split_size can only be 0 if dimension size is 0, but got dimension size of {int(length)}"
            )
        return (alias(x),)
    count = max(current().fix((length + size - 1) // size, "split gives as many pieces as there are"), 1)
    return pieces(x, axis, [size] * (count - 1) + [length - size * (count - 1)])


def _given_pieces(x: Tensor, sizes: Sequence[int], axis: int) -> tuple[Tensor, ...]:
    if any(int(n) < 0 for n in sizes):
        raise ShapeError(
            f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={plain(sizes)}"
        )
    if sum(plain(sizes)) != int(x.shape[axis]):
        raise ShapeError(
            f"split_with_sizes expects split_sizes to sum exactly to {int(x.shape[axis])} (input tensor's size at "
            f"dimension {axis}), but got split_sizes={plain(sizes)}"
        )
    return pieces(x, axis, sizes)


def _split(x: Tensor, given: Any, dim: int) -> tuple[Tensor, ...]:
    _needs_axis(x, "split")
    axis = axis_of(dim, len(x._shape))
    if isinstance(given, int):
        return _equal_pieces(x, given, axis)
    return _given_pieces(x, sizes_of((given,), "split", "split_sizes"), axis)


@word("torch.split")
def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of one size (the last may be smaller), or of the sizes given."""
    return _split(tensor, split_size_or_sections, dim)


@word("Tensor.split")
def split_method(self: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """`split`."""
    return _split(self, split_size, dim)


@word("torch.unsafe_split", "Tensor.unsafe_split")
def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`split` by one size."""
    return _split(input, split_size, dim)


@word(
    "torch.split_with_sizes", "Tensor.split_with_sizes", "torch.unsafe_split_with_sizes",
    "Tensor.unsafe_split_with_sizes",
)  # fmt: skip
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """`split` by the sizes given."""
    _needs_axis(input, "split")
    axis = axis_of(dim, len(input._shape))
    return _given_pieces(input, sizes_of((split_sizes,), "split_with_sizes", "split_sizes"), axis)


def _always_as_many(length: int, size: int, chunks: int) -> bool:
    """Whether every size of the axis gives `chunks` pieces: from chunks * (chunks - 1) elements on it does."""
    if type(length) is not Dim or dims.equal_always(size * chunks, length):
        return True
    return dims.never_above(chunks * (chunks - 1), length)


@word("torch.chunk", "Tensor.chunk", "torch.unsafe_chunk", "Tensor.unsafe_chunk")
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces, all of ceil(n / chunks) elements but the last, which may be smaller."""
    _needs_axis(input, "chunk")
    if int(chunks) <= 0:
        raise ShapeError(f"chunk expects `chunks` to be greater than 0, got: {int(chunks)}")
    axis = axis_of(dim, len(input._shape))
    length = input.shape[axis]
    size = (length + chunks - 1) // chunks
    if int(size) == 0:
        return pieces(input, axis, [0] * int(chunks))
    count = -(-int(length) // int(size))
    if not _always_as_many(length, size, int(chunks)):
        note(f"chunk({int(chunks)}) of {dims.text(dims.expr_of(length))} gives {count} pieces")
    if count == 1:
        return (alias(input),)
    last = length - size * (count - 1)
    return pieces(input, axis, [size] * (count - 1) + [last])


def _sections(x: Tensor, sections: int, axis: int) -> tuple[Tensor, ...]:
    if int(sections) <= 0:
        raise ShapeError(f"number of sections must be larger than 0, got {int(sections)}")
    length = x.shape[axis]
    # The first n % sections pieces have one element more.
    return pieces(x, axis, [(length + int(sections) - 1 - k) // sections for k in range(int(sections))])


def _tensor_split(x: Tensor, given: Any, dim: int) -> tuple[Tensor, ...]:
    if not x._shape:
        raise ShapeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    axis = axis_of(dim, len(x._shape))
    if isinstance(given, Tensor):
        if given._dtype is not dtypes.int64 or len(given._shape) > 1:
            raise ShapeError("tensor_split expected tensor_indices_or_sections to be a long tensor of at most one axis")
        given = given.tolist()
    if isinstance(given, int):
        return _sections(x, given, axis)
    length, out = x.shape[axis], []
    bounds = [0, *sizes_of((given,), "tensor_split", "indices"), length]
    for low, high in itertools.pairwise(bounds):
        first, last = clamped(low, length, 0), clamped(high, length, length)
        out.append(slice_view(x, axis, first, dims.dim_max(last - first, 0)))
    return tuple(out)


@word("torch.tensor_split", "Tensor.tensor_split")
def tensor_split(
    input: Tensor, indices_or_sections: Any = None, dim: int = 0, *, sections: Any = None, indices: Any = None
) -> tuple[Tensor, ...]:
    """Pieces as equal as can be, or cut before the places given."""
    given = next((g for g in (indices_or_sections, sections, indices) if g is not None), None)
    return _tensor_split(input, given, dim)


def _split_axis(x: Tensor, given: Any, name: str, rank: int, axis: int) -> tuple[Tensor, ...]:
    if len(x._shape) < rank:
        raise ShapeError(
            f"torch.{name} requires a tensor with at least {rank} dimension, but got a tensor with {len(x._shape)} "
            "dimensions!"
        )
    if isinstance(given, int) and int(x.shape[axis]) % int(given):
        raise ShapeError(
            f"torch.{name} attempted to split along dimension {axis}, but the size of the dimension "
            f"{int(x.shape[axis])} is not divisible by the split_size {int(given)}!"
        )
    return _tensor_split(x, given, axis)


@word("torch.hsplit", "Tensor.hsplit")
def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along the second axis, of a vector along its only one."""
    return _split_axis(input, indices_or_sections, "hsplit", 1, 0 if len(input._shape) == 1 else 1)


@word("torch.vsplit", "Tensor.vsplit")
def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along the first axis."""
    return _split_axis(input, indices_or_sections, "vsplit", 2, 0)


@word("torch.dsplit", "Tensor.dsplit")
def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along the third axis."""
    return _split_axis(input, indices_or_sections, "dsplit", 3, 2)


@word("torch.unbind", "Tensor.unbind")
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All elements of one axis, each without it."""
    if not input._shape:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    axis = axis_of(dim, len(input._shape))
    count = current().fix(input.shape[axis], "unbind gives as many tensors as the axis has elements")
    out = []
    for k in range(count):
        plan = Plan()
        plan.cuts.append(Cut(axis, k, 1, 1, k, k + 1, dropped=True))
        out.append(basic_view(input, plan))
    return tuple(out)
