"""The support table for people: CSV, Markdown, and one HTML page that works from the disk.

The page loads nothing. Its policy lets exactly the one script and the one style sheet run that this package
brings (by their hashes), so that no name or message in the table could ever run, even if it weren't escaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcore.exchange.atomic import atomic_file
from tools.support.extras import needed
from tools.support.statuses import RANKS, STATUSES, counts, detail, matrix, problems, status
from tools.support.texts import (
    PARTS,
    amount,
    csv_of,
    duration,
    layers_of,
    markdown_of,
    memory,
    parts_of,
    relative,
    shapes,
)

__all__ = ["write", "csv_of", "markdown_of", "page_of"]

FORMAT = 1
_HERE = Path(__file__).parent


def write(table: Mapping[str, Any], folder: Path) -> None:
    """Writes `table.csv`, `table.md` and `index.html` of a table into a folder, each whole or not at all.

    Raises:
        ValueError: the table is of another format, or holds a status that isn't one; nothing is written.
        StorageError: a file cannot be written; what was there is unchanged.
    """
    texts = {"table.csv": csv_of, "table.md": markdown_of, "index.html": page_of}
    _refuse_other_formats(table)
    made = {name: make(table) for name, make in texts.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        with atomic_file(folder / name) as file:
            # Messages of other programs may hold bytes that were no text.
            file.write(text.encode("utf-8", "backslashreplace"))


def page_of(table: Mapping[str, Any]) -> str:
    """The table as one HTML page; the same table gives the same page."""
    jinja2 = needed("jinja2")
    _refuse_other_formats(table)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    environment.filters |= {"amount": amount}
    return environment.get_template("page.html").render(_context(table))


def _refuse_other_formats(table: Mapping[str, Any]) -> None:
    if table.get("format") != FORMAT:
        raise ValueError(
            f"the table's format is {table.get('format')!r}, this version writes pages of format {FORMAT}; "
            "make the table anew with `mcore table`."
        )


def _context(table: Mapping[str, Any]) -> dict[str, Any]:
    markup = needed("markupsafe").Markup
    style, script = ((_HERE / name).read_text("utf-8") for name in ("page.css", "page.js"))
    rows, devices = table["rows"], [device["name"] for device in table["devices"]]
    return {
        "table": table,
        # Ours, not the table's: the two files beside this one.
        "style": markup(style),
        "script": markup(script),
        "style_hash": _sha256(style),
        "script_hash": _sha256(script),
        "devices": [_device(table, device) for device in table["devices"]],
        "records": [_record(row, devices, number=number) for number, row in enumerate(rows)],
        "kinds": sorted({row["kind"] for row in rows}),
        "layers": matrix(rows, devices),
        "problems": problems(table),
        "statuses": STATUSES,
        "ranks": RANKS,
        "parts": PARTS,
    }


def _sha256(text: str) -> str:
    """A hash as a Content-Security-Policy writes it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _device(table: Mapping[str, Any], device: Mapping[str, Any]) -> dict[str, Any]:
    """A device with its counts, and each count's piece of a bar from 0 to 100."""
    found, rows = counts(table["rows"], device["name"]), len(table["rows"])
    pieces, start = [], 0.0
    for name in reversed(STATUSES):
        if width := 100 * found.get(name, 0) / max(rows, 1):
            pieces.append((name, f"{start:.2f}", f"{width:.2f}"))
            start += width
    return {**device, "counts": found, "ok": found.get("ok", 0), "rows": rows, "pieces": pieces}


def _record(row: Mapping[str, Any], devices: list[str], *, number: int) -> dict[str, Any]:
    """A row as the page shows it: every number is text already, so that the script needs no rules of its own."""
    changed = row["changed"]
    return {
        # What a link calls the row.
        "key": row["folder"] or f"{row['kind']}-{row['name']}-{number}",
        "kind": row["kind"],
        "name": row["name"],
        "parts": parts_of(row),
        "layers": layers_of(row),
        "arguments": [(name, _json(value)) for name, value in row["arguments"].items()],
        "parameters": row["parameters"],
        "multiply_adds": row["multiply_adds"],
        "folder": row["folder"],
        "code": row["code"],
        "request": row["request"],
        "changed": {"date": changed["date"] or "", "commit": changed["commit"] or "", "why": changed["why"]},
        "error": row["error"],
        "excluded": row["excluded"],
        "cells": [_cell(row, device) for device in devices],
    }


def _cell(row: Mapping[str, Any], device: str) -> dict[str, Any]:
    cell = row["cells"].get(device) or {}
    return {
        "status": status(row, device),
        "detail": detail(row, device),
        "excuse": row["excused"].get(device, ""),
        "sizes": [
            (shapes(size["shapes"]), relative(size["difference"]), duration(size["seconds"]))
            for size in cell.get("sizes", ())
        ],
        "memory": memory(cell.get("peak_bytes")),
        "version": cell.get("version") or "",
        "date": cell.get("date") or "",
        "commit": cell.get("commit") or "",
    }


def _json(value: object) -> str:
    """An argument as it is written in a configuration."""
    return json.dumps(value, ensure_ascii=False, default=str)
