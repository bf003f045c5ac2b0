r"""Questions in words: `task = "segmentation" and metrics.miou > 0.7 and "em" in tags`.

    question    = question "or" question | question "and" question | "not" question | "(" question ")" | comparison
    comparison  = field ("=" | "!=" | "<" | "<=" | ">" | ">=" | "~") value
                | field ["not"] "in" "(" value, ... ")" | value ["not"] "in" field | field "is" ["not"] "null"
    value       = "text" | 'text' | number | true | false

"and" binds closer than "or", "not" closer than both. Words of the grammar may be written in any case; fields and texts
are compared as they are. `~` takes a pattern: `backbone ~ "resnet*"`. In texts, \" and \\ stand for " and \. A step of
a field that is no word stands in quotes: `facts."mean size"`. The fields are in `mcore.checkpoint.search.fields`, what
holds where a field is missing or has several values in `mcore.checkpoint.search.nodes`.

Nothing of a question is ever run: it becomes data here, and bound parameters of a statement there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from mcore.checkpoint.errors import LimitExceeded, QueryError
from mcore.checkpoint.extras import needed
from mcore.checkpoint.search.fields import NAMES, OPERATORS, TEXT, Misfit, field_of
from mcore.checkpoint.search.grammar import At, Built, parser
from mcore.checkpoint.search.nodes import And, Compare, In, IsNull, Node, Not, Or, checked

# Bytes of a question.
LARGEST = 10_000
# Characters of a question that an error shows.
_SHOWN = 100

_EXPECTED = {
    "OPERATOR": "=, !=, <, <=, >, >=, ~", "IN": "in", "IS": "is", "NOT": "not", "NULL": "null", "FIELD": "a field",
    "TEXT": "a text in quotes", "NUMBER": "a number", "TRUE": "true", "FALSE": "false", "LPAR": '"("', "RPAR": '")"',
    "COMMA": '","', "_AND": "and", "_OR": "or", "$END": "the end",
}  # fmt: skip
# What people write out of habit.
_HINTS = {
    "==": 'equal is "="', "&&": 'write "and"', "||": 'write "or"', "<>": 'unequal is "!="', "!": 'write "not"',
    "like": 'a pattern is field ~ "resnet*"', "=~": 'a pattern is field ~ "resnet*"', ";": "a question is one line",
}  # fmt: skip


def parse(text: str) -> Node:
    """A question in words as data.

    >>> parse('task = "detection" or not has_nan = true')
    Or(parts=(Compare(field='task', op='=', value='detection'), Not(part=Compare(field='has_nan', op='=', value=True))))

    Raises:
        QueryError: it can't be read, or a field or a value doesn't fit; the message points at the word.
        LimitExceeded: it is larger than any that is meant.
        ImportError: the extra `checkpoints` isn't installed.
    """
    if not isinstance(text, str):
        raise TypeError(f"search: a question is text, got a {type(text).__name__}.")
    if len(text) > LARGEST:
        raise LimitExceeded(f"search: a question of {len(text)} characters; at most {LARGEST} are read.")
    if not text.strip():
        raise QueryError('search: the question is empty; ask such as task = "segmentation".')
    lark = needed("lark")
    try:
        built: Built = parser().parse(text)
    except At as error:
        raise _told(str(error), text, error.start, error.end) from None
    except lark.exceptions.UnexpectedInput as error:
        raise _unexpected(error, text) from None
    return built.node


def of_keywords(**equals: Any) -> Node | None:
    """The same as keywords: `task="segmentation"`, `metrics__miou__gt=0.7`, `backbone=["resnet18", "resnet50"]`.

    "__" stands for a dot. A list asks for one of its values, None for null; `tags={"domain": "em"}` for tags with
    values. Behind the field may stand one of eq, ne, lt, le, gt, ge, like, in, null. An operator may also stand before
    the value: `**{"metrics.miou": (">", 0.7)}`. None where nothing is asked.

    Raises:
        QueryError: a field or a value doesn't fit.
    """
    parts = [part for key, value in equals.items() for part in _of_keyword(key, value)]
    if not parts:
        return None
    return checked(parts[0] if len(parts) == 1 else And(tuple(parts)))


def joined(*nodes: Node | None) -> Node | None:
    """All of these questions at once; None where there is none."""
    there = [node for node in nodes if node is not None]
    return None if not there else there[0] if len(there) == 1 else And(tuple(there))


def ordering(order: str | Sequence[str]) -> list[tuple[str, bool]]:
    """Fields to sort by, and whether the largest comes first: "-metrics.miou, created".

    Raises:
        QueryError: there is no such field, or it has no order.
    """
    words = [word for one in ([order] if isinstance(order, str) else order) for word in one.split(",")]
    found = []
    for word in filter(None, map(str.strip, words)):
        name = word.removeprefix("-").removeprefix("+").strip()
        try:
            field = field_of(name)
        except Misfit as error:
            raise QueryError(f"search: order: {error}.") from None
        if field.kind == NAMES:
            raise QueryError(f"search: order: {name} is {NAMES}, which has no order.")
        found.append((name, word.startswith("-")))
    return found


# --- keywords

_SUFFIXES = {"eq": "=", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "like": "~", "glob": "~"}


def _of_keyword(key: str, value: Any) -> Iterable[Node]:
    path, _, ending = key.rpartition("__")
    if path and ending in (*_SUFFIXES, "in", "null"):
        yield from _suffixed(path.replace("__", "."), ending, value)
        return
    field = key.replace("__", ".")
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _of_keyword(f"{field}.{name}", one)
    elif isinstance(value, tuple) and len(value) == 2 and value[0] in (*OPERATORS[TEXT], "in"):
        yield _compared(field, value[0], value[1])
    elif value is None:
        yield IsNull(field)
    elif isinstance(value, list | tuple | set | frozenset):
        yield In(field, tuple(sorted(value) if isinstance(value, set | frozenset) else value))
    else:
        yield _compared(field, "=", value)


def _suffixed(field: str, ending: str, value: Any) -> Iterable[Node]:
    if ending == "null":
        yield IsNull(field) if value else Not(IsNull(field))
    else:
        yield _compared(field, _SUFFIXES.get(ending, ending), value)


def _compared(field: str, operator: str, value: Any) -> Node:
    # Numpy's numbers are what networks are measured in.
    value = value.item() if hasattr(value, "item") and not isinstance(value, str | int | float) else value
    try:
        is_set = field_of(field).kind == NAMES
    except Misfit:
        is_set = False  # told by the check of the whole
    if operator == "in" or (is_set and operator == "="):
        return In(field, (value,) if isinstance(value, str | int | float) else tuple(value))
    return Compare(field, operator, value)


# --- errors


def _unexpected(error: Any, text: str) -> QueryError:
    token = getattr(error, "token", None)
    # Positions of lark are None at the end.
    at = getattr(error, "pos_in_stream", None)
    if token is not None and token.type == "$END":
        at = len(text)
    at = len(text) if at is None or at < 0 else at
    word = re.compile(r"[\w.@-]+|[=!<>&|~]+|\S").match(text, at)
    said = word[0] if word else ""
    names = sorted(
        getattr(error, "accepts", None) or getattr(error, "expected", None) or getattr(error, "allowed", None) or ()
    )
    wanted = ", ".join(_EXPECTED[name] for name in names if name in _EXPECTED)
    before = text[:at].rstrip()
    if said in ("'", '"'):
        told = f"the text that begins with {said} has no end; close it with {said}"
    elif text[at - 1 : at + 1] == "==" or said == "==":
        told = f"{_HINTS['==']}, not =="
    elif text[at - 1 : at + 1] == "<>":
        told = _HINTS["<>"]
    elif said.lower() in _HINTS:
        told = f"{said} is no word of questions; {_HINTS[said.lower()]}"
    elif said and re.search(r"([=<>~(,]|\bin)$", before, re.IGNORECASE) and re.match(r"\w", said):
        told = f'{said} is no value; a text stands in quotes: "{said}"'
    elif not said:
        told = f"it ends too early; what can follow is {wanted}"
    else:
        told = f"{said!r:.60} isn't what can stand here: {wanted}"
    return _told(told, text, at, at + max(1, len(said)))


def _told(message: str, text: str, start: int, end: int) -> QueryError:
    """An error with the part of the question that it is about, and carets below the word."""
    first = max(0, min(start - _SHOWN // 2, len(text) - _SHOWN))
    part = re.sub(r"[^ -\U0010ffff]", " ", text[first : first + _SHOWN])
    marks = " " * (start - first) + "^" * max(1, min(end, first + _SHOWN) - start)
    return QueryError(f"search: {message}{'' if message.endswith('?') else '.'}\n  {part}\n  {marks}")


__all__ = [
    "And",
    "Compare",
    "In",
    "IsNull",
    "Node",
    "Not",
    "Or",
    "checked",
    "joined",
    "of_keywords",
    "ordering",
    "parse",
]
