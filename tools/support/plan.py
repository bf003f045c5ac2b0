"""What the support table begins with, what it leaves out, and what it excuses: models/support.yaml, read and checked.

priority: [UNet, {backbone: resnet18, neck: FPN, head: {type: Segmentation, num_classes: 2}}]
exclusions: {network: {Coordinate: "a tuple of numbers"}}
cells: {block: {Crop: {tensorrt: "..."}}}
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import models
from mcore.config import Config, ConfigError, Mistake, Origin, parse
from mcore.registry import available
from mcore.vocabulary import nearest
from models.examples import PACKAGES, public

PLACE = Path(models.__file__).parent / "support.yaml"
SECTIONS = ("priority", "exclusions", "cells")
# Of an assembly; a head is needed for there to be a result.
PARTS = ("backbone", "neck", "head")

# A public name, or the parts of an assembly.
Target = str | Mapping[str, Any]
# Where in the file, and what is wrong there.
Wrong = tuple[tuple[str | int, ...], str]


@dataclass(frozen=True)
class Plan:
    """The file's three sections.

    Args:
        priority: what is converted first, in this order: public names, and assemblies by their parts.
        exclusions: by kind and name, why a public name has no row.
        cells: by kind, name and device, why a cell is known not to be ok.
    """

    priority: tuple[Target, ...] = ()
    exclusions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    cells: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)


def read(path: Path = PLACE) -> Plan:
    """The plan in a file.

    Raises:
        ConfigError: every mistake in it, each with file, line and column.
        FileNotFoundError: no such file.
    """
    data, origins = parse(path.read_text(encoding="utf-8"), str(path))
    if not isinstance(data, Mapping | None):
        raise ConfigError([Mistake(Origin(str(path)), (), f"a mapping of {', '.join(SECTIONS)} is needed")])
    config = Config(dict(data or {}), origins)
    config.refuse([config.mistake(place, message) for place, message in _wrong(config.data)])
    return Plan(tuple(config.data.get("priority", ())), *(config.data.get(name, {}) for name in SECTIONS[1:]))


def named(kind: str) -> list[str]:
    """The public names of a kind; behind them those that other packages have registered."""
    return [*dict.fromkeys([*public(kind), *sorted(available(kind))])]


def name_of(target: Target) -> str:
    """The name of the row of an entry of `priority`: of an assembly, those of its parts.

    >>> name_of({"backbone": "resnet18", "head": {"type": "Segmentation", "num_classes": 2}})
    'resnet18-Segmentation'
    """
    if not isinstance(target, Mapping):
        return str(target)
    said = (target[kind] for kind in PARTS if kind in target)
    return "-".join(str(part.get("type") if isinstance(part, Mapping) else part) for part in said)


def _wrong(data: Mapping[str, Any]) -> Iterator[Wrong]:
    yield from _unknown(data, SECTIONS, (), "section")
    exclusions = data.get("exclusions", {})
    yield from _by_kind(exclusions, ("exclusions",))
    yield from _by_kind(data.get("cells", {}), ("cells",), of_devices=True)
    priority = data.get("priority", [])
    if not isinstance(priority, list):
        yield ("priority",), "a list of names, and of assemblies by their parts, is needed"
        return
    for index, target in enumerate(priority):
        yield from _first(target, ("priority", index), exclusions if isinstance(exclusions, Mapping) else {})
        if target in priority[:index]:
            yield ("priority", index), f"{target!r} stands here twice"
        elif name_of(target) in map(name_of, priority[:index]):
            yield ("priority", index), f"{name_of(target)} stands here twice, and the table has one row of a name"


def _by_kind(section: Any, place: tuple[str | int, ...], *, of_devices: bool = False) -> Iterator[Wrong]:
    """Public names by kind, each with a reason, or with one for each of some devices."""
    if not isinstance(section, Mapping):
        yield place, f"a mapping of kinds ({', '.join(PACKAGES)}) is needed"
        return
    yield from _unknown(section, PACKAGES, place, "kind")
    for kind in section.keys() & PACKAGES.keys():
        names = section[kind]
        if not isinstance(names, Mapping):
            yield (*place, kind), "a mapping of names is needed"
            continue
        yield from _unknown(names, named(kind), (*place, kind), f"public {kind}")
        for name, told in names.items():
            yield from (_by_device if of_devices else _reason)(told, (*place, kind, name))


def _by_device(told: Any, place: tuple[str | int, ...]) -> Iterator[Wrong]:
    from mcore.devices import devices

    if not isinstance(told, Mapping) or not told:
        yield place, "a mapping of devices, each with its reason, is needed"
        return
    yield from _unknown(told, devices(), place, "device")
    for device, reason in told.items():
        yield from _reason(reason, (*place, device))


def _reason(told: Any, place: tuple[str | int, ...]) -> Iterator[Wrong]:
    if not isinstance(told, str) or not told.strip():
        yield place, f"a reason in words is needed, not {told!r}"


def _first(target: Any, place: tuple[str | int, ...], exclusions: Mapping[str, Any]) -> Iterator[Wrong]:
    """What is wrong with an entry of `priority`."""
    if isinstance(target, str):
        homes = {kind for kind in PACKAGES if target in named(kind)}
        if not homes:
            yield from _unknown([target], [name for kind in PACKAGES for name in named(kind)], place, "public name")
        elif all(target in (exclusions.get(kind) or {}) for kind in homes):
            yield place, f"{target} is excluded below, so it has no row"
        return
    if not isinstance(target, Mapping) or not {"backbone", "head"} <= target.keys():
        yield place, "a public name, or a mapping of backbone, neck where there is one, and head, is needed"
        return
    yield from _unknown(target, PARTS, place, "part")
    for kind in target.keys() & PARTS:
        part = target[kind]
        name = part.get("type") if isinstance(part, Mapping) else part
        if isinstance(name, str):
            yield from _unknown([name], named(kind), (*place, kind), f"public {kind}")
        else:
            yield (*place, kind), f"a name, or a mapping with a type, is needed, not {part!r}"


def _unknown(names: Iterable[Any], known: Iterable[str], place: tuple[str | int, ...], what: str) -> Iterator[Wrong]:
    """Those of `names` that aren't known, each with the nearest that is."""
    known = list(known)
    for name in names:
        if name not in known:
            near = nearest(str(name), known)
            meant = f"; the nearest are {', '.join(near)}" if near else f"; there are {', '.join(known[:8])}"
            # A mapping's key stands at its own place, an entry of a list at the list's.
            yield (*place, name) if isinstance(names, Mapping) else place, f"no {what} {name!r}{meant}"


__all__ = ["PLACE", "Plan", "Target", "name_of", "named", "read"]
