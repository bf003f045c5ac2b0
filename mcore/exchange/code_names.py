"""What names mean in source files: definitions of the project, words of mcore, or something outside.

A word is what stands in the files of words and layers under its name; the machinery below is known by name alone.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mcore.exchange.code_sources import Source, locate, read, strings_of

# The zoo's parts belong to a network that uses them, whoever asks.
ZOO = "models"
# What of the zoo changes no result: files of weights, counting, writing about networks.
BESIDES = (
    *("models.catalog", "models.lazy", "models.writing", "models.utils.align", "models.utils.layouts"),
    *("models.utils.renames", "models.utils.summary", "models.utils.weights"),
)
# Whose names are words: torch's own, on either engine.
VOCABULARY = ("mcore", "torch")
# Where the words are defined: each with its shape rule and its lowering. The machinery below them is known by name.
LAYERS = "mcore.platform.layers"
_WORDS = ("mcore.platform.words", LAYERS)
_WORD_FILES = ("mcore.platform.init", "mcore.torch.own")
WORD = "mcore:"
# Folders whose packages have nothing to do with each other.
_INSTALLED = ("site-packages", "dist-packages")


class Names:
    """The names of a project's files, which are read as they are asked for.

    Args:
        packages: whose definitions are looked into, besides the zoo's and the words; those of modules beside them, too.
        root: folder of the sources; by default, where an import finds them.
    """

    def __init__(self, packages: Iterable[str] = (), *, root: Path | None = None) -> None:
        self.packages = {*packages, ZOO} - {*VOCABULARY}
        self.root = root
        self._sources: dict[str, Source | None] = {}
        self._read_at: dict[str, tuple[Path, int]] = {}
        self._neighbours: dict[str, bool] = {}

    def is_current(self) -> bool:
        """Whether every file that was read is still the one, as it was."""
        return all(
            path.is_file()
            and path.stat().st_mtime_ns == at
            and (self.root is not None or module not in sys.modules or locate(module) == path)
            for module, (path, at) in self._read_at.items()
        )

    def modules(self) -> list[str]:
        """The modules whose files were read."""
        return sorted(self._read_at)

    def files(self, names: Iterable[str]) -> list[Path]:
        """The files in which nodes stand; of a word, where it is defined."""
        found = set()
        for name in names:
            modules = [name.partition(":")[0]] if not name.startswith(WORD) else []
            modules += [source.module for source, _ in self.words.get(name.removeprefix(WORD), ())]
            found |= {path for path in (locate(module, self.root) for module in modules) if path}
        return sorted(found)

    def definition(self, place: str) -> str:
        """The node behind a place ("package.module:name"), also where that only imports it from elsewhere."""
        node, _ = self._target(place.replace(":", "."))
        return node or place

    def word(self, name: str) -> str | None:
        """The node of a word of the vocabulary; None where it is machinery, or no word."""
        # What writes in place is the word itself, and a last step.
        for known in (name, name.rstrip("_")):
            if known in self.words:
                return WORD + known
        return None

    def meaning(self, source: Source, written: str) -> tuple[str | None, str | None]:
        """What a dotted word means in a file: a node, or the name of something outside."""
        first, _, rest = written.partition(".")
        if first in source.statements:
            return f"{source.module}:{first}", None
        if first not in source.imports:
            return next(
                (found for star in source.stars if (found := self._target(f"{star}.{written}"))[0]), (None, None)
            )
        target = source.imports[first]
        return self._target(f"{target}.{rest}" if rest else target)

    def other_meanings(self, source: Source, written: str) -> list[str]:
        """The nodes that a dotted word means elsewhere in a file: where a function, or a branch, imports it itself.

        Words aren't among them: whatever else has their name, they stay what they are.
        """
        first, _, rest = written.partition(".")
        targets = source.others.get(first, [])
        if first in source.statements and first in source.imports:
            targets = [source.imports[first], *targets]
        found = (self._target(f"{target}.{rest}" if rest else target)[0] for target in targets)
        return sorted({node for node in found if node and not node.startswith(WORD)})

    def _target(self, dotted: str, depth: int = 0) -> tuple[str | None, str | None]:
        package = dotted.partition(".")[0]
        if package in VOCABULARY and not dotted.startswith((*_WORDS, *_WORD_FILES)):
            return self._spoken(dotted)
        if not self._is_ours(dotted) or depth > 20:
            return None, dotted
        parts = dotted.split(".")
        for end in range(len(parts), 0, -1):
            module = ".".join(parts[:end])
            source = self.source(module)
            if source is None:
                continue
            if end == len(parts):
                return None, None  # the module itself; what is taken of it is written behind it
            name = parts[end]
            if name in source.statements:
                return (None, None) if self._is_beside(module) else (f"{module}:{name}", None)
            if name in source.imports:
                return self._target(".".join([source.imports[name], *parts[end + 1 :]]), depth + 1)
            for star in source.stars:
                found = self._target(".".join([star, *parts[end:]]), depth + 1)
                if found[0]:
                    return found
            return self._lazy(source, name)
        return None, dotted

    def _lazy(self, source: Source, name: str) -> tuple[str | None, str | None]:
        """A name that its package loads when first asked for, from a table of places."""
        place = next(
            (
                value.value
                for statement in source.body
                for node in ast.walk(statement)
                if isinstance(node, ast.Dict)
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant) and key.value == name and isinstance(value, ast.Constant)
            ),
            None,
        )
        if isinstance(place, str) and ":" in place:
            module, _, attribute = place.partition(":")
            return self._target(f"{module}.{attribute}")
        return None, f"{source.module}.{name}"

    def _spoken(self, dotted: str) -> tuple[str | None, str | None]:
        """A word, by the last of its names that is one: `F.relu`, `mcore.Tensor.view`."""
        for part in reversed(dotted.split(".")[1:]):
            word = self.word(part)
            if word:
                return word, None
        return None, dotted

    def _is_ours(self, dotted: str) -> bool:
        top = dotted.partition(".")[0]
        return top in self.packages or dotted.startswith((*_WORDS, *_WORD_FILES)) or self._is_neighbour(top)

    def _is_neighbour(self, top: str) -> bool:
        """Whether a module stands in the folder of a package that was asked for: a project may have several."""
        if top not in self._neighbours:
            path = None if top in VOCABULARY else locate(top, self.root)
            self._neighbours[top] = path is not None and _home(path) in self._homes
        return self._neighbours[top]

    @functools.cached_property
    def _homes(self) -> set[Path]:
        """Folders of projects; not those that everything is installed in."""
        names = self.packages - {ZOO, *sys.stdlib_module_names}
        found = {_home(path) for name in names if (path := locate(name, self.root))}
        return {home for home in found if home.name not in _INSTALLED}

    def _is_beside(self, module: str) -> bool:
        return any(module == beside or module.startswith(f"{beside}.") for beside in BESIDES)

    def source(self, module: str) -> Source | None:
        if module not in self._sources:
            path = locate(module, self.root)
            if path:
                self._read_at[module] = path, path.stat().st_mtime_ns
            self._sources[module] = read(path, module) if path else None
        return self._sources[module]

    @functools.cached_property
    def words(self) -> Mapping[str, list[tuple[Source, ast.stmt]]]:
        """By name of a word, the statements that make it: its function or layer, or a table and the loop over it."""
        found: dict[str, list[tuple[Source, ast.stmt]]] = {}
        for module in self._word_modules():
            source = self.source(module)
            for statement in source.body if source else ():
                for name in _entered(statement):
                    found.setdefault(name, []).append((source, statement))  # type: ignore[arg-type]
        for name, statements in found.items():
            found[name] = [*statements, *_loops_over(statements)]
        return found

    def _word_modules(self) -> Iterator[str]:
        yield from _WORD_FILES
        for package in _WORDS:
            path = locate(package, self.root)
            for file in sorted(path.parent.glob("*.py")) if path else ():
                if file.name != "__init__.py":
                    yield f"{package}.{file.stem}"


def _home(path: Path) -> Path:
    """The folder that a package or module stands in, by its first file."""
    return path.parent.parent if path.name == "__init__.py" else path.parent


def _entered(statement: ast.stmt) -> set[str]:
    """Names that a top-level statement of a file of words enters into the vocabulary."""
    if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", "") == "__all__":
        return set()
    if isinstance(statement, ast.FunctionDef):
        return {statement.name, *(name for one in statement.decorator_list for name in strings_of(ast.Expr(one)))}
    if isinstance(statement, ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return set()
    if isinstance(statement, ast.Expr) and not isinstance(statement.value, ast.Call):
        return set()
    return {name for name in strings_of(statement) if name.isidentifier()}


def _loops_over(found: Iterable[tuple[Source, ast.stmt]]) -> Iterator[tuple[Source, ast.stmt]]:
    """Loops of the same file over a table that was found."""
    for source, statement in found:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            tables = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
            for other in source.body:
                if isinstance(other, ast.For) and tables & {
                    node.id for node in ast.walk(other.iter) if isinstance(node, ast.Name)
                }:
                    yield source, other


__all__ = ["LAYERS", "VOCABULARY", "WORD", "ZOO", "Names"]
