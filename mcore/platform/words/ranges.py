"""Ranges, triangles, grids and windows: tensors made of their own indices."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dim import Dim, DimFloat
from mcore.platform.dtypes import dtype
from mcore.platform.graph import current
from mcore.platform.tensor import Tensor, constant, device, emit
from mcore.platform.word import inplace, word
from mcore.platform.words._common import as_tensor, cast
from mcore.platform.words._elementwise import BOOL, FLOAT, join, plus, times
from mcore.platform.words._pieces import concat, counted, expand, flat, test, unsqueeze, where
from mcore.platform.words.creation import known, options


def _length(start: Any, end: Any, step: Any) -> int:
    """Number of steps from start to before end."""
    if all(isinstance(v, int) for v in (start, end, step)):
        return -((start - end) // step)
    return math.ceil((end - start) / step)


@word("torch.arange", ready=True)
def arange(*args: Any, **given: Any) -> Tensor:
    """Numbers from `start` (0) to before `end` in steps of `step` (1)."""
    start, end, step = _bounds(args, given)
    start, end, step = (v.item() if isinstance(v, Tensor) else v for v in (start, end, step))
    kind = dtypes.int64 if all(isinstance(v, int | np.integer) for v in (start, end, step)) else None
    kind, where = options(given, kind=kind)
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (int(end) > int(start)) != (step > 0) and float(start) != float(end):
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    count = _length(start, end, step)
    return _steps(start, step, count, kind, where)


def _bounds(args: tuple, given: dict) -> tuple:
    named = {k: given.pop(k) for k in ("start", "end", "step") if k in given}
    names = ("end",) if len(args) == 1 and "end" not in named else ("start", "end", "step")
    named.update(zip(names, args, strict=False))
    if "end" not in named:
        raise TypeError("arange() received an invalid combination of arguments: it needs an end")
    return named.get("start", 0), named["end"], named.get("step", 1)


def _steps(start: Any, step: Any, count: int, kind: dtype, where: device) -> Tensor:
    """`start + k * step` for k below count."""
    if not any(isinstance(v, Dim | DimFloat) for v in (start, step, count)):
        numbers = np.arange(count) if start == 0 and step == 1 else start + np.arange(count) * step
        return known(numbers.astype(kind.numpy), kind, where)
    # Narrow and half types have no exact room for the counting itself.
    wide = kind if kind in (dtypes.float32, dtypes.float64, dtypes.int64) else dtypes.int64
    if kind.category == FLOAT and wide.category != FLOAT:
        wide = dtypes.float32
    numbers = cast(counted(count), wide)
    if type(step) is not int or step != 1:
        numbers = times(numbers, step)
    if type(start) is not int or start != 0:
        numbers = plus(numbers, start)
    return cast(numbers, kind)


@word("torch.range", ready=True)
def range_(start: Any = 0, end: Any = None, step: Any = 1, **given: Any) -> Tensor:
    """Numbers from `start` to `end`, both included; floats unless a type is given."""
    if end is None:
        start, end = 0, start
    count = math.floor((end - start) / step) + 1
    return _steps(start, step, count, *options(given))


@word("torch.linspace", ready=True)
def linspace(start: Any, end: Any, steps: int, **given: Any) -> Tensor:
    """`steps` numbers at equal distances from `start` to `end`, both included."""
    kind, where = options(given)
    start, end = (v.item() if isinstance(v, Tensor) and v._recorder is None else v for v in (start, end))
    if int(steps) < 0:
        raise RuntimeError("number of steps must be non-negative")
    return _between(start, end, steps, kind, where)


def _between(start: Any, end: Any, steps: int, kind: dtype, where_to: device) -> Tensor:
    """As torch: the first half is counted from the start, the second from the end."""
    if not any(isinstance(v, Dim | DimFloat | Tensor) for v in (start, end, steps)):
        return known(_numbers_between(start, end, steps, kind), kind, where_to)
    if kind.category != FLOAT:
        return cast(_between(start, end, steps, dtypes.float32, where_to), kind)
    wide = dtypes.float64 if kind is dtypes.float64 else dtypes.float32
    first, last = as_tensor(start, wide), as_tensor(end, wide)
    index, gaps = cast(counted(steps), wide), as_tensor(dims.dim_max(steps - 1, 1), wide)
    gap = join("Div", join("Sub", last, first, wide), gaps, wide)
    left = join("Add", join("Mul", index, gap, wide), first, wide)
    rest = join("Sub", gaps, index, wide)
    right = join("Sub", last, join("Mul", rest, gap, wide), wide)
    early = test("Less", cast(index, wide), as_tensor(dims.dim_max(steps // 2, 1), wide))
    return cast(where(early, left, right), kind)


def _numbers_between(start: Any, end: Any, steps: int, kind: dtype) -> np.ndarray:
    if steps == 1:
        return np.full(1, start).astype(kind.numpy)
    gap: Any = (end - start) / (steps - 1) if steps else 0.0
    if kind.category != FLOAT:
        gap = np.float32(gap)
    index = np.arange(steps)
    numbers = np.where(index < steps // 2, start + gap * index, end - gap * (steps - 1 - index))
    return (numbers if kind.category == FLOAT else numbers.astype(np.float32)).astype(kind.numpy)


@word("torch.logspace", ready=True)
def logspace(start: Any, end: Any, steps: int, base: float = 10.0, **given: Any) -> Tensor:
    """`base` to powers at equal distances from `start` to `end`."""
    kind, where_to = options(given)
    exponents = _between(start, end, steps, dtypes.float64, where_to)
    if exponents._recorder is None:
        return known((float(base) ** exponents.numpy()).astype(kind.numpy), kind, where_to)
    wide = dtypes.float64
    return cast(emit("Pow", (constant(float(base), wide), exponents), exponents.shape, wide), kind)


@word("torch.eye", ready=True)
def eye(n: int, m: int | None = None, **given: Any) -> Tensor:
    """Ones on the diagonal, zeros elsewhere."""
    kind, where_to = options(given)
    m = n if m is None else m
    if int(n) < 0:
        raise RuntimeError(f"n must be greater or equal to 0, got {int(n)}")
    if not isinstance(n, Dim) and not isinstance(m, Dim):
        return known(np.eye(n, m).astype(kind.numpy), kind, where_to)
    return cast(test("Equal", unsqueeze(counted(n), 1), unsqueeze(counted(m), 0)), kind)


# --- triangles


def _triangle(x: Tensor, diagonal: int, *, upper: bool) -> Tensor:
    if x.ndim < 2:
        raise RuntimeError(f"{'triu' if upper else 'tril'}: input tensor must have at least 2 dimensions")
    narrow = x._dtype in (dtypes.uint8, dtypes.int8, dtypes.int16)  # no kernels
    y = cast(x, dtypes.int32) if narrow else x
    inputs = (y,) if type(diagonal) is int and diagonal == 0 else (y, as_tensor(diagonal, dtypes.int64))
    out = emit("Trilu", inputs, x.shape, y._dtype, upper=int(upper))
    return cast(out, x._dtype)


@word("torch.tril", "Tensor.tril")
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix on and below a diagonal, zeros elsewhere."""
    return _triangle(input, diagonal, upper=False)


@word("torch.triu", "Tensor.triu")
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix on and above a diagonal, zeros elsewhere."""
    return _triangle(input, diagonal, upper=True)


inplace(tril, "Tensor.tril_")
inplace(triu, "Tensor.triu_")


def _triangle_indices(row: int, col: int, offset: int, given: dict, make: Callable) -> Tensor:
    kind, where_to = options(given, kind=dtypes.int64)
    for name, size in (("row", row), ("col", col)):
        if int(size) < 0:
            raise RuntimeError(f"{name} must be non-negative, got {int(size)}")
    if any(isinstance(v, Dim) for v in (row, col, offset)):
        why = "how many indices a triangle has"
        row, col, offset = (current().fix(v, why) for v in (row, col, offset))
    return known(np.stack(make(row, offset, col)).astype(kind.numpy), kind, where_to)


@word("torch.tril_indices", ready=True)
def tril_indices(row: int, col: int, offset: int = 0, **given: Any) -> Tensor:
    """Rows and columns, (2, n), of the places on and below a diagonal."""
    return _triangle_indices(row, col, offset, given, np.tril_indices)


@word("torch.triu_indices", ready=True)
def triu_indices(row: int, col: int, offset: int = 0, **given: Any) -> Tensor:
    """Rows and columns, (2, n), of the places on and above a diagonal."""
    return _triangle_indices(row, col, offset, given, np.triu_indices)


# --- grids


def _listed(tensors: tuple) -> list[Tensor]:
    return list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], list | tuple) else list(tensors)


def _grid(tensors: list[Tensor], indexing: str) -> list[Tensor]:
    sizes = [t.shape[0] if t.ndim else 1 for t in tensors]
    swapped = indexing == "xy" and len(tensors) >= 2
    order = [1, 0, *range(2, len(tensors))] if swapped else list(range(len(tensors)))
    shape = tuple(sizes[k] for k in order)
    rank = len(shape)
    out = []
    for k, t in enumerate(tensors):
        axis = order.index(k)
        t = t if t.ndim else unsqueeze(t, 0)
        # An axis of its own for each; Expand spreads it over the others.
        t = unsqueeze(t, *(a for a in range(rank) if a != axis))
        out.append(expand(t, shape))
    return out


@word("torch.meshgrid")
def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Coordinates of the grid that the 1-D tensors span; "xy" swaps the first two axes."""
    given = _listed(tensors)
    if not given:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    for t in given:
        if t.ndim > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {t!r}")
    if any(t._dtype is not given[0]._dtype for t in given):
        raise RuntimeError("torch.meshgrid expects all tensors to have the same dtype")
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    return tuple(_grid(given, indexing or "ij"))


@word("torch.cartesian_prod")
def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All combinations of one element of each, a row each."""
    given = _listed(tensors)
    for t in given:
        if t.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {[int(s) for s in t.shape]}")
    if len(given) == 1:
        return given[0]
    return concat([unsqueeze(flat(t), 1) for t in _grid(given, "ij")], 1)


@word("torch.vander")
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers 0 to N - 1 of each element, the highest first unless `increasing`."""
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x.shape[0] if N is None else N
    if not isinstance(count, Dim) and count < 0:
        raise RuntimeError("N must be non-negative.")
    if x._dtype.category == BOOL:
        x = cast(x, dtypes.int64)
    exponents = counted(count)
    if not increasing:
        exponents = emit("Sub", (as_tensor(count - 1, dtypes.int64), exponents), exponents.shape, dtypes.int64)
    wide = x._dtype if x._dtype.category == FLOAT else dtypes.int64
    x = unsqueeze(x, 1)
    return cast(join("Pow", cast(x, wide), cast(exponents, wide), wide), x._dtype)


# --- windows


def _window(name: str, formula: Callable[..., np.ndarray]) -> None:
    @word(f"torch.{name}", ready=True)
    def make(window_length: int, periodic: bool = True, **given: Any) -> Tensor:
        kind, where_to = options({k: v for k, v in given.items() if k not in ("alpha", "beta")})
        if isinstance(window_length, Dim):
            window_length = current().fix(window_length, f"{name} is made of known numbers")
        if window_length < 2:
            return known(np.ones(window_length, kind.numpy), kind, where_to)
        count = window_length if periodic else window_length - 1
        turns = np.arange(window_length) / count
        extra = {k: given[k] for k in ("alpha", "beta") if k in given}
        return known(formula(turns, **extra).astype(kind.numpy), kind, where_to)

    make.__name__ = name
    make.__doc__ = f"The {name.replace('_', ' ')}; periodic ones leave out the last point."


def _wave(turns: np.ndarray) -> np.ndarray:
    return np.cos(2 * np.pi * turns)


def _hamming(turns: np.ndarray, alpha: float = 0.54, beta: float = 0.46) -> np.ndarray:
    return alpha - beta * _wave(turns)


_window("hann_window", lambda turns: 0.5 - 0.5 * _wave(turns))
_window("hamming_window", _hamming)
_window("blackman_window", lambda turns: 0.42 - 0.5 * _wave(turns) + 0.08 * _wave(2 * turns))
_window("bartlett_window", lambda turns: 1 - np.abs(2 * turns - 1))
