"""The support table as CSV and as Markdown, and how its numbers are written."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tools.support.statuses import KINDS, STATUSES, counts, problems, status

# The columns that name a row's parts; attention and blocks are layers.
PARTS = ("network", "backbone", "neck", "head", "layer")
_SHOWN_LAYERS = 4
# What could be read as Markdown, as HTML, as a formula or by a template engine; an underscore inside a word cannot.
_MARKUP = re.compile(r"([\\`*\[\]{}<>|~&$#!]|(?<![^\W_])_|_(?![^\W_]))")
# A spreadsheet takes what begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_CSV_ENDS = ("parameters", "multiply_adds", "changed", "commit", "error", "excluded", "folder")
_PLURALS = {
    "network": "Networks",
    "assembly": "Assemblies",
    "backbone": "Backbones",
    "neck": "Necks",
    "head": "Heads",
    "attention": "Attention",
    "block": "Blocks",
}


def parts_of(row: Mapping[str, Any]) -> dict[str, str]:
    """The names of a row's parts by column.

    >>> parts_of({"parts": {"attention": "SE"}})
    {'network': '', 'backbone': '', 'neck': '', 'head': '', 'layer': 'SE'}
    """
    parts = row["parts"]
    layer = parts.get("attention") or parts.get("block") or ""
    return {name: layer if name == "layer" else parts.get(name, "") for name in PARTS}


def layers_of(row: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The classes of a row's layers with their counts, the most frequent first."""
    return sorted(row["layers"].items(), key=lambda item: (-item[1], item[0]))


def amount(number: float | None) -> str:
    """A large number for the eye.

    >>> amount(31030658), amount(999), amount(4_100_000_000), amount(None)
    ('31.0 M', '999', '4.10 G', '')
    """
    if number is None:
        return ""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        # 999 950 is 1.00 M, not 1000 k.
        if number >= size * 0.9995:
            return f"{_three(number / size)} {unit}"
    return f"{number:.0f}"


def duration(seconds: float | None) -> str:
    """A time for the eye.

    >>> duration(0.0123), duration(75.0), duration(2.5e-5)
    ('12.3 ms', '75.0 s', '25.0 µs')
    """
    if seconds is None:
        return ""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= size * 0.9995:
            return f"{_three(seconds / size)} {unit}"
    return f"{seconds * 1e6:.2f} µs"


def memory(size: int | None) -> str:
    """Bytes for the eye, in powers of ten.

    >>> memory(123456789), memory(None)
    ('123 MB', '')
    """
    if size is None:
        return ""
    text = amount(size)
    return f"{text}B" if " " in text else f"{text} B"


def shapes(given: Iterable[Sequence[int]]) -> str:
    """The shapes of a data set's inputs.

    >>> shapes([[1, 3, 64, 48], []])
    '1×3×64×48, scalar'
    """
    return ", ".join("×".join(map(str, shape)) or "scalar" for shape in given)


def relative(difference: float | None) -> str:
    """A relative difference for the eye; an infinite one is a NaN, a wrong shape or a wrong type."""
    return "" if difference is None else f"{difference:.1e}" if difference < float("inf") else "infinite"


def csv_of(table: Mapping[str, Any]) -> str:
    """The table as CSV: a line a row, numbers in full, statuses by device."""
    devices = [device["name"] for device in table["devices"]]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["kind", "name", *PARTS, "layers", *map(_safe, devices), *_CSV_ENDS])
    for row in table["rows"]:
        changed = row["changed"]
        layers = ", ".join(f"{name} {count}" for name, count in layers_of(row))
        texts = [row["kind"], row["name"], *parts_of(row).values(), layers]
        texts += [status(row, device) for device in devices]
        ends = [changed["date"], changed["commit"], row["error"], row["excluded"], row["folder"]]
        writer.writerow([*map(_safe, texts), row["parameters"], row["multiply_adds"], *map(_safe, ends)])
    return out.getvalue()


def markdown_of(table: Mapping[str, Any]) -> str:
    """The table as Markdown: a summary by device, what isn't ok and why, then every row in short."""
    machine = table["machine"]
    head = [
        f"# What works where: {_escape(table['project'])} {_escape(table['version'])}",
        "",
        f"Checked {_escape(table['date'])} at commit {_escape(table['commit'] or 'unknown')} "
        f"on the {_escape(table['engine'])} engine; {_escape(machine['system'])} {_escape(machine['processor'])}, "
        f"{machine['cores']} cores, Python {_escape(machine['python'])}.",
    ]
    parts = [head, _summary(table), _problems(table), _whole(table), _excluded(table)]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _summary(table: Mapping[str, Any]) -> list[str]:
    rows = []
    for device in table["devices"]:
        found = counts(table["rows"], device["name"])
        others = ", ".join(f"{count} {name}" for name, count in found.items() if name != "ok")
        absent = "" if device["available"] else f"not here: {device['reason']}"
        rows.append(
            [device["title"], device["version"], str(found.get("ok", 0)), str(len(table["rows"])), others, absent]
        )
    if not any(row[-1] for row in rows):
        rows = [row[:-1] for row in rows]
    titles = ["device", "version", "ok", "of", "others", ""]
    return _grid(titles[: len(rows[0])] if rows else titles, rows, right=(2, 3))


def _problems(table: Mapping[str, Any]) -> list[str]:
    rows = [
        [row["kind"], row["name"], device, f"{STATUSES[found].symbol} {found}", message, excuse]
        for row, device, found, message, excuse in problems(table)
    ]
    if not rows:
        return ["## What isn't ok", "", "Nothing."]
    return ["## What isn't ok", "", *_grid(["kind", "name", "device", "status", "detail", "known because"], rows)]


def _whole(table: Mapping[str, Any]) -> list[str]:
    lines = ["## Every row", "", "; ".join(f"{s.symbol} {name}" for name, s in STATUSES.items()) + "."]
    for kind in KINDS:
        rows = [row for row in table["rows"] if row["kind"] == kind]
        if not rows:
            continue
        names = [name for name in PARTS if any(parts_of(row)[name] for row in rows)]
        titles = [*names, *(device["title"] for device in table["devices"])]
        titles += ["layers", "parameters", "multiply-adds", "last change"]
        at = len(titles) - 3
        cells = [_line(row, names, table["devices"]) for row in rows]
        lines += ["", f"### {_PLURALS[kind]} ({len(rows)})", "", *_grid(titles, cells, right=(at, at + 1))]
    return lines


def _line(row: Mapping[str, Any], names: Sequence[str], devices: Iterable[Mapping[str, Any]]) -> list[str]:
    layers, changed = layers_of(row), row["changed"]
    listed = [f"{name} {count}" for name, count in layers[:_SHOWN_LAYERS]]
    if len(layers) > _SHOWN_LAYERS:
        listed.append(f"and {len(layers) - _SHOWN_LAYERS} more")
    return [
        *(parts_of(row)[name] for name in names),
        *(STATUSES[status(row, device["name"])].symbol for device in devices),
        ", ".join(listed),
        amount(row["parameters"]),
        amount(row["multiply_adds"]),
        f"{(changed['date'] or '')[:10]} {(changed['commit'] or '')[:8]}",
    ]


def _excluded(table: Mapping[str, Any]) -> list[str]:
    rows = [[entry["kind"], entry["name"], entry["reason"]] for entry in table["excluded"]]
    return ["## Excluded, and why", "", *_grid(["kind", "name", "reason"], rows)] if rows else []


def _grid(titles: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    rule = ["--:" if index in right else "---" for index in range(len(titles))]
    lines = [" | ".join(map(_escape, titles)), " | ".join(rule), *(" | ".join(map(_escape, cells)) for cells in rows)]
    return [f"| {line} |" for line in lines]


def _escape(text: object) -> str:
    """Text that Markdown shows as it is, in one line."""
    return _MARKUP.sub(r"\\\1", " ".join(str(text).split()))


def _safe(text: object) -> str:
    """Text that stays text in a spreadsheet, in one line."""
    line = "" if text is None else " ".join(str(text).split())
    return f"'{line}" if line.startswith(_FORMULA) else line


def _three(number: float) -> str:
    """Three digits that count.

    >>> _three(31.03), _three(4.1), _three(412.6)
    ('31.0', '4.10', '413')
    """
    return f"{number:.{0 if number >= 99.95 else 1 if number >= 9.995 else 2}f}"
