"""Necks that make one map of all: those of HRNet and UPerNet.

Source: Sun et al., "High-Resolution Representations for Labeling Pixels and Regions", arXiv:1904.04514, figure
3; Xiao et al., "Unified Perceptual Parsing for Scene Understanding", arXiv:1807.10221, figure 4.
"""

from collections.abc import Sequence
from typing import Literal

from mcore import ModuleList, Tensor
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.layers import Choice, layers
from models.basicblocks.ppm import PPM
from models.functional.sizes import resize
from models.necks.base import Neck, convolution
from models.necks.joining import side_by_side


class HRNetFusion(Neck):
    """All maps brought to the finest one's size, side by side: the representation of HRNetV2.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        returns: one map (n, sum of in_channels or `channels`, *size of the finest); with `levels`, so many,
            each half the size of the one before

    Args:
        channels: after a 1x1 convolution that mixes them; None leaves them side by side.
        levels: makes a pyramid by means over ever more pixels, each followed by a 3x3 convolution (HRNetV2p).
        in_channels: of every map fed; from `models.assemble`, where left out.
        in_strides: of every map fed; where left out, doubling from 4.
        out_indices: positions of the maps to return.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        activation: behind every convolution; None for none.
        dims: 1, 2 or 3.

    Names: reduction_conv and fpn_convs, as mmdetection's HRFPN has; they have neither norm nor activation there.
    """

    def __init__(
        self,
        channels: int | None = None,
        *,
        levels: int = 1,
        in_channels: int | Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        out_indices: Sequence[int] | None = None,
        norm: Choice = None,
        activation: Choice = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        if levels < 1 or (levels > 1 and channels is None):
            raise ValueError(f"HRNetFusion: levels={levels} with channels={channels}; more than one level needs both.")
        super().__init__(in_channels, in_strides, dims=dims)
        joined, finest = sum(self.in_channels), self.in_strides[0]
        width = joined if channels is None else channels
        self._gives([(width, finest << level) for level in range(levels)], out_indices)
        self.reduction_conv = None
        if channels is not None:
            self.reduction_conv = ConvNormAct(
                joined, channels, 1, norm=norm, activation=activation, names=CONV_BN_ACT, dims=dims
            )
        pool = layers(dims, of="HRNetFusion").avg_pool
        self.pools = ModuleList(pool(2**level, ceil_mode=True) for level in self.out_indices if level)
        self.fpn_convs = ModuleList()
        if levels > 1:
            self.fpn_convs = ModuleList(
                ConvNormAct(width, width, norm=norm, activation=activation, names=CONV_BN_ACT, dims=dims)
                for _ in self.out_indices
            )

    def forward(self, features: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        x = side_by_side(self._fed(features))
        x = x if self.reduction_conv is None else self.reduction_conv(x)
        maps = [] if self.out_indices[0] else [x]
        maps += [pool(x) for pool in self.pools]
        if not self.fpn_convs:
            return tuple(maps)
        return tuple(conv(y) for conv, y in zip(self.fpn_convs, maps, strict=True))


class UPerNetFusion(Neck):
    """A feature pyramid whose coarsest map has pooled its surroundings, and all its levels made one.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        returns: one map (n, channels, *size of the finest)

    Args:
        channels: of every level, and of what is made of them.
        bins: cells of each grid of means of the coarsest map, along every axis.
        in_channels: of every map fed; from `models.assemble`, where left out.
        in_strides: of every map fed; where left out, doubling from 4.
        out_indices: [0], or left out: there is one map.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        activation: behind every convolution.
        dims: 1, 2 or 3.

    Names: lateral_convs, fpn_convs and fpn_bottleneck are those of mmsegmentation's UPerHead; psp.blocks and
    psp.out_conv stand for its psp_modules and bottleneck.
    """

    def __init__(
        self,
        channels: int = 512,
        *,
        bins: Sequence[int] = (1, 2, 3, 6),
        in_channels: int | Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        out_indices: Sequence[int] | None = None,
        norm: Choice = "batch",
        activation: Choice = "relu",
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__(in_channels, in_strides, dims=dims)
        self._gives([(channels, self.in_strides[0])], out_indices)
        *finer, coarsest = self.in_channels

        def conv(comes: int, size: int) -> ConvNormAct:
            return convolution(comes, channels, size, norm=norm, activation=activation, names=CONV_BN_ACT, dims=dims)

        self.psp = PPM(coarsest, channels, bins=bins, channels=channels, norm=norm, dims=dims)
        self.lateral_convs = ModuleList(conv(count, 1) for count in finer)
        self.fpn_convs = ModuleList(conv(channels, 3) for _ in finer)
        self.fpn_bottleneck = conv((len(finer) + 1) * channels, 3)

    def forward(self, features: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        *finer, coarsest = self._fed(features)
        x = self.psp(coarsest)
        maps = [x]
        for lateral, conv, y in zip(
            reversed(self.lateral_convs), reversed(self.fpn_convs), reversed(finer), strict=True
        ):
            own = lateral(y)
            x = own + resize(x, own.shape[2:])
            maps.insert(0, conv(x))
        return (self.fpn_bottleneck(side_by_side(maps)),)
