"""Photographs that come with scikit-image, as samples without targets: `type: "tools.demo.photographs:Photographs"`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcore.checkpoint.extras import needed
from mcore.training.data.base import Sample, Source
from mcore.training.data.images import resized

NAMES = ("astronaut", "brick", "camera", "coins", "grass", "gravel", "moon", "page", "retina", "rocket", "text")
HELD_OUT = ("chelsea", "coffee", "hubble_deep_field")


class Photographs(Source):
    """Squares cut out anywhere, of any size from a third of a photograph to all of it, made grey and resized.

    Args:
        count: squares in an epoch; where each lies is drawn anew in every epoch.
        size: height and width of a sample.
        held_out: three photographs, for validation, instead of the eleven others.
    """

    def __init__(self, count: int, size: Sequence[int], *, held_out: bool = False) -> None:
        data = needed("skimage.data", "train", what="photographs to train on")
        color = needed("skimage.color", "train", what="photographs to train on")
        self.count, self.size, self.names = count, (int(size[0]), int(size[1])), HELD_OUT if held_out else NAMES
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


__all__ = ["HELD_OUT", "NAMES", "Photographs"]
