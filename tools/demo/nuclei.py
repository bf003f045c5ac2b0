"""Nuclei under a fluorescence microscope, outlined by people: an image of 512 x 512 pixels with 183 of them.

It ships in the package stardist, of which nothing but two files is read: `pip install --no-deps stardist`.
Source: the image is of the Data Science Bowl 2018 (Caicedo et al., Nature Methods 16, 2019), as stardist's authors
(Schmidt et al., arXiv:1806.03535) chose it.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from mcore.training import Source

CLASSES = ("background", "nucleus", "outline")
# Rows above are for training; below them lie nuclei that training never sees.
CUT = 352
CROP = 128
# In pixels: what is smaller is no nucleus.
SMALLEST = 10


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
    scaled = (image - low) / (high - low)
    return scaled.astype(np.float32), imread(folder / "mask2d.tif").astype(np.int64)


def classes_of(nuclei: np.ndarray) -> np.ndarray:
    """For each pixel the index of its class in `CLASSES`."""
    from skimage.segmentation import find_boundaries

    truth = (nuclei > 0).astype(np.int64)
    truth[find_boundaries(nuclei, mode="inner")] = CLASSES.index("outline")
    return truth


def told_apart(classes: np.ndarray) -> np.ndarray:
    """The number of the nucleus that each pixel belongs to: pieces that aren't too small, grown into their outlines."""
    from skimage.measure import label
    from skimage.morphology import remove_small_objects
    from skimage.segmentation import expand_labels, relabel_sequential

    pieces = remove_small_objects(label(classes == CLASSES.index("nucleus"), connectivity=1), max_size=SMALLEST - 1)
    return relabel_sequential(expand_labels(pieces, 2) * (classes > 0))[0]


def without_learning(image: np.ndarray) -> np.ndarray:
    """Nuclei by Otsu's threshold and a watershed of the distance to the background, as one would without a network."""
    from scipy.ndimage import distance_transform_edt
    from skimage.feature import peak_local_max
    from skimage.filters import threshold_otsu
    from skimage.measure import label
    from skimage.morphology import remove_small_objects
    from skimage.segmentation import relabel_sequential, watershed

    pieces = remove_small_objects(label(image > threshold_otsu(image), connectivity=1), max_size=SMALLEST - 1)
    distance = distance_transform_edt(pieces > 0)
    seeds = np.zeros_like(pieces)
    peaks = peak_local_max(distance, min_distance=5, labels=pieces)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return relabel_sequential(watershed(-distance, seeds, mask=pieces > 0))[0]


def found(nuclei: np.ndarray, truth: np.ndarray) -> int:
    """Nuclei that agree with a true one: more than half of both together is of both."""
    both = np.zeros((nuclei.max() + 1, truth.max() + 1))
    np.add.at(both, (nuclei.ravel(), truth.ravel()), 1)
    either = both.sum(1)[1:, None] + both.sum(0)[None, 1:] - both[1:, 1:]
    return int((both[1:, 1:] > 0.5 * either).sum())


def without(nuclei: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Nuclei less those of which half or more lies in a region."""
    sizes = np.bincount(nuclei.ravel())
    inside = np.bincount(nuclei[region], minlength=len(sizes))
    return np.where(2 * inside[nuclei] >= sizes[nuclei], 0, nuclei)


def main() -> None:
    """Judges a trained network by the nuclei that training never saw, beside what needs no training."""
    import mcore
    import models

    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/nuclei")
    net = models.from_config(folder / "config.yaml")
    net.load_state_dict(mcore.load(folder / "weights.safetensors"))
    image, nuclei = read()
    image, truth = image[CUT:], nuclei[CUT:]
    # Training saw the upper part of those that the cut goes through.
    cut = np.isin(truth, np.intersect1d(nuclei[:CUT], truth)) & (truth > 0)
    truth = _renumbered(np.where(cut, 0, truth))
    with mcore.no_grad():
        classes = net.eval()(mcore.from_numpy(image[None, None].copy())).numpy()[0].argmax(0)
    print(f"{truth.max()} nuclei in {image.shape[0]} x {image.shape[1]} pixels that training never saw")
    for title, seen in (("the network", told_apart(classes)), ("without learning", without_learning(image))):
        seen = _renumbered(without(seen, cut))
        agree = found(seen, truth)
        score = 2 * agree / (seen.max() + truth.max())
        overlap = ((seen > 0) & (truth > 0)).sum() / (((seen > 0) | (truth > 0)) & ~cut).sum()
        print(
            f"{title:17} {agree} found, {seen.max() - agree} that are none, F1 {score:.3f}; IoU of pixels {overlap:.3f}"
        )


def _renumbered(nuclei: np.ndarray) -> np.ndarray:
    from skimage.segmentation import relabel_sequential

    return relabel_sequential(nuclei)[0]


if __name__ == "__main__":
    main()
