"""Judges a trained autoencoder by images that training never saw, beside what does as much with as many numbers.

    python -m tools.demo.judging runs/handwriting

It prints a table, and draws `judged.png` into the run's folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import mcore
import models
from mcore import config
from mcore.training import settings_of
from mcore.training.data.base import Source
from mcore.training.data.opening import open_source
from mcore.training.settings import Typed

# Images that principal components are fitted to, and that all are judged by; and how many of them are drawn.
SEEN, JUDGED, DRAWN = 4096, 240, 8


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/handwriting")
    run = config.read(folder / "config.yaml")
    data = settings_of(run).data
    if data is None or data.validation is None:
        sys.exit(f"{folder}: trained without validation data, by which it could be judged.")
    images, seen = drawn(data.validation, JUDGED), drawn(data.train, SEEN)
    net = models.from_config(folder / "config.yaml")
    net.load_state_dict(mcore.load(folder / "weights.safetensors"))
    latent = net.actual_latent_size
    with mcore.no_grad():
        ours = net.eval()(mcore.from_numpy(images)).numpy()
    rows = {
        "autoencoder": ours,
        f"{latent} principal components": by_components(seen, images, latent),
        "resampled, bicubic": resampled(images, latent),
        "the mean of each": np.broadcast_to(images.mean(axis=(2, 3), keepdims=True), images.shape),
    }
    print(f"{len(images)} images that training never saw, each of {images[0].size} numbers, through {latent}")
    scores = {title: psnr(made, images) for title, made in rows.items()}
    for title, score in scores.items():
        print(f"{title:28} {score:.2f} dB")
    shown = {f"{title}\n{scores[title]:.1f} dB": made for title, made in [*rows.items()][:3]}
    draw(folder / "judged.png", {"image": images, **shown})
    print(folder / "judged.png")


def drawn(named: Typed, count: int) -> np.ndarray:
    """Images (count, 1, h, w) of a source of ours, the same each time."""
    source = open_source(named, base=Path())
    if not isinstance(source, Source):
        sys.exit(f"{named.type}: what is judged by is a Source, and this is none.")
    return np.stack([source.read(index, np.random.default_rng(index))["image"] for index in range(count)])


def psnr(made: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio of all pixels together, in decibels; the peak is 1."""
    return float(-10 * np.log10(np.mean((made - truth) ** 2)))


def by_components(seen: np.ndarray, images: np.ndarray, count: int) -> np.ndarray:
    """Images through their first `count` principal components, which are those of `seen`."""
    from sklearn.decomposition import PCA

    fitted = PCA(count, svd_solver="randomized", random_state=0).fit(seen.reshape(len(seen), -1))
    return fitted.inverse_transform(fitted.transform(images.reshape(len(images), -1))).reshape(images.shape)


def resampled(images: np.ndarray, count: int) -> np.ndarray:
    """Square images made so small that at most `count` numbers are left, and large again."""
    from PIL import Image

    small, large = int(count**0.5), images.shape[-1]
    pictures = [Image.fromarray(image[0]) for image in images]
    return np.stack([np.asarray(one.resize((small, small), 3).resize((large, large), 3)) for one in pictures])[:, None]


def draw(path: Path, rows: dict[str, np.ndarray]) -> None:
    """The first images of each row, below each other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.1 * DRAWN + 1.4, 1.15 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), DRAWN, squeeze=False)
    for line, (title, images) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9)
        for ax, image in zip(line, images, strict=False):
            ax.imshow(image[0], cmap="gray", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
