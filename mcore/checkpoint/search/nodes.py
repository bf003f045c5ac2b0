"""Questions as data: comparisons, and what joins them.

What isn't known decides nothing, as in SQL: a comparison with a field that a checkpoint lacks is neither true nor
false, nor is its `not`; so neither `metrics.miou > 0.7` nor `not metrics.miou > 0.7` finds a checkpoint without that
metric. Ask `metrics.miou is null` for those. Sets of names are always known: `not "em" in tags` finds what has no tags.

Where a field has several values (two heads, three data sets), a comparison holds if it holds for one of them, and `!=`
if none is equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from mcore.checkpoint.errors import LimitExceeded, QueryError
from mcore.checkpoint.search.fields import Misfit, Value, check

# Values in a question, comparisons (each is looked up for every checkpoint), and how deep parts stand in each other.
MOST_VALUES, MOST_COMPARISONS, DEEPEST = 1000, 200, 50


@dataclass(frozen=True)
class Compare:
    """`field op value`; "~" compares with a pattern, in which * is any text and ? any letter."""

    field: str
    op: str
    value: Value

    def __str__(self) -> str:
        return f"{_name(self.field)} {self.op} {_literal(self.value)}"


@dataclass(frozen=True)
class In:
    """The field is one of `values`; a set of names has one of them; free text contains one of them."""

    field: str
    values: tuple[Value, ...]

    def __str__(self) -> str:
        return f"{_name(self.field)} in ({', '.join(map(_literal, self.values))})"


@dataclass(frozen=True)
class IsNull:
    """The checkpoint has no such field."""

    field: str

    def __str__(self) -> str:
        return f"{_name(self.field)} is null"


@dataclass(frozen=True)
class Not:
    part: Node

    def __str__(self) -> str:
        return f"not ({self.part})"


@dataclass(frozen=True)
class And:
    parts: tuple[Node, ...]

    def __str__(self) -> str:
        return " and ".join(f"({part})" for part in self.parts)


@dataclass(frozen=True)
class Or:
    parts: tuple[Node, ...]

    def __str__(self) -> str:
        return " or ".join(f"({part})" for part in self.parts)


Leaf: TypeAlias = Compare | In | IsNull
Node: TypeAlias = Leaf | Not | And | Or


def checked(node: Node) -> Node:
    """`node`, if every field is there, every value fits, and it isn't too large.

    Raises:
        QueryError: it doesn't fit.
        LimitExceeded: too many terms, or too deep.
    """
    values = comparisons = 0
    for part, depth in _walked(node):
        values += _values(part)
        comparisons += isinstance(part, Leaf)
        check_size(values, comparisons, depth)
        try:
            check_leaf(part)
        except Misfit as error:
            raise QueryError(f"search: {error}{'' if str(error).endswith('?') else '.'}") from None
    return node


def check_size(values: int, comparisons: int, depth: int) -> None:
    """Raises LimitExceeded where a question is larger than any that is meant."""
    if values > MOST_VALUES:
        raise LimitExceeded(f"search: more than {MOST_VALUES} values; ask in parts.")
    if comparisons > MOST_COMPARISONS:
        raise LimitExceeded(
            f"search: more than {MOST_COMPARISONS} comparisons; several values of a field are one: FIELD in (A, B)."
        )
    if depth > DEEPEST:
        raise LimitExceeded(f"search: parts stand more than {DEEPEST} deep in each other; write it flatter.")


def check_leaf(node: Node) -> None:
    """Raises Misfit where a field or a value of a comparison doesn't fit; what joins others always does."""
    if isinstance(node, Compare):
        check(node.field, node.op, node.value)
    elif isinstance(node, In):
        if not node.values:
            raise Misfit(f"{node.field} in () names no value", "value")
        for value in node.values:
            check(node.field, "in", value)
    elif isinstance(node, IsNull):
        check(node.field, "is", None)


def _walked(node: Node) -> Iterator[tuple[Node, int]]:
    """Every node with its depth; not recursive, so that what is too deep can be told."""
    waiting: list[tuple[Node, int]] = [(node, 0)]
    while waiting:
        part, depth = waiting.pop()
        yield part, depth
        if isinstance(part, Not):
            waiting.append((part.part, depth + 1))
        elif isinstance(part, And | Or):
            waiting += [(one, depth + 1) for one in part.parts]


def _values(node: Node) -> int:
    return len(node.values) if isinstance(node, In) else 1 if isinstance(node, Compare | IsNull) else 0


def _name(field: str) -> str:
    """A field, the steps of which are quoted where they aren't words."""
    return ".".join(step if _is_word(step) else _literal(step) for step in field.split("."))


def _is_word(step: str) -> bool:
    return (
        step.isascii()
        and step.replace("-", "_").replace("@", "_").replace("+", "_").isidentifier()
        and step[0] not in "+-@"
    )


def _literal(value: Value) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value).lower() if isinstance(value, bool) else repr(value)


__all__ = ["And", "Compare", "In", "IsNull", "Leaf", "Node", "Not", "Or", "check_leaf", "check_size", "checked"]
