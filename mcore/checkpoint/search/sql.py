"""From a question to a statement: what is asked is bound, never written into it.

A comparison that a `not` stands before is turned round instead of negated, down to the leaves; so the statement has no
unknowns above them, and "neither true nor false" needs no logic of the database's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.operators import custom_op

from mcore.checkpoint.search import schema
from mcore.checkpoint.search.fields import DATA, MOMENT, NAMES, NUMBER, PROSE, TEXT, Field, field_of, kind_of, span_of
from mcore.checkpoint.search.nodes import And, Compare, In, IsNull, Leaf, Node, Not
from mcore.checkpoint.search.rows import clean, folded

Clause = sa.ColumnElement[bool]
# Parts that stand in one "and" or "or"; SQLite takes a thousand levels, and each part is one.
_TOGETHER = 100
# Which column of facts has a value.
_OF_KIND = {TEXT: "text", NUMBER: "number"}

_PLUS: custom_op[Any] = custom_op("+")

checkpoint = schema.checkpoint


class Translator:
    """Statements for one kind of database.

    Args:
        dialect: "sqlite" or "postgresql".
        unindexed: SQLite shall not begin with an index of the checkpoint's own columns.
    """

    def __init__(self, dialect: str, *, unindexed: bool = False) -> None:
        self.sqlite = dialect == "sqlite"
        self._unindexed = unindexed and self.sqlite

    def column(self, key: str) -> sa.ColumnElement[Any]:
        """A column of the checkpoint itself; a plus before it keeps SQLite from its index, and changes nothing else."""
        column = checkpoint.c[key]
        return UnaryExpression(column, operator=_PLUS, type_=column.type) if self._unindexed else column

    def compared(self, column: sa.ColumnElement[Any], operator: str, value: Any) -> Clause:
        """A number compared."""
        return _OPERATORS[operator](column, float(value))

    def where(self, node: Node, *, holds: bool = True) -> Clause:
        """What is so of the checkpoints of which the question holds; or of those of which its `not` does."""
        if isinstance(node, Not):
            return self.where(node.part, holds=not holds)
        if isinstance(node, Compare | In | IsNull):
            return self._leaf(node, holds)
        parts = [self.where(part, holds=holds) for part in node.parts]
        return _all(parts) if isinstance(node, And) == holds else _any(parts)

    def matches(self, leaf: Leaf) -> sa.Select[Any]:
        """The numbers of checkpoints of which a leaf holds, found by its own table alone."""
        field = field_of(leaf.field)
        table = schema.TABLES[field.place]
        return sa.select(table.c.n).where(*_rows_of(field), self._compared(field, leaf, plain=True)).correlate(None)

    def order(self, name: str, descending: bool) -> list[sa.ColumnElement[Any]]:
        """By what to sort; what lacks the field comes last. Of several values the largest, or the smallest, counts."""
        field = field_of(name)
        if field.place == "checkpoint":
            return [_directed(checkpoint.c[field.key], descending)]
        table = schema.TABLES[field.place]
        best = sa.func.max if descending else sa.func.min
        columns = [table.c.number, table.c.text] if field.kind == DATA else [_column(field)]
        return [
            _directed(sa.select(best(column)).where(*_rows_of(field), _same(table)).scalar_subquery(), descending)
            for column in columns
        ]

    def _leaf(self, leaf: Leaf, holds: bool) -> Clause:
        field = field_of(leaf.field)
        if isinstance(leaf, IsNull):
            return self._is_null(field, holds)
        if isinstance(leaf, Compare) and leaf.op == "!=":
            leaf, holds = Compare(leaf.field, "=", leaf.value), not holds
        compared = self._compared(field, leaf)
        if field.place == "checkpoint":
            return compared if holds else sa.not_(compared)
        if holds:
            return _there(field, compared)
        if field.kind == NAMES:
            return sa.not_(_there(field, compared))
        if not field.many:
            return _there(field, sa.not_(compared))
        return sa.and_(_there(field, *self._known(field, leaf)), sa.not_(_there(field, compared)))

    def _known(self, field: Field, leaf: Compare | In) -> Iterator[Clause]:
        """Of a field with several values: that there is one which the leaf can be compared with."""
        values = leaf.values if isinstance(leaf, In) else (leaf.value,)
        table = schema.TABLES[field.place]
        if field.place == "fact":
            columns = {_OF_KIND.get(kind_of(value), "truth") for value in values}
            yield _any([table.c[column].is_not(None) for column in sorted(columns)])
        else:
            yield _column(field).is_not(None)

    def _is_null(self, field: Field, holds: bool) -> Clause:
        if field.place == "checkpoint":
            column = self.column(field.key)
            return column.is_(None) if holds else column.is_not(None)
        there = _there(field, *([_column(field).is_not(None)] if field.place == "component" else []))
        return sa.not_(there) if holds else there

    def _column(self, field: Field, value: Any, plain: bool) -> sa.ColumnElement[Any]:
        return self.column(field.key) if field.place == "checkpoint" and not plain else _column(field, value)

    def _compared(self, field: Field, leaf: Leaf, *, plain: bool = False) -> Clause:
        if isinstance(leaf, In):
            return self._among(field, leaf.values, plain)
        compare = cast(Compare, leaf)
        column = self._column(field, compare.value, plain)
        if field.kind == MOMENT:
            return _moment(column, compare.op, str(compare.value))
        value = _bound(field, compare.value)
        return self._like(column, value) if compare.op == "~" else _OPERATORS[compare.op](column, value)

    def _among(self, field: Field, values: Iterable[Any], plain: bool) -> Clause:
        if field.kind == MOMENT:
            return _any([_moment(self._column(field, value, plain), "=", value) for value in values])
        if field.kind == PROSE:
            return _any([self._contains(_column(field), _bound(field, value)) for value in values])
        # Of facts, numbers and texts have columns of their own.
        by_kind: dict[str, list[Any]] = {}
        for value in values:
            by_kind.setdefault(kind_of(value), []).append(value)
        return _any(
            [
                self._column(field, several[0], plain).in_([_bound(field, value) for value in several])
                for several in by_kind.values()
            ]
        )

    def _like(self, column: sa.ColumnElement[Any], pattern: str) -> Clause:
        """Whether a text fits a pattern of * and ?; case matters, as SQLite's `like` can't have it."""
        if self.sqlite:
            return column.op("GLOB", is_comparison=True)(pattern.replace("[", "[[]"))
        for letter in "\\%_":
            pattern = pattern.replace(letter, "\\" + letter)
        return column.like(pattern.replace("*", "%").replace("?", "_"), escape="\\")

    def _contains(self, column: sa.ColumnElement[Any], part: str) -> Clause:
        return (sa.func.instr if self.sqlite else sa.func.strpos)(column, part) > 0


_OPERATORS: dict[str, Callable[[Any, Any], Clause]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
}


def _rows_of(field: Field) -> list[Clause]:
    """Which rows of its table are about a field."""
    table = schema.TABLES[field.place]
    if field.place == "component":
        return [] if field.part == "component" else [table.c.role == field.part]
    return (
        [table.c.key == clean(field.key)] if field.place in ("metric", "fact") or field.name.startswith("tags.") else []
    )


def _column(field: Field, value: Any = "") -> sa.ColumnElement[Any]:
    table = schema.TABLES[field.place]
    if field.place in ("checkpoint", "component"):
        return table.c[field.key]
    if field.kind == NAMES:
        return table.c.key
    if field.place != "fact":
        return table.c.value
    return table.c[_OF_KIND.get(field.kind if field.kind != DATA else kind_of(value), "truth")]


def _bound(field: Field, value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return float(value)
    if field.canonical is not None:
        value = field.canonical(value)
    return folded(value) if field.kind == PROSE else clean(value)


def _moment(column: sa.ColumnElement[Any], operator: str, value: str) -> Clause:
    """A day or a month lasts: "=" is within it, ">" behind its end."""
    start, end = span_of(value)
    within = sa.and_(column >= start, column < end)
    return {
        "=": within,
        "!=": sa.not_(within),
        "<": column < start,
        "<=": column < end,
        ">": column >= end,
        ">=": column >= start,
    }[operator]


def _there(field: Field, *conditions: Clause) -> Clause:
    table = schema.TABLES[field.place]
    return sa.exists().where(_same(table), *_rows_of(field), *conditions)


def _same(table: sa.Table) -> Clause:
    return table.c.n == checkpoint.c.n


def _directed(column: Any, descending: bool) -> sa.ColumnElement[Any]:
    return cast(sa.ColumnElement[Any], (column.desc() if descending else column.asc()).nulls_last())


def _all(parts: list[Clause]) -> Clause:
    return _balanced(parts, sa.and_)


def _any(parts: list[Clause]) -> Clause:
    return _balanced(parts, sa.or_)


def _balanced(parts: list[Clause], join: Callable[..., Clause]) -> Clause:
    """Joins parts a hundred at a time; each hundred is a value of its own, as levels of one "and" would add up."""
    while len(parts) > _TOGETHER:
        hundreds = [join(*parts[at : at + _TOGETHER]) for at in range(0, len(parts), _TOGETHER)]
        parts = [sa.case((hundred, 1), else_=0) == 1 for hundred in hundreds]
    return join(*parts)


__all__ = ["Clause", "Translator"]
