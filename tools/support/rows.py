"""Which rows the support table has, in the order in which they are made; nothing of a part is imported to tell."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from mcore.exchange.code_sources import digest_of
from mcore.exchange.code_tree import CodeTree
from mcore.registry import available, lookup
from models.examples.arguments import CONVNET, NAMESPACE, PACKAGES, VERSION, declared
from tools.support.code import DIGITS
from tools.support.plan import PARTS, Plan, name_of, named

ASSEMBLY = "assembly"
# In the order of the table; blocks and attention come last, those that most rows have first.
KINDS = ("network", ASSEMBLY, "backbone", "neck", "head", "attention", "block")
LAYERS = ("attention", "block")


@dataclass(frozen=True)
class Wanted:
    """A row that the table shall have.

    Attributes:
        kind: one of KINDS.
        name: as it is public; of an assembly, its parts' names.
        parts: names by kind.
        given: what is written about it as data: arguments, sizes, the parts of an assembly.
        places: where its constructors are ("package.module:name").
        excluded: why the table leaves it out; "" where it doesn't.
    """

    kind: str
    name: str
    parts: Mapping[str, str]
    given: Mapping[str, Any] = field(compare=False)
    places: tuple[str, ...] = field(compare=False)
    excluded: str = ""

    @property
    def key(self) -> str:
        """What finds it in the table: "network/UNet"."""
        return f"{self.kind}/{self.name}"

    @property
    def request(self) -> str:
        """A digest of what is written about it."""
        return digest_of(json.dumps([self.kind, self.name, self.given], sort_keys=True))[:DIGITS]

    @property
    def packages(self) -> set[str]:
        return {place.partition(".")[0] for place in self.places}

    def roots(self, tree: CodeTree) -> list[str]:
        """The nodes of its constructors."""
        return sorted({tree.names.definition(place) for place in self.places})


def wanted(plan: Plan, *, excluded: bool = False) -> list[Wanted]:
    """All rows: those of the priority list first, then kind by kind; or those alone that the plan excludes.

    Raises:
        ConfigError: an assembly of the plan names a part that isn't there.
    """
    rows = [*_parts(plan, excluded=excluded)]
    if excluded:
        return rows
    first = [_assembly(target) if isinstance(target, Mapping) else target for target in plan.priority]
    by_name = {row.name: row for row in reversed(rows)}
    ahead = [row if isinstance(row, Wanted) else by_name[row] for row in first]
    return [*ahead, *(row for row in rows if row not in ahead)]


def chosen(rows: Iterable[Wanted], patterns: Sequence[str], others: Iterable[Wanted] = ()) -> list[Wanted]:
    """The rows whose name, or kind and name, is like one of `patterns`; all where there is none.

    `others` are rows that aren't meant, by which an error tells why.

    >>> row = Wanted("network", "UNet", {}, {}, ())
    >>> chosen([row], ["U*"]) == chosen([row], ["network/*"]) == [row]
    True

    Raises:
        LookupError: a pattern finds nothing; the message has the nearest names.
    """
    rows = [*rows]
    found = [row for row in rows if not patterns or any(_like(row, pattern) for pattern in patterns)]
    for pattern in patterns:
        if not any(_like(row, pattern) for row in rows):
            raise LookupError(f"--only {pattern}: {_why_not(pattern, rows, others)}.")
    return found


def by_frequency(rows: Iterable[Wanted], told: Iterable[Mapping[str, Any]]) -> list[Wanted]:
    """Attention and blocks: first those that most architectures have, of the rows that a table tells of."""
    having = Counter(name for row in told if row["kind"] not in LAYERS for name in row["layers"])
    return sorted((row for row in rows if row.kind in LAYERS), key=lambda row: (-having[row.name], row.name))


def _why_not(pattern: str, rows: Sequence[Wanted], others: Iterable[Wanted]) -> str:
    """Why a pattern finds no row."""
    from mcore.vocabulary import nearest

    other = next((row for row in others if _like(row, pattern)), None)
    if other is not None and other.excluded:
        return f"{other.key} is excluded ({other.excluded}); --exclusions runs over these"
    if other is not None:
        return f"{other.key} isn't excluded; leave --exclusions out"
    likely = nearest(pattern, [row.name for row in rows])
    return "no row of the table has such a name" + (f"; the nearest names are {', '.join(likely)}" if likely else "")


def _like(row: Wanted, pattern: str) -> bool:
    return fnmatchcase(row.name, pattern) or fnmatchcase(row.key, pattern)


def _parts(plan: Plan, *, excluded: bool) -> Iterator[Wanted]:
    for kind in PACKAGES:
        registered = {*available(kind)}
        for name in named(kind):
            reason = plan.exclusions.get(kind, {}).get(name, "")
            if bool(reason) == excluded:
                place = _place(kind, name, registered)
                yield Wanted(kind, name, {kind: name}, declared(kind, name), (place,), reason)


def _assembly(target: Mapping[str, Any]) -> Wanted:
    """A row of the parts that a plan names together."""
    said = {kind: target[kind] for kind in PARTS if kind in target}
    names = {kind: part["type"] if isinstance(part, Mapping) else part for kind, part in said.items()}
    places = ("models.assembly:Assembly", *(_place(kind, name, {*available(kind)}) for kind, name in names.items()))
    return Wanted(ASSEMBLY, name_of(target), names, dict(target), places)


def _place(kind: str, name: str, registered: Collection[str]) -> str:
    """Where a constructor is: "package.module:name"."""
    if name in CONVNET and kind in ("network", "block"):
        target = lookup(CONVNET[name], version=VERSION, namespace=NAMESPACE).target
    elif name in registered:
        target = lookup(name, kind).target
    else:
        # Public, and in no registry: its package says where it is.
        found = getattr(sys.modules[PACKAGES[kind]], name)
        target = found if hasattr(found, "__qualname__") else type(found)
    return target if isinstance(target, str) else f"{target.__module__}:{target.__qualname__}"


__all__ = ["ASSEMBLY", "KINDS", "LAYERS", "Wanted", "by_frequency", "chosen", "wanted"]
