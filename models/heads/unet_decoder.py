"""The decoder of a U-Net on any backbone.

Source: Ronneberger et al., "U-Net", arXiv:1505.04597, in the form of segmentation-models' UnetDecoder:
nearest upsampling in place of transposed convolutions, norms, and padding; attention as there, by Roy et al.,
arXiv:1803.02579.
Differs: steps without a map to join double the size, and the last one meets the image's size, so that every
size works, also with a backbone whose finest map is at stride 4. Where there is no map to join, no attention
is built that nothing would use.
"""

from collections.abc import Sequence
from typing import Literal

import mcore
from mcore import Module, ModuleList, Sequential, Tensor
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import Choice, Factory, layers
from models.component import Part, strides_from
from models.functional.maps import as_channels
from models.functional.sizes import resize
from models.heads.decoding import MODES, Mode, attention_part, taken, up_to_image
from models.utils.arguments import one_of


class UNetDecoder(Part):
    """Scores of each class for every pixel, from the coarsest map up, joined with each finer map on the way.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        size: of the image, in pixels; None stands for the finest map's size times its stride
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        channels: after each step up; as many are used as there are steps.
        attention: of each step, before and after its convolutions: a name ("SCSE"), or a constructor from
            channels.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        center: two more convolutions of the coarsest map, as segmentation-models has for VGG.
        interpolation: how maps come up, "nearest" or "linear".
        in_channels: of the maps fed; from `models.assemble`, where left out.
        in_strides: of the maps fed; where left out, doubling from 2.
        dims: 1, 2 or 3.

    Names: center, blocks and classifier stand for decoder.center, decoder.blocks and segmentation_head.0 of
        segmentation-models.
    """

    dense = True

    def __init__(
        self,
        num_classes: int,
        channels: Sequence[int] = (256, 128, 64, 32, 16),
        *,
        attention: str | Factory | None = None,
        norm: Choice = "batch",
        center: bool = False,
        interpolation: Mode = "nearest",
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        one_of(MODES, of="UNetDecoder", interpolation=interpolation)
        super().__init__()
        fed = as_channels(in_channels or ())
        strides = strides_from(in_strides, len(fed), first=2)
        joined = steps_up(fed, strides, channels, title="UNetDecoder")
        self.dims, self.fed, widths = dims, len(fed), (fed[-1], *channels)
        self.interpolation: Mode = interpolation
        self.center = None
        if center:
            self.center = Sequential(*(ConvNormAct(fed[-1], fed[-1], norm=norm, dims=dims) for _ in range(2)))
        self.blocks = ModuleList(
            Up(widths[step], more, widths[step + 1], attention=attention, norm=norm, dims=dims)
            for step, more in enumerate(joined)
        )
        #: (channels, stride) of what `decode` gives, coarsest first.
        self.decoded = list(zip(channels, strides_up(strides), strict=False))
        self.classifier = layers(dims, of="UNetDecoder").conv(self.decoded[-1][0], num_classes, 3, padding=1)

    def forward(self, features: Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
        return self.classifier(self.decode(features, size)[-1])

    def decode(self, features: Sequence[Tensor], size: Sequence[int] | None = None) -> list[Tensor]:
        """The map after each step, coarsest first."""
        *finer, x = taken(features, range(self.fed), of=self.fed, title="UNetDecoder")
        maps = [x if self.center is None else self.center(x)]
        for block, skip in zip(self.blocks, reversed(finer), strict=False):
            maps.append(block(resize(maps[-1], skip.shape[2:], mode=self.interpolation), skip))
        maps += up_to_image(maps[-1], list(self.blocks)[len(finer) :], size, mode=self.interpolation)
        return maps[1:]


class Up(Module):
    """One step of the decoder, after upsampling: joins the finer map, then two convolutions.

    Shapes:
        x: (n, in_channels, *size)
        skip: (n, skip_channels, *size), or None where there are none
        returns: (n, out_channels, *size)
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        *,
        attention: str | Factory | None = None,
        norm: Choice = "batch",
        dims: int = 2,
    ) -> None:
        super().__init__()
        joined = in_channels + skip_channels
        self.conv1 = ConvNormAct(joined, out_channels, norm=norm, dims=dims)
        self.attention1 = None
        if skip_channels:
            self.attention1 = attention_part(attention, joined, dims=dims, title="UNetDecoder")
        self.conv2 = ConvNormAct(out_channels, out_channels, norm=norm, dims=dims)
        self.attention2 = attention_part(attention, out_channels, dims=dims, title="UNetDecoder")

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        if skip is not None:
            x = mcore.cat((x, skip), dim=1)
            x = x if self.attention1 is None else self.attention1(x)
        x = self.conv2(self.conv1(x))
        return x if self.attention2 is None else self.attention2(x)


def steps_up(fed: Sequence[int], strides: Sequence[int], channels: Sequence[int], *, title: str) -> list[int]:
    """Channels of the map that each step joins: the finer maps, then 0 for each doubling up to the image.

    Raises:
        ValueError: there is no step, or there are more than `channels`.
    """
    joined = [*reversed(fed[:-1]), *(0 for _ in range((strides[0] - 1).bit_length()))]
    if not joined:
        raise ValueError(f"{title}: one map at stride 1 is at the image's size already; take Segmentation.")
    if len(joined) > len(channels):
        raise ValueError(
            f"{title}: {len(channels)} channels are given, but {len(fed)} maps from stride {strides[0]} "
            f"up take {len(joined)} steps to the image; give one number for each."
        )
    return joined


def strides_up(strides: Sequence[int]) -> list[int]:
    """The stride after each step: those of the finer maps, then halved down to 1.

    >>> strides_up((4, 8, 16))
    [8, 4, 2, 1]
    """
    doublings = (strides[0] - 1).bit_length()
    return [*reversed(strides[:-1]), *(-(-strides[0] // 2**step) for step in range(1, doublings + 1))]
