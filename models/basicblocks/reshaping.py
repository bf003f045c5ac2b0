"""Layers without weights that reshape, cut and flatten a map.

Source: the primitives of zetta_utils' convnet (github.com/ZettaAI/zetta_utils), by what running them showed.
"""

from collections.abc import Sequence
from typing import Any

import mcore
from mcore import Module, Tensor
from models.functional.cropping import crop_middle, last_axes
from models.utils.arguments import whole_numbers


class View(Module):
    """The values in another shape.

    Shapes:
        x: any
        returns: shape

    Args:
        shape: of the result, the batch included; one entry may be -1, which takes what is left.

    Source: zetta_utils' `View`.
    Differs: takes tensors that don't lie in one piece, at which the original fails.

    Raises:
        ValueError: an entry is no whole number from -1 on.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        whole_numbers(of="View", least=-1, shape=shape)
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(self.shape)


class Flatten(Module):
    """Everything behind the batch in one row.

    Shapes:
        x: (n, *any)
        returns: (n, product of any)

    Source: zetta_utils' `Flatten`.
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], -1)


class Unflatten(Module):
    """Everything behind the batch as channels of a map of one pixel.

    Shapes:
        x: (n, *any)
        returns: (n, product of any, 1, 1)

    Source: zetta_utils' `Unflatten`.
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], -1, 1, 1)


class Crop(Module):
    """Takes pixels off both ends of the last axes.

    Shapes:
        x: (..., *size)
        returns: (..., *(size - 2 * crop))

    Args:
        crop: pixels to take off each end, by axis; the last number is the last axis's.

    Source: zetta_utils' `Crop`.
    Differs: refuses to cut everything away, where the original gives an empty map.

    Raises:
        ValueError: a number is negative, or, when called, there are more than axes, or nothing would be left.
    """

    def __init__(self, crop: Sequence[int]) -> None:
        whole_numbers(of="Crop", least=0, crop=crop)
        super().__init__()
        self.crop = tuple(crop)

    def forward(self, x: Tensor) -> Tensor:
        size = last_axes(x, len(self.crop), of="Crop")
        if any(pixels <= 2 * amount for pixels, amount in zip(size, self.crop, strict=True)):
            raise ValueError(
                f"Crop: crop={list(self.crop)} leaves nothing of {[int(pixels) for pixels in size]} pixels."
            )
        ends: tuple[Any, ...] = tuple(
            slice(amount, pixels - amount) for pixels, amount in zip(size, self.crop, strict=True)
        )
        return x[(..., *ends)]

    def output_size(self, pixels: int, axis: int = 0) -> int | None:
        """Pixels left of those along an axis, where the last numbers of `crop` are the image's axes."""
        left = pixels - 2 * self.crop[axis]
        return left if left > 0 else None


class CenterCrop(Module):
    """The middle of the last axes; where the ends differ, the one behind loses one pixel more.

    Shapes:
        x: (..., *larger)
        returns: (..., *size)

    Args:
        size: of the result in pixels, by axis; the last number is the last axis's.

    Source: zetta_utils' `CenterCrop`.

    Raises:
        ValueError: a number isn't positive, or, when called, the map is smaller than `size`, or has fewer axes.
    """

    def __init__(self, size: Sequence[int]) -> None:
        whole_numbers(of="CenterCrop", least=1, size=size)
        super().__init__()
        self.size = tuple(size)

    def forward(self, x: Tensor) -> Tensor:
        return crop_middle(x, self.size, of="CenterCrop")

    def output_size(self, pixels: int, axis: int = 0) -> int | None:
        """The size asked for, where the image has as much."""
        return self.size[axis] if pixels >= self.size[axis] else None


class _Pool2DFlatten(Module):
    """Abstract: one value for each channel of a square map."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != x.shape[-2]:
            raise ValueError(
                f"{type(self).__name__}: a map of {int(x.shape[-2])}x{int(x.shape[-1])} pixels isn't square; "
                "crop or pad it."
            )
        return self.pooled(x)

    def pooled(self, x: Tensor) -> Tensor:
        """The value of each channel."""
        raise NotImplementedError(f"{type(self).__name__} doesn't pool.")


class MaxPool2DFlatten(_Pool2DFlatten):
    """The largest value of each channel.

    Shapes:
        x: (n, c, pixels, pixels), square
        returns: (n, c)

    Source: zetta_utils' `MaxPool2DFlatten`.
    Differs: always gives (n, c); of one channel, the original gives (n,).

    Raises:
        ValueError: when called, the map isn't square.
    """

    def pooled(self, x: Tensor) -> Tensor:
        return x.amax(dim=(-2, -1))


class AvgPool2DFlatten(_Pool2DFlatten):
    """The mean of each channel.

    Shapes:
        x: (n, c, pixels, pixels), square
        returns: (n, c)

    Source: zetta_utils' `AvgPool2DFlatten`.
    Differs: always gives (n, c); of one channel, the original gives (n,).

    Raises:
        ValueError: when called, the map isn't square.
    """

    def pooled(self, x: Tensor) -> Tensor:
        return x.mean(dim=(-2, -1))


class SplitTuple(Module):
    """Joins the halves of a batch along the channels: the first image with the first of the second half.

    Shapes:
        x: (2 * n, c, *size)
        returns: (n, 2 * c, *size)

    Source: zetta_utils' `SplitTuple`, whose name says the opposite.

    Raises:
        ValueError: when called, the batch is odd.
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] % 2:
            raise ValueError(f"SplitTuple: a batch of {int(x.shape[0])} has no halves; give pairs.")
        half = x.shape[0] // 2
        return mcore.cat((x[:half], x[half:]), dim=1)
