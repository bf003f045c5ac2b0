"""DeepLabV3 and DeepLabV3+ on any backbone that dilates.

Source: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", arXiv:1706.05587; Chen et
al., "Encoder-Decoder with Atrous Separable Convolution", arXiv:1802.02611, figure 2.
Differs: rates are those of segmentation-models and torchvision. Dilated stages of a backbone start as torchvision's
do; for segmentation-models' files take `{"type": "resnet50", "even_dilation": True}`.
Names: backbone and head; segmentation-models' files load by the table "segmentation_models".
"""

from collections.abc import Sequence
from typing import Literal

from models.backbones.base import Weights
from models.composite import Maker
from models.networks.segmenting import Segmenter


class DeepLabV3(Segmenter):
    """DeepLabV3: scores of each class for every pixel, from one map seen at several distances.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        backbone: a name, a mapping or an object; its coarsest map is used.
        in_channels: of the image, for a backbone that isn't an object.
        output_stride: at which the backbone stops halving and dilates instead; None leaves it its own.
        rates: dilations of ASPP; the paper doubles them for an output stride of 8.
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Raises:
        ValueError: the backbone can't keep `output_stride`.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: Maker = "resnet50",
        *,
        in_channels: int = 3,
        output_stride: Literal[8, 16, 32] | None = 8,
        rates: Sequence[int] = (12, 24, 36),
        dims: Literal[1, 2, 3] = 2,
        weights: Weights = None,
    ) -> None:
        super().__init__(
            backbone,
            {"type": "DeepLabV3", "num_classes": num_classes, "rates": rates},
            in_channels=in_channels,
            dims=dims,
            weights=weights,
            output_stride=output_stride,
        )


class DeepLabV3Plus(Segmenter):
    """DeepLabV3Plus: scores of each class for every pixel, from one map seen at several distances and a fine one.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        backbone: a name, a mapping or an object; its coarsest map and the one at stride 4 are used.
        in_channels: of the image, for a backbone that isn't an object.
        output_stride: at which the backbone stops halving and dilates instead; None leaves it its own.
        rates: dilations of ASPP; 1802.02611 has (6, 12, 18) at an output stride of 16.
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Raises:
        ValueError: the backbone can't keep `output_stride`.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: Maker = "resnet50",
        *,
        in_channels: int = 3,
        output_stride: Literal[8, 16, 32] | None = 16,
        rates: Sequence[int] = (12, 24, 36),
        dims: Literal[1, 2, 3] = 2,
        weights: Weights = None,
    ) -> None:
        super().__init__(
            backbone,
            {"type": "DeepLabV3Plus", "num_classes": num_classes, "rates": rates},
            in_channels=in_channels,
            dims=dims,
            weights=weights,
            output_stride=output_stride,
        )
