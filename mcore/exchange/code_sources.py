"""Source files as the hash of code sees them: definitions by name, and what the names in them mean.

Nothing is imported: a file is found where an import would find it, and read. So a hash costs no engine, and can be
taken of the sources of another commit.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

# What runs when an operator is written: the method that the vocabulary has for it.
_OPERATORS: Mapping[type, str] = {
    ast.Add: "__add__", ast.Sub: "__sub__", ast.Mult: "__mul__", ast.Div: "__truediv__", ast.FloorDiv: "__floordiv__",
    ast.Mod: "__mod__", ast.Pow: "__pow__", ast.MatMult: "__matmul__", ast.LShift: "__lshift__",
    ast.RShift: "__rshift__", ast.BitOr: "__or__", ast.BitXor: "__xor__", ast.BitAnd: "__and__",
    ast.Eq: "__eq__", ast.NotEq: "__ne__", ast.Lt: "__lt__", ast.LtE: "__le__", ast.Gt: "__gt__", ast.GtE: "__ge__",
    ast.USub: "__neg__", ast.Invert: "__invert__", ast.Subscript: "__getitem__",
}  # fmt: skip
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ast.ClassDef)


class Text(NamedTuple):
    """What a definition says: its normalised text, hashed, and the names and methods in it."""

    digest: str
    # Dotted names as they are written: "F.relu", "WIDTH".
    names: frozenset[str]
    # Attributes of anything but `self`, and operators: methods of tensors perhaps.
    methods: frozenset[str]


class Source:
    """One source file: what it defines and imports, by name."""

    def __init__(self, module: str, tree: ast.Module, *, package: bool) -> None:
        self.module = module
        self.imports: dict[str, str] = {}
        # What else a name is imported from: in a function, or where the first isn't installed.
        self.others: dict[str, list[str]] = {}
        # Modules of which every name is imported.
        self.stars: list[str] = []
        self.statements: dict[str, list[ast.stmt]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    target = alias.name if alias.asname else alias.name.partition(".")[0]
                    self._import(alias.asname or target, target)
            elif isinstance(node, ast.ImportFrom):
                start = _absolute(module, node, package)
                for alias in node.names:
                    if alias.name == "*":
                        self.stars.append(start)
                    else:
                        self._import(alias.asname or alias.name, f"{start}.{alias.name}")
        for statement in tree.body:
            for name in _changed(statement):
                self.statements.setdefault(name, []).append(statement)
        self.body = tree.body
        # What a name stands for by itself: of functions and classes, the last definition.
        for name, found in self.statements.items():
            if isinstance(found[-1], _SCOPES):
                self.statements[name] = found[-1:]

    def _import(self, name: str, target: str) -> None:
        # The last one stands first: it did so before the others counted.
        before = self.imports.get(name)
        if before is not None and before != target:
            self.others.setdefault(name, []).append(before)
        self.imports[name] = target

    def find(self, qualname: str) -> list[ast.stmt]:
        """The statements that make a qualified name what it is; none where it isn't defined here."""
        first, *rest = [step for step in qualname.split(".") if step != "<locals>"]
        found = self.statements.get(first, [])
        for step in rest:
            inner = [node for scope in found for node in _inside(scope) if step in _changed(node)]
            found = inner[-1:] if inner and isinstance(inner[-1], _SCOPES) else inner
        return found


def read(path: Path, module: str) -> Source | None:
    """The file, or None where it can't be read as Python."""
    try:
        return _parsed(path, module, path.stat().st_mtime_ns)
    except (OSError, SyntaxError, ValueError):
        return None


# All trees of a process read the same files: the vocabulary's are most of them.
@functools.lru_cache(maxsize=2048)
def _parsed(path: Path, module: str, changed: int) -> Source:
    return Source(module, ast.parse(path.read_bytes()), package=path.name == "__init__.py")


def locate(module: str, root: Path | None = None) -> Path | None:
    """The file of a module, found without importing anything: below `root`, or where an import would find it."""
    if root is None:
        loaded = getattr(sys.modules.get(module), "__file__", None)
        if loaded and loaded.endswith(".py"):
            return Path(loaded)
    first, *parts = module.split(".")
    try:
        # Not of the whole name: that would import the packages above it.
        top = find_spec(first) if root is None else PathFinder.find_spec(first, [str(root)])
    except (ImportError, ValueError):
        return None
    spec, name = top, first
    for part in parts:
        if spec is None or spec.submodule_search_locations is None:
            return None
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def text_of(statements: Iterable[ast.stmt]) -> Text:
    """What statements say, without comments, docstrings, annotations and formatting; of a class, without methods."""
    words: list[str] = []
    names: set[str] = set()
    methods: set[str] = set()
    for statement in statements:
        _say(statement, words, names, methods, top=True)
    return Text(digest_of("\0".join(words)), frozenset(names), frozenset(methods))


def whole(source: Source) -> str:
    """The digest of all that a file says, methods too."""
    words: list[str] = []
    _say(_code(source.body) if source.body else [], words, set(), set())
    return digest_of("\0".join(words))


def methods_of(statements: Iterable[ast.stmt]) -> Iterator[str]:
    """Names of the functions and classes inside a class."""
    for statement in statements:
        if isinstance(statement, ast.ClassDef):
            yield from dict.fromkeys(node.name for node in statement.body if isinstance(node, _SCOPES))


def strings_of(statement: ast.stmt) -> set[str]:
    """Words that stand in the texts of a statement: a table of names, from which a loop makes functions."""
    texts = (node.value for node in ast.walk(statement) if isinstance(node, ast.Constant))
    return {word.rpartition(".")[2] for text in texts if isinstance(text, str) for word in text.split()}


def digest_of(text: str) -> str:
    """SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _say(node: Any, words: list[str], names: set[str], methods: set[str], *, top: bool = False) -> None:
    """Appends a tree to `words`; not as ast.dump does, whose form changes between versions of Python."""
    if isinstance(node, list):
        for part in node:
            _say(part, words, names, methods)
        words.append("]")
        return
    if not isinstance(node, ast.AST):
        words.append(repr(node))
        return
    kind = type(node)
    words.append(kind.__name__)
    if kind in _OPERATORS:
        methods.add(_OPERATORS[kind])
    if isinstance(node, ast.Name | ast.Attribute):
        dotted = _dotted(node)
        names |= {dotted} if dotted else set()
        # `self.norm` is the network's own; `self.norm.weight.mean` ends with a method.
        own = dotted is not None and dotted.count(".") == 1 and dotted.startswith(("self.", "cls."))
        if isinstance(node, ast.Attribute) and not own:
            methods.add(node.attr)
    for name in node._fields:
        value = getattr(node, name, None)
        if value is None or value == [] or _is_beside(node, name):
            continue
        if name == "body" and isinstance(node, _SCOPES):
            value = _code(node.body)
            if top and isinstance(node, ast.ClassDef):
                # Each is a definition of its own.
                value = [part for part in value if not isinstance(part, _SCOPES)]
        words.append(name)
        _say(value, words, names, methods)
    words.append(")")


def _is_beside(node: ast.AST, name: str) -> bool:
    """Whether a field changes no result: annotations, contexts; those of a class's fields may make its `__init__`."""
    if name in ("ctx", "type_comment", "kind"):
        return True
    if name == "returns" or (name == "annotation" and isinstance(node, ast.arg)):
        return True
    return name == "annotation" and isinstance(node, ast.AnnAssign) and node.value is not None


def _code(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
        return body[1:]
    return body


def _dotted(node: ast.AST) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _absolute(module: str, node: ast.ImportFrom, package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    start = parts[: len(parts) - node.level + (1 if package else 0)]
    return ".".join([*start, *([node.module] if node.module else [])])


def _inside(scope: ast.stmt) -> Iterator[ast.stmt]:
    """Statements of a scope, also those below `if`, `try` and `with`, but not those of inner scopes."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for node in getattr(scope, name, ()):
            yield node
            if not isinstance(node, _SCOPES):
                yield from _inside(node)


def _changed(statement: ast.stmt) -> set[str]:
    """Names that a statement gives a value, or changes: `X = 1`, `X["a"] = 1`, `X.update(...)`, `def X`."""
    if isinstance(statement, _SCOPES):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return set()
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return _bases([statement.value.func]) if isinstance(statement.value.func, ast.Attribute) else set()
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    found = _bases(targets)
    for node in _inside(statement):
        found |= _changed(node)
    return found


def _bases(targets: Iterable[ast.AST | None]) -> set[str]:
    found = set()
    for target in targets:
        if isinstance(target, ast.Tuple | ast.List):
            found |= _bases(target.elts)
            continue
        while isinstance(target, ast.Attribute | ast.Subscript | ast.Starred):
            target = target.value
        if isinstance(target, ast.Name):
            found.add(target.id)
    return found
