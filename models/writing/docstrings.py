"""Docstrings of components, read into sections."""

import inspect
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from models.component import Component

# Sections whose text stands indented below, and those that go on behind the colon.
_HEADING = re.compile(r"^(Shapes|Args|Raises|Source|Differs|Names):\s*(.*)$")
_ARGUMENT = re.compile(r"^(\w+):\s*(.*)$")


class Documentation(NamedTuple):
    """A docstring: its first line, what follows, and its sections by name."""

    summary: str
    text: str
    sections: dict[str, str]

    @property
    def arguments(self) -> dict[str, str]:
        """What is said of each argument, in one line."""
        found: dict[str, str] = {}
        name = None
        for line in self.sections.get("Args", "").splitlines():
            match = _ARGUMENT.match(line)
            if match:
                name, text = match.groups()
                found[name] = text
            elif name is not None:
                found[name] += f" {line.strip()}"
        return found


def documentation(what: Callable[..., Any] | Component | ModuleType) -> Documentation:
    """The docstring of a component, of its constructor or of a file; empty where there is none.

    >>> def half(x):
    ...     '''Half of it.
    ...
    ...     Args:
    ...         x: any number.
    ...     '''
    >>> documentation(half).arguments
    {'x': 'any number.'}
    """
    doc = inspect.getdoc(type(what) if isinstance(what, Component) else what) or ""
    summary, _, rest = doc.partition("\n")
    text: list[str] = []
    sections: dict[str, list[str]] = {}
    into = text
    for line in rest.splitlines():
        match = _HEADING.match(line)
        if match:
            name, first = match.groups()
            into = sections[name] = [first] if first else []
        elif line and not line.startswith(" ") and not (into is not text and into and into[-1]):
            # Neither indented below a heading, nor the next line of a paragraph that began behind one.
            into = text
            into.append(line)
        else:
            into.append(line.removeprefix("    ") if into is not text else line)
    return Documentation(
        summary.strip(), "\n".join(text).strip(), {name: "\n".join(lines).strip() for name, lines in sections.items()}
    )
