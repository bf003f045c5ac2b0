"""What elementwise words share: promotion in the fast way, types without a kernel, truth and rounding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mcore.platform import dtypes
from mcore.platform.dtypes import dtype
from mcore.platform.graph import current
from mcore.platform.tensor import Tensor, constant, emit
from mcore.platform.words._common import as_tensor, broadcast, cast, is_number, result_type
from mcore.platform.words._pieces import test, where

BOOL, FLOAT = dtypes.BOOL, dtypes.FLOAT


def both(*words: str) -> tuple[str, ...]:
    """Names of words that are functions of torch and methods: `both("sqrt")`."""
    return tuple(f"{owner}.{word}" for word in words for owner in ("torch", "Tensor"))


def twins(*words: str) -> tuple[str, ...]:
    """Names of their in-place twins: `torch.sqrt_` and `Tensor.sqrt_`."""
    return both(*(f"{word}_" for word in words))


def no_kernel(word: str, kind: dtype) -> NotImplementedError:
    """The error of an element type that torch has no such word for, in torch's words."""
    return NotImplementedError(f"\"{word}_cpu\" not implemented for '{kind.title}'")


_CTYPES = {
    "int64": "long int", "int32": "int", "int16": "short int", "int8": "signed char",
    "uint8": "unsigned char",    "float32": "float", "float64": "double",
}  # fmt: skip


def ctype(kind: dtype) -> str:
    """The C name that some of torch's messages use."""
    return _CTYPES.get(kind.name, kind.title)


def operand(value: Any, word: str, position: str = "other", index: int = 2) -> Any:
    """`value`, or a TypeError in torch's wording unless it is a tensor, an array or a number."""
    if isinstance(value, Tensor) or is_number(value):
        return value
    if isinstance(value, np.ndarray):
        return Tensor._of(value)
    kind = type(value).__name__
    raise TypeError(f"{word}(): argument '{position}' (position {index}) must be Tensor, not {kind}")


def pair(a: Any, b: Any, word: str) -> tuple[Tensor, Tensor, dtype]:
    """Two operands in their common type."""
    if isinstance(a, Tensor):
        if isinstance(b, Tensor) and a._dtype is b._dtype:  # by far the most frequent case
            return a, b, a._dtype
        if type(b) in (float, int) and (a._dtype.category == FLOAT or (type(b) is int and a._dtype.category)):
            return a, as_tensor(b, a._dtype), a._dtype  # such a number never decides
        b = operand(b, word)
    else:
        a = operand(a, word, "input", 1)
        if not isinstance(b, Tensor):
            raise TypeError(f"{word}(): expected at least one Tensor, got {type(a).__name__} and {type(b).__name__}")
    kind = result_type(a, b)
    return as_tensor(a, kind), as_tensor(b, kind), kind


def join(op: str, a: Tensor, b: Tensor, kind: dtype) -> Tensor:
    """A broadcasting operator whose result has type `kind`."""
    mine, theirs = a._shape, b._shape
    return emit(op, (a, b), a.shape if mine is theirs or not theirs else broadcast(mine, theirs), kind)


def float_kind(*values: Any) -> dtype:
    """The common type of operands, and the default float type where they are ints or bools."""
    kind = values[0]._dtype if len(values) == 1 else result_type(*values)
    return kind if kind.category == FLOAT else dtypes.get_default_dtype()


def as_float(x: Tensor) -> Tensor:
    """`x`, ints and bools as the default float type."""
    return x if x._dtype.category == FLOAT else cast(x, dtypes.get_default_dtype())


def float_op(op: str, x: Tensor, word: str, **attributes: Any) -> Tensor:
    """An operator of one tensor that answers with floats, as `sqrt`."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{word}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    x = as_float(x)
    return emit(op, (x,), x.shape, x._dtype, **attributes)


def floats_only(x: Tensor, word: str) -> Tensor:
    """`x`; ints and bools are refused in torch's words."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{word}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    if x._dtype.category != FLOAT:
        raise no_kernel(word, x._dtype)
    return x


def same_value(x: Tensor) -> Tensor:
    """A new tensor of the same value: writing to it leaves `x` alone. Nothing is emitted."""
    r = current()
    return Tensor._recorded(r, r.use(x), x._dtype, x.shape)


def number(value: Any, like: Tensor) -> Tensor:
    """A number as a 0-d tensor of the type of `like`; symbolic sizes stay symbolic."""
    return as_tensor(value, like._dtype)


def plus(x: Tensor, value: Any) -> Tensor:
    """`x + value` for a number."""
    return emit("Add", (x, number(value, x)), x.shape, x._dtype)


def times(x: Tensor, value: Any) -> Tensor:
    """`x * value` for a number; `x` itself at 1."""
    if type(value) in (int, float) and value == 1:
        return x
    return emit("Mul", (x, number(value, x)), x.shape, x._dtype)


def is_negative(x: Tensor) -> Tensor:
    """Whether the sign bit is set, -0.0 included; a NaN's is taken as clear."""
    below = test("Less", x, constant(0, x._dtype))
    if x._dtype.category != FLOAT:
        return below
    inverse = emit("Reciprocal", (x,), x.shape, x._dtype)
    return test("Or", below, test("Less", inverse, constant(0, x._dtype)))


def truth(x: Tensor) -> Tensor:
    """Whether elements differ from zero."""
    return cast(x, dtypes.bool_)


def truncated(x: Tensor) -> Tensor:
    """Floats rounded towards zero."""
    up = emit("Ceil", (x,), x.shape, x._dtype)
    down = emit("Floor", (x,), x.shape, x._dtype)
    return where(test("Less", x, constant(0, x._dtype)), up, down)


def log1p_of(x: Tensor) -> Tensor:
    """`log(1 + x)` to full relative precision: what the rounding of `1 + x` loses is divided out again."""
    one = constant(1, x._dtype)
    u = plus(x, 1)
    kept = emit("Sub", (u, one), x.shape, x._dtype)
    exact = test("Equal", kept, x)  # also at infinity, where the quotient below would be NaN
    scale = where(exact, one, emit("Div", (x, kept), x.shape, x._dtype))
    out = emit("Mul", (emit("Log", (u,), x.shape, x._dtype), scale), x.shape, x._dtype)
    return where(test("Equal", u, one), x, out)


def wide_for(kind: dtype) -> dtype:
    """The type to compute Max, Min, Clip, Pow in: the runtime lacks them for the narrow ints."""
    return dtypes.int32 if kind in (dtypes.int16, dtypes.int8, dtypes.uint8) else kind


def check_fits(value: Any, kind: dtype) -> None:
    """Raises RuntimeError where a number does not fit an integer type, as torch's checked conversion does."""
    if kind.category != dtypes.INTEGER or not is_number(value) or isinstance(value, bool):
        return
    bits = 8 * kind.itemsize
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if kind.is_signed else (0, 2**bits - 1)
    # torch lets a negative number into an unsigned type where its two's complement fits.
    low = min(low, -high) if not kind.is_signed else low
    if not math.isfinite(value) or not low <= int(value) <= high:
        name = {"uint8": "uint8_t", "int8": "int8_t", "int16": "short", "int32": "int"}.get(kind.name, "int64_t")
        raise RuntimeError(f"value cannot be converted to type {name} without overflow")
