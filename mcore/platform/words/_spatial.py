"""What the words over spatial axes share: sizes as tuples, batches of one, tables.

Tables (which input index an output takes, how much of it) follow from sizes. `calc` computes them with numpy
while all sizes are plain numbers, so a constant goes into the graph, and emits the same operators where one
is symbolic.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dim import Dim
from mcore.platform.dtypes import dtype
from mcore.platform.tensor import Tensor, constant, emit, ints
from mcore.platform.words._common import broadcast
from mcore.platform.words._pieces import counted, permute, reshape, squeeze, take, unsqueeze

# A table: an array while its sizes are known, else a recorded tensor.
Table = Any

NUMPY: dict[str, Any] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Floor": np.floor, "Abs": np.abs,
    "Max": np.maximum, "Min": np.minimum,
    "Equal": np.equal, "Less": np.less, "Where": np.where, "Sin": np.sin,
    "GreaterOrEqual": np.greater_equal, "And": np.logical_and,
}  # fmt: skip
TESTS = frozenset(("Equal", "Less", "GreaterOrEqual", "And"))

# torch's names of element types in its messages.
LEGACY_NAMES = {
    "bool": "Bool", "uint8": "Byte", "int8": "Char", "int16": "Short", "int32": "Int", "int64": "Long",
    "float16": "Half", "bfloat16": "BFloat16", "float32": "Float", "float64": "Double",
}  # fmt: skip


def calc(op: str, *values: Table) -> Table:
    """One elementwise operator on tables; integer Div is of non-negative numbers, so it floors in both."""
    if not any(isinstance(v, Tensor) for v in values):
        if op == "Div":
            return values[0] // values[1] if values[0].dtype.kind == "i" else values[0] / values[1]
        return NUMPY[op](*values)
    tensors = [v if isinstance(v, Tensor) else constant(v) for v in values]
    kind = dtypes.bool_ if op in TESTS else tensors[-1]._dtype
    return emit(op, tensors, broadcast(*[t.shape for t in tensors]), kind)


def calc_sum(table: Table, axis: int) -> Table:
    """Sum over one axis, which stays with size 1."""
    if not isinstance(table, Tensor):
        return table.sum(axis, keepdims=True, dtype=table.dtype)
    shape = tuple([1 if k == axis else s for k, s in enumerate(table.shape)])
    return emit("ReduceSum", [table, constant(np.array([axis]))], shape, table._dtype)


def calc_cast(table: Table, kind: dtype) -> Table:
    """A table in another element type."""
    if not isinstance(table, Tensor):
        return table.astype(kind.numpy)
    return table if table._dtype is kind else emit("Cast", [table], table.shape, kind, to=kind.onnx)


def amount(size: Any, kind: dtype = dtypes.int64) -> Table:
    """One size, or a number, as a table that broadcasts."""
    if type(size) is not Dim:
        return np.asarray(size, kind.numpy)
    return calc_cast(ints([size]), kind)


def span(size: int, kind: dtype = dtypes.int64) -> Table:
    """`0, 1, ..., size - 1`."""
    return calc_cast(counted(size) if type(size) is Dim else np.arange(int(size)), kind)


def column(table: Table) -> Table:
    """(n,) as (n, 1)."""
    return unsqueeze(table, 1) if isinstance(table, Tensor) else table[:, None]


def row(table: Table) -> Table:
    """(n,) as (1, n)."""
    return unsqueeze(table, 0) if isinstance(table, Tensor) else table[None]


def tabled(table: Table) -> Tensor:
    """A table as a tensor of the graph."""
    return table if isinstance(table, Tensor) else constant(table)


def transposed(table: Table) -> Table:
    """A two-axis table turned over."""
    return permute(table, (1, 0)) if isinstance(table, Tensor) else np.ascontiguousarray(table.T)


def always_equal(a: int, b: int) -> bool:
    """Whether two sizes are equal at every size of the graph, not only now."""
    if type(a) is Dim or type(b) is Dim:
        return dims.expr_of(a) == dims.expr_of(b)
    return a == b


# --- axes


def along(x: Tensor, matrix: Table, axis: int) -> Tensor:
    """`matrix`, (out, in), applied along an axis of `x`: one MatMul."""
    rank, shape = x.ndim, x.shape
    result = (*shape[:axis], matrix.shape[0], *shape[axis + 1 :])
    if axis == rank - 1:
        return emit("MatMul", [x, tabled(transposed(matrix))], result, x._dtype)
    if axis == rank - 2:
        return emit("MatMul", [tabled(matrix), x], result, x._dtype)
    flat = reshape(x, (*shape[: axis + 1], dims.product(shape[axis + 1 :])))
    flat = emit("MatMul", [tabled(matrix), flat], (*result[: axis + 1], flat.shape[-1]), x._dtype)
    return reshape(flat, result)


def pick(x: Tensor, indices: Table, axis: int) -> Tensor:
    """`x` at `indices` (one axis) along an axis. Gather copies whole rows fast and single numbers slowly."""
    last = x.ndim - 1
    if axis != last or not last:
        return take(x, tabled(indices), axis)
    order = (*range(last - 1), last, last - 1)
    return permute(take(permute(x, order), tabled(indices), last - 1), order)


# --- arguments


def numbers(value: Any, count: int, complaint: str) -> tuple:
    """A number `count` times, or `count` numbers; one number in a sequence counts for all."""
    if isinstance(value, int | np.integer):
        return (value,) * count
    value = tuple(value)
    if len(value) == count:
        return value
    if len(value) == 1:
        return value * count
    raise RuntimeError(complaint)


def batch_of_one(x: Tensor, rank: int) -> tuple[Tensor, bool]:
    """An unbatched input as a batch of one, and whether it was unbatched."""
    return (unsqueeze(x, 0), True) if x.ndim == rank - 1 else (x, False)


def unbatched(x: Tensor, alone: bool) -> Tensor:
    """Ends what `batch_of_one` began."""
    return squeeze(x, 0) if alone else x


def refuse_integers(x: Tensor, word: str) -> None:
    """Raises NotImplementedError in torch's words unless `x` is of a float type."""
    if not x._dtype.is_floating_point:
        raise NotImplementedError(f"\"{word}\" not implemented for '{LEGACY_NAMES[x._dtype.name]}'")


def like(x: Tensor, other: Tensor) -> Tensor:
    """`x` in the shape of `other`, read off it in the graph where more than one size is symbolic."""
    shape = other.shape
    if sum(type(s) is Dim for s in shape[1:]) < 2:
        return reshape(x, shape)
    sizes = emit("Shape", [other], (len(shape),), dtypes.int64)
    return emit("Reshape", [x, sizes], shape, x._dtype)


def per_channel(values: Tensor, rank: int) -> Tensor:
    """(channels,) so that it broadcasts over (batch, channels, ...)."""
    return reshape(values, (values.shape[0], *(1,) * (rank - 2)))
