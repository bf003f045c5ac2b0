"""What code a row of the table is made of, whether it has changed, and the path that leads to what changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mcore.exchange.code_sources import digest_of, locate, read, whole
from mcore.exchange.code_tree import BARE, CodeTree, Node, Use

# What makes artifacts and checks them, file by file: a change there may change every row.
_FOLDERS = ("mcore.platform", "mcore.exchange")
# Folders in which a new file may give names a meaning.
FOLDERS = (*_FOLDERS, "mcore.platform.words", "mcore.platform.layers")
_FILES = ("models.examples.building", "models.examples.sizes")
# Of these folders, what no artifact's content comes from: reading foreign graphs, the hash of code itself, and how
# files are written, whatever is in them.
_APART = ("code_", "onnx_", "pickles", "safety", "patching", "receptive", "atomic", "errors", "files")
# Digits of a digest that are kept.
DIGITS = 16


class Code:
    """The code as it is now, or as it is below another root.

    Args:
        packages: of components that stand outside the project.
        root: folder of the sources; by default, where an import finds them.
    """

    def __init__(self, packages: Iterable[str] = (), root: Path | None = None) -> None:
        self.tree = CodeTree(packages, root=root)
        self.machinery = {module: digest for module, digest in _machinery(root) if digest}
        self._paths = [path for module in self.machinery if (path := locate(module, root))]
        self._changed = self._when()

    def hash_of(self, roots: Iterable[str], made_of: Collection[str] | None) -> str:
        """The hash of all that a row is made of, and of what makes its artifact."""
        said = [self.own_hash_of(roots, made_of), *(f"{name} {digest}" for name, digest in self.machinery.items())]
        return digest_of("\n".join(said))[:DIGITS]

    def own_hash_of(self, roots: Iterable[str], made_of: Collection[str] | None) -> str:
        """The hash of all that a row is made of, alone."""
        return self.tree.hash_of(roots, made_of)[:DIGITS]

    def is_current(self) -> bool:
        """Whether every file that was read is still as it was."""
        return self.tree.names.is_current() and self._when() == self._changed

    def _when(self) -> list[int]:
        return [path.stat().st_mtime_ns if path.is_file() else 0 for path in self._paths]


class Recorded(CodeTree):
    """The code as it was, from what `state` wrote."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        super().__init__()
        self.state = state["nodes"]
        self.machinery: Mapping[str, str] = state["machinery"]

    def node(self, name: str) -> Node | None:
        """The node of this name as it was."""
        said = self.state.get(name.removesuffix(BARE))
        if said is None:
            return None
        own, module, uses = said
        return Node(own, (), False) if name.endswith(BARE) else Node(own, tuple(map(_read, uses)), bool(module))


def state(code: Code, rows: Iterable[tuple[Iterable[str], Collection[str] | None]]) -> dict[str, Any]:
    """The code of all rows as plain data, by name: what a later run compares with."""
    nodes: dict[str, Any] = {}
    for roots, made_of in rows:
        for name, node in code.tree.reached(roots, made_of).items():
            plain = name.removesuffix(BARE)
            if plain not in nodes:
                node = code.tree.node(plain) or node
                nodes[plain] = [node.own[:DIGITS], int(node.module), [_written(use) for use in node.uses]]
    return {"machinery": dict(code.machinery), "nodes": dict(sorted(nodes.items()))}


def path_of(old: Recorded, new: Code, roots: Iterable[str], made_of: Collection[str] | None) -> list[str]:
    """The shortest path from a row's constructors to a definition that has changed; empty where none has.

    Its last step ends with " (new)" or " (gone)" where a definition wasn't there before, or isn't any more.
    """
    for path in _paths(old, new, [*roots], made_of):
        before, now = old.node(path[-1]), new.tree.node(path[-1])
        if before is None and now is None:
            continue
        if before is None or now is None:
            return [*path[:-1], f"{path[-1]} ({'new' if before is None else 'gone'})"]
        if before.own != now.own[:DIGITS]:
            return path
    changed = {*old.machinery.items()} ^ {*new.machinery.items()}
    return [min(module for module, _ in changed)] if changed else []


def _paths(old: CodeTree, new: Code, roots: Sequence[str], made_of: Collection[str] | None) -> Iterator[list[str]]:
    """Paths to all that is or was reached, the nearest first."""
    waiting = [[root] for root in roots]
    seen = {*roots}
    while waiting:
        path = waiting.pop(0)
        yield path
        for tree in (new.tree, old):
            for use in tree.uses(path[-1], made_of):
                if use.node not in seen:
                    seen.add(use.node)
                    waiting.append([*path, use.node])


def _written(use: Use) -> str:
    """A use in one word: "!" before what comes with its node anyway, "." before an attribute of a class."""
    if use.always:
        return f"!{use.node}"
    return use.node if use.written.rpartition(".")[2] == use.node.rpartition(":")[2] else f".{use.node}"


def _read(said: str) -> Use:
    node = said.lstrip("!.")
    return Use("its.attribute" if said.startswith(".") else node.rpartition(":")[2], node, said.startswith("!"))


def _machinery(root: Path | None) -> Iterator[tuple[str, str]]:
    for module in [*_files(root), *_FILES]:
        path = locate(module, root)
        source = read(path, module) if path else None
        if source is not None:
            yield module, whole(source)[:DIGITS]


def _files(root: Path | None) -> Iterator[str]:
    for package in _FOLDERS:
        path = locate(package, root)
        for file in sorted(path.parent.glob("*.py")) if path else ():
            if not file.stem.startswith(_APART):
                yield package if file.stem == "__init__" else f"{package}.{file.stem}"


__all__ = ["FOLDERS", "Code", "Recorded", "path_of", "state"]
