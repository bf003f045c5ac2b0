"""The report of a run: one HTML file with its curves, pictures, validations, layers, and what reproduces it.

It's made out of the run's folder alone, at the end or at any time: of a run that goes on, or that was killed, it tells
what there is so far.
"""

from __future__ import annotations

import base64
import io
import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import mcore.checkpoint.shown
from mcore.checkpoint.extras import needed
from mcore.checkpoint.shown.texts import number, shape
from mcore.exchange.atomic import atomic_file
from mcore.training.shown import page, runs
from mcore.training.shown.curves import HEIGHT, WIDTH, Chart, Series, chart
from mcore.training.shown.runs import Run

NAME = "report.html"
_HERE = Path(__file__).parent
# The sheet of the page of a checkpoint: both look alike.
_STYLES = (Path(mcore.checkpoint.shown.__path__[0]) / "card.css", _HERE / "report.css")
# Bytes from which a picture is made smaller, and its longest side then.
_LARGE, _SIDE = 1_000_000, 2000
# Rows of the table of validations, drawings of metrics, and checkpoints that are listed.
_ROWS, _CHARTS, _LISTED = 200, 12, 20
# Curves of the steps that are drawn together: title, what their names begin with, whether powers of ten may be drawn.
_GROUPS = (
    ("learning rate", "lr", False),
    ("norm of the gradients", "grad_norm", True),
    ("samples a second", "samples_per_second", False),
    ("memory at its peak", "peak_bytes", False),
)


def write(folder: str | os.PathLike[str]) -> Path:
    """Writes `report.html` of a run into its folder, whole or not at all; its path.

    Raises:
        FileNotFoundError: the folder has no log.
        ImportError: jinja2 isn't installed; the message has the command.
        StorageError: the file can't be written; what was there is unchanged.
    """
    folder = Path(folder)
    text = page_of(runs.read(folder), folder)
    with atomic_file(folder / NAME) as file:
        file.write(text.encode("utf-8", "backslashreplace"))
    return folder / NAME


def page_of(run: Run, folder: Path) -> str:
    """The page of a run whose pictures are in a folder; the same run gives the same page."""
    rows, left_out = _rows(run)
    context = {
        "run": run,
        "state": _state(run),
        "figures": list(_figures(run)),
        "charts": list(_charts(run)),
        "size": (WIDTH, HEIGHT),
        "pictures": list(_pictures(run, folder)),
        "rule": f"{'greatest' if run.rule[0] == 'max' else 'least'} {run.rule[1]}",
        "rows": rows,
        "left_out": left_out,
        "layers": [_layer(layer) for layer in run.model.get("layers", ())],
        "totals": _totals(run.model),
        "starts": [_start(start) for start in run.starts],
        "checkpoints": [(f"{step:,}", event.get("id", "")) for step, event in run.checkpoints.items()][-_LISTED:],
        "versions": sorted((run.starts[-1].get("versions") or {}).items()) if run.starts else [],
    }
    return page.render(_HERE / "report.html", _STYLES, context, filters={"number": _number})


def _state(run: Run) -> tuple[str, bool]:
    """How it ended, and whether something went wrong."""
    if run.end is None:
        return "has not ended: it still runs, or was stopped from outside; the same command goes on with it", False
    reason = str(run.end.get("reason", ""))
    told = {
        "done": "went through all its steps",
        "early stopping": "stopped early: it no longer became better",
        "stopped": "was stopped; the same command goes on with it",
    }
    return told.get(reason, f"ended: {reason}"), reason not in told


def _figures(run: Run) -> Iterator[tuple[str, str]]:
    """Large numbers at the top, and what they are."""
    best = run.best
    _, metric = run.rule
    if best is not None:
        yield (
            _number(run.validations[best]["metrics"][metric]),
            f"best {metric}, epoch {run.validations[best].get('epoch', '')}",
        )
    loss = run.curves.get("loss")
    if loss is not None and loss.last() is not None:
        yield _number(loss.last()), "last training loss"
    steps = [int(series.x[-1]) for series in run.curves.values()] + list(run.validations)
    if run.end is not None:
        steps.append(run.end.get("step", 0))
    if steps:
        yield f"{max(steps):,}", "steps"
    if run.end is not None and isinstance(run.end.get("seconds"), int | float):
        yield str(timedelta(seconds=round(run.end["seconds"]))), "time"
    if run.starts and isinstance(run.starts[-1].get("parameters"), int):
        yield f"{run.starts[-1]['parameters']:,}", "parameters"


def _charts(run: Run) -> Iterator[Chart]:
    """The drawings: the loss, metrics, parts of the loss, and what tells how training went."""
    training = run.curves.get("loss")
    losses = [Series("training", training.x, training.y)] if training else []
    if "loss" in run.metrics:
        losses.append(run.metric("loss", "validation"))
    found = [chart("loss", losses, mark=_mark(run, "loss"))]
    parts = {name.removeprefix("losses."): one for name, one in run.curves.items() if name.startswith("losses.")}
    judged = [name for name in run.metrics if name not in {"loss", *parts}]
    found += [chart(name, [run.metric(name, "validation")], mark=_mark(run, name)) for name in judged[:_CHARTS]]
    # A loss of one part is the loss.
    for name, one in parts.items() if len(parts) > 1 else ():
        found.append(chart(name, [Series("training", one.x, one.y), run.metric(name, "validation")]))
    # Rates of one part are those of the whole.
    rates = [name for name in run.curves if name.startswith("lrs.")]
    curves = {name: one for name, one in run.curves.items() if name not in rates or len(rates) > 1}
    for title, prefix, powers in _GROUPS:
        series = [_named(one, prefix) for name, one in curves.items() if name.startswith(prefix)]
        found.append(chart(title, series, powers=powers))
    yield from (one for one in found if one is not None)


def _named(series: Series, prefix: str) -> Series:
    """A curve without what its group's title says already: "lrs.backbone" is "backbone"; memory in GB."""
    if series.name == "peak_bytes":
        return Series("GB", series.x, array("d", (value / 1e9 for value in series.y)))
    name = series.name if series.name == prefix else series.name.removeprefix(prefix).removeprefix("s.")
    return Series(name, series.x, series.y)


def _mark(run: Run, metric: str) -> tuple[float, float] | None:
    """The best validation as a point of the metric that it's best by."""
    best = run.best
    return (best, run.validations[best]["metrics"][metric]) if best is not None and metric == run.rule[1] else None


def _pictures(run: Run, folder: Path) -> Iterator[tuple[str, str]]:
    """The last and the first picture: a caption, and the file as a URI of data."""
    found = list(run.pictures.values())
    for event in [found[-1], found[0]][: len(found)] if found else []:
        path = (folder / str(event.get("file", ""))).resolve()
        if path.is_relative_to(folder.resolve()) and path.is_file():
            yield f"epoch {event.get('epoch', '')}, step {event.get('step', 0):,}", _uri(path)


def _uri(path: Path) -> str:
    """A picture within the page; a large one smaller."""
    content, kind = path.read_bytes(), "png"
    if len(content) > _LARGE:
        content, kind = _smaller(content), "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _smaller(content: bytes) -> bytes:
    image = needed("PIL.Image", "train", what="the report of a run")
    with image.open(io.BytesIO(content)) as picture, io.BytesIO() as file:
        small = picture.convert("RGB")
        small.thumbnail((_SIDE, _SIDE))
        small.save(file, "JPEG", quality=85, optimize=True)
        return file.getvalue()


def _rows(run: Run) -> tuple[list[tuple[bool, list[str]]], int]:
    """Rows of the table of validations, whether each is the best; and how many more there are."""
    best = run.best
    cells = [
        (
            step == best,
            [
                str(one.get("epoch", "")),
                f"{step:,}",
                *(_number(one["metrics"].get(name, "")) for name in run.metrics),
                _number(one.get("seconds", "")),
            ],
        )
        for step, one in run.validations.items()
    ]
    kept = [row for at, row in enumerate(cells) if row[0] or at >= len(cells) - _ROWS]
    return kept, len(cells) - len(kept)


def _layer(layer: Mapping[str, Any]) -> list[str]:
    out = layer.get("out")
    return [
        str(layer.get("path", "")),
        str(layer.get("type", "")),
        shape(out) if isinstance(out, Sequence) and not isinstance(out, str) else str(out or ""),
        _count(layer.get("parameters")),
        _count(layer.get("macs")),
    ]


def _totals(model: Mapping[str, Any]) -> str:
    counts = (("parameters", "parameters"), ("macs", "multiply-adds"))
    return ", ".join(f"{_count(model[key])} {name}" for key, name in counts if model.get(key) is not None)


def _start(start: Mapping[str, Any]) -> list[str]:
    """A row of the table of starts."""
    trained, parameters = start.get("trained"), start.get("parameters")
    return [
        str(start.get("time", "")).replace("T", " ").removesuffix("Z"),
        f"{start.get('step', 0):,}",
        str(start.get("device", "")),
        str(start.get("processes", "")),
        str(start.get("strategy", "")),
        str(start.get("precision", "")),
        f"{_count(trained)} of {_count(parameters)}" if trained != parameters else _count(parameters),
    ]


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)


def _number(value: Any) -> str:
    """A number in four digits; what JSON had no number for is told."""
    if value is None:
        return "not finite"
    return number(value) if isinstance(value, float) else str(value)


__all__ = ["NAME", "page_of", "write"]
