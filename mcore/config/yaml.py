"""YAML and JSON as plain data: numbers as YAML 1.2 writes them, and nothing that runs, repeats or explodes.

PyYAML alone reads `1e-5` as text, `no` as a truth value and `1:30` as 90, keeps the last of two equal keys
without a word, and expands a 400-byte file of aliases into a billion values.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from mcore.config.origins import ConfigError, Mistake, Origin, Path

# libyaml where PyYAML was built with it: ten times as fast.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# What aliases may add up to, and how deep values may nest: far beyond any configuration.
MOST_REPEATED = 10_000
DEEPEST = 50
MOST_CHARACTERS = 10_000_000

# JSON writes a character beyond the first 65,536 as two escapes, which YAML doesn't know.
_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


def scalar(text: str) -> Any:
    """The value of an unquoted scalar, by the core schema of YAML 1.2 (section 10.3.2).

    >>> [scalar(text) for text in ("1e-5", "no", "017", "0x1F", "~", "1:30")]
    [1e-05, 'no', 17, 31, None, '1:30']
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    # A number of thousands of digits isn't meant as one, and reading it takes long.
    if len(text) > 400:
        return text
    if _INT.fullmatch(text):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text[2:] if base != 10 else text, base)
    return float(text) if _FLOAT.fullmatch(text) else text


def parse(text: str, source: str) -> tuple[Any, dict[Path, Origin]]:
    """The data in `text`, and where each value of it stands; `source` is the name of the file in messages.

    Raises:
        ConfigError: it isn't YAML, has duplicate keys or tags, or its aliases repeat too much; all at once.
    """
    if len(text) > MOST_CHARACTERS:
        raise ConfigError([Mistake(Origin(source), (), f"{len(text)} characters; {MOST_CHARACTERS} are read")])
    composer = _Composer(source)
    try:
        data = composer.document(yaml.parse(_PAIR.sub(_joined, text), Loader=_Loader))
    except yaml.YAMLError as error:
        raise ConfigError([*composer.mistakes, _syntax(error, source)]) from error
    if composer.mistakes:
        raise ConfigError(composer.mistakes)
    return data, composer.origins


def _joined(match: re.Match[str]) -> str:
    character = 0x10000 + ((int(match[2], 16) & 0x3FF) << 10 | int(match[3], 16) & 0x3FF)
    return f"{match[1]}\\U{character:08x}"


class _Composer:
    """Builds data from the parser's events, and notes the place of each."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.origins: dict[Path, Origin] = {}
        self.mistakes: list[Mistake] = []
        # Anchors by name: the value, how many values it holds; None while it is being read.
        self.anchors: dict[str, tuple[Any, int] | None] = {}
        self.repeated = 0
        self.count = 0

    def document(self, events: Iterator[Any]) -> Any:
        documents, data = 0, None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.refuse(event, (), "a second document; a configuration is one")
                    return None
            elif isinstance(event, yaml.NodeEvent):
                data = self.node(event, events, ())
        return data

    def node(self, event: Any, events: Iterator[Any], path: Path) -> Any:
        self.count += 1
        self.origins.setdefault(path, self.place(event))
        if len(path) > DEEPEST:
            raise ConfigError([Mistake(self.place(event), path[:3], f"nested more than {DEEPEST} deep")])
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, path)
        if event.tag is not None and event.tag != "!":
            self.refuse(event, path, f"the tag {event.tag}; a configuration is plain data")
        before = self.count
        if event.anchor:
            self.anchors[event.anchor] = None
        value = self.value(event, events, path)
        if event.anchor:
            self.anchors[event.anchor] = (value, self.count - before + 1)
        return value

    def value(self, event: Any, events: Iterator[Any], path: Path) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            # Plain style is None or empty, by the parser.
            return event.value if event.style else scalar(event.value)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                items.append(self.node(event, events, (*path, len(items))))
            return items
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self.key(event, events, path)
            here = (*path, key)
            if key in mapping:
                first = self.origins[here]
                self.refuse(event, here, f"written twice; first in line {first.line}")
            self.origins.setdefault(here, self.place(event))
            mapping[key] = self.node(next(events), events, here)
        return mapping

    def key(self, event: Any, events: Iterator[Any], path: Path) -> str:
        if isinstance(event, yaml.ScalarEvent):
            return event.value
        self.refuse(event, path, "a key that is no plain word")
        return str(self.node(event, events, path))

    def alias(self, event: Any, path: Path) -> Any:
        if event.anchor not in self.anchors:
            self.refuse(event, path, f"*{event.anchor} stands before its &{event.anchor}, or without one")
            return None
        known = self.anchors[event.anchor]
        if known is None:
            self.refuse(event, path, f"*{event.anchor} stands inside its own &{event.anchor}")
            return None
        value, size = known
        self.count += size
        self.repeated += size
        if self.repeated > MOST_REPEATED:
            message = f"aliases repeat more than {MOST_REPEATED} values; write `extends` or `vars` instead"
            raise ConfigError([*self.mistakes, Mistake(self.place(event), path, message)])
        return _copy(value)

    def place(self, event: Any) -> Origin:
        mark = event.start_mark
        return Origin(self.source, mark.line + 1, mark.column + 1)

    def refuse(self, event: Any, path: Path, message: str) -> None:
        self.mistakes.append(Mistake(self.place(event), path, message))


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _syntax(error: yaml.YAMLError, source: str) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    where = Origin(source, mark.line + 1, mark.column + 1) if mark else Origin(source)
    context, problem = getattr(error, "context", None), getattr(error, "problem", None)
    what = ", ".join(filter(None, [context, problem])) or str(error).splitlines()[0]
    return Mistake(where, (), f"not YAML: {what}")
