"""A Merkle tree of code: what a component is made of, down to the words that it speaks.

A node is a definition: a class (without its methods), a method, a function, a value, a word. Its own digest is that of
its normalised text; its hash is that of its digest and of the hashes of everything that it uses. So equal hashes mean
equal code all the way down, and where two differ, a path leads to what changed.

A table of choices (activations, attentions) names more classes of modules than a network is made of. Where those that
are in it are known, the others are left out: they change nothing there.

Source: R. Merkle, "A Digital Signature Based on a Conventional Encryption Function", CRYPTO '87. Definitions that use
each other are hashed together, as strongly connected components (R. Tarjan, SIAM J. Comput. 1(2), 1972).
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from mcore.exchange.code_sources import Source, digest_of, locate, methods_of, read, strings_of, text_of

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
_LAYERS = "mcore.platform.layers"
_WORDS = ("mcore.platform.words", _LAYERS)
_WORD_FILES = ("mcore.platform.init", "mcore.torch.own")
_WORD = "mcore:"
# Behind the name of a class: what is written in it, without its bases and methods.
BARE = "#"
# Folders whose packages have nothing to do with each other.
_INSTALLED = ("site-packages", "dist-packages")
# What a class of modules is derived from, wherever it says so.
_MODULES = ("mcore.Module", "mcore.platform.base.Module", "torch.nn.Module", "mcore.Sequential", "mcore.ModuleList")


class Use(NamedTuple):
    """What a node uses: how it is called there, the name of its node, and whether that comes with the node anyway.

    The bases and the methods of a class come with it.
    """

    written: str
    node: str
    always: bool


class Node(NamedTuple):
    """A definition: the digest of its text, what it uses, and whether it is a class of modules."""

    own: str
    uses: tuple[Use, ...]
    module: bool


class CodeTree:
    """Nodes by name ("models.networks.unet:UNet.forward"), found as they are asked for.

    Args:
        packages: whose definitions are looked into, besides the zoo's and the words; those of modules beside them, too.
        root: folder of the sources; by default, where an import finds them.
    """

    def __init__(self, packages: Iterable[str] = (), *, root: Path | None = None) -> None:
        self.packages = {*packages, ZOO} - {*VOCABULARY}
        self.root = root
        self._sources: dict[str, Source | None] = {}
        self._read_at: dict[str, tuple[Path, int]] = {}
        self._nodes: dict[str, Node | None] = {}
        self._uses: dict[str, list[tuple[Use, str | None]]] = {}
        self._hashes: dict[str, str] = {}
        self._free: dict[str, bool] = {}
        self._neighbours: dict[str, bool] = {}

    def node(self, name: str) -> Node | None:
        """The node of this name; None where there is no source of it."""
        if name not in self._nodes:
            module, _, qualname = name.partition(":")
            if name.endswith(BARE):
                found = self.node(name.removesuffix(BARE))
                self._nodes[name] = found and Node(found.own, (), module=False)
            else:
                self._nodes[name] = (
                    self._word_node(qualname) if name.startswith(_WORD) else self._read(module, qualname)
                )
        return self._nodes[name]

    def hash_of(self, names: Iterable[str], made_of: Collection[str] | None = None) -> str:
        """The hash of nodes and of all that they use; names without source count by themselves.

        Args:
            names: of nodes.
            made_of: the classes of modules that count; all of them where left out.
        """
        mine = self._hashes if made_of is None else {}
        said = (self._hashed(name, mine, made_of) if self.node(name) else name for name in sorted({*names}))
        return digest_of("\n".join(said))

    def reached(self, names: Iterable[str], made_of: Collection[str] | None = None) -> dict[str, Node]:
        """All nodes that these use, and these themselves, by name; the nearest first."""
        found: dict[str, Node] = {}
        waiting = [name for name in names if self.node(name)]
        while waiting:
            for name in waiting:
                node = self.node(name)
                if node is not None:
                    found[name] = node
            waiting = [
                use.node
                for use in dict.fromkeys(use for name in waiting for use in self.uses(name, made_of))
                if use.node not in found
            ]
        return found

    def uses(self, name: str, made_of: Collection[str] | None = None) -> Iterator[Use]:
        """What a node uses, of which there is source, and which counts."""
        if name not in self._uses:
            found = self.node(name)
            self._uses[name] = [(use, self._needs(use)) for use in (found.uses if found else ()) if self.node(use.node)]
        for use, needs in self._uses[name]:
            if made_of is None or needs is None or needs in made_of:
                yield use
            elif use.written.rpartition(".")[2] != use.node.rpartition(":")[2]:
                # `Bottleneck.expansion`: what is written in the class counts, though none is built.
                yield Use(use.written, use.node + BARE, False)
                # `Bottleneck.of(4)`: so does a method that is called of the class itself.
                inner, target = f"{use.node}.{use.written.rpartition('.')[2]}", self.node(use.node)
                if target and any(one.node == inner for one in target.uses):
                    yield Use(use.written, inner, False)

    def _needs(self, use: Use) -> str | None:
        """The class that a network must be made of for a use to count; None where it counts anyway."""
        target = self.node(use.node)
        return presence_of(use.node) if target and target.module and not use.always else None

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
            modules = [name.partition(":")[0]] if not name.startswith(_WORD) else []
            modules += [source.module for source, _ in self._words.get(name.removeprefix(_WORD), ())]
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
            if known in self._words:
                return _WORD + known
        return None

    # --- nodes

    def _read(self, module: str, qualname: str) -> Node | None:
        source = self._source(module)
        statements = source.find(qualname) if source else []
        if source is None or not statements:
            return None
        name, text = f"{module}:{qualname}", text_of(statements)
        bases = {ast.unparse(base) for part in statements if isinstance(part, ast.ClassDef) for base in part.bases}
        uses = {inner: Use(inner, f"{name}.{inner}", True) for inner in methods_of(statements)}
        meanings = []
        for written in sorted(text.names):
            node, meaning = self._meaning(source, written)
            if node and node != name:
                # What `forward` builds itself is no part that the network is made of, and counts all the same.
                always = written in bases or qualname.rpartition(".")[2] == "forward"
                uses[written] = Use(written, node, always)
            elif meaning:
                meanings.append(f"{written}={meaning}")
            for number, other in enumerate(self._other_meanings(source, written)):
                if other not in (node, name):
                    uses[f"{number} {written}"] = Use(f"{number} {written}", other, False)
        for method in text.methods:
            word = self.word(method)
            if word:
                uses.setdefault(f".{method}", Use(f".{method}", word, False))
        derived = any(self._is_module(source, base) for base in bases)
        return Node(digest_of("\n".join([text.digest, *meanings])), tuple(sorted(uses.values())), derived)

    def _is_module(self, source: Source, base: str) -> bool:
        """Whether a base class is one of modules."""
        node, meaning = self._meaning(source, base)
        found = self.node(node) if node else None
        return meaning in _MODULES or (found is not None and found.module)

    def _word_node(self, name: str) -> Node | None:
        found = self._words.get(name)
        if not found:
            return None
        texts, uses, modules = [], {}, False
        for source, statement in found:
            if isinstance(statement, ast.ClassDef | ast.FunctionDef):
                inner = f"{source.module}:{statement.name}"
                uses[inner] = Use(inner, inner, True)
                known = self.node(inner)
                modules |= known is not None and known.module
                continue
            # A loop that makes several words of a table uses what makes them, not the others.
            said = statement.body if isinstance(statement, ast.For) else [statement]
            texts.append(text_of([statement]).digest)
            for written in text_of(said).names:
                node, _ = self._meaning(source, written)
                if node:
                    uses[written] = Use(written, node, False)
        return Node(digest_of("\n".join(sorted(texts))), tuple(sorted(uses.values())), modules)

    # --- names

    def _meaning(self, source: Source, written: str) -> tuple[str | None, str | None]:
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

    def _other_meanings(self, source: Source, written: str) -> list[str]:
        """The nodes that a dotted word means elsewhere in a file: where a function, or a branch, imports it itself.

        Words aren't among them: whatever else has their name, they stay what they are.
        """
        first, _, rest = written.partition(".")
        targets = source.others.get(first, [])
        if first in source.statements and first in source.imports:
            targets = [source.imports[first], *targets]
        found = (self._target(f"{target}.{rest}" if rest else target)[0] for target in targets)
        return sorted({node for node in found if node and not node.startswith(_WORD)})

    def _target(self, dotted: str, depth: int = 0) -> tuple[str | None, str | None]:
        package = dotted.partition(".")[0]
        if package in VOCABULARY and not dotted.startswith((*_WORDS, *_WORD_FILES)):
            return self._spoken(dotted)
        if not self._is_ours(dotted) or depth > 20:
            return None, dotted
        parts = dotted.split(".")
        for end in range(len(parts), 0, -1):
            module = ".".join(parts[:end])
            source = self._source(module)
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

    def _source(self, module: str) -> Source | None:
        if module not in self._sources:
            path = locate(module, self.root)
            if path:
                self._read_at[module] = path, path.stat().st_mtime_ns
            self._sources[module] = read(path, module) if path else None
        return self._sources[module]

    @functools.cached_property
    def _words(self) -> Mapping[str, list[tuple[Source, ast.stmt]]]:
        """By name of a word, the statements that make it: its function or layer, or a table and the loop over it."""
        found: dict[str, list[tuple[Source, ast.stmt]]] = {}
        for module in self._word_modules():
            source = self._source(module)
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

    # --- hashes

    def _hashed(self, name: str, mine: dict[str, str], made_of: Collection[str] | None) -> str:
        """The hash of a node, from `mine`, or entered there."""

        def known(node: str) -> bool:
            if node not in mine and made_of is not None and self._is_free(node):
                mine[node] = self._hashed(node, self._hashes, None)
            return node in mine

        for group in self._groups(name, known, made_of):
            self._hash_group(group, mine, made_of)
        return mine[name]

    def _is_free(self, name: str) -> bool:
        """Whether all that a node uses counts, whatever a network is made of: its hash is the same for all."""
        for group in self._groups(name, self._free.__contains__, None):
            members = {*group}
            free = all(
                needs is None and (use.node in members or self._free[use.node])
                for member in group
                for use in self.uses(member)
                for needs in [self._needs(use)]
            )
            self._free.update(dict.fromkeys(group, free))
        return self._free[name]

    def _groups(self, start: str, done: Callable[[str], bool], made_of: Collection[str] | None) -> Iterator[list[str]]:
        """Nodes that `start` reaches and that aren't done: what is used before what uses it; circles as one group.

        Whoever asks has each group done before the next.
        """
        if done(start):
            return
        number, low = {start: 0}, {start: 0}
        open_ = [start]
        waiting = [(start, self.uses(start, made_of))]
        while waiting:
            name, uses = waiting[-1]
            following = next((use.node for use in uses if not done(use.node)), None)
            if following is None:
                waiting.pop()
                if waiting:
                    low[waiting[-1][0]] = min(low[waiting[-1][0]], low[name])
                if low[name] == number[name]:
                    cut = open_.index(name)
                    yield open_[cut:]
                    del open_[cut:]
            elif following not in number:
                number[following] = low[following] = len(number)
                open_.append(following)
                waiting.append((following, self.uses(following, made_of)))
            else:
                # It isn't done, so it is open: it leads back to here.
                low[name] = min(low[name], number[following])

    def _hash_group(self, group: list[str], mine: dict[str, str], made_of: Collection[str] | None) -> None:
        """Hashes nodes that use each other, and everything else of which has a hash."""
        said = []
        for name in sorted(group):
            lines = [self._nodes[name].own]  # type: ignore[union-attr]
            for use in self.uses(name, made_of):
                lines.append(f"{use.written} {use.node if use.node in group else mine[use.node]}")
            said.append("\n".join(lines))
        whole = digest_of("\n\n".join(said))
        for name in group:
            mine[name] = whole if len(group) == 1 else digest_of(f"{whole} {name}")


def _home(path: Path) -> Path:
    """The folder that a package or module stands in, by its first file."""
    return path.parent.parent if path.name == "__init__.py" else path.parent


def presence_of(name: str) -> str:
    """The name under which a class counts as a part of a network: of a layer, that of its word, on either engine."""
    module, _, qualname = name.partition(":")
    return _WORD + qualname if module.startswith(_LAYERS) else name


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
