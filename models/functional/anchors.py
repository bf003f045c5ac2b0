"""Anchors, default boxes and points of feature maps, from the maps' sizes, which may be symbolic.

All come in the order in which a map is flattened: rows, columns, then the boxes of one place.
"""

import math
from collections.abc import Sequence

import mcore
from mcore import Tensor

Box = tuple[float, float, float, float]


def points(size: Sequence[int], stride: float | Sequence[float], *, like: Tensor, offset: float = 0.0) -> Tensor:
    """Where the pixels of a map lie in the image.

    Shapes:
        returns: (h * w, 2), (x, y) in pixels of the image: `(column + offset) * stride`

    Args:
        size: height and width of the map.
        stride: pixels of the image from one to the next, or one for each axis, (y, x).
        like: a tensor of the device and type wanted; at least float32 is given.
        offset: 0.5 lays them into the middle of what they see, 0 into the upper left corner.

    >>> points((1, 2), 8, like=mcore.zeros(1)).tolist()
    [[0.0, 0.0], [8.0, 0.0]]
    """
    dtype = mcore.promote_types(like.dtype, mcore.float32)
    steps = stride if isinstance(stride, Sequence) else (stride, stride)
    y, x = (
        (mcore.arange(count, dtype=dtype, device=like.device) + offset) * step
        for count, step in zip(size, steps, strict=True)
    )
    height, width = size
    return mcore.stack((x[None, :].expand(height, width), y[:, None].expand(height, width)), dim=-1).flatten(0, 1)


def grid(size: Sequence[int], stride: float | Sequence[float], boxes: Sequence[Box], *, like: Tensor) -> Tensor:
    """Anchors of a map: the same `boxes` around each of its points.

    Shapes:
        returns: (h * w * len(boxes), 4), corners in pixels of the image

    Args:
        size: height and width of the map.
        stride: pixels of the image from one point to the next, or one for each axis, (y, x).
        boxes: corners relative to the point; `shapes` makes them.
        like: as of `points`.
    """
    corners = points(size, stride, like=like)
    around = mcore.tensor(tuple(boxes), dtype=corners.dtype, device=corners.device)
    return (corners.repeat(1, 2)[:, None] + around).flatten(0, 1)


def shapes(sizes: Sequence[float], ratios: Sequence[float]) -> list[Box]:
    """Boxes around the origin, of each ratio (height over width) and size (root of the area), ratios outermost.

    Corners are rounded to whole pixels, a half to the even one, as torchvision's published weights expect.

    >>> shapes((32,), (1.0, 2.0))
    [(-16, -16, 16, 16), (-11, -23, 11, 23)]
    """
    halves = [
        (round(size / math.sqrt(ratio) / 2), round(size * math.sqrt(ratio) / 2)) for ratio in ratios for size in sizes
    ]
    return [(-x, -y, x, y) for x, y in halves]


def default_shapes(scale: float, next_scale: float, ratios: Sequence[float]) -> list[tuple[float, float]]:
    """Widths and heights of SSD's default boxes, as parts of the image: two squares, then each ratio and its inverse.

    Source: Liu et al., "SSD", arXiv:1512.02325, section 2.2, in the order of torchvision.

    >>> default_shapes(0.2, 0.2, (4,))
    [(0.2, 0.2), (0.2, 0.2), (0.4, 0.1), (0.1, 0.4)]
    """
    between = math.sqrt(scale * next_scale)
    found = [(scale, scale), (between, between)]
    for ratio in ratios:
        width, height = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
        found += [(width, height), (height, width)]
    return [(min(width, 1.0), min(height, 1.0)) for width, height in found]


def default_boxes(
    size: Sequence[int], image: Sequence[int], stride: float, parts: Sequence[tuple[float, float]], *, like: Tensor
) -> Tensor:
    """SSD's default boxes of a map: of sizes relative to the image, in the middle of every place.

    Shapes:
        returns: (h * w * len(parts), 4), corners in pixels of the image

    Args:
        size: height and width of the map.
        image: height and width of the image, in pixels.
        stride: pixels of the image from one place to the next.
        parts: widths and heights relative to the image; `default_shapes` makes them.
        like: as of `points`.
    """
    centres = points(size, stride, like=like, offset=0.5)[:, None]
    relative = mcore.tensor(tuple(parts), dtype=centres.dtype, device=centres.device)
    height, width = image
    half = mcore.stack((relative[:, 0] * (width / 2), relative[:, 1] * (height / 2)), dim=-1)
    return mcore.cat((centres - half, centres + half), dim=-1).flatten(0, 1)
