"""Coordinates of key points out of their maps, and maps out of coordinates."""

from collections.abc import Sequence

import mcore
from mcore import Tensor


def soft_argmax(maps: Tensor, *, sharpness: float = 1.0) -> Tensor:
    """The mean place of each map, weighed by its softmax: between pixels, and with gradients.

    Shapes:
        maps: (n, points, *size)
        returns: (n, points, dims), in pixels of the map, axes in the order of `size`

    Source: Sun et al., "Integral Human Pose Regression", arXiv:1711.08229, equation 2.

    >>> soft_argmax(mcore.tensor([[[0.0, 100.0, 0.0]]])).tolist()
    [[[1.0]]]
    """
    weights = (maps.flatten(2) * sharpness).softmax(2).reshape(maps.shape)
    places = []
    for axis in range(2, maps.ndim):
        others = tuple(other for other in range(2, maps.ndim) if other != axis)
        along = weights.sum(others) if others else weights
        places.append((along * mcore.arange(maps.shape[axis], device=maps.device).to(maps.dtype)).sum(2))
    return mcore.stack(places, dim=2)


def peaks(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The highest pixel of each map, and how high it is.

    Shapes:
        maps: (n, points, *size)
        returns: (n, points, dims), whole pixels, axes in the order of `size`; (n, points)
    """
    height, place = maps.flatten(2).max(2)
    places = []
    for axis in reversed(range(2, maps.ndim)):
        places.append(place % maps.shape[axis])
        place = mcore.div(place, maps.shape[axis], rounding_mode="floor")
    return mcore.stack(places[::-1], dim=2), height


def gaussian_maps(points: Tensor, size: Sequence[int], *, sigma: float = 2.0) -> Tensor:
    """A map of each point: 1 at the point, falling off as a Gaussian of `sigma` pixels.

    Shapes:
        points: (n, points, dims), in pixels, axes in the order of `size`
        returns: (n, points, *size), 0 to 1

    Raises:
        ValueError: `size` has another number of axes than the points.
    """
    if len(size) != points.shape[-1]:
        raise ValueError(f"gaussian_maps: points of {int(points.shape[-1])} axes on a map of {len(size)}.")
    squared = None
    for axis, pixels in enumerate(size):
        away = mcore.arange(pixels, device=points.device).to(points.dtype) - points[..., axis, None]
        shape = (*points.shape[:2], *(pixels if a == axis else 1 for a in range(len(size))))
        own = (away**2).reshape(shape)
        squared = own if squared is None else squared + own
    return mcore.exp(-squared / (2 * sigma**2))  # type: ignore[operator]  # there is an axis
