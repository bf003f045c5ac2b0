"""Pictures of what went in, what was true and what came out."""

from pathlib import Path
from typing import Any

import numpy as np

from tools.demo.data import Data


def prediction(path: Path, data: Data, scores: np.ndarray, *, title: str) -> None:
    """Held-out images with what was predicted: maps where the truth is one, else labels."""
    predicted = scores.argmax(axis=1)
    if data.truth.ndim == 1:
        _labels(path, data, predicted, title)
    else:
        _maps(path, data, predicted, title)


def _maps(path: Path, data: Data, predicted: np.ndarray, title: str) -> None:
    image, truth, found = data.images[0, 0], data.truth[0], predicted[0]
    figure, axes = _figure(4, 1, width=8, height=8.6)
    # Green where both agree, red where only one of them sees something.
    agreement = np.stack([truth != found, (truth == 1) & (found == 1), np.zeros_like(truth)], axis=-1)
    shown: list[tuple[str, Any]] = [
        (f"{title}: held out", image),
        ("truth", truth),
        (f"predicted on the platform ({data.measure} {data.score(predicted, data.truth):.3f})", found),
        ("green: both, red: only one", agreement.astype(float)),
    ]
    for ax, (name, picture) in zip(axes, shown, strict=True):
        ax.imshow(picture, cmap="gray")
        ax.set_title(name, fontsize=10)
        ax.axis("off")
    figure.savefig(path, dpi=120)


def _labels(path: Path, data: Data, predicted: np.ndarray, title: str) -> None:
    wrong = np.flatnonzero(predicted != data.truth)[:24]
    right = np.flatnonzero(predicted == data.truth)[: 48 - len(wrong)]
    figure, axes = _figure(4, 12, width=10, height=4.6)
    for ax, index in zip(axes, [*right, *wrong], strict=False):
        ax.imshow(data.images[index, 0], cmap="gray_r")
        said, true = data.classes[predicted[index]], data.classes[data.truth[index]]
        text, color = (said, "black") if said == true else (f"{said}, is {true}", "red")
        ax.set_title(text, fontsize=9, color=color)
    for ax in axes:
        ax.axis("off")
    figure.suptitle(f"{title}: held out, as read on the platform; the mistakes are red")
    figure.savefig(path, dpi=120)


def _figure(rows: int, columns: int, *, width: float, height: float) -> tuple[Any, list[Any]]:
    # Not through pyplot: no window and no state that outlives the picture.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())
