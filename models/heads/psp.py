"""The head of PSPNet.

Source: Zhao et al., "Pyramid Scene Parsing Network", arXiv:1612.01105, figure 3, in the form of
segmentation-models' PSPDecoder: its joining convolution is 1x1, its classifier 3x3.
"""

from collections.abc import Sequence
from typing import Literal

from mcore import Tensor
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import Choice, layers
from models.basicblocks.ppm import PPM
from models.component import Part
from models.functional.maps import as_channels
from models.heads.decoding import channel_dropout, taken, to_image


class PSP(Part):
    """Scores of each class for every pixel: the coarsest map beside its means over grids.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), of which the coarsest is used
        size: of the image, in pixels, to which scores are resized; None leaves them at the map's size
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        channels: after map and means are joined.
        bins: cells of each grid, along every axis.
        dropout: the share of the joined channels that training leaves out.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        align_corners: how grids and scores are resized; True as in the paper's code.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        dims: 1, 2 or 3.

    Names: psp, conv and classifier stand for decoder.psp, decoder.conv and segmentation_head.0 of
        segmentation-models, without the `pool` in psp.blocks.0.pool.
    """

    dense = True

    def __init__(
        self,
        num_classes: int,
        channels: int = 512,
        *,
        bins: Sequence[int] = (1, 2, 3, 6),
        dropout: float = 0.2,
        norm: Choice = "batch",
        align_corners: bool = True,
        in_channels: int | Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__()
        fed = as_channels(in_channels or ())
        self.dims, self.fed, self.align_corners = dims, len(fed), align_corners
        #: Positions of the maps that it uses, among those fed.
        self.used = [len(fed) - 1]
        self.psp = PPM(
            fed[-1],
            bins=bins,
            norm=norm,
            norm_of_one=False,
            map_first=False,
            align_corners=align_corners,
            dims=dims,
        )
        self.conv = ConvNormAct(self.psp.out_channels, channels, 1, norm=norm, dims=dims)
        self.dropout = channel_dropout(dropout, dims=dims)
        self.classifier = layers(dims, of="PSP").conv(channels, num_classes, 3, padding=1)

    def forward(self, features: Tensor | Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
        (x,) = taken(features, self.used, of=self.fed, title="PSP")
        x = self.classifier(self.dropout(self.conv(self.psp(x))))
        return to_image(x, size, align_corners=self.align_corners)
