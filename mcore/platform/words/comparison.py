"""Comparisons, truth, bits, and choosing by a condition."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcore.platform import dtypes
from mcore.platform.dtypes import dtype
from mcore.platform.tensor import Tensor, constant, emit
from mcore.platform.word import WORDS, inplace, publish, word
from mcore.platform.words import _pieces
from mcore.platform.words._common import as_tensor, broadcast, cast, is_number, result_type, same_shape
from mcore.platform.words._elementwise import (
    FLOAT,
    both,
    ctype,
    is_negative,
    join,
    no_kernel,
    operand,
    pair,
    truth,
)
from mcore.platform.words._pieces import filled, test

_bool = dtypes.bool_


def _speakable(value: Any) -> bool:
    return isinstance(value, Tensor) or is_number(value)


# --- comparisons


def _compared(op: str, a: Any, b: Any, name: str) -> Tensor:
    """A comparison in the operands' common type."""
    a, b, kind = pair(a, b, name)
    if op == "NotEqual":
        return test("Not", join("Equal", a, b, _bool))
    if kind is _bool and op != "Equal":  # no kernels
        a, b = cast(a, dtypes.uint8), cast(b, dtypes.uint8)
    return join(op, a, b, _bool)


@word(*both("eq"))
def eq(input: Tensor, other: Any) -> Tensor:
    """Where elements are equal; a NaN equals nothing."""
    return _compared("Equal", input, other, "eq")


@word(*both("ne", "not_equal"))
def ne(input: Tensor, other: Any) -> Tensor:
    """Where elements differ."""
    return _compared("NotEqual", input, other, "ne")


@word(*both("lt", "less"))
def lt(input: Tensor, other: Any) -> Tensor:
    """`input < other`."""
    return _compared("Less", input, other, "lt")


@word(*both("le", "less_equal"))
def le(input: Tensor, other: Any) -> Tensor:
    """`input <= other`."""
    return _compared("LessOrEqual", input, other, "le")


@word(*both("gt", "greater"))
def gt(input: Tensor, other: Any) -> Tensor:
    """`input > other`."""
    return _compared("Greater", input, other, "gt")


@word(*both("ge", "greater_equal"))
def ge(input: Tensor, other: Any) -> Tensor:
    """`input >= other`."""
    return _compared("GreaterOrEqual", input, other, "ge")


def _comparison_operator(name: str, op: str) -> None:
    @word(f"Tensor.{name}")
    def compare(self: Tensor, other: Any) -> Tensor:
        return _compared(op, self, other, name.strip("_")) if _speakable(other) else NotImplemented

    compare.__doc__ = f"The operator of `{name.strip('_')}`; what is no tensor or number is left to Python."


for _name, _op in (
    ("__eq__", "Equal"), ("__ne__", "NotEqual"), ("__lt__", "Less"), ("__le__", "LessOrEqual"),
    ("__gt__", "Greater"), ("__ge__", "GreaterOrEqual"),
):  # fmt: skip
    _comparison_operator(_name, _op)


# --- kinds of numbers


@word(*both("isnan"))
def isnan(input: Tensor) -> Tensor:
    """Where elements are NaN; nowhere among ints."""
    return test("IsNaN", input) if input._dtype.category == FLOAT else filled(False, input.shape, _bool)


@word(*both("isinf"))
def isinf(input: Tensor) -> Tensor:
    """Where elements are infinite."""
    return test("IsInf", input) if input._dtype.category == FLOAT else filled(False, input.shape, _bool)


@word(*both("isfinite"))
def isfinite(input: Tensor) -> Tensor:
    """Where elements are neither infinite nor NaN."""
    if input._dtype.category != FLOAT:
        return filled(True, input.shape, _bool)
    size = emit("Abs", (input,), input.shape, input._dtype)
    return test("Less", size, constant(np.inf, input._dtype))


def _equals(input: Tensor, value: float) -> Tensor:
    if input._dtype.category != FLOAT:
        return filled(False, input.shape, _bool)
    return test("Equal", input, constant(value, input._dtype))


@word(*both("isposinf"))
def isposinf(input: Tensor) -> Tensor:
    """Where elements are positive infinity."""
    return _equals(input, np.inf)


@word(*both("isneginf"))
def isneginf(input: Tensor) -> Tensor:
    """Where elements are negative infinity."""
    return _equals(input, -np.inf)


@word(*both("isreal"))
def isreal(input: Tensor) -> Tensor:
    """True everywhere: there are no complex numbers here."""
    return filled(True, input.shape, _bool)


@word(*both("signbit"))
def signbit(input: Tensor) -> Tensor:
    """Where the sign bit is set: also for -0.0."""
    return filled(False, input.shape, _bool) if input._dtype is _bool else is_negative(input)


# --- nearness


@word(*both("isclose"))
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """`|input - other| <= atol + rtol * |other|`; infinities only to themselves."""
    if input._dtype is not other._dtype:
        raise RuntimeError(f"{input._dtype.title} did not match {other._dtype.title}")
    same = join("Equal", input, other, _bool)
    kind = input._dtype
    if equal_nan and kind.category == FLOAT:
        same = test("Or", same, test("And", test("IsNaN", input), test("IsNaN", other)))
    if kind is _bool:
        return same
    if kind.category != FLOAT:
        kind = dtypes.float64
        input, other = cast(input, kind), cast(other, kind)
    gap = join("Sub", input, other, kind)
    gap = emit("Abs", (gap,), gap.shape, kind)
    allowed = emit("Abs", (other,), other.shape, kind)
    allowed = join("Add", join("Mul", allowed, as_tensor(rtol, kind), kind), as_tensor(atol, kind), kind)
    finite = test("Less", gap, constant(np.inf, kind))
    return test("Or", same, test("And", finite, test("LessOrEqual", gap, allowed)))


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all elements are close: a Python bool, so it reads values."""
    return bool(WORDS["torch.all"](isclose(input, other, rtol, atol, equal_nan)))


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether shapes and all elements are equal: a Python bool, so it reads values."""
    if not same_shape(input.shape, other.shape):
        return False
    return bool(WORDS["torch.all"](eq(input, other)))


publish(allclose, *both("allclose"))
publish(equal, *both("equal"))


# --- truth


def _logical(op: str, a: Any, b: Any, name: str) -> Tensor:
    a = truth(a) if isinstance(a, Tensor) else constant(bool(a), _bool)
    b = truth(b) if isinstance(b, Tensor) else constant(bool(operand(b, name)), _bool)
    return join(op, a, b, _bool)


@word(*both("logical_and"))
def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """Where both are nonzero."""
    return _logical("And", input, other, "logical_and")


@word(*both("logical_or"))
def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """Where either is nonzero."""
    return _logical("Or", input, other, "logical_or")


@word(*both("logical_xor"))
def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    """Where exactly one is nonzero."""
    return _logical("Xor", input, other, "logical_xor")


@word(*both("logical_not"))
def logical_not(input: Tensor) -> Tensor:
    """Where an element is zero."""
    return test("Not", truth(input))


# --- bits


def _bits(name: str, a: Any, b: Any) -> Tensor:
    a, b, kind = pair(a, b, f"bitwise_{name.lower()}")
    if kind.category == FLOAT:
        raise no_kernel(f"bitwise_{name.lower()}", kind)
    return join(name if kind is _bool else f"Bitwise{name}", a, b, kind)


@word(*both("bitwise_and"))
def bitwise_and(input: Any, other: Any) -> Tensor:
    """`input & other` of ints or bools."""
    return _bits("And", input, other)


@word(*both("bitwise_or"))
def bitwise_or(input: Any, other: Any) -> Tensor:
    """`input | other` of ints or bools."""
    return _bits("Or", input, other)


@word(*both("bitwise_xor"))
def bitwise_xor(input: Any, other: Any) -> Tensor:
    """`input ^ other` of ints or bools."""
    return _bits("Xor", input, other)


@word(*both("bitwise_not"), "Tensor.__invert__")
def bitwise_not(input: Tensor) -> Tensor:
    """`~input` of ints or bools."""
    kind = input._dtype
    if kind.category == FLOAT:
        raise no_kernel("bitwise_not", kind)
    return emit("Not" if kind is _bool else "BitwiseNot", (input,), input.shape, kind)


def _shifted(a: Any, b: Any, name: str, *, left: bool) -> Tensor:
    """Shifts as products and floored quotients: the runtime shifts unsigned ints only."""
    a, b, kind = pair(a, b, name)
    if kind.category != dtypes.INTEGER:
        raise no_kernel("lshift" if left else "rshift", kind)
    wide, bits = dtypes.int64, 8 * kind.itemsize
    x, steps = cast(a, wide), cast(b, wide)
    beyond = test("Or", test("Less", steps, constant(0, wide)), test("GreaterOrEqual", steps, constant(bits, wide)))
    low, high = constant(0, wide), constant(bits - 1, wide)
    steps = emit("Min", (emit("Max", (steps, low), steps.shape, wide), high), steps.shape, wide)
    powers = constant(np.array([2**k if k < 63 else -(2**63) for k in range(bits)]), wide)
    factor = _pieces.take(powers, steps, 0)
    if left:
        return cast(_pieces.where(beyond, low, join("Mul", x, factor, wide)), kind)
    # Towards minus infinity; a shift by 63 has only the sign left.
    sign = cast(test("Less", x, low), wide)
    sign = emit("Neg", (sign,), sign.shape, wide)
    if bits == 64:
        beyond = test("Or", beyond, test("Equal", steps, high))
    safe = _pieces.where(beyond, constant(1, wide), factor)
    rest = join("Mod", x, safe, wide)
    return cast(_pieces.where(beyond, sign, join("Div", join("Sub", x, rest, wide), safe, wide)), kind)


@word(*both("bitwise_left_shift"))
def bitwise_left_shift(input: Any, other: Any) -> Tensor:
    """`input << other`; what is shifted out is lost, a shift by more than there are bits gives 0."""
    return _shifted(input, other, "bitwise_left_shift", left=True)


@word(*both("bitwise_right_shift"))
def bitwise_right_shift(input: Any, other: Any) -> Tensor:
    """`input >> other`, keeping the sign."""
    return _shifted(input, other, "bitwise_right_shift", left=False)


def _bit_operators(name: str, function: Any) -> None:
    @word(f"Tensor.__{name}__")
    def forward(self: Tensor, other: Any) -> Tensor:
        return function(self, other) if _speakable(other) else NotImplemented

    @word(f"Tensor.__r{name}__")
    def reflected(self: Tensor, other: Any) -> Tensor:
        return function(other, self) if _speakable(other) else NotImplemented

    forward.__doc__ = f"The operator of {function.__name__}."
    reflected.__doc__ = f"The reflected operator of {function.__name__}."
    inplace(function, f"Tensor.{function.__name__}_", f"Tensor.__i{name}__")


for _name, _function in (
    ("and", bitwise_and), ("or", bitwise_or), ("xor", bitwise_xor),
    ("lshift", bitwise_left_shift), ("rshift", bitwise_right_shift),
):  # fmt: skip
    _bit_operators(_name, _function)


# --- choosing


def _condition(value: Tensor) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"where(): argument 'condition' (position 1) must be Tensor, not {type(value).__name__}")
    if value._dtype not in (_bool, dtypes.uint8):
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {value._dtype.title}"
        )
    return truth(value)


def choose(condition: Tensor, a: Tensor, b: Tensor, kind: dtype) -> Tensor:
    """`a` where the condition holds, else `b`; bools by logic, as the runtime has no kernel for them."""
    if kind is _bool:
        return test("Or", test("And", condition, a), test("And", test("Not", condition), b))
    return _pieces.where(condition, a, b)


@word("torch.where")
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where the condition holds, else `other`; of the condition alone, where it holds."""
    if input is None and other is None:
        return WORDS["torch.nonzero"](condition, as_tuple=True)
    return _chosen(condition, input, other)


@word("Tensor.where")
def _method_where(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """`self` where the condition holds, else `other`."""
    return _chosen(condition, self, other)


def _chosen(condition: Tensor, a: Any, b: Any) -> Tensor:
    condition = _condition(condition)
    kind = result_type(operand(a, "where", "input"), operand(b, "where", "other", 3))
    return choose(condition, as_tensor(a, kind), as_tensor(b, kind), kind)


@word(*both("masked_fill"))
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` where the mask holds, else `input`, in the type of `input`."""
    if mask._dtype is not _bool:
        raise RuntimeError(f"masked_fill_ only supports boolean masks, but got mask with dtype {ctype(mask._dtype)}")
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(
            f"masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s)."
        )
    kind = input._dtype
    out = choose(mask, as_tensor(value, kind), input, kind)
    shape = broadcast(input.shape, mask.shape)
    return out if len(out.shape) == len(shape) else _pieces.expand(out, shape)


inplace(masked_fill, "Tensor.masked_fill_")
for _word in (eq, ne, lt, le, gt, ge, logical_and, logical_or, logical_xor, logical_not, bitwise_not):
    inplace(_word, f"Tensor.{_word.__name__}_")
for _word, _name in (
    (ne, "not_equal"),
    (lt, "less"),
    (le, "less_equal"),
    (gt, "greater"),
    (ge, "greater_equal"),
):
    inplace(_word, f"Tensor.{_name}_")
