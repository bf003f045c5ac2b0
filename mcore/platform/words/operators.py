"""The arithmetic operators: `+ - * / // % **`, from the left and the right.

What is no tensor, array or number is left to Python, which then asks the other operand.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mcore.platform.tensor import Tensor
from mcore.platform.word import word
from mcore.platform.words._common import is_number
from mcore.platform.words.arithmetic import (
    difference_of,
    floored_quotient,
    power_of,
    product_of,
    quotient_of,
    remainder_of,
    sum_of,
)  # fmt: skip


def _speakable(value: Any) -> bool:
    """Whether an operator takes the value; for others Python tries the value's own operator."""
    return isinstance(value, Tensor | np.ndarray) or is_number(value)


@word("Tensor.__add__", "Tensor.__radd__")
def _plus(self: Tensor, other: Any) -> Tensor:
    """`self + other`."""
    return sum_of(self, other) if _speakable(other) else NotImplemented


@word("Tensor.__sub__")
def _minus(self: Tensor, other: Any) -> Tensor:
    """`self - other`."""
    return difference_of(self, other) if _speakable(other) else NotImplemented


@word("Tensor.__rsub__")
def _reflected_minus(self: Tensor, other: Any) -> Tensor:
    """`other - self`."""
    return difference_of(other, self) if _speakable(other) else NotImplemented


@word("Tensor.__mul__", "Tensor.__rmul__")
def _times(self: Tensor, other: Any) -> Tensor:
    """`self * other`."""
    return product_of(self, other) if _speakable(other) else NotImplemented


@word("Tensor.__truediv__", "Tensor.__div__")
def _over(self: Tensor, other: Any) -> Tensor:
    """`self / other`."""
    return quotient_of(self, other) if _speakable(other) else NotImplemented


@word("Tensor.__floordiv__")
def _floor_over(self: Tensor, other: Any) -> Tensor:
    """`self // other`."""
    return floored_quotient(self, other) if _speakable(other) else NotImplemented


@word("Tensor.__rfloordiv__")
def _reflected_floor_over(self: Tensor, other: Any) -> Tensor:
    """`other // self`."""
    return floored_quotient(other, self) if _speakable(other) else NotImplemented


@word("Tensor.__mod__")
def _mod(self: Tensor, other: Any) -> Tensor:
    """`self % other`."""
    return remainder_of(self, other) if _speakable(other) else NotImplemented


@word("Tensor.__rmod__")
def _reflected_mod(self: Tensor, other: Any) -> Tensor:
    """`other % self`."""
    return remainder_of(other, self) if _speakable(other) else NotImplemented


@word("Tensor.__pow__")
def _to_the(self: Tensor, other: Any) -> Tensor:
    """`self ** other`."""
    return power_of(self, other) if _speakable(other) else NotImplemented


@word("Tensor.__rpow__")
def _reflected_to_the(self: Tensor, other: Any) -> Tensor:
    """`other ** self`."""
    return power_of(other, self) if _speakable(other) else NotImplemented


@word("Tensor.__rdiv__", "Tensor.__rtruediv__")
def _reflected_quotient(self: Tensor, other: Any) -> Tensor:
    """`other / self`."""
    return quotient_of(other, self) if _speakable(other) else NotImplemented


# numpy numbers and arrays on the left leave the operator to the tensor.
Tensor.__array_priority__ = 1000  # type: ignore[attr-defined]
