"""Running sums, products and extremes along an axis; differences and trapezoids.

Products and extremes have no operator of their own: they are a Scan, exact at any length.
"""

from __future__ import annotations

import math

from mcore.platform import dtypes
from mcore.platform.dtypes import dtype as Kind
from mcore.platform.tensor import Tensor, constant, emit
from mcore.platform.word import inplace, word
from mcore.platform.words._common import axis_of, cast, promote, result_type
from mcore.platform.words._pieces import (
    binary,
    concat,
    counted,
    filled,
    hand_out,
    reduce,
    section,
    unsqueeze,
)
from mcore.platform.words._scan import Step, scan
from mcore.platform.words.extremes import Extreme, comparable


def _accumulated(x: Tensor, dtype: Kind | None) -> tuple[Tensor, Kind]:
    """`x` in a type that the runtime accumulates in, and the type of the result."""
    kind = dtype or (x._dtype if x._dtype.category == dtypes.FLOAT else dtypes.int64)
    x = cast(x, kind)
    return (x if kind.category == dtypes.FLOAT else cast(x, dtypes.int64)), kind


def _is_trivial(x: Tensor) -> bool:
    """Nothing to run along: a 0-d tensor, or nothing at all, which the runtime's Scan does not survive."""
    return not x.ndim or any(int(size) == 0 for size in x.shape)


def _rest(x: Tensor, axis: int) -> tuple:
    return (*x.shape[:axis], *x.shape[axis + 1 :])


@word("torch.cumsum", "Tensor.cumsum")
def cumsum(input: Tensor, dim: int, *, dtype: Kind | None = None, out: Tensor | None = None) -> Tensor:
    """Running sum along an axis; of integers and bools in int64."""
    x, kind = _accumulated(input, dtype)
    axis = axis_of(dim, x.ndim)
    if x.ndim:
        x = emit("CumSum", [x, constant(axis, dtypes.int64)], x.shape, x._dtype)
    return hand_out(cast(x, kind), out)


@word("torch.cumprod", "Tensor.cumprod")
def cumprod(input: Tensor, dim: int, *, dtype: Kind | None = None, out: Tensor | None = None) -> Tensor:
    """Running product along an axis; of integers and bools in int64."""
    x, kind = _accumulated(input, dtype)
    axis = axis_of(dim, x.ndim)
    if not _is_trivial(x):
        wide = cast(x, dtypes.float32) if x._dtype.itemsize == 2 else x
        start = filled(1, _rest(x, axis), wide._dtype)
        x = scan([start], [wide], [("Mul", ("s0", "x0"), "t0")], [axis])[0]
    return hand_out(cast(x, kind), out)


inplace(cumsum, "Tensor.cumsum_")
inplace(cumprod, "Tensor.cumprod_")


@word("torch.logcumsumexp", "Tensor.logcumsumexp")
def logcumsumexp(input: Tensor, dim: int, *, out: Tensor | None = None) -> Tensor:
    """`log(cumsum(exp(x)))` without overflow."""
    x = input if input._dtype.category == dtypes.FLOAT else cast(input, dtypes.get_default_dtype())
    axis = axis_of(dim, x.ndim)
    if _is_trivial(x):
        return hand_out(x, out)
    wide = cast(x, dtypes.float32) if x._dtype.itemsize == 2 else x
    start = filled(-math.inf, _rest(x, axis), wide._dtype)
    # max + log1p(exp(min - max)); where both are the same infinity, that.
    steps: list[Step] = [
        ("Max", ("s0", "x0"), "high"),
        ("Min", ("s0", "x0"), "low"),
        ("Sub", ("low", "high"), "gap"),
        ("Exp", ("gap",), "part"),
        ("Exp", ("zero",), "one"),
        ("Add", ("one", "part"), "sum"),
        ("Log", ("sum",), "log"),
        ("Add", ("high", "log"), "both"),
        ("Equal", ("low", "high"), "same"),
        ("IsInf", ("high",), "infinite"),
        ("And", ("same", "infinite"), "stays"),
        ("Where", ("stays", "high", "both"), "t0"),
    ]
    zero: Step = ("Constant", (), "zero", {"value": _zero(wide._dtype)})
    return hand_out(cast(scan([start], [wide], [zero, *steps], [axis])[0], x._dtype), out)


def _zero(kind: Kind):  # type: ignore[no-untyped-def]
    import numpy as np
    from onnx import numpy_helper

    return numpy_helper.from_array(np.zeros((), kind.numpy))


def _running(compare: str, input: Tensor, dim: int, out: tuple | None) -> Extreme:
    """Running extreme and its last index; from the first NaN on it is NaN, at the last NaN."""
    axis = axis_of(dim, input.ndim)
    if _is_trivial(input):
        return _given(Extreme(input, filled(0, input.shape, dtypes.int64)), out)
    x = comparable(input)
    rest = _rest(x, axis)
    floats = x._dtype.category == dtypes.FLOAT
    if floats and x._dtype is dtypes.bfloat16:
        x = cast(x, dtypes.float32)
    low = -math.inf if floats else {"uint8": 0}.get(x._dtype.name, -(2 ** (8 * x._dtype.itemsize - 1)))
    high = math.inf if floats else 255 if x._dtype is dtypes.uint8 else 2 ** (8 * x._dtype.itemsize - 1) - 1
    start = filled(low if compare == "GreaterOrEqual" else high, rest, x._dtype)
    steps: list[Step] = [(compare, ("x0", "s0"), "beats")]
    if floats:
        steps += [("IsNaN", ("x0",), "nan"), ("Or", ("beats", "nan"), "takes")]
    takes = "takes" if floats else "beats"
    steps += [("Where", (takes, "x0", "s0"), "t0"), ("Where", (takes, "x1", "s1"), "t1")]
    places = counted(x.shape[axis])
    values, indices = scan([start, filled(0, rest, dtypes.int64)], [x, places], steps, [axis, 0])
    return _given(Extreme(cast(values, input._dtype), indices), out)


def _given(result: Extreme, out: tuple | None) -> Extreme:
    return result if out is None else Extreme(hand_out(result[0], out[0]), hand_out(result[1], out[1]))


@word("torch.cummax", "Tensor.cummax")
def cummax(input: Tensor, dim: int, *, out: tuple | None = None) -> Extreme:
    """Running maximum along an axis and its last index."""
    return _running("GreaterOrEqual", input, dim, out)


@word("torch.cummin", "Tensor.cummin")
def cummin(input: Tensor, dim: int, *, out: tuple | None = None) -> Extreme:
    """Running minimum along an axis and its last index."""
    return _running("LessOrEqual", input, dim, out)


# --- differences


@word("torch.diff", "Tensor.diff")
def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """`n` times the difference of neighbours along an axis; of bools whether they differ."""
    if not input.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    axis = axis_of(dim, input.ndim)
    parts = [p for p in (prepend, input, append) if p is not None]
    if len(parts) > 1:
        kind = result_type(*parts)
        parts = [cast(p, kind) for p in parts]
    x = concat(parts, axis)
    op = "Xor" if x._dtype is dtypes.bool_ else "Sub"
    for _ in range(min(n, int(x.shape[axis]))):
        size = x.shape[axis]
        x = binary(op, section(x, axis, 1, size), section(x, axis, 0, size - 1))
    return hand_out(x, out)


def _strips(y: Tensor, x: Tensor | None, dx: float, axis: int) -> Tensor:
    """Areas of the trapezoids between neighbours."""
    size = y.shape[axis]
    kind = y._dtype if y._dtype.category == dtypes.FLOAT else dtypes.get_default_dtype()
    y = cast(y, kind)
    sums = binary("Add", section(y, axis, 1, size), section(y, axis, 0, size - 1))
    if x is None:
        return binary("Mul", sums, constant(dx / 2, kind))
    if x.ndim == 1:
        if int(x.shape[0]) != int(size):
            raise RuntimeError("trapezoid: There must be one `x` value for each sample point")
        x = unsqueeze(x, *range(-(y.ndim - axis - 1), 0)) if axis < y.ndim - 1 else x
        steps = diff(x, 1, -(y.ndim - axis))
    else:
        steps = diff(x, 1, axis - y.ndim)
    (a, b), _ = promote(sums, steps)
    return binary("Mul", binary("Mul", a, b), constant(0.5, a._dtype))


def _trapezoid(y: Tensor, x: Tensor | None, dx: float | None, dim: int) -> tuple[Tensor, int]:
    if isinstance(x, int | float):  # trapezoid(y, 2.0): the step in the place of the points
        x, dx = None, x
    axis = axis_of(dim, y.ndim)
    return _strips(y, x, 1 if dx is None else dx, axis), axis


@word("torch.trapezoid", "torch.trapz")
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """Integral along an axis by the trapezoid rule, at points `x` or steps `dx`."""
    strips, axis = _trapezoid(y, x, dx, dim)
    return reduce("ReduceSum", strips, (axis,))


@word("torch.cumulative_trapezoid")
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """Running integral along an axis by the trapezoid rule."""
    strips, axis = _trapezoid(y, x, dx, dim)
    return cumsum(strips, axis)
