"""What a network makes of some samples, as one picture: image, truth and prediction of each, side by side."""

from __future__ import annotations

import contextlib
import io
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mcore.checkpoint.extras import needed
from mcore.exchange.atomic import atomic_file
from mcore.training.settings import OUTPUT
from mcore.training.shown.panels import Panel, legend, painted, panels

DPI = 150
# In inches: a panel, a line above it, the space between two. Then: panels in a row; room for a signal's scale.
_WIDTH, _TALLEST, _LINE, _GAP = 1.9, 3.8, 0.13, 0.12
_ACROSS, _SCALE = 12, 0.25
# Of a line above a panel.
_LETTERS = 38
# Samples below each other, before they stand beside each other, too; those of few panels stand so anyway.
_DOWN, _BESIDE = 6, 4


def draw(
    path: str | os.PathLike[str],
    batch: Mapping[str, Any],
    outputs: Any,
    *,
    classes: Sequence[str] | None = None,
    targets: Mapping[str, str],
    most: int = 64,
) -> None:
    """Writes a PNG of a batch and what a network says of it; whole, or not at all.

    By what a head is compared with: classes of pixels lie over the image; a class stands above it; of an image that
    is made again, the difference is drawn, too; other numbers are drawn in colours, with their range above. Of a
    volume the slice in the middle is seen, of a signal its line.

    Args:
        path: where; its folder is made.
        batch: "image" (n, c, *size), targets, and "name", a list.
        outputs: of the network: a tensor, or a dict by head; of a list, as deep supervision gives, the first. Of
            other things it's said that they aren't drawn.
        classes: names of the classes.
        targets: the key of each head's target; without one, its output alone is drawn.
        most: samples that are drawn.

    Raises:
        ImportError: matplotlib isn't installed.
        StorageError: the file can't be written; what was there is unchanged.
    """
    by_head = outputs if isinstance(outputs, Mapping) else {OUTPUT: outputs}
    count = min(len(batch["image"]), most)
    heads = {head: _array(value, count) for head, value in by_head.items()}
    arrays = {key: _array(batch[key], count) for key in {"image", *targets.values()} & set(batch)}
    names = batch.get("name", [""] * count)
    rows = [
        panels(
            {"name": names[at], **{key: values[at] for key, values in arrays.items() if values is not None}},
            {head: None if values is None else values[at] for head, values in heads.items()},
            targets=targets,
            classes=classes,
        )
        for at in range(count)
    ]
    picture = _picture(rows, classes)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(picture)


def _array(value: Any, count: int) -> np.ndarray[Any, Any] | None:
    """The first samples of a tensor, on whatever device and of whatever type; None of what is none."""
    while isinstance(value, list | tuple) and value:
        value = value[0]
    if not hasattr(value, "detach"):
        return None
    value = value[:count].detach().cpu()
    return np.asarray(value.float() if value.is_floating_point() else value)


def _picture(rows: Sequence[Sequence[Panel]], classes: Sequence[str] | None) -> bytes:
    matplotlib = needed("matplotlib", "train", what="pictures of predictions")
    figure_class = needed("matplotlib.figure", "train", what="pictures of predictions").Figure
    # Whatever a user's own style sets: names of files are no formulas.
    plain_text = {"text.usetex": False, "text.parse_math": False, "font.size": 7, "font.family": "sans-serif"}
    with matplotlib.rc_context(plain_text), _quiet(), io.BytesIO() as file:
        layout = _Layout(rows)
        names = list(legend([panel for row in rows for panel in row], classes))
        bottom = 2 * _LINE * math.ceil(len(names) / max(int(layout.width / 1.3), 1))
        figure = figure_class(figsize=(layout.width, layout.height + bottom), dpi=DPI, facecolor="white")
        for panel, x, y in layout.places():
            _draw(figure, panel, (x, y + bottom), tall=layout.tall, lines=layout.lines)
        if names:
            _draw_legend(figure, names, columns=max(int(layout.width / 1.3), 1))
        figure.savefig(file, format="png")
        return file.getvalue()


class _Layout:
    """Where panels stand, in inches from the lower left: few samples below each other, many beside each other, too."""

    def __init__(self, rows: Sequence[Sequence[Panel]]) -> None:
        self._rows = rows
        columns = max(map(len, rows))
        self._step = columns * (_WIDTH + _GAP) + _GAP
        wide = max(math.ceil(len(rows) / _DOWN), min(len(rows), _BESIDE // columns))
        self._across = max(1, min(wide, _ACROSS // columns))
        ratios = [panel.values.shape[0] / panel.values.shape[1] for panel in rows[0] if not panel.signal]
        self.tall = min(max(_WIDTH * max(ratios, default=0.6), 0.5), _TALLEST)
        # A header, and the most captions of a panel.
        self.lines = 1 + max(len(panel.captions) for row in rows for panel in row)
        self._cell = self.tall + self.lines * _LINE + 2 * _GAP
        self.width = self._across * self._step + _GAP
        self.height = math.ceil(len(rows) / self._across) * self._cell

    def places(self) -> Iterator[tuple[Panel, float, float]]:
        for number, row in enumerate(self._rows):
            down, across = divmod(number, self._across)
            y = self.height - (down + 1) * self._cell + _GAP
            for column, panel in enumerate(row):
                yield panel, _GAP + across * self._step + column * (_WIDTH + _GAP), y


def _draw(figure: Any, panel: Panel, corner: tuple[float, float], *, tall: float, lines: int) -> None:
    width, height = figure.get_size_inches()
    # The numbers of a signal's scale need room.
    inset = _SCALE if panel.signal else 0.0
    axes = figure.add_axes(((corner[0] + inset) / width, corner[1] / height, (_WIDTH - inset) / width, tall / height))
    (_draw_signal if panel.signal else _draw_image)(axes, panel)
    top = corner[1] + tall + lines * _LINE
    for position, (text, shade) in enumerate([(panel.header, "black"), *panel.captions]):
        place = (corner[0] / width, (top - (position + 0.5) * _LINE) / height)
        figure.text(
            *place, _fitting(text), color=shade, weight="normal" if position else "bold", va="center", ha="left"
        )


def _fitting(text: str) -> str:
    """As much of a line as stands above a panel."""
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"


def _draw_image(axes: Any, panel: Panel) -> None:
    high, wide = panel.values.shape[:2]
    # Labels of another size, as those of a network that returns smaller ones, are stretched over the image.
    where = {"extent": (0, wide, high, 0), "interpolation": "nearest"}
    low, top = panel.scale
    axes.imshow(panel.values, cmap=panel.colours, vmin=low, vmax=top, **where)
    if panel.labels is not None:
        axes.imshow(painted(panel), **where)
    axes.set_anchor("NW")
    axes.axis("off")


def _draw_signal(axes: Any, panel: Panel) -> None:
    """Lines of channels, and classes as a band below."""
    length = panel.values.shape[-1]
    for channel in panel.values[:4]:
        axes.plot(np.arange(length), channel, linewidth=0.8)
    if panel.labels is not None:
        band = axes.inset_axes((0, -0.12, 1, 0.1))
        band.imshow(painted(panel)[None], aspect="auto", interpolation="nearest")
        band.axis("off")
        axes.tick_params(labelbottom=False)
    axes.set_xlim(0, length)
    axes.tick_params(labelsize=5, length=2)


def _draw_legend(figure: Any, names: Sequence[tuple[str, str]], *, columns: int) -> None:
    patch = needed("matplotlib.patches", "train", what="pictures of predictions").Patch
    patches = [patch(facecolor=shade, edgecolor="#808080", linewidth=0.5, label=name) for shade, name in names]
    figure.legend(handles=patches, loc="lower left", ncols=columns, frameon=False, borderaxespad=0.2, handlelength=1.2)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Letters that the font lacks are drawn as boxes; a warning for each would flood a log."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        yield


__all__ = ["DPI", "draw"]
