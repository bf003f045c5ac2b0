"""The trees of a repository, as the design document draws them: by backbone; by task and network.

backbones          networks
  name               task
    versions           name
                         versions
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mcore.checkpoint.records import Metric, Record
from mcore.checkpoint.shown import texts

# Metrics, and tags, that stand in a line; `show` has them all.
METRICS = 2
TAGS = 6
_BRANCH, _LAST, _LINE, _GAP = "├─ ", "└─ ", "│  ", "   "

Branches = dict[str, "Branches | list[Record]"]


def tree(
    records: Iterable[Record], aliases: Mapping[tuple[str, str], str] | None = None, *, versions: int | None = None
) -> str:
    """Both trees, one line a checkpoint, the newest last.

    Args:
        records: the checkpoints, in any order.
        aliases: the checkpoint of each address and name.
        versions: how many of a name are shown, the newest; all where it is None.
    """
    known = {record.id: record for record in records}
    branches: Branches = {}
    for record in sorted(known.values(), key=lambda one: (one.address.split("/"), one.version, one.id)):
        *steps, name = record.address.split("/")
        level: Any = branches
        for step in steps:
            level = level.setdefault(step, {})
        level.setdefault(name, []).append(record)
    if not branches:
        return "no checkpoints"
    names: dict[str, list[str]] = {}
    for (_, name), id in (aliases or {}).items():
        names.setdefault(id, []).append(name)
    lines = []
    for name, below in branches.items():
        lines += [name, *_drawn(below, "", known, names, versions)]
    return "\n".join(lines)


def line_of(record: Record, known: Mapping[str, Record], aliases: Iterable[str] = ()) -> str:
    """A checkpoint in one line: version, a metric or two, names and tags, the day, its parent, its id."""
    marks = [*(f"@{name}" for name in sorted(aliases)), *(texts.tag(*pair) for pair in sorted(record.tags.items()))]
    more = [f"+{len(marks) - TAGS}"] if len(marks) > TAGS else []
    parts = [
        f"@{record.version}",
        ", ".join(texts.metric(one) for one in main_metrics(record)),
        ", ".join(marks[:TAGS] + more),
        record.created[:10],
        _from(record, known),
        record.id,
    ]
    return texts.plain("  ".join(filter(None, parts)))


def main_metrics(record: Record) -> list[Metric]:
    """The metrics that tell most: of the saver's rule first, then of validation, then as they were given."""
    ruled = {text.strip().rpartition(":")[2] for text in record.rule.split(",")}
    order = sorted(record.metrics, key=lambda one: (one.key not in ruled, one.split in ("", "train")))
    return order[:METRICS]


def _drawn(
    below: Branches | list[Record],
    margin: str,
    known: Mapping[str, Record],
    aliases: Mapping[str, Iterable[str]],
    versions: int | None,
) -> list[str]:
    if isinstance(below, list):
        shown = below if versions is None else below[-versions:]
        older = [f"... {len(below) - len(shown)} older"] if len(below) > len(shown) else []
        entries = older + [line_of(record, known, aliases.get(record.id, ())) for record in shown]
        return [margin + (_LAST if entry is entries[-1] else _BRANCH) + entry for entry in entries]
    lines, names = [], list(below)
    for name in names:
        last = name == names[-1]
        lines.append(margin + (_LAST if last else _BRANCH) + texts.plain(name))
        lines += _drawn(below[name], margin + (_GAP if last else _LINE), known, aliases, versions)
    return lines


def _from(record: Record, known: Mapping[str, Record]) -> str:
    if record.parent is None:
        return ""
    parent = known.get(record.parent)
    if parent is None:
        return f"from {record.parent}"
    near = parent.address == record.address
    return f"from @{parent.version}" if near else f"from {parent.address}@{parent.version}"


__all__ = ["line_of", "main_metrics", "tree"]
