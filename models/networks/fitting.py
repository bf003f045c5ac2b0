"""What networks have in common that lower and raise a map by whole strides: any size of image, or a refusal."""

import itertools
from collections.abc import Sequence
from typing import Any, Literal

from mcore import Tensor
from models.backbones.base import Weights
from models.basicblocks.conv import Pixels, each
from models.functional.sizes import crop, pad_to_multiple
from models.sizing import Sized
from models.utils.weights import load_weights

Fit = Literal["pad", "refuse"]


class Fitting(Sized):
    """Abstract: scores of an image whose sizes are multiples of the strides, which are made so or asked for.

    A network names what it gives for such an image in `scores`, and ends its constructor with `_complete`.

    Args:
        strides: of all levels, each for every axis or by axis; sizes are multiples of their product.
        fit: what happens to other sizes: "pad" adds zeros and crops the result, "refuse" says which sizes fit.
        coarser: by how much the result is coarser than the image, by axis.
    """

    def __init__(self, strides: Sequence[Pixels], *, fit: Fit, dims: int, coarser: Pixels = 1) -> None:
        title = type(self).__name__
        if fit not in ("pad", "refuse"):
            raise ValueError(f"{title}: fit={fit!r} is not 'pad' or 'refuse'.")
        if dims not in (1, 2, 3):
            raise ValueError(f"{title}: dims={dims!r} is not 1, 2 or 3.")
        super().__init__()
        self.dims, self.fit = dims, fit
        self.multiples = (1,) * dims
        for stride in strides:
            steps = by_axis(title, "strides", stride, dims)
            self.multiples = tuple(a * b for a, b in zip(self.multiples, steps, strict=True))
        self.coarser = each(coarser, dims)

    def forward(self, x: Tensor) -> Any:
        size = x.shape[2:]
        if self.fit == "refuse":
            self.check_size(size, ', or take fit="pad"')
            return self.scores(x)
        out = self.scores(pad_to_multiple(x, self.multiples))
        kept = [self._kept(pixels, axis) for axis, pixels in enumerate(size)]
        return tuple(crop(y, kept) for y in out) if isinstance(out, tuple) else crop(out, kept)

    def scores(self, x: Tensor) -> Any:
        """The result for an image of fitting sizes: a map, or several in a tuple."""
        raise NotImplementedError(f"{type(self).__name__} gives no scores.")

    def output_size(self, pixels: int, axis: int = 0) -> int | None:
        """Pixels of the result along an axis of `pixels`; None where `fit="refuse"` and it is no whole multiple."""
        if self.fit == "refuse" and pixels % self.multiples[axis]:
            return None
        return self._kept(pixels, axis)

    def _kept(self, pixels: int, axis: int) -> int:
        step = self.coarser[axis]
        # Rounded up, as strided convolutions do.
        return -(-pixels // step) if step > 1 else pixels

    def _complete(self, weights: Weights) -> None:
        """Loads a file; constructors end with it."""
        if weights is not None:
            self.weights_report = load_weights(self, weights)


def by_axis(title: str, name: str, pixels: Pixels, dims: int) -> tuple[int, ...]:
    """Pixels along each axis.

    Raises:
        ValueError: there are others than `dims` of them, or none at all.
    """
    found = each(pixels, dims)
    if len(found) != dims or min(found) < 1:
        raise ValueError(f"{title}: {name}={pixels!r} is no positive number, nor {dims} of them, one for each axis.")
    return found


def odd(title: str, name: str, pixels: Pixels, dims: int) -> tuple[int, ...]:
    """A kernel by axis, which keeps the size.

    Raises:
        ValueError: an even one, or of another number of axes.
    """
    found = by_axis(title, name, pixels, dims)
    if any(size % 2 == 0 for size in found):
        raise ValueError(f"{title}: {name}={pixels!r} has an even number, which doesn't keep the size.")
    return found


def steps_between(title: str, channels: Sequence[int], strides: Sequence[Pixels] | None) -> list[Pixels]:
    """One stride for each step from a level to the next; 2, where left out.

    Raises:
        ValueError: a single level, or another number of strides.
    """
    if len(channels) < 2:
        raise ValueError(f"{title}: channels={list(channels)} is {len(channels)} level; it needs two or more.")
    found: list[Pixels] = list(itertools.repeat(2, len(channels) - 1)) if strides is None else [*strides]
    if len(found) != len(channels) - 1:
        raise ValueError(
            f"{title}: strides={found} are {len(found)} for {len(channels)} levels; give one less than levels."
        )
    return found
