"""Nuclei under a fluorescence microscope, outlined by people: an image of 512 x 512 pixels with 183 of them.

It ships in the package stardist, of which nothing but two files is read: `pip install --no-deps stardist`.
Source: the image is of the Data Science Bowl 2018 (Caicedo et al., Nature Methods 16, 2019), as stardist's authors
(Schmidt et al., arXiv:1806.03535) chose it.
"""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from mcore.training import Source

CLASSES = ("background", "nucleus", "outline")
# Rows above are for training; below them lie nuclei that training never sees.
CUT = 352
CROP = 128


class Nuclei(Source):
    """Squares of the upper part, drawn anew each time; or the lower part, whole.

    The truth has three classes, so that nuclei that touch are told apart: the last pixels of each are its outline.

    Args:
        part: "train" or "held_out".
        count: squares in an epoch.

    Raises:
        ImportError: stardist isn't installed.
        ValueError: no such part.
    """

    def __init__(self, part: str, count: int = 1) -> None:
        if part not in ("train", "held_out"):
            raise ValueError(f"Nuclei: part is 'train' or 'held_out', not {part!r}.")
        image, nuclei = read()
        rows = slice(0, CUT) if part == "train" else slice(CUT, None)
        self.part, self.count, self.classes = part, count, list(CLASSES)
        self.image, self.truth = image[rows], classes_of(nuclei)[rows]

    def __len__(self) -> int:
        return self.count if self.part == "train" else 1

    def read(self, index: int, random: Generator) -> dict[str, Any]:
        image, truth, name = self.image, self.truth, f"nuclei, rows from {CUT}"
        if self.part == "train":
            top, left = (int(random.integers(0, size - CROP + 1)) for size in image.shape)
            image, truth = (whole[top : top + CROP, left : left + CROP] for whole in (image, truth))
            name = f"nuclei at ({top}, {left})"
        return {"image": image[None].copy(), "mask": truth.copy(), "name": name}


def read() -> tuple[np.ndarray, np.ndarray]:
    """The image, scaled by its quantiles, and the number of the nucleus that each pixel belongs to, 0 for none."""
    from skimage.io import imread

    found = importlib.util.find_spec("stardist")
    if found is None or found.origin is None:
        raise ImportError("stardist is not installed, whose image of nuclei this needs: pip install --no-deps stardist")
    folder = Path(found.origin).parent / "data" / "images"
    image = imread(folder / "img2d.tif").astype(np.float32)
    low, high = np.percentile(image, (1, 99.8))
    return (image - low) / (high - low), imread(folder / "mask2d.tif").astype(np.int64)


def classes_of(nuclei: np.ndarray) -> np.ndarray:
    """For each pixel the index of its class in `CLASSES`."""
    from skimage.segmentation import find_boundaries

    truth = (nuclei > 0).astype(np.int64)
    truth[find_boundaries(nuclei, mode="inner")] = CLASSES.index("outline")
    return truth


def counted(classes: np.ndarray) -> int:
    """Nuclei in a map of classes: pieces of at least ten pixels inside outlines."""
    from scipy import ndimage

    pieces, count = ndimage.label(classes == CLASSES.index("nucleus"))
    return int(np.sum(ndimage.sum_labels(np.ones_like(pieces), pieces, range(1, count + 1)) >= 10))
