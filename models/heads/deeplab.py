"""The heads of DeepLabV3 and DeepLabV3+.

Source: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", arXiv:1706.05587, section
3.3; Chen et al., "Encoder-Decoder with Atrous Separable Convolution", arXiv:1802.02611, figure 2; in the form
of segmentation-models' DeepLabV3Decoder and DeepLabV3PlusDecoder.
"""

from collections.abc import Sequence
from typing import Literal

import mcore
from mcore import Sequential, Tensor
from mcore import functional as F
from models.basicblocks.aspp import ASPP, separable_conv
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import layers
from models.component import Part, strides_from
from models.functional.maps import as_channels
from models.functional.sizes import resize
from models.heads.decoding import from_stride, taken, to_image

# Of the fine map that DeepLabV3+ joins: 1802.02611, section 4.1, table 1.
FINE_CHANNELS = 48


class DeepLabV3(Part):
    """Scores of each class for every pixel: the coarsest map seen at several distances.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), of which the coarsest is used
        size: of the image, in pixels, to which scores are resized; None leaves them at the map's size
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        channels: of every convolution.
        rates: dilations of ASPP.
        separable: splits the dilated convolutions into depthwise and pointwise ones.
        dropout: the share of ASPP's values that training leaves out.
        align_corners: how scores are brought to the image's size; True as in the paper's code and
            segmentation-models, False as in torchvision.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        dims: 1, 2 or 3.

    Names: aspp, conv, bn and classifier stand for decoder.aspp, decoder.conv, decoder.bn and
        segmentation_head.0 of segmentation-models, and for 0, 1, 2 and 4 of torchvision's DeepLabHead.
    """

    dense = True

    def __init__(
        self,
        num_classes: int,
        channels: int = 256,
        *,
        rates: Sequence[int] = (12, 24, 36),
        separable: bool = False,
        dropout: float = 0.5,
        align_corners: bool = True,
        in_channels: int | Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__()
        kit, fed = layers(dims, of="DeepLabV3"), as_channels(in_channels or ())
        self.dims, self.fed, self.align_corners = dims, len(fed), align_corners
        #: Positions of the maps that it uses, among those fed.
        self.used = [len(fed) - 1]
        self.aspp = ASPP(fed[-1], channels, rates, separable=separable, dropout=dropout, dims=dims)
        self.conv = kit.conv(channels, channels, 3, padding=1, bias=False)
        self.bn = kit.batch_norm(channels)
        self.classifier = kit.conv(channels, num_classes, 1)

    def forward(self, features: Tensor | Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
        (x,) = taken(features, self.used, of=self.fed, title="DeepLabV3")
        x = F.relu(self.bn(self.conv(self.aspp(x))))
        return to_image(self.classifier(x), size, align_corners=self.align_corners)


class DeepLabV3Plus(Part):
    """Scores of each class for every pixel: the coarsest map seen at several distances, joined with a fine one.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), of which the coarsest and the one at stride 4 are used
        size: of the image, in pixels, to which scores are resized; None leaves them at the fine map's size
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        channels: of every convolution but that of the fine map, which has 48.
        rates: dilations of ASPP.
        separable: splits the dilated convolutions into depthwise and pointwise ones.
        dropout: the share of ASPP's values that training leaves out.
        align_corners: how maps and scores are resized; True as in the paper's code and segmentation-models.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        in_strides: of the maps fed; where left out, doubling from 4.
        dims: 1, 2 or 3.

    Names: aspp, block1, block2 and classifier stand for decoder.aspp, decoder.block1, decoder.block2 and
        segmentation_head.0 of segmentation-models.

    Raises:
        ValueError: there is no map at stride 4 or coarser besides the coarsest.
    """

    dense = True

    def __init__(
        self,
        num_classes: int,
        channels: int = 256,
        *,
        rates: Sequence[int] = (12, 24, 36),
        separable: bool = True,
        dropout: float = 0.5,
        align_corners: bool = True,
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        fed = as_channels(in_channels or ())
        strides = strides_from(in_strides, len(fed), first=4)
        fine = from_stride(strides, 4)[0]
        if fine == len(fed) - 1:
            raise ValueError(
                f"DeepLabV3Plus: of maps at strides {list(strides)} it needs two from stride 4 on; DeepLabV3 takes one."
            )
        super().__init__()
        self.dims, self.fed, self.align_corners = dims, len(fed), align_corners
        #: Positions of the maps that it uses, among those fed.
        self.used = [fine, len(fed) - 1]
        self.aspp = Sequential(
            ASPP(fed[-1], channels, rates, separable=separable, dropout=dropout, dims=dims),
            *separable_conv(channels, channels, dims=dims),
        )
        self.block1 = ConvNormAct(fed[fine], FINE_CHANNELS, 1, dims=dims)
        self.block2 = separable_conv(FINE_CHANNELS + channels, channels, dims=dims)
        self.classifier = layers(dims, of="DeepLabV3Plus").conv(channels, num_classes, 1)

    def forward(self, features: Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
        fine, x = taken(features, self.used, of=self.fed, title="DeepLabV3Plus")
        x = resize(self.aspp(x), fine.shape[2:], align_corners=self.align_corners)
        x = self.block2(mcore.cat((x, self.block1(fine)), dim=1))
        return to_image(self.classifier(x), size, align_corners=self.align_corners)
