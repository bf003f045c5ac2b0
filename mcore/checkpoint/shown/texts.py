"""Words and numbers of checkpoints as people read them, in terminals and on pages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mcore.checkpoint.records import Metric, Record


def plain(text: str) -> str:
    r"""Text whose characters all print: what would steer a terminal, or turn the line's direction, is escaped.

    >>> plain("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def number(value: float) -> str:
    """A number in four digits.

    >>> number(0.70149), number(1234567.0), number(3e-7)
    ('0.7015', '1.235e+06', '3e-07')
    """
    return f"{value:.4g}"


def amount(size: float) -> str:
    """Bytes in the unit that suits them.

    >>> amount(512), amount(104857600)
    ('512 B', '104.9 MB')
    """
    if size < 1000:
        return f"{int(size)} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"


def shape(sizes: Sequence[int]) -> str:
    """A shape, as `64 x 3 x 7 x 7`."""
    return " x ".join(map(str, sizes)) or "scalar"


def data(value: Any) -> str:
    """Data in one line, as JSON without the quotes of a bare text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def metric(one: Metric) -> str:
    """A metric with what it was measured on: "val.miou 0.7015 (masks, CREMI)"."""
    where = ", ".join(filter(None, (one.head, one.dataset)))
    return f"{one.key} {number(one.value)}" + (f" ({where})" if where else "")


def tag(name: str, value: str) -> str:
    """A tag: its name, with its value where it has one."""
    return f"{name}={value}" if value else name


def size(record: Record) -> int:
    """Bytes of its weights, a file that two components share once."""
    return sum({one.blob.sha256: one.blob.size for one in record.components if one.blob}.values())


def parameters(record: Record) -> int:
    """Numbers that are trained, of all components."""
    return sum(one.parameters for one in record.components)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Lines of a table whose columns stand below each other; those in `right` at the right."""
    cells = [list(head), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if position in right else cell.ljust(width)
            for position, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


__all__ = ["amount", "data", "metric", "number", "parameters", "plain", "shape", "size", "table", "tag"]
