"""Arithmetic: sums, products, quotients, powers, limits, and the operators that speak them.

Result types are torch's: tensors with axes decide before tensors without, these before Python numbers.
"""

from __future__ import annotations

import math
from typing import Any

from mcore.platform import dtypes
from mcore.platform.dtypes import dtype
from mcore.platform.tensor import Tensor, constant, emit
from mcore.platform.word import inplace, publish, word, write_back
from mcore.platform.words._common import as_tensor, broadcast, cast, is_number, result_type
from mcore.platform.words._elementwise import (
    BOOL,
    FLOAT,
    as_float,
    both,
    check_fits,
    ctype,
    float_kind,
    join,
    no_kernel,
    number,
    operand,
    pair,
    same_value,
    times,
    truncated,
    wide_for,
)  # fmt: skip
from mcore.platform.words._pieces import test, where

# --- sum, difference, product


def _check_alpha(alpha: Any, kind: dtype) -> None:
    if isinstance(alpha, bool) and kind.category != BOOL:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, float) and kind.category != FLOAT:
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")


def _scaled(x: Tensor, alpha: Any, kind: dtype) -> Tensor:
    if type(alpha) is int and alpha == 1:
        return x
    _check_alpha(alpha, kind)
    if kind.category == BOOL:
        return x if alpha else emit("And", (x, constant(False, kind)), x.shape, kind)
    return times(x, alpha)


def sum_of(a: Any, b: Any, alpha: Any = 1) -> Tensor:
    a, b, kind = pair(a, b, "add")
    return join("Or" if kind.category == BOOL else "Add", a, _scaled(b, alpha, kind), kind)


def difference_of(a: Any, b: Any, alpha: Any = 1) -> Tensor:
    bools = [isinstance(v, bool) or (isinstance(v, Tensor) and v._dtype is dtypes.bool_) for v in (a, b)]
    if any(bools):
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. "
            "Use the `^` or `logical_xor()` operator instead." if all(bools) else
            "Subtraction, the `-` operator, with a bool tensor is not supported. "
            "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )  # fmt: skip
    a, b, kind = pair(a, b, "sub")
    return join("Sub", a, _scaled(b, alpha, kind), kind)


def product_of(a: Any, b: Any) -> Tensor:
    a, b, kind = pair(a, b, "mul")
    return join("And" if kind.category == BOOL else "Mul", a, b, kind)


@word(*both("add"))
def add(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """`input + alpha * other`; of bools, their disjunction."""
    return sum_of(input, other, alpha)


@word(*both("sub", "subtract"))
def sub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """`input - alpha * other`. Raises RuntimeError for bools."""
    return difference_of(input, other, alpha)


@word("torch.rsub")
def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """`other - alpha * input`."""
    return difference_of(other, input, alpha)


@word(*both("mul", "multiply"))
def mul(input: Tensor, other: Any) -> Tensor:
    """`input * other`; of bools, their conjunction."""
    return product_of(input, other)


# --- quotients


def _check_divisor(value: Any, kind: dtype) -> None:
    if kind.category != FLOAT and is_number(value) and value == 0:
        raise RuntimeError("ZeroDivisionError")


def quotient_of(a: Any, b: Any) -> Tensor:
    """True division: ints are divided as floats."""
    b = operand(b, "div")
    kind = float_kind(a, b)
    return join("Div", as_tensor(a, kind), as_tensor(b, kind), kind)


def floored_quotient(a: Any, b: Any) -> Tensor:
    """The quotient rounded down, exactly: from the remainder, so that 1.0 // 0.1 is 9."""
    divisor = b
    a, b, kind = pair(a, b, "floor_divide")
    if kind.category == BOOL:
        raise no_kernel("div_floor", kind)
    _check_divisor(divisor, kind)
    if kind is dtypes.uint8:
        return join("Div", a, b, kind)
    if kind.category != FLOAT:
        wide = dtypes.int32 if kind.itemsize < 4 else kind  # -128 - 2 would leave int8
        a, b = cast(a, wide), cast(b, wide)
        rest = join("Mod", a, b, wide)
        return cast(join("Div", emit("Sub", (a, rest), rest.shape, wide), b, wide), kind)
    if type(divisor) in (int, float) and _power_of_two(divisor):
        whole = emit("Floor", (join("Div", a, b, kind),), a.shape, kind)
        # torch's quotient of an infinity is NaN, and so is the difference of two.
        return join("Add", whole, emit("Sub", (a, a), a.shape, kind), kind)
    return _floored_floats(a, b, kind, divisor)


def _power_of_two(value: float) -> bool:
    return math.isfinite(value) and math.fabs(math.frexp(value)[0]) == 0.5


def _floored_floats(a: Tensor, b: Tensor, kind: dtype, divisor: Any) -> Tensor:
    zero = constant(0, kind)
    shape = broadcast(a.shape, b.shape)
    rest = emit("Mod", (a, b), shape, kind, fmod=1)  # has the sign of a
    even = emit("Div", (emit("Sub", (a, rest), shape, kind), b), shape, kind)
    if is_number(divisor) and divisor > 0:
        less = test("Less", rest, zero)
    elif is_number(divisor):
        less = test("Greater", rest, zero)
    else:
        unequal = test("Xor", test("Less", b, zero), test("Less", rest, zero))
        less = test("And", test("Not", test("Equal", rest, zero)), unequal)
    even = emit("Round", (emit("Sub", (even, cast(less, kind)), shape, kind),), shape, kind)
    if is_number(divisor) and divisor != 0:
        return even
    return where(test("Equal", b, zero), join("Div", a, b, kind), even)


@word(*both("div", "divide"))
def div(input: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """`input / other` in floats; "trunc" rounds towards zero, "floor" down, in the operands' own type."""
    if rounding_mode is None:
        return quotient_of(input, other)
    if rounding_mode == "floor":
        return floored_quotient(input, other)
    if rounding_mode != "trunc":
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        )
    a, b, kind = pair(input, other, "div")
    if kind.category == BOOL:
        raise no_kernel("div_trunc", kind)
    _check_divisor(other, kind)
    out = join("Div", a, b, kind)
    return truncated(out) if kind.category == FLOAT else out


@word(*both("true_divide"))
def true_divide(dividend: Tensor, divisor: Any) -> Tensor:
    """`input / other` in floats."""
    return quotient_of(dividend, divisor)


@word(*both("floor_divide"))
def floor_divide(input: Tensor, other: Any) -> Tensor:
    """The quotient rounded down, in the operands' own type: `-7 // 2` is -4."""
    return floored_quotient(input, other)


def _modulo(a: Any, b: Any, word_name: str) -> tuple[Tensor, Tensor, dtype]:
    divisor = b
    a, b, kind = pair(a, b, word_name)
    if kind.category == BOOL:
        raise no_kernel(word_name, kind)
    _check_divisor(divisor, kind)
    return a, b, kind


def remainder_of(a: Any, b: Any) -> Tensor:
    divisor = b
    a, b, kind = _modulo(a, b, "remainder")
    if kind.category != FLOAT:
        return join("Mod", a, b, kind)
    shape, zero = broadcast(a.shape, b.shape), constant(0, kind)
    rest = emit("Mod", (a, b), shape, kind, fmod=1)
    moved = join("Add", rest, b, kind)
    if is_number(divisor) and divisor != 0:
        return where(test("Less" if divisor > 0 else "Greater", rest, zero), moved, rest)
    unequal = test("Xor", test("Less", b, zero), test("Less", rest, zero))
    return where(test("And", test("Not", test("Equal", rest, zero)), unequal), moved, rest)


@word(*both("remainder"))
def remainder(input: Tensor, other: Any) -> Tensor:
    """What is left of a division rounded down: it has the divisor's sign."""
    return remainder_of(input, other)


@word(*both("fmod"))
def fmod(input: Tensor, other: Any) -> Tensor:
    """What is left of a division rounded towards zero: it has the dividend's sign."""
    a, b, kind = _modulo(input, other, "fmod")
    return emit("Mod", (a, b), broadcast(a.shape, b.shape), kind, fmod=1)


# --- powers


def _ones(x: Tensor) -> Tensor:
    return emit("Expand", (constant(1, x._dtype), emit("Shape", (x,), (x.ndim,), dtypes.int64)), x.shape, x._dtype)


def _whole_power(x: Tensor, exponent: int) -> Tensor:
    """An integer power by repeated squaring: exact, wrapping around as torch's does."""
    if exponent == 0:
        return _ones(x)
    out, base = None, x
    while exponent:
        if exponent & 1:
            out = base if out is None else emit("Mul", (out, base), x.shape, x._dtype)
        exponent >>= 1
        if exponent:
            base = emit("Mul", (base, base), x.shape, x._dtype)
    assert out is not None
    return same_value(x) if out is x else out


def _float_power_of(x: Tensor, exponent: float) -> Tensor:
    """Powers that torch computes by simpler words."""
    shape, kind = x.shape, x._dtype
    if exponent in (1, 2, 3, 0):
        return _whole_power(x, int(exponent))
    if exponent in (-1, -2):
        return emit("Reciprocal", (_whole_power(x, -int(exponent)),), shape, kind)
    if exponent in (0.5, -0.5):
        root = emit("Sqrt", (x,), shape, kind)
        return root if exponent > 0 else emit("Reciprocal", (root,), shape, kind)
    return emit("Pow", (x, number(exponent, x)), shape, kind)


def power_of(a: Any, b: Any) -> Tensor:
    if isinstance(a, Tensor) and type(b) in (int, float, bool):
        kind = result_type(a, b)
        if kind.category == FLOAT:
            return _float_power_of(cast(a, kind), b)
        if kind.category == dtypes.INTEGER:
            if b < 0:
                raise RuntimeError("Integers to negative integer powers are not allowed.")
            return _whole_power(cast(a, kind), int(b))
        return _whole_power(a, int(b))  # of bools, to the power True or False
    a, b, kind = pair(a, b, "pow")
    if kind.category == BOOL:
        raise NotImplementedError("\"pow\" not implemented for 'Bool'")
    if kind.category == FLOAT:
        return join("Pow", a, b, kind)
    wide = wide_for(kind)
    a, b = cast(a, wide), cast(b, wide)
    zero = constant(0, wide)
    out = join("Pow", a, b, wide)
    # The runtime's 0 to a negative power is an infinity cut to an integer; torch's is 0.
    lost = test("And", test("Equal", a, zero), test("Less", b, zero))
    return cast(where(lost, zero, out), kind)


@word(*both("pow"))
def pow(input: Any, exponent: Any) -> Tensor:
    """`input ** exponent`. Raises RuntimeError for an integer tensor and a negative integer number."""
    return power_of(input, exponent)


@word(*both("float_power"))
def float_power(input: Any, exponent: Any) -> Tensor:
    """`input ** exponent` in float64."""
    wide = dtypes.float64
    if isinstance(input, Tensor) and type(exponent) in (int, float):
        return _float_power_of(cast(input, wide), exponent)
    return join("Pow", as_tensor(input, wide), as_tensor(exponent, wide), wide)


# --- combinations


@word(*both("addcmul"))
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """`input + value * tensor1 * tensor2`."""
    kind = result_type(input, tensor1, tensor2)
    product = join("Mul", cast(tensor1, kind), cast(tensor2, kind), kind)
    return join("Add", cast(input, kind), times(product, value), kind)


@word(*both("addcdiv"))
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """`input + value * tensor1 / tensor2`. Raises RuntimeError for integer divisions."""
    if tensor1._dtype.category != FLOAT and tensor2._dtype.category != FLOAT:
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will "
            "perform a true division of tensor1 and tensor2."
        )
    kind = result_type(input, tensor1, tensor2)
    quotient = join("Div", times(cast(tensor1, kind), value), cast(tensor2, kind), kind)
    return join("Add", cast(input, kind), quotient, kind)


@word(*both("lerp"))
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """`input + weight * (end - input)`, computed from the nearer end: weight 1 gives `end` exactly."""
    kind = input._dtype
    for name, other in (("end", end), ("weight", weight)):
        if isinstance(other, Tensor) and other._dtype is not kind and other.ndim + (name == "end"):
            raise RuntimeError(f"expected dtype {ctype(kind)} for `{name}` but got dtype {ctype(other._dtype)}")
    if kind.category != FLOAT:
        raise no_kernel("lerp", kind)
    span = join("Sub", end, input, kind)
    if is_number(weight):
        if weight < 0.5:
            return join("Add", input, times(span, weight), kind)
        return join("Sub", end, times(span, 1 - weight), kind)
    weight = cast(weight, kind)
    near = join("Add", input, join("Mul", span, weight, kind), kind)
    rest = emit("Sub", (constant(1, kind), weight), weight.shape, kind)
    far = join("Sub", end, join("Mul", span, rest, kind), kind)
    half = test("Less", emit("Abs", (weight,), weight.shape, kind), constant(0.5, kind))
    return where(half, near, far)


# --- extremes and limits


def _extreme(op: str, a: Any, b: Any, word_name: str) -> Tensor:
    for index, (name, value) in enumerate((("input", a), ("other", b)), 1):
        if not isinstance(value, Tensor):
            given = type(value).__name__
            raise TypeError(f"{word_name}(): argument '{name}' (position {index}) must be Tensor, not {given}")
    a, b, kind = pair(a, b, word_name)
    return _limited(op, a, b, kind)


def _limited(op: str, a: Tensor, b: Tensor, kind: dtype) -> Tensor:
    """Max or Min of two tensors of one type."""
    if kind.category == BOOL:
        return join("Or" if op == "Max" else "And", a, b, kind)
    wide = dtypes.int32 if kind is dtypes.int16 else kind  # no kernel
    return cast(join(op, cast(a, wide), cast(b, wide), wide), kind)


def _extreme_of_numbers(op: str, a: Any, b: Any, word_name: str) -> Tensor:
    """The larger or smaller where a NaN counts as absent."""
    out = _extreme(op, a, b, word_name)
    kind = out._dtype
    if kind.category != FLOAT:
        return out
    a, b = cast(a, kind), cast(b, kind)
    return where(test("IsNaN", a), b, where(test("IsNaN", b), a, out))


@word(*both("maximum"))
def maximum(input: Tensor, other: Tensor) -> Tensor:
    """The larger of two elements; NaN where either is."""
    return _extreme("Max", input, other, "maximum")


@word(*both("minimum"))
def minimum(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of two elements; NaN where either is."""
    return _extreme("Min", input, other, "minimum")


@word(*both("fmax"))
def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of two elements; the other one where one is NaN."""
    return _extreme_of_numbers("Max", input, other, "fmax")


@word(*both("fmin"))
def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of two elements; the other one where one is NaN."""
    return _extreme_of_numbers("Min", input, other, "fmin")


@word(*both("clamp", "clip"))
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """`input` limited to [min, max], numbers or tensors; `max` wins where they cross."""
    return limit(input, min, max)


def limit(x: Tensor, low: Any, high: Any) -> Tensor:
    """`x` within [low, high]; either may be None."""
    bounds = [b for b in (low, high) if b is not None]
    if not bounds:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    kind = x._dtype
    if kind is not dtypes.float32 or any(isinstance(b, Tensor) for b in bounds):
        kind = result_type(x, *(operand(b, "clamp", "min") for b in bounds))
    if kind.category == BOOL:
        raise no_kernel("clamp", kind)
    for bound in bounds:
        check_fits(bound, kind)
    x = cast(x, kind)
    if len(bounds) == 2 and not any(isinstance(b, Tensor) for b in bounds):
        wide = dtypes.int32 if kind is dtypes.int16 else kind  # no kernel
        limits = (as_tensor(low, wide), as_tensor(high, wide))
        return cast(emit("Clip", (cast(x, wide), *limits), x.shape, wide), kind)
    # Not Clip, which with one bound cuts infinities on the open side to the largest number.
    if low is not None:
        x = _limited("Max", x, as_tensor(low, kind), kind)
    return x if high is None else _limited("Min", x, as_tensor(high, kind), kind)


@word(*both("clamp_min"))
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """`input`, at least `min`."""
    return limit(input, min, None)


@word(*both("clamp_max"))
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """`input`, at most `max`."""
    return limit(input, None, max)


# --- one operand


@word(*both("neg", "negative"), "Tensor.__neg__")
def neg(input: Tensor) -> Tensor:
    """`-input`. Raises RuntimeError for bools."""
    kind = input._dtype
    if kind.category == BOOL:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. "
            "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )
    if kind is dtypes.uint8:  # no kernel
        return emit("Sub", (constant(0, kind), input), input.shape, kind)
    return emit("Neg", (input,), input.shape, kind)


@word(*both("positive"), "Tensor.__pos__")
def positive(input: Tensor) -> Tensor:
    """`input` itself. Raises RuntimeError for bools."""
    if input._dtype.category == BOOL:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


@word(*both("abs", "absolute"), "Tensor.__abs__")
def abs(input: Tensor) -> Tensor:
    """`|input|`."""
    if input._dtype.category == BOOL:
        raise no_kernel("abs", input._dtype)
    return emit("Abs", (input,), input.shape, input._dtype)


@word(*both("sign", "sgn"))
def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1; 0 for NaN, as in torch."""
    kind = input._dtype
    if kind.category == BOOL:
        return same_value(input)
    out = emit("Sign", (input,), input.shape, kind)
    return out if kind.category != FLOAT else where(test("IsNaN", input), constant(0, kind), out)


@word(*both("square"))
def square(input: Tensor) -> Tensor:
    """`input * input`; of bools, as integers."""
    x = cast(input, dtypes.int64) if input._dtype.category == BOOL else input
    return emit("Mul", (x, x), x.shape, x._dtype)


@word(*both("sqrt"))
def sqrt(input: Tensor) -> Tensor:
    """Square root; ints give floats."""
    x = as_float(input)
    return emit("Sqrt", (x,), x.shape, x._dtype)


@word(*both("rsqrt"))
def rsqrt(input: Tensor) -> Tensor:
    """`1 / sqrt(input)`."""
    x = as_float(input)
    return emit("Reciprocal", (emit("Sqrt", (x,), x.shape, x._dtype),), x.shape, x._dtype)


@word(*both("reciprocal"))
def reciprocal(input: Tensor) -> Tensor:
    """`1 / input`; ints give floats."""
    x = as_float(input)
    return emit("Reciprocal", (x,), x.shape, x._dtype)


def float_power_(self: Tensor, exponent: Any) -> Tensor:
    """`float_power` in place: of float64 tensors only, since that is what it gives."""
    if self._dtype is not dtypes.float64:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {self._dtype.title} but the operation's result "
            "requires dtype Double"
        )
    return write_back(self, float_power(self, exponent))


publish(float_power_, "Tensor.float_power_")
inplace(add, "Tensor.add_", "Tensor.__iadd__")
inplace(sub, "Tensor.sub_", "Tensor.subtract_", "Tensor.__isub__")
inplace(mul, "Tensor.mul_", "Tensor.multiply_", "Tensor.__imul__")
inplace(div, "Tensor.div_", "Tensor.divide_", "Tensor.__itruediv__", "Tensor.__idiv__")
inplace(true_divide, "Tensor.true_divide_")
inplace(floor_divide, "Tensor.floor_divide_", "Tensor.__ifloordiv__")
inplace(remainder, "Tensor.remainder_", "Tensor.__imod__")
inplace(fmod, "Tensor.fmod_")
inplace(pow, "Tensor.pow_", "Tensor.__ipow__")
inplace(addcmul, "Tensor.addcmul_")
inplace(addcdiv, "Tensor.addcdiv_")
inplace(lerp, "Tensor.lerp_")
for _name, _function in (("neg", neg), ("abs", abs), ("square", square), ("sqrt", sqrt), ("rsqrt", rsqrt)):
    inplace(_function, f"torch.{_name}_", f"Tensor.{_name}_")
inplace(reciprocal, "torch.reciprocal_", "Tensor.reciprocal_")
inplace(neg, "torch.negative_", "Tensor.negative_")
inplace(abs, "Tensor.absolute_")
inplace(sign, "Tensor.sign_", "Tensor.sgn_")
inplace(clamp, "torch.clamp_", "torch.clip_", "Tensor.clamp_", "Tensor.clip_")
inplace(clamp_min, "torch.clamp_min_", "Tensor.clamp_min_")
inplace(clamp_max, "torch.clamp_max_", "Tensor.clamp_max_")
