"""Sizes that stay symbolic: an `int` with its concrete value that remembers the expression it came from.

An expression is a polynomial in normal form over atoms: a symbol (one axis of one graph input), or a floor
division, remainder, minimum, maximum or rounded quotient of expressions. Normal form makes `(2 * h) // 2` equal
to `h`, so two recordings of one source at two sizes agree exactly where the source treats sizes alike.

Comparisons answer with the concrete value and are noted: what Python decided by them holds for this size only.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

# An atom is ("sym", name) or (operator, Expr, Expr) or ("ceil" | "floor" | "round" | "trunc", Quotient).
# Expr: ((monomial, coefficient), ...) sorted, where a monomial is a sorted tuple of atoms.
Expr = tuple
Quotient = tuple

# Set by graph.py: called with (left, operator, right) when a program compares a symbolic size.
on_compare: Callable[[Any, str, Any], None] | None = None
# Likewise, called when `int()` makes a plain number of a quotient of sizes.
on_loss: Callable[[Any], None] | None = None
# A comparison that was answered no is noted as the one that holds.
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def constant(value: int) -> Expr:
    """The expression of a plain number."""
    return (((), value),) if value else ()


def symbol(name: str) -> Expr:
    """The expression of one unknown size."""
    return (((("sym", name),), 1),)


def is_constant(expr: Expr) -> bool:
    """True where the expression has no symbol left."""
    return not expr or (len(expr) == 1 and expr[0][0] == ())


def constant_value(expr: Expr) -> int:
    """The number that a constant expression is."""
    return expr[0][1] if expr else 0


def _normal(terms: dict) -> Expr:
    return tuple(sorted(((m, c) for m, c in terms.items() if c), key=repr))


# A forward pass does the same few sums with its sizes over and over.
_remembered = functools.lru_cache(maxsize=8192)


@_remembered
def add(a: Expr, b: Expr, *, sign: int = 1) -> Expr:
    """`a + b`, or `a - b` with sign=-1."""
    terms = dict(a)
    for monomial, coefficient in b:
        terms[monomial] = terms.get(monomial, 0) + sign * coefficient
    return _normal(terms)


@_remembered
def multiply(a: Expr, b: Expr) -> Expr:
    """`a * b`."""
    terms: dict = {}
    for m, c in a:
        for n, d in b:
            key = tuple(sorted(m + n, key=repr))
            terms[key] = terms.get(key, 0) + c * d
    return _normal(terms)


@_remembered
def floor_divide(a: Expr, b: Expr) -> Expr:
    """`a // b`; what `b` divides without remainder is taken out: `(4 * h + 3) // 4` is `h`."""
    if is_constant(b) and (divisor := constant_value(b)):
        whole = tuple((m, c // divisor) for m, c in a if c % divisor == 0)
        rest = tuple((m, c) for m, c in a if c % divisor)
        if is_constant(rest):
            return add(whole, constant(constant_value(rest) // divisor))
        return add(whole, ((((("//", rest, b)),), 1),))
    if a == b:
        return constant(1)
    quotient = _exact_quotient(a, b)
    return quotient if quotient is not None else ((((("//", a, b)),), 1),)


def _exact_quotient(a: Expr, b: Expr) -> Expr | None:
    """`a / b` where `b` is one monomial that stands in every term of `a`; None elsewhere."""
    if len(b) != 1:
        return None
    (monomial, coefficient), terms = b[0], []
    for m, c in a:
        left = list(m)
        for atom in monomial:
            if atom not in left:
                return None
            left.remove(atom)
        if c % coefficient:
            return None
        terms.append((tuple(left), c // coefficient))
    return _normal(dict(terms))


@_remembered
def remainder(a: Expr, b: Expr) -> Expr:
    """`a % b`, with Python's sign; terms that `b` divides are dropped."""
    if is_constant(b) and (divisor := constant_value(b)):
        rest = tuple((m, c) for m, c in a if c % divisor)
        if is_constant(rest):
            return constant(constant_value(rest) % divisor)
        return ((((("%", rest, b)),), 1),)
    return () if _exact_quotient(a, b) is not None else ((((("%", a, b)),), 1),)


def atom(kind: str, *arguments: Any) -> Expr:
    """The expression that is one atom, for example `atom("max", a, b)`."""
    return ((((kind, *arguments),), 1),)


def symbols_of(expr: Any) -> set[str]:
    """Names of the symbols in an expression."""
    if isinstance(expr, tuple):
        if len(expr) == 2 and expr[0] == "sym":
            return {expr[1]}
        return set().union(*map(symbols_of, expr)) if expr else set()
    return set()


def text(expr: Expr) -> str:
    """An expression as one reads it: `2*h + 1`."""
    if not expr:
        return "0"
    parts = []
    for monomial, coefficient in expr:
        factors = [_atom_text(a) for a in monomial]
        if coefficient != 1 or not factors:
            factors.insert(0, str(coefficient))
        parts.append("*".join(factors))
    return " + ".join(parts).replace("+ -", "- ")


def _atom_text(a: tuple) -> str:
    if a[0] == "sym":
        return a[1]
    if a[0] in ("//", "%"):
        return f"({text(a[1])}){a[0]}({text(a[2])})"
    if a[0] in ("max", "min"):
        return f"{a[0]}({text(a[1])}, {text(a[2])})"
    return f"{a[0]}({_float_text(a[1])})"


def _float_text(q: Any) -> str:
    if isinstance(q, float):
        return repr(q)
    if q[0] == "int":
        return text(q[1])
    return f"({_float_text(q[1])} {q[0]} {_float_text(q[2])})"


def title(value: float) -> str:
    """A size, a quotient of sizes or a number as one reads it."""
    if isinstance(value, DimFloat):
        return _float_text(value.tree)
    return text(expr_of(value)) if isinstance(value, int) else repr(value)


def expr_of(value: int) -> Expr:
    """Expression of a size, symbolic or not."""
    return value.expr if type(value) is Dim else constant(int(value))


def make(value: int, expr: Expr) -> int:
    """A `Dim` of that value, or a plain int where nothing symbolic is left."""
    if is_constant(expr):
        return int(value)
    out = int.__new__(Dim, value)
    out.expr = expr
    return out


def is_symbolic(values: Iterable[object]) -> bool:
    """True where any of the sizes is symbolic."""
    for value in values:  # noqa: SIM110 - asked for every list of sizes: `any` takes twice as long
        if type(value) is Dim:
            return True
    return False


def _plain(value: Any) -> Any:
    """A size as a plain number; anything else as it is."""
    return int(value) if type(value) is Dim else value


class Dim(int):
    """A size that is symbolic: an int in every use, whose arithmetic keeps the expression."""

    expr: Expr

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return DimFloat.of(self) + other if isinstance(other, float) else NotImplemented
        return make(int(self) + int(other), add(self.expr, expr_of(other)))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return DimFloat.of(self) - other if isinstance(other, float) else NotImplemented
        return make(int(self) - int(other), add(self.expr, expr_of(other), sign=-1))

    def __rsub__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return other - DimFloat.of(self) if isinstance(other, float) else NotImplemented
        return make(int(other) - int(self), add(expr_of(other), self.expr, sign=-1))

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, int):
            return make(int(self) * int(other), multiply(self.expr, expr_of(other)))
        if isinstance(other, float):
            return DimFloat.of(self) * other
        if isinstance(other, tuple | list):  # the size is laundered: a list has as many entries as it has
            return int(self) * other
        return NotImplemented

    __rmul__ = __mul__

    def __neg__(self) -> Any:
        return make(-int(self), multiply(self.expr, constant(-1)))

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return self if int(self) >= 0 else -self

    def __floordiv__(self, other: Any) -> Any:
        if isinstance(other, float):
            return DimFloat.of(self) // other
        if not isinstance(other, int):
            return NotImplemented
        return make(int(self) // int(other), floor_divide(self.expr, expr_of(other)))

    def __rfloordiv__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        return make(int(other) // int(self), floor_divide(expr_of(other), self.expr))

    def __mod__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        return make(int(self) % int(other), remainder(self.expr, expr_of(other)))

    def __rmod__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        return make(int(other) % int(self), remainder(expr_of(other), self.expr))

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __truediv__(self, other: Any) -> Any:
        return DimFloat.of(self) / other if isinstance(other, int | float) else NotImplemented

    def __rtruediv__(self, other: Any) -> Any:
        return other / DimFloat.of(self) if isinstance(other, int | float) else NotImplemented

    def __pow__(self, other: Any, modulo: Any = None) -> Any:
        if isinstance(other, int) and type(other) is not Dim and 0 <= other <= 4 and modulo is None:
            out: Any = 1
            for _ in range(other):
                out = self * out
            return out
        return DimFloat.of(self).__pow__(other)

    def __round__(self, digits: Any = None) -> Any:  # type: ignore[override]  # torch's ints may be symbolic
        return self

    __ceil__ = __floor__ = __trunc__ = __round__

    def _compare(self, other: Any, sign: str, answer: bool) -> bool:
        if on_compare is not None and isinstance(other, int | float):
            on_compare(self, sign if answer else _OPPOSITE[sign], other)  # what holds, as it was answered
        return answer

    def __eq__(self, other: object) -> bool:
        if type(other) is Dim and other.expr == self.expr:
            return True
        return self._compare(other, "==", int(self) == _plain(other))

    def __ne__(self, other: object) -> bool:
        if type(other) is Dim and other.expr == self.expr:
            return False
        return self._compare(other, "!=", int(self) != _plain(other))

    def __lt__(self, other: Any) -> bool:
        return self._compare(other, "<", int(self) < _plain(other))

    def __le__(self, other: Any) -> bool:
        return self._compare(other, "<=", int(self) <= _plain(other))

    def __gt__(self, other: Any) -> bool:
        return self._compare(other, ">", int(self) > _plain(other))

    def __ge__(self, other: Any) -> bool:
        return self._compare(other, ">=", int(self) >= _plain(other))

    def __bool__(self) -> bool:
        return self._compare(0, "!=", int.__bool__(self))

    def __hash__(self) -> int:
        return int.__hash__(self)

    def __reduce__(self) -> tuple:  # a copy outside the recording is a plain number
        return int, (int(self),)

    def __deepcopy__(self, memo: dict) -> int:
        return int(self)


class DimFloat(float):
    """A quotient or product of sizes: carries a size through `math.ceil(h / 7)` and `round(h * 0.5)`.

    `tree` is ("int", Expr), a float, or (operator, tree, tree).
    """

    tree: Quotient

    @classmethod
    def of(cls, value: Any) -> Any:
        """A size or number as a float that remembers."""
        if isinstance(value, DimFloat):
            return value
        if type(value) is Dim:
            return cls._make(float(int(value)), ("int", value.expr))
        return float(value)

    @classmethod
    def _make(cls, value: float, tree: Any) -> DimFloat:
        out = float.__new__(cls, value)
        out.tree = tree
        return out

    def _with(self, sign: str, other: Any, value: Callable[[float, float], float], *, swap: bool = False) -> Any:
        if not isinstance(other, int | float):
            return NotImplemented
        a, b = (DimFloat.of(other), self) if swap else (self, DimFloat.of(other))
        trees = [x.tree if isinstance(x, DimFloat) else float(x) for x in (a, b)]
        return DimFloat._make(value(float(a), float(b)), (sign, *trees))

    def __add__(self, other: Any) -> Any:
        return self._with("+", other, lambda a, b: a + b)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._with("-", other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Any:
        return self._with("-", other, lambda a, b: a - b, swap=True)

    def __mul__(self, other: Any) -> Any:
        return self._with("*", other, lambda a, b: a * b)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return self._with("/", other, lambda a, b: a / b)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with("/", other, lambda a, b: a / b, swap=True)

    def __pow__(self, other: Any, modulo: Any = None) -> Any:
        return self._with("**", other, lambda a, b: a**b)

    def __neg__(self) -> Any:
        return self * -1.0

    def _rounded(self, kind: str, value: int) -> int:
        whole = _whole_quotient(self.tree, kind)
        return make(value, atom(kind, self.tree) if whole is None else whole)

    def __ceil__(self) -> int:
        return self._rounded("ceil", math.ceil(float(self)))

    def __floor__(self) -> int:
        return self._rounded("floor", math.floor(float(self)))

    def __trunc__(self) -> int:
        return self._rounded("trunc", math.trunc(float(self)))

    def __int__(self) -> int:
        # Python makes a plain number of whatever int() is given: all that can be kept is where it happened.
        if on_loss is not None:
            on_loss(self)
        return math.trunc(float(self))

    def __floordiv__(self, other: Any) -> Any:
        return DimFloat.of((self / other).__floor__()) if isinstance(other, int | float) else NotImplemented

    def _compare(self, other: Any, sign: str, answer: bool) -> bool:
        if on_compare is not None and isinstance(other, int | float):
            on_compare(self, sign if answer else _OPPOSITE[sign], other)  # what holds, as it was answered
        return answer

    def __eq__(self, other: object) -> bool:
        return self._compare(other, "==", float(self) == _plain(other))

    def __ne__(self, other: object) -> bool:
        return self._compare(other, "!=", float(self) != _plain(other))

    def __lt__(self, other: Any) -> bool:
        return self._compare(other, "<", float(self) < _plain(other))

    def __le__(self, other: Any) -> bool:
        return self._compare(other, "<=", float(self) <= _plain(other))

    def __gt__(self, other: Any) -> bool:
        return self._compare(other, ">", float(self) > _plain(other))

    def __ge__(self, other: Any) -> bool:
        return self._compare(other, ">=", float(self) >= _plain(other))

    def __bool__(self) -> bool:
        return self._compare(0, "!=", bool(float(self)))

    def __hash__(self) -> int:
        return float.__hash__(self)

    def __round__(self, digits: Any = None) -> Any:  # type: ignore[override]  # torch's ints may be symbolic
        return round(float(self), digits) if digits is not None else self._rounded("round", round(float(self)))

    def __reduce__(self) -> tuple:
        return float, (float(self),)


def _whole_quotient(tree: Quotient, kind: str) -> Expr | None:
    """`ceil(h / 4)` and its like in whole numbers, which know more rules; None where floats are truly needed.

    A quotient of whole numbers rounds to a whole float only where it is one, as long as sizes stay below 2**53.
    """
    above, below = _fraction(tree)
    if above is None or least(below) <= 0:
        return None
    if is_constant(below) and constant_value(below) == 1:
        return above
    if kind == "floor" or (kind == "trunc" and least(above) >= 0):
        return floor_divide(above, below)
    negative = multiply(above, constant(-1))
    return multiply(floor_divide(negative, below), constant(-1)) if kind == "ceil" else None


def _fraction(tree: Quotient) -> tuple[Expr | None, Expr]:
    """A float made of sizes as one exact fraction of whole numbers; (None, 1) where it is none."""
    one = constant(1)
    if isinstance(tree, float):
        above, below = tree.as_integer_ratio() if math.isfinite(tree) else (0, 0)
        return (constant(above), constant(below)) if 0 < below <= 64 else (None, one)
    if tree[0] == "int":
        return tree[1], one
    (a, b), (c, d) = (_fraction(t) for t in tree[1:])
    # Halves, quarters, ... are exact in floats; any other quotient is rounded, and rounded once more when used.
    if a is None or c is None or not (_dyadic(b) and _dyadic(d)):
        return None, one
    if tree[0] == "/":
        return multiply(a, d), multiply(b, c)
    if tree[0] == "*":
        return multiply(a, c), multiply(b, d)
    if tree[0] in ("+", "-"):
        return add(multiply(a, d), multiply(c, b), sign=1 if tree[0] == "+" else -1), multiply(b, d)
    return None, one


def _dyadic(expr: Expr) -> bool:
    """Whether a divisor is a power of two, by which floats divide exactly."""
    return is_constant(expr) and constant_value(expr).bit_count() == 1


@_remembered
def least(expr: Expr) -> float:
    """A number that the expression is never below, where every size is at least 1; -inf where none is known."""
    found = _least(expr)
    divisors = [constant_value(a[2]) for m, _ in expr for a in m if a[0] == "//" and is_constant(a[2])]
    for scale in {1, math.lcm(*divisors)} if divisors else ():
        found = max(found, _least(_without_floors(multiply(expr, constant(scale)))) / scale)
    return math.ceil(found) if math.isfinite(found) else found  # it is a whole number


def _least(expr: Expr) -> float:
    total: float = 0
    for monomial, coefficient in expr:
        low, high = 1.0, 1.0
        for a in monomial:
            least_of, most_of = _range_of(a)
            if least_of < 0:
                return -math.inf
            low, high = low * least_of, high * most_of
        total += coefficient * (low if coefficient > 0 else high)
    return total


def _range_of(a: tuple) -> tuple[float, float]:
    """Least and largest value of an atom."""
    kind = a[0]
    if kind == "sym":
        return (0 if a[1].startswith("data") else 1), math.inf  # sizes that depend on data may be empty
    if kind not in ("%", "//", "max", "min"):
        return -math.inf, math.inf
    low, high = least(a[1]), -least(multiply(a[1], constant(-1)))
    if kind in ("%", "//"):
        divisor = constant_value(a[2]) if is_constant(a[2]) else 0
        if divisor <= 0:
            return (0, math.inf) if low >= 0 and least(a[2]) > 0 else (-math.inf, math.inf)
        if kind == "%":
            return 0, divisor - 1
        return (low // divisor if low > -math.inf else low), (high // divisor if high < math.inf else high)
    other_low, other_high = least(a[2]), -least(multiply(a[2], constant(-1)))
    pick = max if kind == "max" else min
    return pick(low, other_low), pick(high, other_high)


def _without_floors(expr: Expr) -> Expr:
    """The expression with `8 * (h // 8)` written as `h - h % 8`, so that it cancels against `h`."""
    out: Expr = ()
    for monomial, coefficient in expr:
        for k, a in enumerate(monomial):
            if a[0] == "//" and is_constant(a[2]) and coefficient % constant_value(a[2]) == 0:
                whole = add(a[1], remainder(a[1], a[2]), sign=-1)
                rest = ((monomial[:k] + monomial[k + 1 :], coefficient // constant_value(a[2])),)
                out = add(out, multiply(whole, rest))
                break
        else:
            out = add(out, ((monomial, coefficient),))
    return out


def never_above(a: int, b: int) -> bool:
    """Whether `a <= b` at every size, as far as can be told."""
    if type(a) is not Dim and type(b) is not Dim:
        return int(a) <= int(b)
    return least(add(expr_of(b), expr_of(a), sign=-1)) >= 0


def holds_always(a: int, sign: str, b: int) -> bool:
    """Whether a comparison of sizes is true at every size, as far as can be told."""
    above, below = (least(add(expr_of(p), expr_of(q), sign=-1)) for p, q in ((b, a), (a, b)))
    if sign == "!=":
        return above >= 1 or below >= 1
    return {"<": above >= 1, "<=": above >= 0, ">": below >= 1, ">=": below >= 0}.get(sign, False)


def equal_always(a: int, b: int) -> bool:
    """Whether two sizes are the same expression."""
    if type(a) is not Dim and type(b) is not Dim:
        return int(a) == int(b)
    return type(a) is type(b) and expr_of(a) == expr_of(b)


def dim_max(a: int, b: int) -> int:
    """The larger of two sizes, symbolic where either is; without a note, unlike Python's `max`."""
    if type(a) is not Dim and type(b) is not Dim:
        return max(a, b)
    if never_above(a, b):
        return b
    if never_above(b, a):
        return a
    return make(max(int(a), int(b)), atom("max", expr_of(a), expr_of(b)))


def dim_min(a: int, b: int) -> int:
    """The smaller of two sizes, symbolic where either is; without a note, unlike Python's `min`."""
    if type(a) is not Dim and type(b) is not Dim:
        return min(a, b)
    if never_above(a, b):
        return a
    if never_above(b, a):
        return b
    return make(min(int(a), int(b)), atom("min", expr_of(a), expr_of(b)))


def same(a: int, b: int) -> bool:
    """Whether two sizes are equal now, asked by the library itself and so without a note."""
    return int(a) == int(b)


def product(values: Iterable[int]) -> int:
    """Product of sizes, symbolic where one is."""
    out: int = 1
    for v in values:
        out = v * out if type(v) is Dim else out * v
    return out
