"""U-Net of residual units: strided convolutions down, transposed ones up.

Source: Kerfoot et al., "Left-Ventricle Quantification Using Residual U-Net", STACOM 2018,
doi:10.1007/978-3-030-12029-0_40, as MONAI's `UNet` implements it.
Names: levels are numbered where MONAI nests them: the table `monai_unet` renames its files.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import mcore
from mcore import Module, ModuleList, Sequential, Tensor
from models.backbones.base import Weights
from models.basicblocks.conv import CONV_NORM_ACT, ConvNormAct, Pixels
from models.basicblocks.layers import PLAIN_INSTANCE, Choice
from models.basicblocks.residual_unit import ResidualUnit
from models.networks.fitting import Fit, Fitting, odd, steps_between


class ResidualUNet(Fitting):
    """A U-Net whose levels are residual units: scores of each class for every pixel.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, num_classes, *size), before softmax

    Args:
        in_channels: channels of the image.
        num_classes: how many scores for each pixel.
        channels: of each level, finest first.
        strides: of each level but the last, for every axis or by axis; 2, where left out. The first convolution
            strides already.
        units: convolutions in each residual unit; 0 makes every level a single convolution without a shortcut.
        kernel_size: of convolutions, odd; for every axis or by axis.
        up_kernel_size: of transposed convolutions, the same.
        norm: "batch", "instance", "group", one with arguments ({"name": "group", "num_groups": 4}), a
            constructor, or None.
        activation: a name, a name with arguments, or a constructor.
        bias: of convolutions.
        fit: what happens to sizes that the strides don't divide: "pad" adds zeros and crops the result, "refuse"
            says which sizes fit.
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv = ("down.0.conv", "down.0.conv.unit0.conv", "down.0.residual")

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        strides: Sequence[Pixels] | None = None,
        units: int = 2,
        kernel_size: Pixels = 3,
        up_kernel_size: Pixels = 3,
        norm: Choice = PLAIN_INSTANCE,
        activation: Choice = "prelu",
        bias: bool = True,
        fit: Fit = "pad",
        dims: Literal[1, 2, 3] = 2,
        weights: Weights = None,
    ) -> None:
        steps = steps_between("ResidualUNet", channels, strides)
        super().__init__(steps, fit=fit, dims=dims)
        if units < 0:
            raise ValueError(f"ResidualUNet: units={units} is not 0 or more.")
        kernel_size = odd("ResidualUNet", "kernel_size", kernel_size, dims)
        layer = partial(ConvNormAct, bias=bias, norm=norm, activation=activation, names=CONV_NORM_ACT, dims=dims)
        unit = partial(ResidualUnit, bias=bias, norm=norm, activation=activation, dims=dims)

        def level(below: int, above: int, stride: Pixels) -> Module:
            if units:
                return unit(below, above, kernel_size, stride=stride, units=units)
            return layer(below, above, kernel_size, stride=stride)

        fed = [in_channels, *channels[:-1]]
        self.down = ModuleList(map(level, fed[:-1], channels[:-1], steps))
        self.bottom = level(fed[-1], channels[-1], 1)
        self.up = ModuleList()
        for index, stride in enumerate(steps):
            # A level gives the next finer one as many channels as that has itself.
            out = channels[index - 1] if index else num_classes
            joined = channels[index] + (channels[-1] if index == len(steps) - 1 else channels[index])
            raised: Module = layer(joined, out, up_kernel_size, stride=stride, transposed=True)
            if units:
                raised = Sequential(raised, unit(out, out, kernel_size, units=1, last_plain=index == 0))
            elif index == 0:
                raised = layer(joined, out, up_kernel_size, stride=stride, transposed=True, norm=None, activation=None)
            self.up.append(raised)
        self._complete(weights)

    def scores(self, x: Tensor) -> Tensor:
        skips = []
        for level in self.down:
            x = level(x)
            skips.append(x)
        x = self.bottom(x)
        for level in reversed(self.up):
            x = level(mcore.cat((skips.pop(), x), dim=1))
        return x
