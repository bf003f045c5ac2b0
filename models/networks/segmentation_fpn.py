"""Semantic segmentation on a feature pyramid.

Source: Kirillov et al., "Panoptic Feature Pyramid Networks", arXiv:1901.02446, figure 3.
Names: backbone and head; segmentation-models' files load by the table "segmentation_models".
"""

from typing import Literal

from models.backbones.base import Weights
from models.composite import Maker
from models.networks.segmenting import Segmenter


class SegmentationFPN(Segmenter):
    """SegmentationFPN: scores of each class for every pixel, from a pyramid whose levels are brought up and merged.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        backbone: a name, a mapping or an object; its maps from stride 4 on are used.
        in_channels: of the image, for a backbone that isn't an object.
        channels: of every level of the pyramid.
        merge: "sum" of the levels, or "concat", side by side.
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: Maker = "resnet50",
        *,
        in_channels: int = 3,
        channels: int = 256,
        merge: Literal["sum", "concat"] = "sum",
        dims: Literal[1, 2, 3] = 2,
        weights: Weights = None,
    ) -> None:
        super().__init__(
            backbone,
            {"type": "FPNDecoder", "num_classes": num_classes, "channels": channels, "merge": merge},
            in_channels=in_channels,
            dims=dims,
            weights=weights,
        )
