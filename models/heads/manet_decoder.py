"""The decoder of MA-Net on any backbone.

Source: Fan et al., "MA-Net: A Multi-Scale Attention Network for Liver and Tumor Segmentation", IEEE Access 8
(2020), 10.1109/ACCESS.2020.3025372, figures 2 to 4, in the form of segmentation-models' MAnetDecoder.
Differs: as UNetDecoder, it meets every size; it has no squeezing of maps that aren't there.
"""

from collections.abc import Sequence
from typing import Literal

import mcore
from mcore import Module, ModuleList, Sequential, Tensor
from mcore import functional as F
from models.attention.scse import channel_weights
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import Choice, layers
from models.component import Part, strides_from
from models.functional.maps import as_channels
from models.functional.sizes import resize
from models.heads.decoding import MODES, Mode, taken, up_to_image
from models.heads.unet_decoder import Up, steps_up, strides_up
from models.utils.arguments import one_of


class MAnetDecoder(Part):
    """Scores of each class for every pixel: a U-Net's way up, with attention between positions and channels.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        size: of the image, in pixels; None stands for the finest map's size times its stride
        returns: (n, num_classes, *size), before softmax

    Memory grows with the square of the coarsest map's pixels.

    Args:
        num_classes: how many scores for each pixel.
        channels: after each step up; as many are used as there are steps.
        reduction: channels between the two convolutions of channel attention are a part of one in so many.
        position_channels: of the positions that are compared.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        interpolation: how maps come up, "nearest" or "linear".
        in_channels: of the maps fed; from `models.assemble`, where left out.
        in_strides: of the maps fed; where left out, doubling from 2.
        dims: 1, 2 or 3.

    Names: those of segmentation-models' decoder; classifier stands for segmentation_head.0.
    """

    dense = True

    def __init__(
        self,
        num_classes: int,
        channels: Sequence[int] = (256, 128, 64, 32, 16),
        *,
        reduction: int = 16,
        position_channels: int = 64,
        norm: Choice = "batch",
        interpolation: Mode = "nearest",
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        one_of(MODES, of="MAnetDecoder", interpolation=interpolation)
        super().__init__()
        fed = as_channels(in_channels or ())
        strides = strides_from(in_strides, len(fed), first=2)
        joined = steps_up(fed, strides, channels, title="MAnetDecoder")
        self.dims, self.fed, widths = dims, len(fed), (fed[-1], *channels)
        self.interpolation: Mode = interpolation
        self.center = PositionAttention(fed[-1], position_channels, dims=dims)
        self.blocks = ModuleList(
            FusionUp(
                widths[step],
                more,
                widths[step + 1],
                reduction=reduction,
                norm=norm,
                interpolation=interpolation,
                dims=dims,
            )
            if more
            else Up(widths[step], 0, widths[step + 1], norm=norm, dims=dims)
            for step, more in enumerate(joined)
        )
        #: (channels, stride) of what `decode` gives, coarsest first.
        self.decoded = list(zip(channels, strides_up(strides), strict=False))
        self.classifier = layers(dims, of="MAnetDecoder").conv(self.decoded[-1][0], num_classes, 3, padding=1)

    def forward(self, features: Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
        return self.classifier(self.decode(features, size)[-1])

    def decode(self, features: Sequence[Tensor], size: Sequence[int] | None = None) -> list[Tensor]:
        """The map after each step, coarsest first."""
        *finer, x = taken(features, range(self.fed), of=self.fed, title="MAnetDecoder")
        maps = [self.center(x)]
        for block, skip in zip(self.blocks, reversed(finer), strict=False):
            maps.append(block(maps[-1], skip))
        maps += up_to_image(maps[-1], list(self.blocks)[len(finer) :], size, mode=self.interpolation)
        return maps[1:]


class PositionAttention(Module):
    """What all positions hold, weighed by how alike they are to each other, and a 3x3 convolution.

    Shapes:
        x: (n, channels, *size)
        returns: the same

    Differs: the softmax is over all pairs of positions at once, and the weighed values, pixels before
    channels, are read as channels before pixels, both as segmentation-models does.
    """

    def __init__(self, channels: int, position_channels: int = 64, *, dims: int = 2) -> None:
        super().__init__()
        conv = layers(dims, of="MAnetDecoder").conv
        self.top_conv = conv(channels, position_channels, 1)
        self.center_conv = conv(channels, position_channels, 1)
        self.bottom_conv = conv(channels, channels, 3, padding=1)
        self.out_conv = conv(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        top = self.top_conv(x).flatten(2)
        center = self.center_conv(x).flatten(2).transpose(1, 2)
        values = self.bottom_conv(x).flatten(2).transpose(1, 2)
        pairs = mcore.matmul(center, top)
        weights = F.softmax(pairs.flatten(1), dim=1).reshape(pairs.shape)
        return self.out_conv(x + mcore.matmul(weights, values).reshape(x.shape))


class FusionUp(Module):
    """One step up, in which the coarse and the fine map together weigh the coarse one's channels.

    Shapes:
        x: (n, in_channels, *coarser)
        skip: (n, skip_channels, *size)
        returns: (n, out_channels, *size)
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        *,
        reduction: int = 16,
        norm: Choice = "batch",
        interpolation: Mode = "nearest",
        dims: int = 2,
    ) -> None:
        super().__init__()
        self.interpolation: Mode = interpolation
        self.hl_conv = Sequential(
            ConvNormAct(in_channels, in_channels, norm=norm, dims=dims),
            ConvNormAct(in_channels, skip_channels, 1, norm=norm, dims=dims),
        )
        reduced = max(1, skip_channels // reduction)
        self.SE_ll = channel_weights(skip_channels, reduced, dims=dims, of="MAnetDecoder")
        self.SE_hl = channel_weights(skip_channels, reduced, dims=dims, of="MAnetDecoder")
        self.conv1 = ConvNormAct(2 * skip_channels, out_channels, norm=norm, dims=dims)
        self.conv2 = ConvNormAct(out_channels, out_channels, norm=norm, dims=dims)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = resize(self.hl_conv(x), skip.shape[2:], mode=self.interpolation)
        x = x * (self.SE_hl(x) + self.SE_ll(skip))
        return self.conv2(self.conv1(mcore.cat((x, skip), dim=1)))
