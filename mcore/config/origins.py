"""Where each value of a configuration was written, and the error that lists every mistake with its place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mcore.signatures import Path, dotted


@dataclass(frozen=True)
class Origin:
    """A place in a file, or an override; `over` is what it took the place of."""

    source: str
    line: int = 0
    column: int = 0
    over: "Origin | None" = None

    def __str__(self) -> str:
        if self.line:
            return f"{self.source}:{self.line}:{self.column}"
        return f"{self.over}, overridden by {self.source}" if self.over else self.source


class Mistake(NamedTuple):
    """One thing wrong in a configuration: where, at which path, and what would fit."""

    origin: Origin | None
    path: Path
    message: str

    def __str__(self) -> str:
        return ": ".join(str(part) for part in (self.origin, dotted(self.path), self.message) if part)


class ConfigError(ValueError):
    """Every mistake of a configuration at once, as `mistakes`; nothing was built."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = list(mistakes)
        count = len(self.mistakes)
        lines = [
            *map(str, self.mistakes),
            f"{count} {'mistake' if count == 1 else 'mistakes'}, nothing was built",
        ]
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type, tuple[list[Mistake]]]:
        return ConfigError, (self.mistakes,)


def walk(data: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    """Every value with its path, outermost first."""
    found = [(path, data)]
    if isinstance(data, Mapping):
        for key, value in data.items():
            found += walk(value, (*path, key))
    elif isinstance(data, list | tuple):
        for index, value in enumerate(data):
            found += walk(value, (*path, index))
    return found


__all__ = ["ConfigError", "Mistake", "Origin", "Path", "dotted", "walk"]
