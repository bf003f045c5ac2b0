"""The segmentation head of a feature pyramid.

Source: Kirillov et al., "Panoptic Feature Pyramid Networks", arXiv:1901.02446, figure 3, in the form of
segmentation-models' FPNDecoder, which has the pyramid in it.
Differs: a step up meets the next finer map's size, so that every size works.
"""

from collections.abc import Sequence
from typing import Literal

import mcore
from mcore import Module, ModuleList, Sequential, Tensor
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import Choice, layers
from models.component import Part, strides_from
from models.functional.maps import as_channels
from models.functional.sizes import resize
from models.heads.decoding import MODES, Mode, channel_dropout, from_stride, taken, to_image
from models.utils.arguments import one_of


class FPNDecoder(Part):
    """Scores of each class for every pixel: a pyramid, each level of which is brought up step by step.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first; those from stride 4 on are used
        size: of the image, in pixels, to which scores are resized; None leaves them at the finest map's size
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        channels: of every level of the pyramid.
        segmentation_channels: of every level's way up.
        merge: "sum" of what the levels give, or "concat", side by side.
        dropout: the share of the merged channels that training leaves out.
        norm: of the ways up: "group", "batch", "instance", one with arguments, a constructor, or None.
        interpolation: how the pyramid's levels come down to finer ones, "nearest" or "linear".
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
        segmentation_channels: int = 128,
        merge: Literal["sum", "concat"] = "sum",
        dropout: float = 0.2,
        norm: Choice = "group",
        interpolation: Mode = "nearest",
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        one_of(("sum", "concat"), of="FPNDecoder", merge=merge)
        one_of(MODES, of="FPNDecoder", interpolation=interpolation)
        super().__init__()
        kit, fed = layers(dims, of="FPNDecoder"), as_channels(in_channels or ())
        self.dims, self.fed, self.merge = dims, len(fed), merge
        #: Positions of the maps that it uses, among those fed.
        self.used = from_stride(strides_from(in_strides, len(fed), first=4), 4)
        widths = [fed[place] for place in self.used]
        self.p5 = kit.conv(widths[-1], channels, 1)
        # p4, p3, ...: after the coarsest, as the levels are counted in the paper.
        self.levels = [f"p{4 - step}" for step in range(len(widths) - 1)]
        for name, width in zip(self.levels, reversed(widths[:-1]), strict=True):
            self.add_module(name, Level(width, channels, interpolation=interpolation, dims=dims))
        self.seg_blocks = ModuleList(
            WayUp(channels, segmentation_channels, steps, norm=norm, dims=dims)
            for steps in range(len(widths) - 1, -1, -1)
        )
        self.dropout = channel_dropout(dropout, dims=dims)
        merged = segmentation_channels * (len(widths) if merge == "concat" else 1)
        self.classifier = kit.conv(merged, num_classes, 1)

    def forward(self, features: Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
        *finer, coarsest = taken(features, self.used, of=self.fed, title="FPNDecoder")
        levels = [self.p5(coarsest)]
        for name, skip in zip(self.levels, reversed(finer), strict=True):
            levels.append(getattr(self, name)(levels[-1], skip))
        sizes = [level.shape[2:] for level in levels]
        raised = [block(levels[step], sizes[step + 1 :]) for step, block in enumerate(self.seg_blocks)]
        x = mcore.cat(raised, dim=1) if self.merge == "concat" else sum(raised[1:], start=raised[0])
        return to_image(self.classifier(self.dropout(x)), size, align_corners=True)


class Level(Module):
    """A level of the pyramid: a map of the backbone in the pyramid's channels, and what comes from the coarser one.

    Shapes:
        x: (n, channels, *coarser)
        skip: (n, in_channels, *size)
        returns: (n, channels, *size)
    """

    def __init__(self, in_channels: int, channels: int, *, interpolation: Mode = "nearest", dims: int = 2) -> None:
        super().__init__()
        self.skip_conv = layers(dims, of="FPNDecoder").conv(in_channels, channels, 1)
        self.interpolation: Mode = interpolation

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return resize(x, skip.shape[2:], mode=self.interpolation) + self.skip_conv(skip)


class WayUp(Module):
    """A convolution, norm and ReLU before each step to a finer level's size; one alone at the finest level.

    Shapes:
        x: (n, in_channels, *coarsest)
        sizes: of the finer levels, as many as `steps`
        returns: (n, out_channels, *finest)
    """

    def __init__(
        self, in_channels: int, out_channels: int, steps: int, *, norm: Choice = "group", dims: int = 2
    ) -> None:
        super().__init__()
        self.block = Sequential(
            *(
                ConvBlock(in_channels if step == 0 else out_channels, out_channels, norm=norm, dims=dims)
                for step in range(max(1, steps))
            )
        )

    def forward(self, x: Tensor, sizes: Sequence[Sequence[int]]) -> Tensor:
        for step, block in enumerate(self.block):
            x = block(x)
            x = resize(x, sizes[step], align_corners=True) if sizes else x
        return x


class ConvBlock(Module):
    """A 3x3 convolution without bias, norm and ReLU, under the publisher's name `block`."""

    def __init__(self, in_channels: int, out_channels: int, *, norm: Choice = "group", dims: int = 2) -> None:
        super().__init__()
        self.block = ConvNormAct(in_channels, out_channels, bias=norm is None, norm=norm, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)
