"""Photographs that come with scikit-image, as samples without targets: `type: "tools.demo.photographs:Photographs"`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mcore.checkpoint.extras import needed
from mcore.training.data.base import Sample, Source
from mcore.training.data.images import resized

PARTS = {
    "train": ("astronaut", "brick", "camera", "coins", "grass", "gravel", "moon", "page", "retina", "rocket", "text"),
    "held_out": ("chelsea", "coffee", "hubble_deep_field"),
}


class Photographs(Source):
    """Squares cut out anywhere, of any size from a third of a photograph to all of it, made grey and resized.

    Args:
        part: "train", eleven photographs, or "held_out", three others.
        count: squares in an epoch; where each lies is drawn anew in every epoch.
        size: height and width of a sample.

    Raises:
        ImportError: scikit-image isn't installed.
        ValueError: no such part.
    """

    def __init__(self, part: str, count: int = 60, *, size: Sequence[int] = (64, 64)) -> None:
        if part not in PARTS:
            raise ValueError(f"Photographs: part is 'train' or 'held_out', not {part!r}.")
        data = needed("skimage.data", "train", what="photographs to train on")
        color = needed("skimage.color", "train", what="photographs to train on")
        self.names, self.count, self.size = PARTS[part], count, (int(size[0]), int(size[1]))
        pictures = [np.asarray(getattr(data, name)()) for name in self.names]
        grey = [color.rgb2gray(picture) if picture.ndim == 3 else picture / 255 for picture in pictures]
        self.pictures = [picture.astype(np.float32)[None] for picture in grey]

    def __len__(self) -> int:
        return self.count

    def read(self, index: int, random: np.random.Generator) -> Sample:
        """One square; see `Source.read`."""
        number = index % len(self.pictures)
        picture = self.pictures[number]
        least = min(picture.shape[1:])
        edge = int(random.integers(least // 3, least, endpoint=True))
        top, left = (int(random.integers(length - edge, endpoint=True)) for length in picture.shape[1:])
        square = np.ascontiguousarray(picture[:, top : top + edge, left : left + edge])
        return {"image": resized(square, self.size), "name": f"{self.names[number]} at {top},{left}"}


def main() -> None:
    """Judges a trained autoencoder by photographs that training never saw, beside what needs less or no training."""
    import mcore
    import models

    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/photographs")
    net = models.from_config(folder / "config.yaml")
    net.load_state_dict(mcore.load(folder / "weights.safetensors"))
    latent = net.actual_latent_size
    patches, seen = _drawn("held_out", 240), _drawn("train", 4096)
    with mcore.no_grad():
        ours = net.eval()(mcore.from_numpy(patches)).numpy()
    print(f"{len(patches)} squares of {', '.join(PARTS['held_out'])}, through {latent} of {patches[0].size} numbers")
    rows = {
        "the autoencoder": ours,
        f"{latent} principal components": _by_components(seen, patches, latent),
        "resampled, bicubic": _resampled(patches, latent),
        "the mean of each": np.broadcast_to(patches.mean(axis=(2, 3), keepdims=True), patches.shape),
    }
    for title, made in rows.items():
        print(f"{title:28} {psnr(made, patches):.2f} dB")


def _drawn(part: str, count: int) -> np.ndarray:
    photographs = Photographs(part, count)
    return np.stack([photographs.read(index, np.random.default_rng(index))["image"] for index in range(count)])


def psnr(made: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio of all pixels together, in decibels; the peak is 1."""
    return float(-10 * np.log10(np.mean((made - truth) ** 2)))


def _by_components(seen: np.ndarray, patches: np.ndarray, count: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    fitted = PCA(count, svd_solver="randomized", random_state=0).fit(seen.reshape(len(seen), -1))
    return fitted.inverse_transform(fitted.transform(patches.reshape(len(patches), -1))).reshape(patches.shape)


def _resampled(patches: np.ndarray, count: int) -> np.ndarray:
    """Made so small that at most `count` numbers are left, and large again."""
    from PIL import Image

    small, large = int(count**0.5), patches.shape[-1]
    images = [Image.fromarray(patch[0]) for patch in patches]
    return np.stack([np.asarray(one.resize((small, small), 3).resize((large, large), 3)) for one in images])[:, None]


__all__ = ["PARTS", "Photographs"]

if __name__ == "__main__":
    main()
