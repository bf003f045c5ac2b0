"""The middle of a tensor, counted from its last axis on: for maps with a batch and without."""

from collections.abc import Sequence
from typing import Any

from mcore import Tensor


def crop_middle(x: Tensor, size: Sequence[int], *, of: str) -> Tensor:
    """The middle `size` entries of the last axes; where the ends differ, the one behind is cut by one more.

    `of` is the class that asks, named in the error.

    >>> from mcore import arange
    >>> crop_middle(arange(6), [3], of="CenterCrop").tolist()
    [1, 2, 3]

    Raises:
        ValueError: an axis has less than that, or there are fewer axes.
    """
    whole = last_axes(x, len(size), of=of)
    if any(have < want for have, want in zip(whole, size, strict=True)):
        have, want = [int(pixels) for pixels in whole], [int(pixels) for pixels in size]
        raise ValueError(f"{of}: {want} can't be cropped out of {have}; it must not be larger.")
    starts = [(have - want) // 2 for have, want in zip(whole, size, strict=True)]
    ends: tuple[Any, ...] = (..., *(slice(start, start + want) for start, want in zip(starts, size, strict=True)))
    return x[ends]


def last_axes(x: Tensor, count: int, *, of: str) -> Sequence[int]:
    """Sizes of the last `count` axes.

    Raises:
        ValueError: there are fewer.
    """
    if count > x.ndim:
        raise ValueError(f"{of}: it has a number for each of {count} axes, but the map has {x.ndim}.")
    return x.shape[-count:] if count else ()


def crop_channels(x: Tensor, channels: int, *, have: int, axis: int) -> Tensor:
    """The middle `channels` of the `have` ones along an axis that counts from the end; all, where that is as many."""
    if have == channels:
        return x
    start = (have - channels) // 2
    ends: tuple[Any, ...] = (..., slice(start, start + channels), *([slice(None)] * (-axis - 1)))
    return x[ends]
