"""Sizes of patches for networks that take some sizes only."""

from collections.abc import Iterator

from models.sizing import Sized
from models.utils.triples import Triple

# How far from the smallest size that fits the next is looked for, in voxels.
_FARTHEST = 1 << 14


def patch_size_pairs(net: Sized, count: int) -> list[tuple[Triple, Triple]]:
    """The `count` smallest sizes of a volume that go through `net`, each with that of the result.

    They ascend along all axes at once: the second has the second smallest size of each axis.

    >>> from models.networks import RUNet
    >>> patch_size_pairs(RUNet([2, 4]), 2)
    [((34, 34, 34), (2, 2, 2)), ((36, 36, 36), (4, 4, 4))]

    Raises:
        ValueError: `count` is negative, or there are fewer sizes of a volume that may be stored.
    """
    if type(count) is not int or count < 0:
        raise ValueError(f"patch_size_pairs: count={count!r} is not 0 or more.")
    found: list[tuple[Triple, Triple]] = []
    for size in zip(*(_fitting(net, axis) for axis in range(3)), strict=False):
        if len(found) == count:
            break
        # Some fit along each axis, and leave a norm too little.
        if net.refusal(size) is None:
            z, y, x = (net.output_size(pixels, axis) or 0 for axis, pixels in enumerate(size))
            found.append((size, (z, y, x)))
    if len(found) < count:
        raise ValueError(f"patch_size_pairs: {type(net).__name__} takes {len(found)} sizes up to {_FARTHEST} voxels.")
    return found


def input_patch_sizes(net: Sized, count: int) -> list[Triple]:
    """The `count` smallest sizes of a volume that go through `net`, ascending along all axes at once."""
    return [size for size, _ in patch_size_pairs(net, count)]


def output_patch_sizes(net: Sized, count: int) -> list[Triple]:
    """The sizes of what `input_patch_sizes` give."""
    return [size for _, size in patch_size_pairs(net, count)]


def _fitting(net: Sized, axis: int) -> Iterator[int]:
    """Pixels of an axis that fit, ascending."""
    return (pixels for pixels in range(1, _FARTHEST) if net.output_size(pixels, axis) is not None)
