"""The layers of a checkpoint, by the names and shapes of what is stored: no code of the network is needed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mcore.checkpoint.errors import CorruptCheckpoint, NotFound
from mcore.checkpoint.records import Component, Record
from mcore.checkpoint.shown import texts
from mcore.exchange.errors import StorageError

# What optimisers don't touch: statistics of norms.
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Layer:
    """What stands below one name.

    Attributes:
        name: in the network: "backbone.layer1.0.conv1"; "" for the network itself.
        entries: names and shapes: "weight 64 x 3 x 7 x 7, bias 64".
        numbers: how many there are, statistics left out.
        kind: the class, where the network is at hand.
    """

    name: str
    entries: str
    numbers: int
    kind: str = ""


@dataclass(frozen=True)
class Outline:
    """A component with its layers, or why they can't be told."""

    component: Component
    layers: tuple[Layer, ...] = ()
    problem: str = ""


def outlines(record: Record, repo: Any, net: Any = None) -> Iterator[Outline]:
    """The layers of each component of a checkpoint, in the order of its state.

    Args:
        record: the checkpoint.
        repo: where its weights are; they're read and checked, a component at a time.
        net: the network, where it has been built: tells the class of each layer.
    """
    kinds = {name: type(module).__name__ for name, module in net.named_modules()} if net is not None else {}
    for component in record.components:
        try:
            arrays = repo.arrays(component) if component.blob else {}
        except (CorruptCheckpoint, NotFound, StorageError) as error:
            yield Outline(component, problem=str(error))
            continue
        shapes = {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}
        yield Outline(component, tuple(_layers(component, shapes, kinds)))


def lines_of(found: Iterable[Outline]) -> list[str]:
    """The layers as a table for a terminal."""
    rows, problems = [], []
    for outline in found:
        rows += [(one.name, one.kind, one.entries, f"{one.numbers:,}") for one in outline.layers]
        if outline.problem:
            problems.append(f"{outline.component.name or outline.component.role}: {texts.plain(outline.problem)}")
    if not any(kind for _, kind, _, _ in rows):
        return (
            texts.table(("layer", "entries", "parameters"), [(one, *rest) for one, _, *rest in rows], right=(2,))
            + problems
        )
    return texts.table(("layer", "class", "entries", "parameters"), rows, right=(3,)) + problems


def whole_name(component: Component, entry: str) -> str:
    """The name of an entry in the network's state."""
    return f"{component.name}.{entry}" if component.name else entry


def _layers(
    component: Component, shapes: Mapping[str, tuple[tuple[int, ...], str]], kinds: Mapping[str, str]
) -> Iterator[Layer]:
    grouped: dict[str, dict[str, tuple[tuple[int, ...], str]]] = {}
    for entry, found in shapes.items():
        layer, _, leaf = whole_name(component, entry).rpartition(".")
        grouped.setdefault(layer, {})[leaf] = found
    for layer, entries in grouped.items():
        numbers = sum(math.prod(sizes) for leaf, (sizes, _) in entries.items() if leaf not in _STATISTICS)
        yield Layer(
            layer, ", ".join(_entry(leaf, *found) for leaf, found in entries.items()), numbers, kinds.get(layer, "")
        )


def _entry(leaf: str, sizes: tuple[int, ...], dtype: str) -> str:
    usual = dtype == "float32" or leaf == "num_batches_tracked"
    return f"{leaf} {texts.shape(sizes)}" + ("" if usual else f" {dtype}")


__all__ = ["Layer", "Outline", "lines_of", "outlines", "whole_name"]
