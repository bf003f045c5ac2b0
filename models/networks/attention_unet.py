"""U-Net whose skip connections pass attention gates.

Source: Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas", arXiv:1804.03999, figure 1, as
MONAI's `AttentionUnet` implements it.
Differs: levels are lowered by strided convolutions, not by pooling; a gate listens to the map that was raised to its
level already; what joins is merged by one convolution. There is no deep supervision.
Names: levels are numbered where MONAI nests them: the table `monai_attention_unet` renames its files.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import mcore
from mcore import ModuleList, Tensor
from models.attention.gate import AttentionGate
from models.backbones.base import Weights
from models.basicblocks.conv import CONV_NORM_ACT, ConvNormAct, Pixels
from models.basicblocks.double_conv import DoubleConv
from models.basicblocks.layers import PLAIN_INSTANCE, layers
from models.networks.fitting import Fit, Fitting, odd, steps_between


class AttentionUNet(Fitting):
    """Attention U-Net: scores of each class for every pixel.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, num_classes, *size), before softmax

    Args:
        in_channels: channels of the image.
        num_classes: how many scores for each pixel.
        channels: of each level, finest first.
        strides: from each level to the next, for every axis or by axis; 2, where left out.
        kernel_size: of convolutions, odd; for every axis or by axis.
        up_kernel_size: of transposed convolutions, the same.
        fit: what happens to sizes that the strides don't divide: "pad" adds zeros and crops the result, "refuse"
            says which sizes fit.
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "head.0.conv", "out"

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        strides: Sequence[Pixels] | None = None,
        kernel_size: Pixels = 3,
        up_kernel_size: Pixels = 3,
        fit: Fit = "pad",
        dims: Literal[1, 2, 3] = 2,
        weights: Weights = None,
    ) -> None:
        steps = steps_between("AttentionUNet", channels, strides)
        super().__init__(steps, fit=fit, dims=dims)
        kernel_size = odd("AttentionUNet", "kernel_size", kernel_size, dims)
        plain: dict[str, Any] = {"bias": True, "names": CONV_NORM_ACT, "dims": dims}
        pairs = list(pairwise(channels))
        self.head = DoubleConv(in_channels, channels[0], kernel_size, dims=dims)
        self.down = ModuleList(
            DoubleConv(fine, coarse, kernel_size, stride=stride, dims=dims)
            for (fine, coarse), stride in zip(pairs, steps, strict=True)
        )
        self.up = ModuleList(
            ConvNormAct(coarse, fine, up_kernel_size, stride=stride, transposed=True, **plain)
            for (fine, coarse), stride in zip(pairs, steps, strict=True)
        )
        self.gates = ModuleList(AttentionGate(fine, resized=False, dims=dims) for fine, _ in pairs)
        self.merge = ModuleList(
            ConvNormAct(2 * fine, fine, norm=PLAIN_INSTANCE, activation="prelu", **plain) for fine, _ in pairs
        )
        self.out = layers(dims, of="AttentionUNet").conv(channels[0], num_classes, 1)
        self._complete(weights)

    def scores(self, x: Tensor) -> Tensor:
        x = self.head(x)
        skips = []
        for level in self.down:
            skips.append(x)
            x = level(x)
        for up, gate, merge in zip(reversed(self.up), reversed(self.gates), reversed(self.merge), strict=True):
            x = up(x)
            x = merge(mcore.cat((gate(skips.pop(), x), x), dim=1))
        return self.out(x)
