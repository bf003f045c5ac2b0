"""The decoder of a U-Net on any backbone.

Source: Ronneberger et al., "U-Net", arXiv:1505.04597, in the form of segmentation-models' UnetDecoder:
nearest upsampling in place of transposed convolutions, norms, and padding.
Differs: steps without a map to join double the size, and the last one meets the image's size, so that every
size works, also with a backbone whose finest map is at stride 4.
"""

from collections.abc import Sequence
from typing import Literal

import mcore
from mcore import Module, ModuleList, Tensor
from mcore import functional as F
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import layers
from models.component import Part, strides_from
from models.functional.maps import as_channels, as_maps
from models.functional.sizes import resize


class UNetDecoder(Part):
    """Scores of each class for every pixel, from the coarsest map up, joined with each finer map on the way.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        size: of the image, in pixels; None stands for the finest map's size times its stride
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        channels: after each step up; as many are used as there are steps.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        in_strides: of the maps fed; where left out, doubling from 2.
        dims: 1, 2 or 3.

    Names: blocks and classifier stand for decoder.blocks and segmentation_head.0 of segmentation-models.
    """

    dense = True

    def __init__(
        self,
        num_classes: int,
        channels: Sequence[int] = (256, 128, 64, 32, 16),
        *,
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__()
        fed = as_channels(in_channels or ())
        finest = strides_from(in_strides, len(fed), first=2)[0]
        # One step for each finer map to join, then doublings up to the image.
        joined = (*reversed(fed[:-1]), *(0 for _ in range((finest - 1).bit_length())))
        if len(joined) > len(channels):
            raise ValueError(
                f"UNetDecoder: {len(channels)} channels are given, but {len(fed)} maps from stride {finest} "
                f"up take {len(joined)} steps to the image; give one number for each."
            )
        self.dims, widths = dims, (fed[-1], *channels)
        self.blocks = ModuleList(
            Up(widths[step] + more, widths[step + 1], dims=dims) for step, more in enumerate(joined)
        )
        last = widths[len(joined)]
        self.classifier = layers(dims, of="UNetDecoder").conv(last, num_classes, 3, padding=1)

    def forward(self, features: Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
        *finer, x = as_maps(features)
        alone = len(self.blocks) - len(finer)
        for block, skip in zip(self.blocks, reversed(finer), strict=False):
            x = block(resize(x, skip.shape[2:], mode="nearest"), skip)
        for step, block in enumerate(self.blocks[len(finer) :], start=1):
            if step == alone and size is not None:
                x = block(resize(x, size, mode="nearest"))
            else:
                x = block(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.classifier(x)


class Up(Module):
    """One step of the decoder, after upsampling: joins the finer map, then two convolutions.

    Shapes:
        x: (n, c, *size)
        skip: (n, in_channels - c, *size), or None where c is in_channels
        returns: (n, out_channels, *size)
    """

    def __init__(self, in_channels: int, out_channels: int, *, dims: int = 2) -> None:
        super().__init__()
        self.conv1 = ConvNormAct(in_channels, out_channels, dims=dims)
        self.conv2 = ConvNormAct(out_channels, out_channels, dims=dims)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        if skip is not None:
            x = mcore.cat((x, skip), dim=1)
        return self.conv2(self.conv1(x))
