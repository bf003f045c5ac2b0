"""Resizing, padding, cropping and weighing of the axes behind the first two, in one, two or three dimensions."""

from collections.abc import Sequence
from typing import Any

import mcore
from mcore import Tensor
from mcore import functional as F

# The name that interpolate gives linear weighting, by the number of axes.
LINEAR = {3: "linear", 4: "bilinear", 5: "trilinear"}


def resize(x: Tensor, size: Sequence[int], *, mode: str = "linear", align_corners: bool = False) -> Tensor:
    """`x` brought to `size` (pixels by axis), "linear" or "nearest".

    Linear weights lie between pixel centres, so that borders stay where they are; with `align_corners`, the
    centres of the corner pixels stay instead.
    """
    if mode == "linear":
        return F.interpolate(x, size=tuple(size), mode=LINEAR[x.ndim], align_corners=align_corners)
    return F.interpolate(x, size=tuple(size), mode=mode)


def pad_to_multiple(x: Tensor, multiple: int | Sequence[int]) -> Tensor:
    """`x` with zeros behind its last pixels, so that each axis is a multiple of `multiple` pixels (or of its own).

    >>> from mcore import zeros
    >>> tuple(pad_to_multiple(zeros(1, 1, 33, 48), 16).shape)
    (1, 1, 48, 48)
    """
    size = x.shape[2:]
    multiples = [multiple] * len(size) if isinstance(multiple, int) else multiple
    missing = [-pixels % whole for pixels, whole in zip(size, multiples, strict=True)]
    return F.pad(x, [amount for after in reversed(missing) for amount in (0, after)])


def crop(x: Tensor, size: Sequence[int]) -> Tensor:
    """The first `size` pixels of each axis: takes back what `pad_to_multiple` added."""
    ends: tuple[Any, ...] = (..., *(slice(0, pixels) for pixels in size))
    return x[ends]


def crop_center(x: Tensor, size: Sequence[int]) -> Tensor:
    """The middle `size` pixels of each axis; where the margins differ, the one behind is larger.

    >>> from mcore import arange
    >>> crop_center(arange(6).reshape(1, 1, 6), [3]).tolist()
    [[[1, 2, 3]]]
    """
    starts = [(whole - pixels) // 2 for whole, pixels in zip(x.shape[2:], size, strict=True)]
    middle = (slice(start, start + pixels) for start, pixels in zip(starts, size, strict=True))
    ends: tuple[Any, ...] = (..., *middle)
    return x[ends]


def gaussian_weights(size: Sequence[int], *, sigma: float = 0.125) -> Tensor:
    """How much each pixel of a tile counts where tiles overlap: less and less towards the border.

    Shapes:
        size: pixels by axis
        returns: (*size), above 0, at most 1; the middle counts most

    Args:
        size: of the tile.
        sigma: of the Gaussian along every axis, as a part of its pixels.

    Source: Isensee et al., "nnU-Net", arXiv:1904.08128, methods, "Inference", where sigma is an eighth.

    >>> [round(weight, 3) for weight in gaussian_weights([3], sigma=0.5).tolist()]
    [0.801, 1.0, 0.801]

    Raises:
        ValueError: `sigma` isn't positive.
    """
    if not sigma > 0:
        raise ValueError(f"gaussian_weights: sigma={sigma} is not greater than 0.")
    squared = mcore.zeros(tuple(size))
    for axis, pixels in enumerate(size):
        away = (mcore.arange(pixels).to(squared.dtype) - (pixels - 1) / 2) / (sigma * pixels)
        squared = squared + away.square().reshape([-1 if other == axis else 1 for other in range(len(size))])
    return mcore.exp(-squared / 2)
