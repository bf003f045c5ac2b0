"""What word files share: bringing arguments to tensors, broadcasting, axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dim import Dim, DimFloat
from mcore.platform.dtypes import dtype
from mcore.platform.errors import ShapeError
from mcore.platform.graph import active, current
from mcore.platform.tensor import Tensor, constant, emit, quotient_tensor, size_tensor

Number = bool | int | float
_NUMBERS = (int, float, np.number, np.bool_)  # bool is an int


def is_number(value: object) -> bool:
    """A bare Python or numpy number (torch's "wrapped number")."""
    return isinstance(value, _NUMBERS)


def as_tensor(value: Any, kind: dtype) -> Tensor:
    """A tensor or number as a tensor of type `kind`; a symbolic size stays symbolic."""
    if isinstance(value, Tensor):
        return cast(value, kind)
    if type(value) is Dim:
        return size_tensor(value, kind)
    if isinstance(value, DimFloat):
        return quotient_tensor(value, kind)
    r = current()
    # 0.0 and -0.0 are equal, so they are told apart by their bytes alone.
    key = ("number", type(value), value, kind) if value else None
    known = r._interned.get(key) if key else None
    if known is not None:
        return Tensor._recorded(r, known, kind, ())
    # Not by asarray(value, dtype): 300 in uint8 wraps around, as in torch.
    array = np.asarray(value).astype(kind.numpy)
    if r.bake_state or r.exporting:
        found = r.constant(array, kind)
        if key:
            r._interned[key] = found
        return Tensor._recorded(r, found, kind, ())
    # Alone, a number is fed like an array: the same session serves every number.
    return Tensor._recorded(r, r.input(array, kind), kind, ())


def cast(x: Tensor, kind: dtype) -> Tensor:
    """`x` in another element type; `x` itself where it has that type."""
    if x._dtype is kind:
        return x
    return emit("Cast", [x], x.shape, kind, to=kind.onnx)


def result_type(*values: Any) -> dtype:
    """torch's result type of tensors and numbers."""
    tensors = [(v._dtype, len(v._shape)) for v in values if isinstance(v, Tensor)]
    scalars = [dtypes.of_scalar(v) for v in values if not isinstance(v, Tensor)]
    return dtypes.result_type_of(tensors, scalars)


def promote(*values: Any) -> tuple[list[Tensor], dtype]:
    """Tensors and numbers brought to their common type."""
    first = values[0]
    both = len(values) == 2 and isinstance(first, Tensor) and isinstance(values[1], Tensor)
    if both and first._dtype is values[1]._dtype:  # by far the most frequent case
        return list(values), first._dtype
    kind = result_type(*values)
    return [as_tensor(v, kind) for v in values], kind


def broadcast(*shapes: Sequence[int]) -> tuple:
    """The common shape, in torch's wording where there is none."""
    if len(shapes) == 2 and shapes[0] == shapes[1]:
        recorder = active.recorder
        if (recorder is not None and not recorder.sources) or not dims.is_symbolic((*shapes[0], *shapes[1])):
            return tuple(shapes[0])
    rank = max(map(len, shapes))
    out: list[int] = [1] * rank
    for shape in shapes:
        for k, size in enumerate(reversed(shape), 1):
            now = out[rank - k]
            if int(size) == int(now) or int(size) == 1:
                # Of two equal sizes keep the symbolic one.
                if type(size) is Dim and type(now) is not Dim and int(size) == int(now):
                    out[rank - k] = size
                continue
            if int(now) != 1:
                raise ShapeError(
                    f"The size of tensor a ({int(now)}) must match the size of tensor b ({int(size)}) "
                    f"at non-singleton dimension {rank - k}"
                )
            out[rank - k] = size
    return tuple(out)


def axis_of(dim: int, rank: int) -> int:
    """A possibly negative axis as 0 <= axis < rank. Raises IndexError in torch's wording."""
    limit = max(rank, 1)
    if not -limit <= dim < limit:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {dim})")
    return int(dim) % limit


def axes_of(dim: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Axes named by `dim` (None or empty: all), sorted. Raises RuntimeError where one comes twice."""
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return tuple(range(rank))
    found = [axis_of(d, rank) for d in ((dim,) if isinstance(dim, int) else dim)]
    if rank == 0:
        return ()
    for axis in found:
        if found.count(axis) > 1:
            raise RuntimeError(f"dim {axis} appears multiple times in the list of dims")
    return tuple(sorted(found))


def same_shape(a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether two shapes are equal now; asked by the library, so no size is noted as compared."""
    return len(a) == len(b) and all(int(x) == int(y) for x, y in zip(a, b, strict=True))


def plain(shape: Sequence[int]) -> list[int]:
    """A shape as plain numbers, for messages."""
    return [int(s) for s in shape]


def tuple_of(value: Any, count: int, name: str) -> tuple:
    """A number repeated `count` times, or the given sequence of that length (or of length 1)."""
    if isinstance(value, int | float):
        return (value,) * count
    value = tuple(value)
    if len(value) == 1:
        return value * count
    if len(value) != count:
        raise RuntimeError(f"{name} must be a single int or a list of {count} ints, got {list(value)}")
    return value


def check_tensor(value: Any, position: str, name: str) -> Tensor:
    """`value`, or a TypeError in torch's wording."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}(): argument '{position}' must be Tensor, not {type(value).__name__}")
    return value


def scalar(value: Number, kind: dtype) -> Tensor:
    """A 0-d constant."""
    return constant(value, kind)
