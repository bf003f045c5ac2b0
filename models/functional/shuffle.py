"""Pixels into channels and back, in one, two or three dimensions."""

from mcore import Tensor


def depth_to_space(x: Tensor, scale: int) -> Tensor:
    """Channels spread out: each group of `scale ** dims` becomes a block of as many pixels.

    Shapes:
        x: (n, c * scale ** dims, *size)
        returns: (n, c, *scale * size)

    Source: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
    Convolutional Neural Network", arXiv:1609.05158, equation 4.

    >>> from mcore import arange
    >>> depth_to_space(arange(4).reshape(1, 2, 2), 2).tolist()
    [[[0, 2, 1, 3]]]
    """
    dims = x.ndim - 2
    x = x.unflatten(1, (-1, *(scale for _ in range(dims))))
    # (n, c, *place in a block, *size): behind each axis of the size, its place in a block.
    x = x.permute(0, 1, *(axis for size in range(dims) for axis in (2 + dims + size, 2 + size)))
    for axis in range(2, 2 + dims):
        x = x.flatten(axis, axis + 1)
    return x


def space_to_depth(x: Tensor, scale: int) -> Tensor:
    """Blocks of `scale ** dims` pixels become channels: undoes `depth_to_space`.

    Shapes:
        x: (n, c, *size), each a multiple of `scale` pixels
        returns: (n, c * scale ** dims, *size / scale)

    >>> from mcore import arange
    >>> space_to_depth(arange(4).reshape(1, 1, 4), 2).tolist()
    [[[0, 2], [1, 3]]]
    """
    dims = x.ndim - 2
    for axis in reversed(range(2, 2 + dims)):
        x = x.unflatten(axis, (-1, scale))
    x = x.permute(0, 1, *range(3, 3 + 2 * dims, 2), *range(2, 2 + 2 * dims, 2))
    return x.flatten(1, 1 + dims)
