"""A hash of the code that a network is made of: the same for the same source, whatever its comments.

The classes and functions that a class reaches within its project, and the words of mcore that they speak, are found by
name: see `code_tree`. Both engines agree, since words are their definitions here, whatever runs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import CodeType
from typing import Any

from mcore.exchange.code_names import VOCABULARY, ZOO
from mcore.exchange.code_sources import digest_of
from mcore.exchange.code_tree import CodeTree

# The last tree of each set of packages.
_trees: dict[frozenset[str], CodeTree] = {}


def code_hash(subject: Any) -> str:
    """The hash of a class or function; of a module object, that of its class and those of all modules inside it.

    >>> class Net:
    ...     def double(self, x): return 2 * x
    >>> len(code_hash(Net))
    64
    """
    if not hasattr(subject, "modules") or isinstance(subject, type):
        kinds, made_of = [subject if hasattr(subject, "__qualname__") else type(subject)], None
    else:
        kinds, made_of = [type(module) for module in subject.modules()], parts_of(subject)
    tree = tree_of(kinds)
    names, loose = [], []
    for kind in dict.fromkeys(kinds):
        name = name_of(kind, tree)
        # Typed at a prompt or made by a program: there is no source, but there is bytecode.
        names += [name] if tree.node(name) or not _is_loose(kind) else []
        loose += [] if tree.node(name) or not _is_loose(kind) else [digest_of("\n".join(_bytecode(kind)))]
    return digest_of("\n".join([tree.hash_of(names, made_of), *sorted(loose)]))


def parts_of(net: Any) -> frozenset[str]:
    """The classes of modules that a network is made of, and their bases, as `CodeTree` names them."""
    tree = tree_of(())
    return frozenset(name_of(base, tree) for module in net.modules() for base in type(module).__mro__)


def roots_of(net: Any) -> list[str]:
    """The nodes of the classes of all modules of a network, sorted; classes without source are left out."""
    kinds = [type(module) for module in net.modules()]
    tree = tree_of(kinds)
    return sorted({name for name in (name_of(kind, tree) for kind in kinds) if tree.node(name)})


def name_of(kind: Any, tree: CodeTree) -> str:
    """The node of a class or function; a layer of either engine is the word that it is, or is derived from."""
    if _package(kind.__module__) not in VOCABULARY:
        return f"{kind.__module__}:{kind.__qualname__}"
    for base in getattr(kind, "__mro__", [kind]):
        word = tree.names.word(base.__qualname__) if _package(base.__module__) in VOCABULARY else None
        if word:
            return word
    return f"mcore:{kind.__qualname__}"


def tree_of(kinds: Iterable[Any]) -> CodeTree:
    """The tree of the packages of these classes, as their files are now."""
    packages = frozenset({ZOO, *(_package(kind.__module__) for kind in kinds)}) - {*VOCABULARY}
    tree = _trees.get(packages)
    if tree is None or not tree.names.is_current():
        tree = _trees[packages] = CodeTree(packages)
    return tree


def _is_loose(kind: Any) -> bool:
    return _package(kind.__module__) not in VOCABULARY


def _bytecode(value: Any, depth: int = 0) -> Iterator[str]:
    """What runs, of a class or function without source, and the names and constants it uses."""
    members = vars(value).values() if isinstance(value, type) else [value]
    for member in members:
        code = getattr(getattr(member, "__func__", member), "__code__", None)
        if isinstance(code, CodeType):
            constants = [repr(c) for c in code.co_consts if not isinstance(c, CodeType)]
            yield f"{code.co_name} {code.co_code.hex()} {code.co_names} {constants}"
        elif isinstance(member, type) and depth < 5:
            yield from _bytecode(member, depth + 1)


def _package(module: str) -> str:
    return module.partition(".")[0]


__all__ = ["code_hash"]
