"""Real images that ship inside packages, with their truth; nothing is downloaded.

coins: a photograph of Greek coins from Pompeii (scikit-image, 303 x 384 pixels, Brooklyn Museum). Nobody drew
its truth by hand: it is the watershed of the gradient from sure markers, as scikit-image's gallery shows it,
whose outlines follow the rims. The topmost row of coins is held out: its light is uneven.

digits: 1,797 digits written by 13 people (scikit-learn, the test set of the UCI repository's), with the
labels that belong to them; the last 450 are held out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from mcore.training import Source
from mcore.vocabulary import nearest

Array = np.ndarray
# The row where the photograph is cut: above it, coins that training never sees.
CUT = 88
CROP = 128


@dataclass(frozen=True)
class Data:
    """Images to train with and images held out.

    `draw(random, count)` gives images (n, 1, h, w) and their truth to train with. `images` and `truth` are
    held out; `score(predicted, truth)` says how well they agree, under the name `measure`. `baseline`
    is what is reached without learning, and `baseline_name` how. `sizes` are shapes to export at.
    """

    draw: Callable[[Generator, int], tuple[Array, Array]]
    images: Array
    truth: Array
    measure: str
    score: Callable[[Array, Array], float]
    baseline: float
    baseline_name: str
    sizes: tuple[tuple[int, ...], ...]
    classes: tuple[str, ...]


def load(name: str) -> Data:
    """The data of this name.

    Raises:
        ValueError: no such data.
    """
    if name not in SOURCES:
        likely = nearest(name, SOURCES, least=0.0, most=1)[0]
        raise ValueError(f"data {name!r} is none of {', '.join(SOURCES)}; the nearest is {likely!r}.")
    return SOURCES[name]()


def coins() -> Data:
    """Photograph of coins; the truth is a class for each pixel."""
    from scipy import ndimage
    from skimage import data, filters, segmentation

    photograph = data.coins()
    markers = np.zeros_like(photograph, dtype=int)
    markers[photograph < 30], markers[photograph > 150] = 1, 2
    regions = segmentation.watershed(filters.sobel(photograph), markers)
    filled, count = ndimage.label(ndimage.binary_fill_holes(regions == 2))
    # Specks of light are no coins: the smallest coin has 1,075 pixels.
    areas = ndimage.sum_labels(np.ones_like(filled), filled, range(1, count + 1))
    truth = np.isin(filled, 1 + np.flatnonzero(areas > 500)).astype(np.int64)
    image = (photograph.astype(np.float32) - 97.0) / 53.0
    held, held_truth = image[:CUT], truth[:CUT]

    def draw(random: Generator, count: int) -> tuple[Array, Array]:
        pairs = [_varied(image[CUT:], truth[CUT:], random) for _ in range(count)]
        return np.stack([x for x, _ in pairs])[:, None], np.stack([y for _, y in pairs])

    threshold = filters.threshold_otsu(photograph[:CUT])
    return Data(
        draw,
        held[None, None],
        held_truth[None],
        "intersection over union",
        intersection_over_union,
        intersection_over_union((photograph[:CUT] > threshold)[None], held_truth[None]),
        "Otsu's threshold",
        ((1, 1, 88, 384), (2, 1, 128, 128), (1, 1, 97, 113)),
        ("background", "coin"),
    )


def digits() -> Data:
    """Handwritten digits; the truth is a class for each image."""
    from sklearn.datasets import load_digits

    found = load_digits()
    # Four times as large, since the backbone's coarsest map is at 1/32.
    images = np.kron(found.images.astype(np.float32) / 8.0 - 1.0, np.ones((4, 4), np.float32))[:, None]
    cut = len(images) - 450

    def draw(random: Generator, count: int) -> tuple[Array, Array]:
        chosen = random.integers(0, cut, count)
        shifted = [_shifted(images[index, 0], random) for index in chosen]
        return np.stack(shifted)[:, None], found.target[chosen].astype(np.int64)

    return Data(
        draw,
        images[cut:],
        found.target[cut:].astype(np.int64),
        "accuracy",
        accuracy,
        accuracy(_nearest_mean(images[:cut], found.target[:cut], images[cut:]), found.target[cut:]),
        "nearest mean image",
        ((1, 1, 32, 32), (64, 1, 32, 32), (3, 1, 40, 36)),
        tuple("0123456789"),
    )


SOURCES: dict[str, Callable[[], Data]] = {"coins": coins, "digits": digits}


class Drawn(Source):
    """`count` images drawn anew in each epoch; `train.data` of the examples names it."""

    def __init__(self, name: str, count: int) -> None:
        self.name, self.count, self._data = name, count, load(name)
        self.classes = list(self._data.classes)

    def __len__(self) -> int:
        return self.count

    def read(self, index: int, random: Generator) -> dict[str, Any]:
        images, truth = self._data.draw(random, 1)
        return {"image": images[0], _target(truth): truth[0], "name": f"{self.name}, drawn {index}"}


class HeldOut(Source):
    """The images that training never sees."""

    def __init__(self, name: str) -> None:
        self.name, self._data = name, load(name)
        self.classes = list(self._data.classes)

    def __len__(self) -> int:
        return len(self._data.images)

    def read(self, index: int, random: Generator) -> dict[str, Any]:
        image, truth = self._data.images[index], self._data.truth[index]
        return {"image": image, _target(self._data.truth): truth, "name": f"{self.name}, held out {index}"}


def _target(truth: Array) -> str:
    """A class for each image is a label, one for each pixel a mask."""
    return "label" if truth.ndim == 1 else "mask"


def intersection_over_union(predicted: Array, truth: Array) -> float:
    """Pixels that both call 1, out of those that either does."""
    return float(np.sum((predicted == 1) & (truth == 1)) / np.sum((predicted == 1) | (truth == 1)))


def accuracy(predicted: Array, truth: Array) -> float:
    """The part that is right."""
    return float(np.mean(predicted == truth))


def _varied(image: Array, truth: Array, random: Generator) -> tuple[Array, Array]:
    """A square out of the image, mirrored and turned at random, under another light."""
    top, left = (int(random.integers(0, size - CROP + 1)) for size in image.shape)
    x, y = (part[top : top + CROP, left : left + CROP] for part in (image, truth))
    turns, mirrored = int(random.integers(4)), bool(random.integers(2))
    x, y = (np.rot90(part[:, ::-1] if mirrored else part, turns) for part in (x, y))
    down, right = np.meshgrid(*[np.linspace(-1, 1, CROP)] * 2)
    light = random.normal(0, 0.5) + random.normal(0, 0.6) * down + random.normal(0, 0.6) * right
    x = x * random.uniform(0.6, 1.4) + light + random.normal(0, 0.05, x.shape)
    return x.astype(np.float32), np.ascontiguousarray(y)


def _shifted(image: Array, random: Generator) -> Array:
    """The image moved by up to three pixels on each axis, the edge repeated."""
    down, right = random.integers(0, 7, 2)
    return np.pad(image, 3, mode="edge")[down : down + image.shape[0], right : right + image.shape[1]]


def _nearest_mean(images: Array, labels: Array, held: Array) -> Any:
    means = np.stack([images[labels == label].mean(axis=0).ravel() for label in range(10)])
    distances = ((held.reshape(len(held), 1, -1) - means) ** 2).sum(axis=2)
    return distances.argmin(axis=1)
