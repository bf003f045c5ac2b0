"""Whole numbers by axis: sizes, offsets and voxel sizes in one value.

Source: `Coordinate` of funlib.geometry (github.com/funkelab/funlib.geometry), by what running it showed.
Differs: numbers stand on either side of an operator (`1 + Coordinate(1, 2)`, refused there), and tuples on neither:
`(1, 2) + Coordinate(3, 4)` and `2 * Coordinate(1, 2)` strung entries together there.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from numbers import Number
from typing import Any

# An operator on two numbers.
_Operator = Callable[[Any, Any], Any]
# What is said of each when the other side doesn't fit, alone and as a verb.
_ADD, _SUBTRACT, _MULTIPLY = ("addition", "add"), ("subtraction", "subtract"), ("multiplication", "multiply")
_DIVIDE, _MOD, _RAISE = ("division", "divide"), ("mod", "mod"), ("raising", "raise to")


class Coordinate(tuple[Any, ...]):
    """Whole numbers, one for each axis, that are added, multiplied and divided axis by axis; None is unknown.

    Entries are made whole by cutting off the fraction, also those of results: `/` divides and cuts towards zero, `//`
    rounds down. Where one side is unknown, so is the result. It is compared, ordered, hashed and printed as a tuple,
    and a slice is a plain tuple.

    Args:
        entries: the numbers, or one iterable of them.

    Raises:
        AssertionError: two coordinates of different lengths meet.
        TypeError: the other side is neither a coordinate nor a number.

    >>> Coordinate(40, 20) - 2 * Coordinate(2, 4)
    (36, 12)
    """

    __slots__ = ()
    # Numbers of numpy on the left leave it to `__radd__` and its kin.
    __array_ufunc__ = None

    def __new__(cls, *entries: Any) -> Coordinate:
        given = entries[0] if len(entries) == 1 and isinstance(entries[0], Iterable) else entries
        return super().__new__(cls, (None if entry is None else int(entry) for entry in given))

    @property
    def dims(self) -> int:
        """How many axes."""
        return len(self)

    def squeeze(self, dim: int = 0) -> Coordinate:
        """Without the entry of axis `dim`.

        >>> Coordinate(1, 2, 3).squeeze(1)
        (1, 3)
        """
        return Coordinate(self[:dim] + self[dim + 1 :] if dim != -1 else self[:-1])

    def is_multiple_of(self, other: Coordinate) -> bool:
        """Whether every entry is a whole multiple of the other's."""
        return all(rest == 0 for rest in self % other)

    def floor_division(self, other: Coordinate) -> Coordinate:
        """The quotient, rounded down."""
        return self // other

    def ceil_division(self, other: Coordinate) -> Coordinate:
        """The quotient, rounded up.

        >>> Coordinate(5, 6).ceil_division(Coordinate(2, 4))
        (3, 2)
        """
        return (self + other - 1) // other

    def round_division(self, other: Coordinate) -> Coordinate:
        """The quotient, rounded to the nearest; halves down."""
        return (self + (other - 1) // 2) // other

    def __neg__(self) -> Coordinate:
        return self._each(operator.neg)

    def __abs__(self) -> Coordinate:
        return self._each(abs)

    def __add__(self, other: Any) -> Coordinate:
        return self._with(other, operator.add, _ADD)

    def __radd__(self, other: Any) -> Coordinate:
        return self._with(other, operator.add, _ADD)

    def __sub__(self, other: Any) -> Coordinate:
        return self._with(other, operator.sub, _SUBTRACT)

    def __rsub__(self, other: Any) -> Coordinate:
        return self._with(other, lambda mine, theirs: theirs - mine, _SUBTRACT)

    def __mul__(self, other: Any) -> Coordinate:
        return self._with(other, operator.mul, _MULTIPLY)

    def __rmul__(self, other: Any) -> Coordinate:
        return self._with(other, operator.mul, _MULTIPLY)

    def __truediv__(self, other: Any) -> Coordinate:
        return self._with(other, operator.truediv, _DIVIDE)

    def __rtruediv__(self, other: Any) -> Coordinate:
        return self._with(other, lambda mine, theirs: theirs / mine, _DIVIDE)

    def __floordiv__(self, other: Any) -> Coordinate:
        return self._with(other, operator.floordiv, _DIVIDE)

    def __rfloordiv__(self, other: Any) -> Coordinate:
        return self._with(other, lambda mine, theirs: theirs // mine, _DIVIDE)

    def __mod__(self, other: Any) -> Coordinate:
        return self._with(other, operator.mod, _MOD)

    def __rmod__(self, other: Any) -> Coordinate:
        return self._with(other, lambda mine, theirs: theirs % mine, _MOD)

    def __pow__(self, other: Any) -> Coordinate:
        return self._with(other, operator.pow, _RAISE)

    def __rpow__(self, other: Any) -> Coordinate:
        return self._with(other, lambda mine, theirs: theirs**mine, _RAISE)

    def _each(self, change: Callable[[Any], Any]) -> Coordinate:
        return Coordinate(None if entry is None else change(entry) for entry in self)

    def _with(self, other: Any, join: _Operator, words: tuple[str, str]) -> Coordinate:
        """Entries joined with those of `other`, axis by axis, or each with the number that it is."""
        if isinstance(other, Coordinate):
            if len(other) != len(self):
                # The kind of error that users of the original catch.
                raise AssertionError(f"can only {words[1]} Coordinate of equal dimensions")
            pairs = zip(self, other, strict=True)
            return Coordinate(None if a is None or b is None else join(a, b) for a, b in pairs)
        if isinstance(other, Number):
            return self._each(lambda entry: join(entry, other))
        raise TypeError(
            f"{words[0]} of Coordinate with type {type(other)} not supported; write Coordinate(...) around it"
        )


__all__ = ["Coordinate"]
