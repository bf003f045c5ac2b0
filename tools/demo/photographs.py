"""Photographs that come with scikit-image, as samples without targets: `type: "tools.demo.photographs:Photographs"`."""

from __future__ import annotations

from collections.abc import Sequence

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


__all__ = ["PARTS", "Photographs"]
