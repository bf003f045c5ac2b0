"""Atrous spatial pyramid pooling.

Source: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", arXiv:1706.05587, figure 5;
the separable form: Chen et al., arXiv:1802.02611, section 3.1.
"""

from collections.abc import Sequence
from typing import Any, Literal

import mcore
from mcore import Dropout, Module, ModuleList, Sequential, Tensor
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import Choice, activation_layer, layers, norm_layer
from models.basicblocks.ppm import repeated


class ASPP(Module):
    """One map seen at several distances: dilated convolutions and the mean over all pixels, side by side.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *size)

    Args:
        in_channels: of what comes.
        out_channels: of every branch, and of what is made of them.
        rates: a branch for each: the dilation of its 3x3 convolution.
        separable: splits dilated convolutions into a depthwise and a pointwise one.
        dropout: the share of the result's pixels that training leaves out.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        dims: 1, 2 or 3.

    Differs: of the mean, the norm comes after its repetition over all pixels, which gives the same values, and
    works for a batch of one in training.
    Names: attributes are torchvision's, and with `separable` those of segmentation-models.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        rates: Sequence[int] = (12, 24, 36),
        *,
        separable: bool = False,
        dropout: float = 0.5,
        norm: Choice = "batch",
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        if not rates or min(rates) < 1:
            raise ValueError(f"ASPP: rates={list(rates)} aren't dilations of 1 or more.")
        super().__init__()
        dilated: list[Module]
        if separable:
            dilated = [separable_conv(in_channels, out_channels, dilation=r, norm=norm, dims=dims) for r in rates]
        else:
            dilated = [ConvNormAct(in_channels, out_channels, dilation=r, norm=norm, dims=dims) for r in rates]
        self.convs = ModuleList(
            [
                ConvNormAct(in_channels, out_channels, 1, norm=norm, dims=dims),
                *dilated,
                MeanBranch(in_channels, out_channels, norm=norm, dims=dims),
            ]
        )
        joined = ConvNormAct(len(self.convs) * out_channels, out_channels, 1, norm=norm, dims=dims)
        self.project = Sequential(*joined, Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        return self.project(mcore.cat([branch(x) for branch in self.convs], dim=1))


class MeanBranch(Sequential):
    """The mean over all pixels, a 1x1 convolution, norm and ReLU, at every pixel.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *size), the same for all pixels
    """

    def __init__(self, in_channels: int, out_channels: int, *, norm: Choice = "batch", dims: int = 2) -> None:
        pool = layers(dims, of="ASPP").adaptive_avg_pool(1)
        super().__init__(pool, *ConvNormAct(in_channels, out_channels, 1, norm=norm, dims=dims))

    def forward(self, x: Tensor) -> Tensor:
        pool, *convolve = self
        return repeated(pool(x), convolve, x.shape[2:])


def separable_conv(
    in_channels: int,
    out_channels: int,
    *,
    dilation: int = 1,
    norm: Choice = "batch",
    dims: int = 2,
) -> Sequential:
    """A depthwise 3x3 and a pointwise convolution with no norm between, then norm and ReLU.

    Names: 0.0, 0.1, 1 and 2, as in segmentation-models' DeepLabV3+.
    """
    conv: Any = layers(dims, of="separable_conv").conv
    make_norm = norm_layer(norm, dims, of="separable_conv")
    depthwise = conv(in_channels, in_channels, 3, padding=dilation, dilation=dilation, groups=in_channels, bias=False)
    pointwise = conv(in_channels, out_channels, 1, bias=make_norm is None)
    norms = [] if make_norm is None else [make_norm(out_channels)]
    return Sequential(Sequential(depthwise, pointwise), *norms, activation_layer("relu", of="separable_conv"))
