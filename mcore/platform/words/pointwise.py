"""Functions of single elements: exponentials, logarithms, trigonometry, rounding, and their kin.

What ONNX lacks is written so that it keeps its digits: expm1 and log1p near zero, erfc in its tail.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mcore.platform import dtypes
from mcore.platform.tensor import Tensor, constant, emit
from mcore.platform.word import inplace, word
from mcore.platform.words._common import as_tensor, cast, is_number, result_type
from mcore.platform.words._elementwise import (
    BOOL,
    FLOAT,
    as_float,
    both,
    float_kind,
    float_op,
    floats_only,
    is_negative,
    join,
    log1p_of,
    no_kernel,
    operand,
    plus,
    same_value,
    times,
    truncated,
    twins,
)  # fmt: skip
from mcore.platform.words._pieces import test, unary, where

# --- exponentials and logarithms


@word(*both("exp"))
def exp(input: Tensor) -> Tensor:
    """E to the power of the input."""
    return float_op("Exp", input, "exp")


@word(*both("exp2"))
def exp2(input: Tensor) -> Tensor:
    """2 to the power of the input."""
    x = as_float(input)
    return emit("Pow", (constant(2, x._dtype), x), x.shape, x._dtype)


@word(*both("expm1"))
def expm1(input: Tensor) -> Tensor:
    """`exp(input) - 1`, as `tanh(x / 2) * (exp(x) + 1)`, which keeps its digits near zero."""
    x = as_float(input)
    return join("Mul", unary("Tanh", times(x, 0.5)), plus(unary("Exp", x), 1), x._dtype)


@word(*both("log"))
def log(input: Tensor) -> Tensor:
    """Natural logarithm."""
    return float_op("Log", input, "log")


@word(*both("log2"))
def log2(input: Tensor) -> Tensor:
    """Logarithm to base 2."""
    return times(float_op("Log", input, "log2"), 1 / math.log(2))


@word(*both("log10"))
def log10(input: Tensor) -> Tensor:
    """Logarithm to base 10."""
    return times(float_op("Log", input, "log10"), 1 / math.log(10))


@word(*both("log1p"))
def log1p(input: Tensor) -> Tensor:
    """`log(1 + input)`, exact near zero."""
    return log1p_of(as_float(input))


def _log_of_sum(a: Tensor, b: Tensor, name: str, base: float) -> Tensor:
    """`log(base**a + base**b)`: the larger one, and what the smaller one adds."""
    kind = result_type(a, b)
    if kind.category != FLOAT:
        raise no_kernel(name, kind)
    a, b = cast(a, kind), cast(b, kind)
    larger, gap = join("Max", a, b, kind), unary("Abs", join("Sub", a, b, kind))
    rest = log1p_of(unary("Exp", times(unary("Neg", gap), math.log(base))))
    more = join("Add", larger, times(rest, 1 / math.log(base)), kind)
    # Of two equal infinities the gap is NaN.
    return where(test("Equal", a, b), plus(larger, math.log(2) / math.log(base)), more)


@word(*both("logaddexp"))
def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """`log(exp(input) + exp(other))` without overflow."""
    return _log_of_sum(input, other, "logaddexp", math.e)


@word(*both("logaddexp2"))
def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """`log2(2**input + 2**other)` without overflow."""
    return _log_of_sum(input, other, "logaddexp2", 2.0)


@word(*both("logit"))
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """`log(x / (1 - x))`; with `eps`, of x within [eps, 1 - eps]."""
    x = as_float(input)
    kind = x._dtype
    if eps is not None:
        x = emit("Clip", (x, as_tensor(eps, kind), as_tensor(1 - eps, kind)), x.shape, kind)
    rest = emit("Sub", (constant(1, kind), x), x.shape, kind)
    return unary("Log", join("Div", x, rest, kind))


@word(*both("xlogy"))
def xlogy(input: Any, other: Any) -> Tensor:
    """`input * log(other)`; 0 where the input is 0, NaN where the other is."""
    kind = float_kind(operand(input, "xlogy", "input", 1), operand(other, "xlogy"))
    x, y = as_tensor(input, kind), as_tensor(other, kind)
    out = join("Mul", x, unary("Log", y), kind)
    none = test("And", test("Equal", x, constant(0, kind)), test("Not", test("IsNaN", y)))
    return where(none, constant(0, kind), out)


@word(*both("sigmoid"), "F.sigmoid")
def sigmoid(input: Tensor) -> Tensor:
    """`1 / (1 + exp(-input))`."""
    return float_op("Sigmoid", input, "sigmoid")


# --- the error function


@word(*both("erf"))
def erf(input: Tensor) -> Tensor:
    """The error function."""
    return float_op("Erf", input, "erf")


# Coefficients of the logarithm of erfc(x) / t in t = 1 / (1 + x / 2), relative error below 1.2e-7 everywhere.
# Source: Press et al., Numerical Recipes, section 6.2.
_ERFC = (
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587,
    -0.82215223, 0.17087277,
)  # fmt: skip


@word(*both("erfc"))
def erfc(input: Tensor) -> Tensor:
    """`1 - erf(input)`, with its digits kept where it is small."""
    x = as_float(input)
    kind = x._dtype
    size = unary("Abs", x)
    t = unary("Reciprocal", plus(times(size, 0.5), 1))
    series = plus(times(t, _ERFC[-1]), _ERFC[-2])
    for coefficient in _ERFC[-3::-1]:
        series = plus(join("Mul", series, t, kind), coefficient)
    tail = join("Mul", t, unary("Exp", join("Sub", series, join("Mul", x, x, kind), kind)), kind)
    near = emit("Sub", (constant(1, kind), unary("Erf", x)), x.shape, kind)
    return where(test("Greater", x, constant(0.5, kind)), tail, near)


# --- trigonometry

_SIMPLE = {
    "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan", "sinh": "Sinh",
    "cosh": "Cosh", "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh",
}  # fmt: skip


def _direct(name: str, op: str) -> Callable[[Tensor], Tensor]:
    """A word that is one ONNX operator; the inverse ones have a second name (`arcsin`)."""
    second = (f"arc{name[1:]}",) if name[0] == "a" else ()

    @word(*both(name, *second))
    def function(input: Tensor) -> Tensor:
        return float_op(op, input, name)

    function.__name__, function.__doc__ = name, f"The {name} of each element; ints give floats."
    inplace(function, *twins(name, *second))
    return function


for _name, _op in _SIMPLE.items():
    globals()[_name] = _direct(_name, _op)


@word(*both("tanh"), "F.tanh")
def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return float_op("Tanh", input, "tanh")


@word(*both("atan2", "arctan2"))
def atan2(input: Tensor, other: Tensor) -> Tensor:
    """The angle of the point (x = other, y = input), in (-pi, pi]; zeros and infinities as in C."""
    kind = float_kind(input, other)
    y, x = cast(input, kind), cast(other, kind)
    tall, wide = unary("Abs", y), unary("Abs", x)
    larger, smaller = join("Max", tall, wide, kind), join("Min", tall, wide, kind)
    # Equal lengths: 1, and 0 at the origin; their quotient is NaN at zero and at infinity.
    diagonal = cast(test("Greater", larger, constant(0, kind)), kind)
    ratio = where(test("Equal", tall, wide), diagonal, join("Div", smaller, larger, kind))
    angle = unary("Atan", ratio)
    upright = emit("Sub", (constant(math.pi / 2, kind), angle), angle.shape, kind)
    angle = where(test("Greater", tall, wide), upright, angle)
    angle = where(is_negative(x), emit("Sub", (constant(math.pi, kind), angle), angle.shape, kind), angle)
    return where(is_negative(y), unary("Neg", angle), angle)


@word(*both("hypot"))
def hypot(input: Tensor, other: Tensor) -> Tensor:
    """`sqrt(input**2 + other**2)` without overflow."""
    kind = result_type(input, other)
    if kind.category != FLOAT:
        raise no_kernel("hypot", kind)
    a, b = unary("Abs", cast(input, kind)), unary("Abs", cast(other, kind))
    larger, smaller = join("Max", a, b, kind), join("Min", a, b, kind)
    ratio = join("Div", smaller, larger, kind)
    length = join("Mul", larger, unary("Sqrt", plus(join("Mul", ratio, ratio, kind), 1)), kind)
    # Equal legs: their ratio is NaN at zero and at infinity.
    return where(test("Equal", a, b), times(larger, math.sqrt(2)), length)


@word(*both("sinc"))
def sinc(input: Tensor) -> Tensor:
    """`sin(pi x) / (pi x)`; 1 at 0."""
    x = as_float(input)
    turned = times(x, math.pi)
    quotient = join("Div", unary("Sin", turned), turned, x._dtype)
    return where(test("Equal", x, constant(0, x._dtype)), constant(1, x._dtype), quotient)


@word(*both("deg2rad"))
def deg2rad(input: Tensor) -> Tensor:
    """Degrees to radians."""
    return times(as_float(input), math.pi / 180)


@word(*both("rad2deg"))
def rad2deg(input: Tensor) -> Tensor:
    """Radians to degrees."""
    return times(as_float(input), 180 / math.pi)


# --- rounding


def _rounded(op: str, x: Tensor, name: str) -> Tensor:
    """Integers are round already."""
    if x._dtype.category == FLOAT:
        return unary(op, x)
    if x._dtype.category == BOOL:
        raise no_kernel(name, x._dtype)
    return same_value(x)


@word(*both("floor"))
def floor(input: Tensor) -> Tensor:
    """The next integer below."""
    return _rounded("Floor", input, "floor")


@word(*both("ceil"))
def ceil(input: Tensor) -> Tensor:
    """The next integer above."""
    return _rounded("Ceil", input, "ceil")


@word(*both("round"))
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest integer, halves to even; with `decimals`, the nearest multiple of 10**-decimals."""
    if input._dtype.category != FLOAT and decimals:
        raise no_kernel("round", input._dtype)
    if not decimals:
        return _rounded("Round", input, "round")
    power = constant(10.0 ** math.fabs(decimals), input._dtype)
    there, back = ("Mul", "Div") if decimals > 0 else ("Div", "Mul")
    return join(back, unary("Round", join(there, input, power, input._dtype)), power, input._dtype)


@word(*both("trunc", "fix"))
def trunc(input: Tensor) -> Tensor:
    """The next integer towards zero."""
    return truncated(input) if input._dtype.category == FLOAT else _rounded("Floor", input, "trunc")


@word(*both("frac"))
def frac(input: Tensor) -> Tensor:
    """What `trunc` cuts off; it has the input's sign."""
    x = floats_only(input, "frac")
    return join("Sub", x, truncated(x), x._dtype)


# --- signs, steps, and numbers that are none


@word(*both("copysign"))
def copysign(input: Tensor, other: Any) -> Tensor:
    """The size of the input with the sign of the other, that of -0.0 included."""
    kind = float_kind(input, operand(other, "copysign"))
    size = unary("Abs", cast(input, kind))
    if is_number(other):
        return unary("Neg", size) if math.copysign(1, other) < 0 else size
    return where(is_negative(cast(other, kind)), unary("Neg", size), size)


@word(*both("heaviside"))
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 below zero, 1 above, `values` at zero."""
    if input._dtype is not values._dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    kind = input._dtype
    if kind.category == BOOL:
        return test("Or", input, values)
    zero = constant(0, kind)
    step = cast(test("Greater", input, zero), kind)
    out = where(test("Equal", input, zero), values, step)
    return out if kind.category != FLOAT else where(test("IsNaN", input), constant(0, kind), out)


@word(*both("ldexp"))
def ldexp(input: Tensor, other: Any) -> Tensor:
    """`input * 2**other`."""
    kind = float_kind(input, operand(other, "ldexp"))
    exponent = as_tensor(other, kind)
    power = emit("Pow", (constant(2, kind), exponent), exponent.shape, kind)
    return join("Mul", as_tensor(input, kind), power, kind)


@word(*both("nan_to_num"))
def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """NaN and infinities replaced; by default by 0 and the largest numbers of the type."""
    kind = input._dtype
    if kind.category != FLOAT:
        return same_value(input)
    largest = float(np.finfo(kind.numpy).max) if kind is not dtypes.bfloat16 else 3.3895313892515355e38
    above, below = constant(np.inf, kind), constant(-np.inf, kind)
    out = where(test("IsNaN", input), as_tensor(0.0 if nan is None else nan, kind), input)
    out = where(test("Equal", input, above), as_tensor(largest if posinf is None else posinf, kind), out)
    return where(test("Equal", input, below), as_tensor(-largest if neginf is None else neginf, kind), out)


for _function in (
    exp, exp2, expm1, log, log2, log10, log1p, logit, xlogy, sigmoid, erf, erfc, tanh, sinc, deg2rad, rad2deg,
    floor, ceil, round, trunc, frac, ldexp, nan_to_num,
):  # fmt: skip
    inplace(_function, *twins(_function.__name__))
inplace(trunc, *twins("fix"))
for _second in (atan2, hypot, copysign, heaviside):
    inplace(_second, f"Tensor.{_second.__name__}_")
inplace(atan2, "Tensor.arctan2_")
