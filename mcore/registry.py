"""Names and versions to constructors: the one registry of components.

A component has a kind, a name, a namespace and the versions that it serves. Packages announce theirs
through the entry point group `mcore.components`: a table of kinds, names and import paths, so that nothing is
imported before it is asked for. `register` adds one from Python. A configuration can name nothing else: no
import path, no callable that isn't registered.

A name of a namespace is also written with it: "convnet/UNet".
"""

import functools
import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from mcore.signatures import check_arguments, refuse
from mcore.vocabulary import REFUSED, nearest

# In order of preference where a name stands in several kinds and nobody says which.
KINDS = ("network", "backbone", "neck", "head", "attention", "block")
# What a spec of a namespace may name besides parts of networks: words of torch, and what works with whole models.
OTHER_KINDS = ("layer", "function", "optimizer", "tool")
GROUP = "mcore.components"
ANY_VERSION = ">=0.0.0"
# A clone that isn't installed has no entry points; this project's own tables are found all the same.
OWN = ("models.catalog:NAMES", "models.catalog_convnet:CONVNET")


class UnknownComponent(LookupError):
    """No component of this name, or none of this version."""


@dataclass(frozen=True)
class Entry:
    """A registered component; `target` is its constructor, or where that is ("package.module:name")."""

    kind: str
    name: str
    target: Any = field(repr=False)
    namespace: str = ""
    versions: str = ANY_VERSION
    partial: bool = True

    def load(self) -> Callable[..., Any]:
        """The constructor; imports its module on first use."""
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)


@dataclass
class _Registry:
    """Entries by namespace and name; entry points are read when the first name is asked for."""

    entries: dict[tuple[str, str], list[Entry]] = field(default_factory=dict)
    announced: bool = False

    def add(self, entry: Entry) -> None:
        _check_kind(entry.kind)
        _specifiers(entry.versions)
        known = self.entries.setdefault((entry.namespace, entry.name), [])
        for other in known:
            if (other.kind, other.versions) == (entry.kind, entry.versions):
                # Running a file again, or reading two tables that agree, is no mistake.
                if _same_target(other.target, entry.target):
                    known[known.index(other)] = entry
                    return
                raise ValueError(
                    f"register: {entry.kind} {entry.name!r} with versions {entry.versions!r} is registered "
                    f"already, for {other.target}; give other versions, another name or a namespace."
                )
        known.append(entry)

    def find(self, namespace: str, name: str) -> list[Entry]:
        self.announce()
        return self.entries.get((namespace, name), [])

    def announce(self) -> None:
        """Reads the tables of installed packages, once."""
        if self.announced:
            return
        points = {point.value: point.load for point in importlib.metadata.entry_points(group=GROUP)}
        for own in OWN:
            points.setdefault(own, functools.partial(_own_table, own))
        for load in points.values():
            for kind, names in load().items():
                for name, target in names.items():
                    namespace, _, name = name.rpartition("/")
                    # Versions that differ stand in a table of their own: {">=0.0.2": "package.module:name"}.
                    rows = target if isinstance(target, Mapping) else {ANY_VERSION: target}
                    for versions, path in rows.items():
                        self.add(Entry(kind, name, path, namespace, versions))
        self.announced = True


_registry = _Registry()


def register(
    kind: str,
    name: str | None = None,
    *,
    versions: str = ANY_VERSION,
    namespace: str = "",
    partial: bool = True,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: enters a class or function under `kind` and its own name, or `name`.

    `versions` is a range such as ">=0.0.2" (PEP 440); the same name may be registered again for others.
    `partial=False` refuses `"@mode": "partial"`.

    >>> @register("block", "doctest_block")
    ... class Block: ...
    >>> create("doctest_block")  # doctest: +ELLIPSIS
    <mcore.registry.Block object at ...>

    Raises:
        ValueError: no such kind, or the name is taken for these versions.
    """

    def enter(target: Callable[..., Any]) -> Callable[..., Any]:
        _registry.add(Entry(kind, name or target.__name__, target, namespace, versions, partial))
        return target

    return enter


def available(kind: str | None = None, pattern: str = "*", *, namespace: str = "") -> list[str]:
    """Names of components, sorted, numbers by value; of one kind and like `pattern`, where given.

    Raises:
        ValueError: no such kind.
    """
    if kind is not None:
        _check_kind(kind)
    _registry.announce()
    found = (entry for entries in _registry.entries.values() for entry in entries)
    return sorted(
        {
            entry.name
            for entry in found
            if entry.namespace == namespace and kind in (None, entry.kind) and fnmatchcase(entry.name, pattern)
        },
        # Names that differ in case alone stand in one order too.
        key=lambda name: (_natural(name), name),
    )


def kinds_of(name: str, *, namespace: str = "") -> list[str]:
    """The kinds in which `name` stands, in order of preference."""
    found = {entry.kind for entry in _registry.find(*_split(name, namespace))}
    return [kind for kind in (*KINDS, *OTHER_KINDS) if kind in found]


def lookup(name: str, kind: str | None = None, *, version: str | None = None, namespace: str = "") -> Entry:
    """The component of this name: of `kind`, or of the first kind that has it; at `version`, where given.

    Raises:
        UnknownComponent: none of this name, kind or version; the message lists the nearest.
        ValueError: several versions differ and none is named, or the version can't be read.
    """
    namespace, name = _split(name, namespace)
    entries = _registry.find(namespace, name)
    if kind is None:
        kind = next(iter(kinds_of(name, namespace=namespace)), None)
    else:
        _check_kind(kind)
    of_kind = [entry for entry in entries if entry.kind == kind]
    if not of_kind:
        raise UnknownComponent(_unknown(name, kind, namespace))
    if version is None:
        if len(of_kind) > 1:
            ranges = ", ".join(entry.versions for entry in of_kind)
            raise ValueError(
                f"{kind} {name!r} differs between versions ({ranges}) and none is named; "
                f'write "@version" in the spec or give default_version=.'
            )
        return of_kind[0]
    return _at_version(of_kind, name, version)


def create(name: str, /, *, kind: str | None = None, version: str | None = None, **arguments: Any) -> Any:
    """The component `name` with these arguments, all checked against its signature before anything is built.

    A name of a namespace stands behind it: "convnet/UNet"; where its versions differ, `version` says which.

    Raises:
        UnknownComponent: no such name, or none of this version.
        ValueError: several versions differ and none is named.
        TypeError: an argument is unknown, missing or of the wrong type.
    """
    constructor = lookup(name, kind, version=version).load()
    refuse(check_arguments(constructor, arguments, title=name))
    return constructor(**arguments)


def _split(name: str, namespace: str) -> tuple[str, str]:
    """Namespace and name; one that is written in front of a name holds."""
    front, _, plain = name.rpartition("/")
    return (front, plain) if front else (namespace, name)


def _at_version(entries: Iterable[Entry], name: str, version: str) -> Entry:
    try:
        wanted = Version(str(version))
    except InvalidVersion as error:
        raise ValueError(f"version {version!r} of {name!r} can't be read; write it like 0.0.2.") from error
    fitting = [entry for entry in entries if _specifiers(entry.versions).contains(wanted, prereleases=True)]
    if len(fitting) == 1:
        return fitting[0]
    ranges = ", ".join(entry.versions for entry in entries)
    if not fitting:
        raise UnknownComponent(f"{name!r} has no version {version}; registered are {ranges}.")
    raise ValueError(f"{name!r} is registered more than once for version {version}: {ranges}.")


@functools.lru_cache(maxsize=512)
def _specifiers(versions: str) -> SpecifierSet:
    try:
        return SpecifierSet(versions)
    except InvalidSpecifier as error:
        raise ValueError(f"versions={versions!r} is no range; write it like '>=0.0.2,<1'.") from error


def _check_kind(kind: str) -> None:
    if kind not in KINDS + OTHER_KINDS:
        likely = nearest(str(kind), KINDS + OTHER_KINDS, least=0.0, most=1)[0]
        raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS + OTHER_KINDS)}; the nearest is {likely!r}.")


def _unknown(name: str, kind: str | None, namespace: str) -> str:
    what = f"{kind or 'component'} {name!r}" + (f" in namespace {namespace!r}" if namespace else "")
    elsewhere = kinds_of(name, namespace=namespace)
    if elsewhere:
        return f"no {what}; {name!r} is a {' and a '.join(elsewhere)}."
    why = _refused(name)
    if why:
        return f"no {what}: {why}."
    spaces = sorted({space for space, _ in _registry.entries if space})
    if namespace and namespace not in spaces:
        return f"no {what}: there is no such namespace; known are {', '.join(spaces)}."
    names = available(kind, namespace=namespace)
    likely = nearest(name, names)
    if likely:
        return f"no {what}; the nearest names are {', '.join(likely)}."
    return f"no {what}; there are {', '.join(names) if len(names) <= 20 else f'{len(names)}: see mcore list'}."


def _refused(name: str) -> str:
    """Why a name that one may expect can't be a component; empty of others."""
    if name == "lambda" or name.endswith(".lambda"):
        return "a spec is data, and text in it is never run as code; register a function of your own instead"
    if name.partition(".")[0] == "torch":
        word = name.rpartition(".")[2]
        if word in REFUSED:
            return REFUSED[word]
        return "a spec is data; of torch it names layers, optimizers and functions without side effects, from lists"
    return ""


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts resnet18 before resnet101: numbers by value, words without regard to case."""
    parts = re.findall(r"\d+|\D+", name.lower())
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _same_target(a: Any, b: Any) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return a == b
    return (a.__module__, a.__qualname__) == (b.__module__, b.__qualname__)


def _own_table(place: str) -> Mapping[str, Mapping[str, Any]]:
    module, _, attribute = place.partition(":")
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        return {}
    return getattr(importlib.import_module(module), attribute)


__all__ = [
    "KINDS",
    "OTHER_KINDS",
    "Entry",
    "UnknownComponent",
    "available",
    "create",
    "kinds_of",
    "lookup",
    "register",
]
