"""Networks that take some sizes of image only: which those are, and what each gives."""

from collections.abc import Sequence

from mcore import Module
from models.component import Component

# How far from the size asked for the nearest that fits is looked for, in sizes of an axis.
_FARTHEST = 1 << 14


class SizeError(ValueError):
    """An image of this size doesn't go through the network; the message names the nearest that do."""


class Sized(Component):
    """Abstract: a network whose result along an axis depends on the image along this axis alone."""

    # Number of axes behind batch and channels.
    dims: int

    def output_size(self, pixels: int, axis: int = 0) -> int | None:
        """Pixels of the result along an axis of `pixels`; None where such an axis doesn't fit.

        `axis` counts from 0, behind batch and channels.
        """
        raise NotImplementedError(f"{type(self).__name__} doesn't tell its sizes: output_size is missing.")

    def refusal(self, size: Sequence[int]) -> str | None:
        """Why an image of `size` (pixels by axis) is refused though each axis fits; None where it isn't."""
        return None

    def valid_sizes(self, around: int, *, axis: int = 0, count: int = 5, least: int = 1) -> dict[int, int]:
        """The `count` sizes of an axis nearest to `around` that fit, each with that of the result, ascending.

        None is less than `least` pixels. Empty where none fits that is near.
        """
        found: dict[int, int] = {}
        for distance in range(_FARTHEST):
            # Of two that are equally near, the smaller comes first.
            for pixels in dict.fromkeys((around - distance, around + distance)):
                result = self.output_size(pixels, axis) if pixels >= least else None
                if result is not None and len(found) < count:
                    found[pixels] = result
            if len(found) == count:
                break
        return dict(sorted(found.items()))

    def check_size(self, size: Sequence[int], advice: str = "") -> None:
        """Refuses an image of `size` (pixels by axis) that doesn't fit; `advice` ends the message.

        Raises:
            SizeError: an axis doesn't fit, where the message names the nearest sizes that do; or there are others.
        """
        if self.dims and len(size) != self.dims:
            raise SizeError(
                f"{type(self).__name__}: an image of {len(size) + 2} axes came; it takes (batch, channels, ...) with "
                f"{self.dims} axes behind them."
            )
        for axis, pixels in enumerate(size):
            if self.output_size(pixels, axis) is None:
                fitting = ", ".join(map(str, self.valid_sizes(int(pixels), axis=axis, count=3)))
                near = f"the nearest sizes that fit are {fitting}" if fitting else "no size near it does"
                raise SizeError(
                    f"{type(self).__name__}: {int(pixels)} pixels along axis {axis + 2} don't go through its levels; "
                    f"{near}{advice}."
                )
        # Only asked, never part of the result: sizes may as well be plain numbers.
        whole = [int(pixels) for pixels in size]
        reason = self.refusal(whole)
        if reason is not None:
            fitting = " and ".join(", ".join(map(str, sizes)) for sizes in valid_sizes(self, whole, count=2))
            raise SizeError(
                f"{type(self).__name__}: {'x'.join(map(str, whole))} pixels {reason}; sizes that fit are, axis by "
                f"axis, {fitting}."
            )


def valid_sizes(net: Module, around: int | Sequence[int], *, count: int = 5) -> list[dict[int, int]]:
    """Sizes of an image that `net` takes, near to one: for each axis, the nearest and what they give.

    Any of an axis go with any of the others.

    Args:
        net: a network that tells its sizes.
        around: the size that is wanted, in pixels: of every axis, or by axis.
        count: how many for each axis.

    >>> from models.networks import UNet
    >>> valid_sizes(UNet(1, 2, channels=(4, 4, 4), padding="valid"), around=(50, 64), count=2)
    [{48: 8, 52: 12}, {60: 20, 64: 24}]

    Raises:
        TypeError: `net` doesn't tell its sizes.
        ValueError: `around` has another number of axes than the network.
    """
    if not isinstance(net, Sized):
        raise TypeError(f"valid_sizes: {type(net).__name__} doesn't tell its sizes; it may take all of them.")
    wanted = [around] * net.dims if isinstance(around, int) else [*around]
    if len(wanted) != net.dims:
        raise ValueError(
            f"valid_sizes: around={around} are {len(wanted)} numbers, but {type(net).__name__} has {net.dims} axes."
        )
    found = [net.valid_sizes(pixels, axis=axis, count=count) for axis, pixels in enumerate(wanted)]
    # Any go with any others where the smallest do. Those of the last axis grow: along z, there may be few pixels.
    while all(found) and net.refusal([min(sizes) for sizes in found]) is not None:
        found[-1] = net.valid_sizes(wanted[-1], axis=net.dims - 1, count=count, least=min(found[-1]) + 1)
    return found


__all__ = ["SizeError", "Sized", "valid_sizes"]
