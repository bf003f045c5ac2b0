"""The decoder of LinkNet on any backbone.

Source: Chaurasia and Culurciello, "LinkNet", arXiv:1707.03718, figure 3, in the form of segmentation-models'
LinknetDecoder: the last step is one like the others.
Differs: a step meets the size of the map that it is added to, so that every size works.
"""

from collections.abc import Sequence
from typing import Literal

from mcore import Module, ModuleList, Sequential, Tensor
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import Choice, layers
from models.component import Part, strides_from
from models.functional.maps import as_channels
from models.functional.sizes import resize
from models.heads.decoding import taken
from models.heads.unet_decoder import steps_up, strides_up


class LinkNetDecoder(Part):
    """Scores of each class for every pixel, from the coarsest map up, each finer map added on the way.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        size: of the image, in pixels; None stands for the finest map's size times its stride
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        channels: of the steps that join no map.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        in_strides: of the maps fed; where left out, doubling from 2.
        dims: 1, 2 or 3.

    Names: blocks and classifier stand for decoder.blocks and segmentation_head.0 of segmentation-models.
    """

    dense = True

    def __init__(
        self,
        num_classes: int,
        channels: int = 32,
        *,
        norm: Choice = "batch",
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__()
        fed = as_channels(in_channels or ())
        strides = strides_from(in_strides, len(fed), first=2)
        left = strides_up(strides)
        joined = steps_up(fed, strides, [0] * len(left), title="LinkNetDecoder")
        widths = [fed[-1], *(skip or channels for skip in joined)]
        self.dims, self.fed = dims, len(fed)
        self.blocks = ModuleList(
            AddUp(widths[step], widths[step + 1], norm=norm, dims=dims) for step in range(len(joined))
        )
        #: (channels, stride) of what `decode` gives, coarsest first.
        self.decoded = list(zip(widths[1:], left, strict=True))
        self.classifier = layers(dims, of="LinkNetDecoder").conv(widths[-1], num_classes, 1)

    def forward(self, features: Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
        return self.classifier(self.decode(features, size)[-1])

    def decode(self, features: Sequence[Tensor], size: Sequence[int] | None = None) -> list[Tensor]:
        """The map after each step, coarsest first."""
        *finer, x = taken(features, range(self.fed), of=self.fed, title="LinkNetDecoder")
        maps = [x]
        for block, skip in zip(self.blocks, reversed(finer), strict=False):
            maps.append(resize(block(maps[-1]), skip.shape[2:], mode="nearest") + skip)
        for block in self.blocks[len(finer) :]:
            maps.append(block(maps[-1]))
        if size is not None:
            maps[-1] = resize(maps[-1], size, mode="nearest")
        return maps[1:]


class AddUp(Module):
    """One step up: a 1x1 convolution to a quarter of the channels, a transposed one to twice the size, a 1x1 one.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *(2 * size))
    """

    def __init__(self, in_channels: int, out_channels: int, *, norm: Choice = "batch", dims: int = 2) -> None:
        super().__init__()
        quarter = max(1, in_channels // 4)
        up = ConvNormAct(quarter, quarter, 4, stride=2, padding=1, bias=True, norm=norm, transposed=True, dims=dims)
        self.block = Sequential(
            ConvNormAct(in_channels, quarter, 1, norm=norm, dims=dims),
            up,
            ConvNormAct(quarter, out_channels, 1, norm=norm, dims=dims),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)
