"""The grammar of questions, and what becomes of each of its rules while a text is read."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcore.checkpoint.extras import needed
from mcore.checkpoint.search.fields import NAMES, OPERATORS, TEXT, Misfit, check, field_of, kind_of, shown
from mcore.checkpoint.search.nodes import And, Compare, In, IsNull, Node, Not, Or, check_leaf, check_size

GRAMMAR = r"""
?question: either
?either: both (_OR both)*
?both: denied (_AND denied)*
?denied: NOT denied -> not_
       | "(" either ")" -> group
       | comparison
?comparison: FIELD OPERATOR value -> compare
           | FIELD IN values -> among
           | FIELD NOT IN values -> not_among
           | value IN FIELD -> has
           | value NOT IN FIELD -> has_not
           | FIELD IS NULL -> null
           | FIELD IS NOT NULL -> not_null
values: "(" value ("," value)* [","] ")" | value
value: TEXT -> text
     | NUMBER -> number
     | TRUE -> true
     | FALSE -> false

_OR.2: /or(?![\w.@-])/i
_AND.2: /and(?![\w.@-])/i
NOT.2: /not(?![\w.@-])/i
IN.2: /in(?![\w.@-])/i
IS.2: /is(?![\w.@-])/i
NULL.2: /null(?![\w.@-])/i
TRUE.2: /true(?![\w.@-])/i
FALSE.2: /false(?![\w.@-])/i
FIELD: /[A-Za-z_][\w@-]*(\.([\w@+-]+|"(\\.|[^"\\])*"|'(\\.|[^'\\])*'))*/
OPERATOR: "!=" | "<=" | ">=" | "=" | "<" | ">" | "~"
NUMBER: /[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?(?![\w.])/
TEXT: /"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/s
%ignore /\s+/
"""


@dataclass(frozen=True)
class Built:
    """A part of a question with its size."""

    node: Node
    values: int
    comparisons: int
    depth: int


@dataclass(frozen=True)
class _Literal:
    value: str | float | bool
    start: int
    end: int


class At(Exception):
    """What doesn't fit, and where it stands."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.start, self.end = start, end


@functools.cache
def parser() -> Any:
    return needed("lark").Lark(
        GRAMMAR, start="question", parser="lalr", transformer=_Builder(), maybe_placeholders=False
    )


class _Builder:
    """Makes nodes while the text is read; lark calls a method for each rule with what its parts became."""

    def either(self, parts: list[Built]) -> Built:
        return _joined(Or, parts)

    def both(self, parts: list[Built]) -> Built:
        return _joined(And, parts)

    def not_(self, parts: list[Any]) -> Built:
        inner = parts[-1]
        return _sized(Not(inner.node), inner, 1)

    def group(self, parts: list[Built]) -> Built:
        return _sized(parts[0].node, parts[0], 1)

    def compare(self, parts: list[Any]) -> Built:
        field, operator, value = parts
        _check_text_in_set(field, str(operator), value)
        return _leaf(Compare(_path(field), str(operator), value.value), field, [value])

    def among(self, parts: list[Any]) -> Built:
        return _leaf(In(_path(parts[0]), tuple(one.value for one in parts[-1])), parts[0], parts[-1])

    def not_among(self, parts: list[Any]) -> Built:
        return _denied(self.among(parts))

    def has(self, parts: list[Any]) -> Built:
        value, field = parts[0], parts[-1]
        try:
            kind = field_of(_path(field)).kind
        except Misfit:
            kind = ""
        if kind in (*OPERATORS,) and kind != NAMES and "~" not in OPERATORS[kind]:
            raise At(f"{_path(field)} is {kind}, which contains nothing; write {_path(field)} = ...", *_span(field))
        return _leaf(In(_path(field), (value.value,)), field, [value])

    def has_not(self, parts: list[Any]) -> Built:
        return _denied(self.has(parts))

    def null(self, parts: list[Any]) -> Built:
        return _leaf(IsNull(_path(parts[0])), parts[0], [])

    def not_null(self, parts: list[Any]) -> Built:
        return _denied(self.null(parts))

    def values(self, parts: list[_Literal]) -> list[_Literal]:
        return [part for part in parts if isinstance(part, _Literal)]

    def text(self, parts: list[Any]) -> _Literal:
        return _Literal(_unquoted(str(parts[0])), *_span(parts[0]))

    def number(self, parts: list[Any]) -> _Literal:
        said = str(parts[0])
        value = int(said) if re.fullmatch(r"[+-]?\d{1,15}", said) else float(said)
        if not math.isfinite(value):
            raise At(f"{said:.40} is too large a number", *_span(parts[0]))
        return _Literal(value, *_span(parts[0]))

    def true(self, parts: list[Any]) -> _Literal:
        return _Literal(True, *_span(parts[0]))

    def false(self, parts: list[Any]) -> _Literal:
        return _Literal(False, *_span(parts[0]))


def _joined(kind: Callable[[tuple[Node, ...]], Node], parts: list[Built]) -> Built:
    values, comparisons = sum(part.values for part in parts), sum(part.comparisons for part in parts)
    whole = Built(kind(tuple(part.node for part in parts)), values, comparisons, max(part.depth for part in parts))
    return _sized(whole.node, whole)


def _sized(node: Node, inner: Built, deeper: int = 0) -> Built:
    check_size(inner.values, inner.comparisons, inner.depth + deeper)
    return Built(node, inner.values, inner.comparisons, inner.depth + deeper)


def _denied(built: Built) -> Built:
    return _sized(Not(built.node), built)


def _leaf(node: Node, field: Any, values: list[_Literal]) -> Built:
    try:
        check_leaf(node)
    except Misfit as error:
        wrong = next((value for value in values if not _fits(node, value)), None) if error.at == "value" else None
        raise At(str(error), *(_span(field) if wrong is None else (wrong.start, wrong.end))) from None
    return _sized(node, Built(node, len(values), 1, 0))


def _fits(node: Any, value: _Literal) -> bool:
    try:
        check(node.field, getattr(node, "op", "in"), value.value)
    except Misfit:
        return False
    return True


def _check_text_in_set(field: Any, operator: str, value: _Literal) -> None:
    """`tags = "em"` is meant well; what it should be is told with the very words."""
    name = _path(field)
    if name in ("tags", "aliases") and operator in ("=", "!=") and kind_of(value.value) == TEXT:
        no = "not " * (operator == "!=")
        raise At(f"{name} is {NAMES}; write {shown(value.value)} {no}in {name}", *_span(field))


def _path(field: Any) -> str:
    """The name of a field, without the quotes of its steps."""
    steps = re.findall(r"""[\w@+-]+|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""", str(field), re.DOTALL)
    return ".".join(_unquoted(step) if step[0] in "\"'" else step for step in steps)


def _unquoted(said: str) -> str:
    return re.sub(r"\\([\\\"'])", r"\1", said[1:-1])


def _span(token: Any) -> tuple[int, int]:
    return token.start_pos, token.end_pos


__all__ = ["At", "Built", "parser"]
