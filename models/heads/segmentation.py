"""Segmentation: a class for every pixel.

Source: Long et al., "Fully Convolutional Networks for Semantic Segmentation", arXiv:1411.4038, in the form of
torchvision's FCNHead; over a pyramid, the sum of all levels, as in Kirillov et al., arXiv:1901.02446, with
resizing in place of its convolutions.
"""

from collections.abc import Sequence
from typing import Literal

from models.functional.maps import Merge
from models.heads.dense import DenseHead


class Segmentation(DenseHead):
    """Scores of each class for every pixel: 3x3 convolution, norm, ReLU, dropout and a 1x1 convolution.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), or one
        size: of the image, in pixels, to which scores are resized; None leaves them at the map's size
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        channels: between the two convolutions; where left out, a quarter of what comes.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        dropout: the share of the channels that training leaves out.
        merge: which maps: "coarsest", "finest", "sum" or "concat" of all; where left out, "sum" for maps of
            the same channels, as a pyramid's are, else "coarsest".
        dims: 1, 2 or 3.

    Names: conv.0, conv.1 and classifier stand for 0, 1 and 4 of torchvision's FCNHead.
    """

    def __init__(
        self,
        num_classes: int,
        channels: int | None = None,
        *,
        in_channels: int | Sequence[int] | None = None,
        dropout: float = 0.1,
        merge: Merge | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__(num_classes, channels, in_channels=in_channels, dropout=dropout, merge=merge, dims=dims)
