"""The head of SegFormer: linear maps of all levels, joined.

Source: Xie et al., "SegFormer", arXiv:2105.15203, figure 2, in the form of segmentation-models'
SegformerDecoder.
"""

from collections.abc import Sequence
from typing import Literal

import mcore
from mcore import Linear, Module, ModuleList, Tensor
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import Choice, layers
from models.basicblocks.mlp import pointwise
from models.component import Part, strides_from
from models.functional.maps import as_channels
from models.functional.sizes import resize
from models.heads.decoding import channel_dropout, from_stride, taken, to_image


class SegFormer(Part):
    """Scores of each class for every pixel: a linear map of each level, at stride 4 side by side, and another.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first; all are used
        size: of the image, in pixels, to which scores are resized; None leaves them at the size of the map at
            stride 4
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        channels: of each linear map.
        dropout: the share of the joined channels that training leaves out.
        norm: of the joined map: "batch", "instance", "group", one with arguments, a constructor, or None.
        align_corners: how scores are brought to the image's size; maps are resized without.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        in_strides: of the maps fed; where left out, doubling from 4.
        dims: 1, 2 or 3.

    Names: mlp_stage (coarsest first), fuse_stage and classifier stand for decoder.mlp_stage,
        decoder.fuse_stage and segmentation_head.0 of segmentation-models.
    """

    dense = True

    def __init__(
        self,
        num_classes: int,
        channels: int = 256,
        *,
        dropout: float = 0.1,
        norm: Choice = "batch",
        align_corners: bool = True,
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__()
        fed = as_channels(in_channels or ())
        self.dims, self.fed, self.align_corners = dims, len(fed), align_corners
        # The map whose size all others are brought to.
        self.target = from_stride(strides_from(in_strides, len(fed), first=4), 4)[0]
        self.mlp_stage = ModuleList(PixelLinear(width, channels) for width in reversed(fed))
        self.fuse_stage = ConvNormAct(len(fed) * channels, channels, 1, norm=norm, dims=dims)
        self.dropout = channel_dropout(dropout, dims=dims)
        self.classifier = layers(dims, of="SegFormer").conv(channels, num_classes, 1)

    def forward(self, features: Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
        maps = taken(features, range(self.fed), of=self.fed, title="SegFormer")
        size_of_all = maps[self.target].shape[2:]
        raised = [stage(x) for stage, x in zip(self.mlp_stage, reversed(maps), strict=True)]
        stays = len(maps) - 1 - self.target
        raised = [x if place == stays else resize(x, size_of_all) for place, x in enumerate(raised)]
        x = self.dropout(self.fuse_stage(mcore.cat(raised, dim=1)))
        return to_image(self.classifier(x), size, align_corners=self.align_corners)


class PixelLinear(Module):
    """A linear map of the channels of each pixel.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *size)
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.linear = Linear(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return pointwise(self.linear, x)
