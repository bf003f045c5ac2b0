"""From a record and its events to the rows of the index: the same ones, whenever and in whatever order they came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mcore.checkpoint.history import State
from mcore.checkpoint.records import Component, Record
from mcore.checkpoint.search.fields import LONGEST_PATH, LONGEST_TEXT, compact, moment_of

Rows = dict[str, list[dict[str, Any]]]
# Where a loss has its name.
_NAMES_OF_LOSSES = ("name", "type")


def rows_of(record: Record, state: State, number: int) -> Rows:
    """The rows of each table, all of the checkpoint `number`."""
    parts = list(_components(record))
    tables: Rows = {
        "checkpoint": [_checkpoint(record, state)],
        "component": parts,
        # Of several heads or data sets the last, as `Record.values` has it.
        "metric": [{"key": key, "value": value} for key, value in record.values.items()],
        "tag": [{"key": clean(key), "value": clean(value)} for key, value in state.tags.items()],
        "fact": list(_facts(record)),
    }
    for rows in tables.values():
        for row in rows:
            row["n"] = number
    return tables


def clean(text: str) -> str:
    """Text without the one letter that PostgreSQL's lacks."""
    return text.replace("\0", "\ufffd")


def folded(text: str) -> str:
    """Text in which the case of letters doesn't matter."""
    return clean(text).casefold()


def _checkpoint(record: Record, state: State) -> dict[str, Any]:
    optimiser = record.optimiser
    row: dict[str, Any] = {
        **{
            key: getattr(record, key) for key in ("kind", "network", "task", "address", "author", "precision", "parent")
        },
        "rule": record.rule,
        "notes": folded(state.notes),
        "structure_builder": record.structure.builder,
        "structure_title": record.structure.title,
        **{f"code_{key}": getattr(record.code, key) for key in ("package", "version", "commit", "hash", "engine")},
        "optimiser_name": optimiser.name if optimiser else None,
        "optimiser_scheduler": optimiser.scheduler if optimiser else None,
    }
    # What is empty isn't there.
    row = {key: value or None for key, value in row.items()}
    return row | {
        "id": record.id,
        "deleted": bool(state.deleted),
        "created": moment_of(record.created),
        "version": float(record.version),
        "batch_size": _number(record.batch_size),
        "parameters": float(sum(part.parameters for part in record.components)),
        "optimiser_max_start_lr": optimiser.max_start_lr if optimiser else None,
        "has_nan": record.has_nan,
        "training": record.training,
        "code_dirty": record.code.dirty,
    }


def _components(record: Record) -> Iterator[dict[str, Any]]:
    roles = {part.role for part in record.components}
    for part in record.components:
        # A backbone that was saved by itself is asked for as one, whatever it was a part of.
        alone = record.kind == "backbone" and part.role == "network" and "backbone" not in roles
        yield {
            "role": "backbone" if alone else part.role,
            **{key: getattr(part, key) or None for key in ("name", "type", "task", "resolution")},
            "channels": compact(part.channels) or None,
            **{
                key: _number(getattr(part, key)) for key in ("parameters", "in_channels", "out_channels", "num_classes")
            },
        }


def _facts(record: Record) -> Iterator[dict[str, Any]]:
    seen = set()
    for key, value in _pairs(record):
        if value is None or value == "" or len(key) > LONGEST_PATH:
            continue
        row = _fact(key, value)
        content = tuple(row.values())
        if content not in seen:
            seen.add(content)
            yield row


def _pairs(record: Record) -> Iterator[tuple[str, Any]]:
    yield from _leaves("facts", record.facts)
    for part in record.components:
        yield from _of_part(part)
    yield from _leaves("loss", record.loss)
    yield from (("loss", name) for name in _losses(record.loss))
    for data in record.dataset:
        yield from (("dataset", data.name), ("dataset.version", data.version), ("dataset.images", data.images))
    for group in record.optimiser.groups if record.optimiser else ():
        yield from (("optimiser.lr", group.lr), ("optimiser.weight_decay", group.weight_decay))
    for size in record.resolutions:
        yield "resolution", "x".join(map(str, size))
    for cost in record.costs:
        for key in (
            "device",
            "precision",
            "forward_ms",
            "forward_backward_ms",
            "memory_bytes",
            "training_memory_bytes",
        ):
            yield f"cost.{key}", getattr(cost, key)


def _of_part(part: Component) -> Iterator[tuple[str, Any]]:
    yield from _leaves("facts", part.facts)
    for role in (part.role, "component"):
        yield from _leaves(f"{role}.facts", part.facts)
        yield from _leaves(f"{role}.arguments", part.arguments)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every value in mappings and lists with its path; a mapping itself is there too, as what has no value."""
    waiting = [(path, value)]
    while waiting:
        at, item = waiting.pop()
        if isinstance(item, Mapping):
            if at != path:
                yield at, _THERE
            waiting += [(f"{at}.{key}", part) for key, part in item.items()]
        elif isinstance(item, list | tuple):
            waiting += [(at, part) for part in item]
        else:
            yield at, item


def _losses(loss: Mapping[str, Any]) -> Iterable[str]:
    """Names in what is told of a loss: {"name": "dice"}, {"mask": "dice", "boxes": {"name": "ciou"}}."""
    for key, value in loss.items():
        if isinstance(value, Mapping):
            yield from _losses(value)
        elif isinstance(value, str) and (key in _NAMES_OF_LOSSES or not loss.keys() & set(_NAMES_OF_LOSSES)):
            yield value


_THERE = object()


def _fact(key: str, value: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"key": clean(key), "text": None, "number": None, "truth": None}
    if isinstance(value, bool):
        row["truth"] = value
    elif isinstance(value, int | float):
        row["number"] = float(value)
    elif isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT:
        row["text"] = clean(value)
    return row


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


__all__ = ["Rows", "clean", "folded", "rows_of"]
