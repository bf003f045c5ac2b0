"""U-Net of two convolutions a level, for images and volumes.

Source: Falk et al., "U-Net: deep learning for cell counting, detection, and morphometry", 2019,
doi:10.1038/s41592-018-0261-2, as MONAI's `BasicUNet` implements it.
Differs: convolutions keep the size and have norms. Sizes that don't halve evenly are padded with zeros before, where
MONAI repeats the last pixels of each raised map.
Names: attributes are MONAI's, but for norm and act, which are adn.N and adn.A there: the table `monai`.
"""

from collections.abc import Sequence
from typing import Any, Literal

from mcore import Module, Sequential, Tensor
from models.backbones.base import Weights
from models.basicblocks.double_conv import DoubleConv, UpJoin
from models.basicblocks.layers import Choice, layers
from models.networks.fitting import Fit, Fitting

# The activation of MONAI's U-Nets.
LEAKY = {"name": "leaky_relu", "negative_slope": 0.1}


class BasicUNet(Fitting):
    """A U-Net with norms of each image by itself: scores of each class for every pixel.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, num_classes, *size), before softmax

    Args:
        in_channels: channels of the image.
        num_classes: how many scores for each pixel.
        channels: of each level, finest first.
        last: channels before the scores; those of the finest level, where left out.
        norm: "batch", "instance", "group", one with arguments ({"name": "group", "num_groups": 4}), a
            constructor, or None. An instance norm needs two pixels or more at the coarsest level.
        activation: a name, a name with arguments, or a constructor.
        bias: of convolutions.
        up: "transposed" convolutions, or "linear" interpolation behind a 1x1 convolution.
        fit: what happens to sizes that don't halve evenly: "pad" adds zeros and crops the result, "refuse" says
            which sizes fit.
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "conv_0.conv_0.conv", "final_conv"

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        channels: Sequence[int] = (32, 32, 64, 128, 256),
        last: int | None = None,
        norm: Choice = "instance",
        activation: Choice = LEAKY,
        bias: bool = True,
        up: Literal["transposed", "linear"] = "transposed",
        fit: Fit = "pad",
        dims: Literal[1, 2, 3] = 2,
        weights: Weights = None,
    ) -> None:
        check_levels("BasicUNet", channels, up)
        super().__init__([2] * (len(channels) - 1), fit=fit, dims=dims)
        block: dict[str, Any] = {"bias": bias, "norm": norm, "activation": activation, "dims": dims}
        self.levels = len(channels) - 1
        self.conv_0 = DoubleConv(in_channels, channels[0], names=("conv_0", "conv_1"), **block)
        for level in range(1, len(channels)):
            self.add_module(f"down_{level}", down(channels[level - 1], channels[level], **block))
        for level in range(self.levels, 0, -1):
            below, skip = channels[level], channels[level - 1]
            # The finest step keeps its channels.
            out, raised = (skip, below // 2) if level > 1 else (last or skip, below)
            self.add_module(f"upcat_{level}", UpJoin(below, skip, out, raised=raised, up=up, **block))
        self.final_conv = layers(dims, of="BasicUNet").conv(last or channels[0], num_classes, 1)
        self._complete(weights)

    def scores(self, x: Tensor) -> Tensor:
        maps = [self.conv_0(x)]
        for level in range(1, self.levels + 1):
            maps.append(self._layer(f"down_{level}")(maps[-1]))
        x = maps.pop()
        for level in range(self.levels, 0, -1):
            x = self._layer(f"upcat_{level}")(x, maps.pop())
        return self.final_conv(x)


def down(in_channels: int, out_channels: int, **block: Any) -> Sequential:
    """A step down: the maximum of every 2 pixels, then two convolutions."""
    step = Sequential()
    pool: Module = layers(block["dims"], of="BasicUNet").max_pool(2)
    step.add_module("max_pooling", pool)
    step.add_module("convs", DoubleConv(in_channels, out_channels, names=("conv_0", "conv_1"), **block))
    return step


def check_levels(title: str, channels: Sequence[int], up: str) -> None:
    """Refuses what no level can be made of.

    Raises:
        ValueError: a single level, odd channels that are to be halved, or no such way up.
    """
    if len(channels) < 2:
        raise ValueError(f"{title}: channels={list(channels)} is {len(channels)} level; it needs two or more.")
    if any(count % 2 for count in channels[2:]):
        raise ValueError(f"{title}: channels={list(channels)} are odd behind the second, but halve on the way up.")
    if up not in ("transposed", "linear"):
        raise ValueError(f"{title}: up={up!r} is not 'transposed' or 'linear'.")
