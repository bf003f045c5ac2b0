"""A hash of the code that a network is made of: the same for the same source, whatever its comments.

The classes and functions that a class reaches within its project are found by name, each is hashed without
its comments, docstrings and annotations, and the hash of all is that of theirs. The vocabulary of mcore and
other packages are known by their names alone, so both engines agree.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

# Packages whose names stand for themselves: the words, on either engine, whose meaning is a promise.
VOCABULARY = ("mcore", "torch")
# Looked into whoever asks: the parts of the zoo belong to a network that uses them.
ZOO = "models"
# What the zoo does besides computing: reading files, counting. It changes no network.
BESIDES = "models.utils"


def code_hash(subject: Any) -> str:
    """The hash of a class; of a module object, that of its class and those of all modules inside it.

    >>> class Net:
    ...     def double(self, x): return 2 * x
    >>> len(code_hash(Net))
    64
    """
    if isinstance(subject, type):
        classes = {subject}
    else:
        inside = subject.modules() if hasattr(subject, "modules") else [subject]
        classes = {type(module) for module in inside}
    project = {_package(cls.__module__) for cls in classes} - {*VOCABULARY} | {ZOO}
    own = [cls for cls in classes if _in_project(cls.__module__, project)]
    # A layer of the vocabulary has no source in the project; its name says what it is, on either engine.
    names = [] if own else [cls.__qualname__ for cls in classes]
    hashes = sorted(hash_of_text(text) for text in [*_reached(own, project), *names])
    return hash_of_text("\n".join(hashes))


def hash_of_text(text: str) -> str:
    """SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _reached(classes: Iterable[type], project: set[str]) -> Iterator[str]:
    """Normalised sources of all definitions that `classes` reach by name."""
    waiting = [(cls.__module__, cls.__qualname__, cls) for cls in classes]
    seen = {(module, name) for module, name, _ in waiting}
    while waiting:
        module, name, value = waiting.pop()
        file = _source(module)
        node = file.find(name) if file else None
        if file is None or node is None:
            # Typed at a prompt or made by a program: there is no source, but there is bytecode.
            yield "\n".join([name, *_bytecode(value)])
            continue
        text, used = file.normal(name, node)
        yield f"{text}\n{sorted(file.meaning(word) for word in used)}"
        for found in file.definitions(used, project):
            if found[:2] not in seen:
                seen.add(found[:2])
                waiting.append(found)


class _Source:
    """The tree of one source file: what it defines and imports, by name."""

    def __init__(self, name: str, tree: ast.Module) -> None:
        self.name, self.tree = name, tree
        self.imports: dict[str, str] = {}
        self._normal: dict[str, tuple[str, set[str]]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self.imports[alias.asname or alias.name.partition(".")[0]] = alias.name
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = f"{'.' * node.level}{node.module}.{alias.name}"

    def meaning(self, word: str) -> str:
        """What a dotted word means here: names that were imported, by where they come from."""
        first, dot, rest = word.partition(".")
        imported = self.imports.get(first)
        if imported is None:
            return word
        # Where a name of the project stands doesn't matter: what it is, is hashed itself.
        return imported + dot + rest if _package(imported) not in (ZOO, _package(self.name)) else word

    def normal(self, qualname: str, node: ast.AST) -> tuple[str, set[str]]:
        """The normalised text of a definition of this file, and the words in it."""
        if qualname not in self._normal:
            self._normal[qualname] = _normal(node)
        return self._normal[qualname]

    def find(self, qualname: str) -> ast.AST | None:
        """The definition of this qualified name: of a class, a function or a top-level value."""
        scope: ast.AST = self.tree
        for step in qualname.split("."):
            if step == "<locals>":
                continue
            found = [node for node in _statements(scope) if step in _defined(node)]
            if not found:
                return None
            scope = found[-1]
        return scope

    def definitions(self, used: Iterable[str], project: set[str]) -> Iterator[tuple[str, str, Any]]:
        """Module, qualified name and value of each used word that the project defines."""
        module = sys.modules.get(self.name)
        for word in used:
            first, *rest = word.split(".")
            value, place, name = getattr(module, first, None), self.name, first
            if value is None or first not in vars(module or object):
                continue
            if first in self.imports:
                place = self.imports[first].rpartition(".")[0]
            while isinstance(value, ModuleType) and rest:
                place, name = value.__name__, rest.pop(0)
                value = getattr(value, name, None)
            own = getattr(value, "__module__", None)
            if isinstance(own, str):
                place, name = own, getattr(value, "__qualname__", name)
            counts = _in_project(place, project) and not place.startswith(BESIDES)
            if counts and not isinstance(value, ModuleType):
                yield place, name, value


def _normal(node: ast.AST) -> tuple[str, set[str]]:
    """The text of a definition without docstrings, and the words (`F.relu`) that stand in it."""
    node = _Bare().visit(ast.parse(ast.unparse(node)))
    words = {_dotted(part) for part in ast.walk(node) if isinstance(part, ast.Name | ast.Attribute)}
    # Not ast.dump, whose form changes between versions of Python.
    return ast.unparse(node), {word for word in words if word}


class _Bare(ast.NodeTransformer):
    """Takes away what changes no result: docstrings and annotations."""

    def generic_visit(self, node: Any) -> Any:
        super().generic_visit(node)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
                node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
        return node


def _dotted(node: ast.AST) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _statements(scope: ast.AST) -> Iterator[ast.AST]:
    """Statements of a scope, also those below `if`, `try` and `with`, but not those of inner scopes."""
    for name in ("body", "orelse", "finalbody", "handlers"):
        for node in getattr(scope, name, []) if isinstance(getattr(scope, name, None), list) else []:
            yield node
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _statements(node)


def _defined(node: ast.AST) -> set[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {part.id for target in targets if target for part in ast.walk(target) if isinstance(part, ast.Name)}


def _source(module: str) -> _Source | None:
    if module not in sys.modules:
        importlib.import_module(module)
    path = getattr(sys.modules[module], "__file__", None)
    if path is None or not Path(path).is_file():
        return None
    return _parsed(module, path, Path(path).stat().st_mtime_ns)


@functools.lru_cache(maxsize=512)
def _parsed(module: str, path: str, changed: int) -> _Source | None:
    try:
        return _Source(module, ast.parse(Path(path).read_bytes()))
    except (SyntaxError, ValueError):
        return None


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
    return module.lstrip(".").partition(".")[0]


def _in_project(module: str, project: set[str]) -> bool:
    return _package(module) in project and _package(module) not in VOCABULARY


__all__ = ["code_hash"]
