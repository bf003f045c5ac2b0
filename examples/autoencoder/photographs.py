"""Photographs that come with scikit-image, as samples to train an autoencoder with."""

import numpy as np

from mcore.training import Source
from mcore.training.data.images import resized

# Those that differ most from each other; the last three are held out.
NAMES = ("astronaut", "brick", "camera", "coins", "grass", "gravel", "moon", "page", "retina", "rocket", "text")
HELD_OUT = ("chelsea", "coffee", "hubble_deep_field")


class Photographs(Source):
    """Squares cut out anywhere, of any size from a third of a photograph to all of it, made grey and `size` pixels.

    Args:
        count: squares in an epoch.
        size: height and width of a sample.
        held_out: photographs that training doesn't see.
    """

    def __init__(self, count: int, size: tuple[int, int], *, held_out: bool = False) -> None:
        from skimage import color, data

        self.count, self.size, self.names = count, size, HELD_OUT if held_out else NAMES
        pictures = [np.asarray(getattr(data, name)()) for name in self.names]
        self.pictures = [(color.rgb2gray(x) if x.ndim == 3 else x / 255).astype(np.float32)[None] for x in pictures]

    def __len__(self) -> int:
        return self.count

    def read(self, index: int, random: np.random.Generator) -> dict[str, object]:
        """One square; where it lies is drawn anew in each epoch."""
        number = index % len(self.pictures)
        picture = self.pictures[number]
        least = min(picture.shape[1:])
        edge = int(random.integers(least // 3, least, endpoint=True))
        top, left = (int(random.integers(length - edge, endpoint=True)) for length in picture.shape[1:])
        square = picture[:, top : top + edge, left : left + edge]
        return {
            "image": resized(np.ascontiguousarray(square), self.size),
            "name": f"{self.names[number]} at {top},{left}",
        }
