"""`${a.b.c}` in a value: the value that stands at that path. Values only: no expression, no environment."""

import re
from typing import Any

from mcore.config.origins import ConfigError, Mistake, Origin, Path, dotted, walk
from mcore.vocabulary import nearest

# Values looked up in one configuration: far beyond any that is meant, far below one that explodes.
MOST = 10_000

# `$${` is a `${` that is meant as it stands.
_REFERENCE = re.compile(r"\$(\$\{)|\$\{([^{}]*)\}")


def resolve(data: Any, origins: dict[Path, Origin]) -> tuple[Any, list[Mistake]]:
    """`data` with every `${...}` replaced, and what is wrong with them: no such path, or a loop.

    A reference that is the whole text keeps its type; inside a longer text it becomes text.
    """
    resolver = _Resolver(data, origins)
    return resolver.fill(data, (), ()), resolver.mistakes


class _Resolver:
    def __init__(self, data: Any, origins: dict[Path, Origin]) -> None:
        self.data, self.origins = data, origins
        self.paths = {dotted(path).replace("[", ".").replace("]", ""): path for path, _ in walk(data) if path}
        self.mistakes: list[Mistake] = []
        self.count = 0

    def fill(self, value: Any, path: Path, within: tuple[Path, ...]) -> Any:
        if isinstance(value, dict):
            return {key: self.fill(item, (*path, key), within) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, (*path, index), within) for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        whole = _REFERENCE.fullmatch(value)
        if whole and whole[2] is not None:
            return self.look_up(whole[2], path, within)
        return _REFERENCE.sub(lambda m: m[1] or str(self.look_up(m[2], path, within)), value)

    def look_up(self, name: str, path: Path, within: tuple[Path, ...]) -> Any:
        self.count += 1
        if self.count > MOST:
            raise ConfigError([Mistake(self.origins.get(path), path, f"more than {MOST} references to follow")])
        target = self.paths.get(name.strip().replace("[", ".").replace("]", ""))
        if target is None:
            likely = nearest(name, self.paths, most=1)
            meant = f" (did you mean '{likely[0]}'?)" if likely else ""
            self.refuse(path, f"${{{name}}}: nothing stands at '{name}'{meant}")
            return None
        # Also a path above or below one that is being filled: it would hold itself.
        if any(_overlap(target, other) for other in (*within, path)):
            self.refuse(path, f"${{{name}}} leads back to itself")
            return None
        value = self.data
        for step in target:
            value = value[step]
        return self.fill(value, target, (*within, path))

    def refuse(self, path: Path, message: str) -> None:
        mistake = Mistake(self.origins.get(path), path, message)
        if mistake not in self.mistakes:
            self.mistakes.append(mistake)


def _overlap(a: Path, b: Path) -> bool:
    shorter = min(len(a), len(b))
    return a[:shorter] == b[:shorter]
