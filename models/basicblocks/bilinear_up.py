"""Upsampling by fixed bilinear weights.

Source: the layer of this name in seung-lab/pytorch-emvision, after the bilinear filler of Caffe's deconvolutions.
"""

from collections.abc import Sequence

import mcore
from mcore import Module, Tensor
from mcore import functional as F


class BilinearUp(Module):
    """Volumes made finer by whole factors: a transposed convolution of each channel by itself, with fixed weights.

    Shapes:
        x: (n, in_channels, z, y, x)
        returns: (n, out_channels, factor[0] * z, factor[1] * y, factor[2] * x)

    Args:
        in_channels: of what comes.
        out_channels: of the result; as many.
        factor: how many times finer, along z, y and x; y and x alike.
        trilinear: interpolates along z too, and makes every voxel a mean of those around it, at the border as well;
            the state is the same.

    Differs: this is the original's, whose faults trained weights have learned to live with: along z, `factor[0]`
        neighbours are summed rather than interpolated, so that slices inside are brighter than the first and last;
        at the border in y and x, what lies outside counts as zero, which darkens it. `trilinear=True` mends both.

    >>> tuple(BilinearUp(2, 2)(mcore.ones(1, 2, 3, 4, 5)).shape)
    (1, 2, 3, 8, 10)

    Raises:
        ValueError: channels that differ, or factors that aren't three whole numbers with y and x alike.
    """

    dims = 3

    def __init__(
        self, in_channels: int, out_channels: int, factor: Sequence[int] = (1, 2, 2), *, trilinear: bool = False
    ) -> None:
        if in_channels != out_channels:
            raise ValueError(
                f"BilinearUp: in_channels={in_channels} and out_channels={out_channels} differ; channels are kept."
            )
        steps = check_factor(factor)
        super().__init__()
        self.channels, self.factor, self.trilinear = in_channels, steps, trilinear
        self.padding = tuple(step // 2 for step in steps)
        taps = [1.0] * _size(steps[0]), _taps(steps[1]), _taps(steps[2])
        kernel = [[[y * x for x in taps[2]] for y in taps[1]] for _ in taps[0]]
        # It is stored, as in the original, so that a state has the same entries.
        self.weight: Tensor
        self.register_buffer("weight", mcore.tensor([[kernel]] * in_channels))

    def forward(self, x: Tensor) -> Tensor:
        if self.trilinear:
            scale = tuple(map(float, self.factor))
            return F.interpolate(x, scale_factor=scale, mode="trilinear", align_corners=False)
        return F.conv_transpose3d(x, self.weight, stride=self.factor, padding=self.padding, groups=self.channels)

    def extra_repr(self) -> str:
        return f"factor={self.factor}" + (", trilinear=True" if self.trilinear else "")


def check_factor(factor: Sequence[int]) -> tuple[int, int, int]:
    """A factor by axis.

    Raises:
        ValueError: it isn't three whole numbers, 1 or more, of which y's and x's are alike.
    """
    whole = not isinstance(factor, int) and len(factor) == 3 and all(type(step) is int and step > 0 for step in factor)
    if not whole or factor[1] != factor[2]:
        raise ValueError(
            f"BilinearUp: factor={factor!r} is not (z, y, x) of whole numbers with y and x alike, as in (1, 2, 2)."
        )
    return factor[0], factor[1], factor[2]


def _size(step: int) -> int:
    """Pixels of the kernel along an axis; less `step // 2` on both sides, a map gets exactly `step` times finer."""
    return 2 * step - step % 2


def _taps(step: int) -> list[float]:
    """Weights along an axis.

    >>> _taps(2), _taps(4)[:4]
    ([0.25, 0.75, 0.75, 0.25], [0.125, 0.375, 0.625, 0.875])
    """
    half = (_size(step) + 1) // 2
    center = (_size(step) - 1) / (2 * half)
    return [1 - abs(place / half - center) for place in range(_size(step))]
