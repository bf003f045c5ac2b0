"""Checkpoints as `mcore checkpoints` prints them: rows, everything of one, data for programs."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from mcore.checkpoint import Repository
from mcore.checkpoint.records import Record
from mcore.checkpoint.shown import cards, outline, trees
from mcore.checkpoint.shown.texts import amount, metric, parameters, plain, size, table, tag

_BOXES = str.maketrans({"├": "|", "└": "`", "─": "-", "│": "|"})
Aliases = dict[str, list[str]]


def rows(found: Sequence[Record], repo: Repository) -> str:
    """A line each: id, address, metrics, tags, size, day."""
    if not found:
        return "no checkpoints"
    names = aliases_of(repo)
    cells = [
        (
            record.id,
            f"{record.address}@{record.version}",
            ", ".join(metric(one) for one in trees.main_metrics(record)),
            ", ".join([*(f"@{name}" for name in names.get(record.id, ())), *_tags(record)]),
            amount(size(record)),
            record.created[:10],
        )
        for record in found
    ]
    return "\n".join(table(("id", "checkpoint", "metrics", "tags", "weights", "saved"), cells, right=(4,)))


def line(repo: Repository, id: str) -> str:
    """A checkpoint in one line, after something was said of it."""
    record = repo.record(id)
    marks = ", ".join([*(f"@{name}" for name in aliases_of(repo).get(record.id, ())), *_tags(record)])
    return plain(f"{record.id}  {record.address}@{record.version}  {marks}".rstrip())


def whole(record: Record, repo: Repository, *, net: Any = None, layers: bool = True) -> str:
    """Everything of a checkpoint, for a terminal."""
    names = aliases_of(repo).get(record.id, [])
    lines = [f"{record.address}@{record.version}", ""]
    lines += _pairs(
        [
            ("id", record.id),
            ("aliases", ", ".join(names)),
            ("tags", ", ".join(_tags(record))),
            *(("metric", metric(one)) for one in record.metrics),
            ("parameters", f"{parameters(record):,}"),
            ("weights", amount(size(record))),
            *cards.facts_of(record),
            *(("fine-tuned from", f"{address} {id}") for id, address in cards.parents_of(record, repo)),
        ]
    )
    for component in record.components:
        lines += ["", f"{component.name or 'the whole network'} ({component.role})"]
        lines += [f"  {one}" for one in _pairs(cards.component_of(component))]
    if record.structure.config:
        config = yaml.safe_dump(record.structure.config, sort_keys=False, default_flow_style=None, width=120)
        lines += ["", "configuration", *(f"  {one}" for one in config.splitlines())]
    if record.notes:
        lines += ["", "notes", *(f"  {one}" for one in record.notes.splitlines())]
    events = repo.history.of(record.id)
    if events:
        lines += ["", "history", *(f"  {one.created[:16]}  {cards.event_of(one)}  {one.author}" for one in events)]
    if layers:
        lines += ["", "layers", *outline.lines_of(outline.outlines(record, repo, net))]
    return "\n".join(plain(one) for one in lines)


def data_of(found: Iterable[Record], repo: Repository) -> list[dict[str, Any]]:
    """Records with their aliases, as data."""
    names = aliases_of(repo)
    return [_data(record, names) for record in found]


def whole_data(record: Record, repo: Repository) -> dict[str, Any]:
    """A record with its aliases and events, as data."""
    events = [event.model_dump(mode="json") for event in repo.history.of(record.id)]
    return {**_data(record, aliases_of(repo)), "events": events}


def matching(found: Iterable[Record], pattern: str | None) -> list[Record]:
    """Those whose address is like a pattern; whole addresses and names fit too."""
    if pattern is None:
        return list(found)
    return [
        record
        for record in found
        if fnmatch.fnmatchcase(record.address, pattern) or fnmatch.fnmatchcase(record.network, pattern)
    ]


def fields() -> str:
    """What a question may ask for, a line each."""
    from mcore.checkpoint.search.fields import FIELDS

    return "\n".join(table(("field", "is", "what"), [(one.name, one.kind, one.doc) for one in FIELDS]))


def aliases_of(repo: Repository) -> Aliases:
    """The aliases of each checkpoint, by its id."""
    out: Aliases = {}
    for (_, name), id in sorted(repo.history.aliases().items()):
        out.setdefault(id, []).append(name)
    return out


def drawable(text: str) -> str:
    """Lines of boxes in what the terminal has."""
    try:
        "├─└│".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return text.translate(_BOXES)
    return text


def lines_plain(text: str) -> str:
    """Lines of which every character prints."""
    return "\n".join(map(plain, text.splitlines()))


def _data(record: Record, names: Aliases) -> dict[str, Any]:
    return {**record.model_dump(mode="json"), "address": record.address, "aliases": names.get(record.id, [])}


def _tags(record: Record) -> list[str]:
    return [tag(*pair) for pair in sorted(record.tags.items())]


def _pairs(pairs: Iterable[tuple[str, str]]) -> list[str]:
    shown = [(name, text) for name, text in pairs if text]
    width = max((len(name) for name, _ in shown), default=0)
    return [f"{name:{width}}  {text}" for name, text in shown]


__all__ = [
    *("aliases_of", "data_of", "drawable", "fields", "line", "lines_plain"),
    *("matching", "plain", "rows", "whole", "whole_data"),
]
