"""What became of a row on a device: the statuses, and what is counted of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Status(NamedTuple):
    """How a status is shown: never by its colour alone."""

    symbol: str
    meaning: str


# Worst first: wrong numbers are worse than none, since nobody notices them.
STATUSES = {
    "mismatch": Status("≠", "it runs, and gives other numbers than the network itself"),
    "failed": Status("✕", "the device stopped with an error, crashed or hung"),
    "no artifact": Status("∅", "the conversion stopped, so that no device could try"),
    "unsupported": Status("⊘", "the device lacks an operator"),
    "too slow": Status("◷", "it was stopped at the time limit"),
    "stale": Status("↻", "the code has changed since it was checked"),
    "not tested": Status("–", "nobody has tried: the device wasn't there"),
    "ok": Status("✓", "the same numbers, within the tolerance, at every size"),
}
RANKS = {name: rank for rank, name in enumerate(STATUSES)}
KINDS = ("network", "assembly", "backbone", "neck", "head", "attention", "block")


def status(row: Mapping[str, Any], device: str) -> str:
    """The status of a row on a device; a row that has no cell there has no artifact, or wasn't tested.

    Raises:
        ValueError: the table holds a status that isn't one.
    """
    cell = row["cells"].get(device)
    if cell is None:
        return "no artifact" if row["error"] else "not tested"
    if cell["status"] not in STATUSES:
        raise ValueError(
            f"{row['kind']} {row['name']} on {device}: status {cell['status']!r} is none of {', '.join(STATUSES)}; "
            "make the table anew with this version."
        )
    return cell["status"]


def detail(row: Mapping[str, Any], device: str) -> str:
    """What there is to say about a row on a device; empty where it is ok."""
    cell = row["cells"].get(device)
    return str(row["error"]) if cell is None else str(cell["detail"])


def worst(statuses: Iterable[str]) -> str:
    """The worst of some statuses; of none: not tested.

    >>> worst(["ok", "unsupported", "ok"])
    'unsupported'
    """
    return min(statuses, key=RANKS.__getitem__, default="not tested")


def counts(rows: Iterable[Mapping[str, Any]], device: str) -> dict[str, int]:
    """How many rows have which status on a device, worst first."""
    found = Counter(status(row, device) for row in rows)
    return {name: found[name] for name in STATUSES if found[name]}


class Problem(NamedTuple):
    """What isn't ok; a row that has no artifact is one problem, not one of each device."""

    row: Mapping[str, Any]
    device: str
    status: str
    detail: str
    excuse: str


def problems(table: Mapping[str, Any]) -> list[Problem]:
    """What isn't ok, in the order of the rows; what nobody could test is no problem."""
    found = []
    for row in table["rows"]:
        if row["error"]:
            found.append(Problem(row, "every device", "no artifact", row["error"], ""))
        for device in table["devices"]:
            name = device["name"]
            if (what := status(row, name)) not in ("ok", "not tested", "no artifact"):
                found.append(Problem(row, device["title"], what, detail(row, name), row["excused"].get(name, "")))
    return found


class Layer(NamedTuple):
    """A class of layers: in how many rows it is, how often, and per device how many are ok and the worst status."""

    name: str
    rows: int
    modules: int
    devices: dict[str, tuple[int, str]]


def matrix(rows: Iterable[Mapping[str, Any]], devices: Iterable[str]) -> list[Layer]:
    """Every class of layers with what became of the rows that have it, the most frequent first."""
    having: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        for name in row["layers"]:
            having.setdefault(name, []).append(row)
    names = tuple(devices)
    found = [
        Layer(
            name,
            len(users),
            sum(row["layers"][name] for row in users),
            {device: _tally([status(row, device) for row in users]) for device in names},
        )
        for name, users in having.items()
    ]
    return sorted(found, key=lambda layer: (-layer.rows, -layer.modules, layer.name))


def _tally(found: list[str]) -> tuple[int, str]:
    return found.count("ok"), worst(found)
