"""The head of UPerNet.

Source: Xiao et al., "Unified Perceptual Parsing for Scene Understanding", arXiv:1807.10221, figure 4, in the
form of segmentation-models' UPerNetDecoder, which norms the channels of each map first.
"""

from collections.abc import Sequence
from typing import Literal

import mcore
from mcore import Module, ModuleList, Tensor
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import Choice, layers
from models.basicblocks.norm import ChannelNorm
from models.basicblocks.ppm import PPM
from models.component import Part, strides_from
from models.functional.maps import as_channels
from models.functional.sizes import resize
from models.heads.decoding import channel_dropout, from_stride, taken, to_image


class UPer(Part):
    """Scores of each class for every pixel: a pyramid over all maps, whose coarsest has pooled its surroundings.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first; those from stride 4 on are used
        size: of the image, in pixels, to which scores are resized; None leaves them at the finest map's size
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        channels: of every level of the pyramid.
        bins: cells of each grid of means, along every axis.
        dropout: the share of the joined channels that training leaves out.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        align_corners: how scores are brought to the image's size; maps are resized without.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        in_strides: of the maps fed; where left out, doubling from 4.
        dims: 1, 2 or 3.

    Names: those of segmentation-models' decoder; classifier stands for segmentation_head.0.
    """

    dense = True

    def __init__(
        self,
        num_classes: int,
        channels: int = 256,
        *,
        bins: Sequence[int] = (1, 2, 3, 6),
        dropout: float = 0.0,
        norm: Choice = "batch",
        align_corners: bool = True,
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__()
        fed = as_channels(in_channels or ())
        self.dims, self.fed, self.align_corners = dims, len(fed), align_corners
        #: Positions of the maps that it uses, among those fed.
        self.used = from_stride(strides_from(in_strides, len(fed), first=4), 4)
        widths = [fed[place] for place in self.used]
        self.feature_norms = ModuleList(ChannelNorm(width, eps=1e-6) for width in widths)
        self.psp = PPM(widths[-1], channels, bins=bins, channels=channels, norm=norm, dims=dims)
        self.fpn_lateral_blocks = ModuleList(
            Lateral(width, channels, norm=norm, dims=dims) for width in reversed(widths[:-1])
        )
        self.fpn_conv_blocks = ModuleList(ConvNormAct(channels, channels, norm=norm, dims=dims) for _ in widths[:-1])
        self.fusion_block = ConvNormAct(len(widths) * channels, channels, norm=norm, dims=dims)
        self.dropout = channel_dropout(dropout, dims=dims)
        self.classifier = layers(dims, of="UPer").conv(channels, num_classes, 1)

    def forward(self, features: Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
        maps = taken(features, self.used, of=self.fed, title="UPer")
        *finer, x = [norm(x) for norm, x in zip(self.feature_norms, maps, strict=True)]
        levels = [self.psp(x)]
        for block, skip in zip(self.fpn_lateral_blocks, reversed(finer), strict=True):
            levels.append(block(levels[-1], skip))
        coarsest, *rest = levels
        rest = [block(level) for block, level in zip(self.fpn_conv_blocks, rest, strict=True)]
        finest = maps[0].shape[2:]
        raised = [resize(level, finest) for level in (coarsest, *rest[:-1])] + rest[-1:]
        x = self.fusion_block(mcore.cat(raised[::-1], dim=1))
        return to_image(self.classifier(self.dropout(x)), size, align_corners=self.align_corners)


class Lateral(Module):
    """A map of the backbone, brought to the pyramid's channels, and what comes from the coarser level.

    Shapes:
        x: (n, out_channels, *coarser)
        skip: (n, in_channels, *size)
        returns: (n, out_channels, *size)
    """

    def __init__(self, in_channels: int, out_channels: int, *, norm: Choice = "batch", dims: int = 2) -> None:
        super().__init__()
        self.conv_norm_relu = ConvNormAct(in_channels, out_channels, 1, norm=norm, dims=dims)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.conv_norm_relu(skip) + resize(x, skip.shape[2:])
