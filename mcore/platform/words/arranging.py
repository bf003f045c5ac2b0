"""Words that lay elements out anew: repeat, roll, flip, sliding windows, diagonals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dim import Dim, product
from mcore.platform.errors import ShapeError
from mcore.platform.tensor import Tensor, constant, emit, ints, unknown_sizes
from mcore.platform.word import view_of, word
from mcore.platform.words._common import as_tensor, axis_of, cast, plain
from mcore.platform.words._views import (
    BEFORE_START,
    END,
    counting,
    cut,
    expanded,
    inverse,
    joined,
    reshaped,
    resized,
    same_value,
    sliced,
    speaking,
    transposed,
    unsqueezed,
)  # fmt: skip
from mcore.platform.words.shape import sizes_of, spread

# --- repetition


def _repeated(x: Tensor, repeats: Sequence[int]) -> Tensor:
    lead = len(repeats) - len(x._shape)
    if lead < 0:
        raise ShapeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    old = (1,) * lead + tuple(x.shape)
    shape = tuple(n * r for n, r in zip(old, repeats, strict=True))
    for size in shape:
        if int(size) < 0:
            raise ShapeError(f"Trying to create tensor with negative dimension {int(size)}: {plain(shape)}")
    if lead:
        x = unsqueezed(x, range(lead))
    if all(type(r) is not Dim and r == 1 for r in repeats):
        return same_value(x)
    return emit("Tile", [x, ints(repeats)], shape, x._dtype)


@word("Tensor.repeat")
def repeat(self: Tensor, *times: Any, **named: Any) -> Tensor:
    """`self` laid side by side so many times along each axis, new leading axes included."""
    return _repeated(self, spread(times, named, "repeat", "repeats"))


def _tiled(x: Tensor, repeats: Sequence[int]) -> Tensor:
    return _repeated(x, (1,) * (len(x._shape) - len(repeats)) + tuple(repeats))


@word("torch.tile")
def tile(input: Tensor, dims: Sequence[int]) -> Tensor:
    """`repeat`, where axes that `dims` leaves out are the leading ones."""
    return _tiled(input, sizes_of((dims,), "tile", "dims"))


@word("Tensor.tile")
def tile_method(self: Tensor, *times: Any, **named: Any) -> Tensor:
    """`tile`, the repeats one by one or as a tuple."""
    return _tiled(self, spread(times, named, "tile", "dims"))


@word("torch.repeat_interleave", "Tensor.repeat_interleave")
def repeat_interleave(
    input: Tensor, repeats: int | Tensor | None = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element `repeats` times in a row; a tensor gives each element a count of its own.

    With one tensor alone, that is the counts, and the result says which element stands where. Without
    `output_size` the size of the result depends on data.
    """
    if repeats is None:
        return _which_element(input, output_size)
    x = input
    if dim is None:
        x, dim = reshaped(x, (product(x.shape),)) if len(x._shape) != 1 else x, 0
    axis = axis_of(dim, len(x._shape))
    if not isinstance(repeats, Tensor):
        return _each_repeated(x, repeats, axis)
    size = x.shape[axis]
    if len(repeats._shape) > 1:
        raise ShapeError("repeats must be 0-dim or 1-dim tensor")
    if not repeats._shape or (int(repeats.shape[0]) == 1 and int(size) != 1):
        repeats = expanded(reshaped(repeats, (1,)) if not repeats._shape else repeats, (size,))
    elif int(repeats.shape[0]) != int(size):
        raise ShapeError(
            "repeats must have the same size as input along dim, but got repeats.size(0) = "
            f"{int(repeats.shape[0])} and input.size({axis}) = {int(size)}"
        )
    index = _which_element(repeats, output_size)
    return emit("Gather", [x, index], resized(x.shape, axis, index.shape[0]), x._dtype, axis=axis)


def _each_repeated(x: Tensor, times: int, axis: int) -> Tensor:
    if int(times) < 0:
        raise ShapeError("Repeats must be non-negative")
    shape = x.shape
    if type(times) is not Dim and times == 1:
        return same_value(x)
    wide = expanded(unsqueezed(x, [axis + 1]), (*shape[: axis + 1], times, *shape[axis + 1 :]))
    return reshaped(wide, resized(shape, axis, shape[axis] * times), inferred=axis)


def _which_element(repeats: Tensor, output_size: int | None) -> Tensor:
    """0 repeats[0] times, 1 repeats[1] times, ...: at each place, how many elements have ended before it."""
    if repeats._dtype not in (dtypes.int32, dtypes.int64):
        raise ShapeError("repeats has to be Long or Int tensor")
    if len(repeats._shape) != 1:
        raise ShapeError("repeat_interleave only accept 1D vector as repeat")
    axis = constant(0, dtypes.int64)
    ends = emit("CumSum", [cast(repeats, dtypes.int64), axis], repeats.shape, dtypes.int64)
    total = emit("ReduceSum", [cast(repeats, dtypes.int64)], (1,), dtypes.int64, keepdims=1)
    one = constant([1], dtypes.int64)
    length = emit("Add", [total, one], (1,), dtypes.int64)
    marks = emit("Expand", [constant([0], dtypes.int64), length], (None,), dtypes.int64)
    ones = expanded(one, repeats.shape)
    marks = emit("ScatterElements", [marks, ends, ones], (None,), dtypes.int64, axis=0, reduction="add")
    count = emit("CumSum", [marks, axis], (None,), dtypes.int64)
    index = emit("Slice", [count, constant([0]), total, constant([0])], (output_size,), dtypes.int64)
    if output_size is None:
        unknown_sizes(index)
    return index if repeats._dtype is dtypes.int64 else cast(index, repeats._dtype)


# --- moving round and mirroring


@word("torch.roll", "Tensor.roll")
def roll(input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
    """Elements moved along axes, those that leave at one end entering at the other; without `dims` flattened."""
    moves = sizes_of((shifts,), "roll", "shifts")
    axes = () if dims is None else sizes_of((dims,), "roll", "dims")
    if not axes and len(moves) == 1:
        flat = reshaped(input, (product(input.shape),))
        return reshaped(_rolled(flat, moves[0], 0), input.shape)
    if len(axes) != len(moves):
        raise ShapeError(f"shifts and dimensions must align. shifts: {len(moves)}, dims:{len(axes)}")
    out = input
    for shift, axis in zip(moves, axes, strict=True):
        out = _rolled(out, shift, axis_of(axis, len(input._shape)))
    return same_value(out) if out is input else out


def _rolled(x: Tensor, shift: int, axis: int) -> Tensor:
    if not x._shape:
        return x
    size = x.shape[axis]
    if int(size) == 0:
        return x
    moved = shift % size
    if type(moved) is not Dim and moved == 0:
        return x
    kept = size - moved
    return joined([cut(x, axis, kept, END, moved), cut(x, axis, 0, kept, kept)], axis)


def _flipped(x: Tensor, axes: Sequence[int]) -> Tensor:
    if not axes:
        return same_value(x)
    return sliced(x, [(a, -1, BEFORE_START, -1) for a in axes], x.shape)


def _flip(x: Tensor, given: Sequence[int]) -> Tensor:
    axes = [axis_of(d, len(x._shape)) for d in given]
    for axis in axes:
        if axes.count(axis) > 1:
            raise ShapeError(f"dim {axis} appears multiple times in the list of dims")
    return _flipped(x, axes if x._shape else [])


@word("torch.flip")
def flip(input: Tensor, dims: Sequence[int]) -> Tensor:
    """Elements in reverse order along axes."""
    return _flip(input, sizes_of((dims,), "flip", "dims"))


@word("Tensor.flip")
def flip_method(self: Tensor, *axes: Any, **named: Any) -> Tensor:
    """`flip`, the axes one by one or as a tuple."""
    return _flip(self, spread(axes, named, "flip", "dims"))


@word("torch.fliplr", "Tensor.fliplr")
def fliplr(input: Tensor) -> Tensor:
    """Columns in reverse order."""
    if len(input._shape) < 2:
        raise ShapeError("Input must be >= 2-d.")
    return _flipped(input, [1])


@word("torch.flipud", "Tensor.flipud")
def flipud(input: Tensor) -> Tensor:
    """Rows in reverse order."""
    if not input._shape:
        raise ShapeError("Input must be >= 1-d.")
    return _flipped(input, [0])


@word("torch.rot90", "Tensor.rot90")
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """The plane of two axes turned by `k` right angles, from the first towards the second."""
    rank = len(input._shape)
    if len(dims) != 2:
        raise ShapeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if rank < 2:
        raise ShapeError(f"expected total dims >= 2, but got total dims = {rank}")
    a, b = (axis_of(d, rank) for d in dims)
    if a == b:
        raise ShapeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    k %= 4
    order = list(range(rank))
    order[a], order[b] = b, a
    if k == 1:
        return transposed(_flipped(input, [b]), order)
    if k == 3:
        return transposed(_flipped(input, [a]), order)
    return _flipped(input, [a, b] if k else [])


# --- sliding windows


@speaking
def _windows(x: Tensor, axis: int, size: int, step: int) -> Tensor:
    shape = tuple(x.shape)
    length = shape[axis] if shape else 1
    count = (length - size) // step + 1
    if not shape:
        return reshaped(x, (1,)) if int(size) else sliced(reshaped(x, (1,)), [(0, 0, 0, 1)], (0,))
    whole = (*shape[:axis], count, size, *shape[axis + 1 :])
    if dims.equal_always(size, step) and int(size):
        if not dims.equal_always(count * size, length):
            x = cut(x, axis, 0, count * size, count * size)
        out = reshaped(x, whole)
    else:
        starts = counting(count) if step == 1 else emit("Mul", [counting(count), ints([step])], (count,), dtypes.int64)
        if not dims.is_symbolic((count, step)):
            starts = constant(np.arange(int(count)) * int(step), dtypes.int64)
        if not dims.is_symbolic((count, step, size)):
            index = constant(np.arange(int(count))[:, None] * int(step) + np.arange(int(size)), dtypes.int64)
        else:
            index = emit("Add", [unsqueezed(starts, [1]), counting(size)], (count, size), dtypes.int64)
        out = emit("Gather", [x, index], whole, x._dtype, axis=axis)
    rank = len(whole)
    return transposed(out, [a for a in range(rank) if a != axis + 1] + [axis + 1])


@speaking
def _write_windows(base: Tensor, new: Tensor, axis: int, size: int, step: int) -> Tensor:
    """The base with windows that do not overlap put back."""
    rank = len(new._shape)
    shape = base.shape
    count = new.shape[axis] if shape else 1
    if not shape:
        return reshaped(new, ())
    order = list(range(rank - 1))
    order.insert(axis + 1, rank - 1)
    rows = transposed(new, order)
    gap = step - size
    if int(gap):  # what lies between windows stays
        idle = cut(base, axis, 0, count * step - gap, count * step - gap)
        idle = _windows(_padded_to(idle, axis, count * step), axis, step, step)
        idle = transposed(idle, order)
        idle = cut(idle, axis + 1, size, END, gap)
        rows = joined([rows, idle], axis + 1)
    used = count * step - gap
    flat = reshaped(rows, resized(shape, axis, count * step))
    if int(gap):
        flat = cut(flat, axis, 0, used, used)
    if dims.equal_always(used, shape[axis]):
        return flat
    return joined([flat, cut(base, axis, used, END, shape[axis] - used)], axis)


def _padded_to(x: Tensor, axis: int, size: int) -> Tensor:
    """`x` with copies of its last slice behind it up to `size`; their content is never read."""
    missing = size - x.shape[axis]
    last = cut(x, axis, -1, END, 1)
    return joined([x, expanded(last, resized(x.shape, axis, missing))], axis)


@word("Tensor.unfold")
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` elements, `step` apart, along one axis; the elements of a window are the last axis.

    Shapes: (..., n, ...) gives (..., (n - size) // step + 1, ..., size).
    """
    shape = self.shape
    axis = axis_of(dimension, len(shape))
    length = shape[axis] if shape else 1
    if int(size) < 0:
        raise ShapeError(f"size is {int(size)} but must be >= 0")
    if int(size) > int(length):
        raise ShapeError(f"maximum size for tensor at dimension {axis} is {int(length)} but size is {int(size)}")
    if int(step) <= 0:
        raise ShapeError(f"step is {int(step)} but must be > 0")

    def write(base: Tensor, new: Tensor) -> Tensor:
        if int(step) < int(size):
            raise RuntimeError(
                "unsupported operation: more than one element of the written-to tensor refers to a single memory "
                "location. Please clone() the tensor before performing the operation."
            )
        return _write_windows(base, new, axis, size, step)

    def strides(given: list[int]) -> list[int]:
        if not given:
            return [1]
        return [*given[:axis], given[axis] * int(step), *given[axis + 1 :], given[axis]]

    out = _windows(self, axis, size, step)
    return view_of(self, out, lambda base: _windows(base, axis, size, step), write, strides)


# --- diagonals


def _diagonal_cut(rows: int, columns: int, offset: int) -> tuple[int, int]:
    """Where a diagonal starts in a flattened matrix, and its length."""
    if offset >= 0:
        return offset, dims.dim_max(dims.dim_min(rows, columns - offset), 0)
    return columns * -offset, dims.dim_max(dims.dim_min(rows + offset, columns), 0)


def _last_two(rank: int, a: int, b: int) -> tuple[int, ...]:
    return (*(k for k in range(rank) if k not in (a, b)), a, b)


@speaking
def _read_diagonal(x: Tensor, offset: int, a: int, b: int) -> Tensor:
    x = transposed(x, _last_two(len(x._shape), a, b))
    *lead, rows, columns = x.shape
    start, length = _diagonal_cut(rows, columns, offset)
    if type(length) is not Dim and length == 0:
        return cut(reshaped(x, (*lead, rows * columns)), len(lead), 0, 0, 0)
    flat = reshaped(x, (*lead, rows * columns))
    step = columns + 1
    return sliced(flat, [(len(lead), start, start + length * step, step)], (*lead, length))


@speaking
def _write_diagonal(base: Tensor, new: Tensor, offset: int, a: int, b: int) -> Tensor:
    from mcore.platform.words.assigning import put_slice

    order = _last_two(len(base._shape), a, b)
    x = transposed(base, order)
    *lead, rows, columns = x.shape
    start, length = _diagonal_cut(rows, columns, offset)
    if type(length) is not Dim and length == 0:
        return base
    flat = put_slice(reshaped(x, (*lead, rows * columns)), len(lead), start, length, columns + 1, new)
    return transposed(reshaped(flat, x.shape), inverse(order))


def diagonal_view(x: Tensor, offset: int, dim1: int, dim2: int) -> Tensor:
    """A diagonal as a view; its elements are the last axis."""
    rank = len(x._shape)
    a, b = axis_of(dim1, rank), axis_of(dim2, rank)
    if a == b:
        raise ShapeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")

    def strides(given: list[int]) -> list[int]:
        return [s for k, s in enumerate(given) if k not in (a, b)] + [given[a] + given[b]]

    return view_of(
        x, _read_diagonal(x, offset, a, b), lambda base: _read_diagonal(base, offset, a, b),
        lambda base, new: _write_diagonal(base, new, offset, a, b), strides,
    )  # fmt: skip


@word("torch.diagonal", "Tensor.diagonal")
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The elements of two axes whose indices differ by `offset`, as the last axis."""
    return diagonal_view(input, offset, dim1, dim2)


@word("Tensor.fill_diagonal_")
def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Writes one number onto the main diagonal; with `wrap`, that of a tall matrix begins anew below each square."""
    from mcore.platform.words.assigning import put_slice

    rank, shape = len(self._shape), self.shape
    if rank < 2:
        raise ShapeError("dimensions must larger than 1")
    if rank > 2 and any(int(n) != int(shape[0]) for n in shape):
        raise ShapeError("all dimensions of input must be of equal length")
    step = 1
    for size in shape[:0:-1]:
        step = step * size + 1
    count = dims.dim_min(shape[0], shape[-1])
    total = product(shape)
    if wrap and rank == 2 and int(shape[0]) > int(shape[1]) + 1:
        count = (total + step - 1) // step
    value = expanded(as_tensor(fill_value, self._dtype), (count,))
    flat = put_slice(reshaped(self, (total,)), 0, 0, count, step, value)
    return self._write(reshaped(flat, shape))


@word("linalg.diagonal")
def diagonal_of_matrices(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """`diagonal` of the last two axes."""
    return diagonal_view(A, offset, dim1, dim2)


def _embedded(x: Tensor, offset: int) -> Tensor:
    """The last axis on a diagonal of square matrices of zeros.

    Each element is followed by a row of zeros, so that in the flattened matrix the elements lie `size + 1` apart.
    """
    from mcore.platform.words.padding import padded

    *lead, count = x.shape
    size, rank = count + abs(offset), len(lead)
    start = offset if offset >= 0 else size * -offset
    rows = padded(unsqueezed(x, [rank + 1]), [(rank + 1, 0, size)])
    flat = reshaped(rows, (*lead, count * (size + 1)))
    flat = padded(flat, [(rank, start, size * size - start - count * (size + 1))])
    return reshaped(flat, (*lead, size, size))


@word("torch.diag_embed", "Tensor.diag_embed")
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The last axis laid on a diagonal of matrices of zeros, whose axes are `dim1` and `dim2` of the result."""
    rank = len(input._shape) + 1
    a, b = axis_of(dim1, rank), axis_of(dim2, rank)
    if a == b:
        raise ShapeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    if not input._shape:
        raise IndexError("Dimension out of range (expected to be in range of [-1, 0], but got -2)")
    return transposed(_embedded(input, offset), inverse(_last_two(rank, a, b)))


@word("torch.diag", "Tensor.diag")
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with this diagonal."""
    rank = len(input._shape)
    if rank == 1:
        return _embedded(input, diagonal)
    if rank != 2:
        raise ShapeError(f"diag(): Supports 1D or 2D tensors. Got {rank}D")
    return _read_diagonal(input, diagonal, 0, 1)


@word("torch.diagflat", "Tensor.diagflat")
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix with the flattened elements on a diagonal."""
    return _embedded(reshaped(input, (product(input.shape),)) if len(input._shape) != 1 else input, offset)
