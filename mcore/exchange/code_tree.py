"""A Merkle tree of code: what a component is made of, down to the words that it speaks.

A node is a definition: a class (without its methods), a method, a function, a value, a word. Its own digest is that of
its normalised text; its hash is that of its digest and of the hashes of everything that it uses. So equal hashes mean
equal code all the way down, and where two differ, a path leads to what changed.

A table of choices (activations, attentions) names more classes of modules than a network is made of. Where those that
are in it are known, the others are left out: they change nothing there.

What isn't seen: names that are made at run time (`getattr(self, name)`, components that `models.create` makes from a
string that isn't written out), files of data, what a decorator of another package does, libraries. What is seen though
it changes nothing: text below an attribute of a class, which documents it; a local annotation without a value.

Source: R. Merkle, "A Digital Signature Based on a Conventional Encryption Function", CRYPTO '87. Definitions that use
each other are hashed together, as strongly connected components (R. Tarjan, SIAM J. Comput. 1(2), 1972).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from mcore.exchange.code_names import LAYERS, WORD, Names
from mcore.exchange.code_sources import Source, digest_of, methods_of, text_of

# Behind the name of a class: what is written in it, without its bases and methods.
BARE = "#"
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
        self.names = Names(packages, root=root)
        self._nodes: dict[str, Node | None] = {}
        self._uses: dict[str, list[tuple[Use, str | None]]] = {}
        self._hashes: dict[str, str] = {}
        self._free: dict[str, bool] = {}

    def node(self, name: str) -> Node | None:
        """The node of this name; None where there is no source of it."""
        if name not in self._nodes:
            module, _, qualname = name.partition(":")
            if name.endswith(BARE):
                found = self.node(name.removesuffix(BARE))
                self._nodes[name] = found and Node(found.own, (), module=False)
            else:
                self._nodes[name] = self._word_node(qualname) if name.startswith(WORD) else self._read(module, qualname)
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

    # --- nodes

    def _read(self, module: str, qualname: str) -> Node | None:
        source = self.names.source(module)
        statements = source.find(qualname) if source else []
        if source is None or not statements:
            return None
        name, text = f"{module}:{qualname}", text_of(statements)
        bases = {ast.unparse(base) for part in statements if isinstance(part, ast.ClassDef) for base in part.bases}
        uses = {inner: Use(inner, f"{name}.{inner}", True) for inner in methods_of(statements)}
        meanings = []
        for written in sorted(text.names):
            node, meaning = self.names.meaning(source, written)
            if node and node != name:
                # What `forward` builds itself is no part that the network is made of, and counts all the same.
                always = written in bases or qualname.rpartition(".")[2] == "forward"
                uses[written] = Use(written, node, always)
            elif meaning:
                meanings.append(f"{written}={meaning}")
            for number, other in enumerate(self.names.other_meanings(source, written)):
                if other not in (node, name):
                    uses[f"{number} {written}"] = Use(f"{number} {written}", other, False)
        for method in text.methods:
            word = self.names.word(method)
            if word:
                uses.setdefault(f".{method}", Use(f".{method}", word, False))
        derived = any(self._is_module(source, base) for base in bases)
        return Node(digest_of("\n".join([text.digest, *meanings])), tuple(sorted(uses.values())), derived)

    def _is_module(self, source: Source, base: str) -> bool:
        """Whether a base class is one of modules."""
        node, meaning = self.names.meaning(source, base)
        found = self.node(node) if node else None
        return meaning in _MODULES or (found is not None and found.module)

    def _word_node(self, name: str) -> Node | None:
        found = self.names.words.get(name)
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
                node, _ = self.names.meaning(source, written)
                if node:
                    uses[written] = Use(written, node, False)
        return Node(digest_of("\n".join(sorted(texts))), tuple(sorted(uses.values())), modules)

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


def presence_of(name: str) -> str:
    """The name under which a class counts as a part of a network: of a layer, that of its word, on either engine."""
    module, _, qualname = name.partition(":")
    return WORD + qualname if module.startswith(LAYERS) else name
