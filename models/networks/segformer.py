"""SegFormer.

Source: Xie et al., "SegFormer", arXiv:2105.15203, figure 2 and table 6.
Names: backbone and head; segmentation-models' files load by the table "segmentation_models".
"""

from typing import Literal

from models.backbones.base import Weights
from models.composite import Maker
from models.networks.segmenting import Segmenter


class SegFormer(Segmenter):
    """SegFormer: scores of each class for every pixel, from linear maps of all levels.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        backbone: a name, a mapping or an object; its maps from stride 4 on are used.
        in_channels: of the image, for a backbone that isn't an object.
        channels: of the head; the paper has 256 for mit_b0 and mit_b1, 768 for larger ones.
        align_corners: how scores are brought to the image's size: True as in segmentation-models, False for the
            authors' weights.
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: Maker = "mit_b0",
        *,
        in_channels: int = 3,
        channels: int = 256,
        align_corners: bool = True,
        dims: Literal[1, 2, 3] = 2,
        weights: Weights = None,
    ) -> None:
        super().__init__(
            backbone,
            {"type": "SegFormer", "num_classes": num_classes, "channels": channels, "align_corners": align_corners},
            in_channels=in_channels,
            dims=dims,
            weights=weights,
        )
