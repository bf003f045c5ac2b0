"""LinkNet on any backbone.

Source: Chaurasia and Culurciello, "LinkNet", arXiv:1707.03718, figures 1 to 3.
Names: backbone and head; segmentation-models' files load by the table "segmentation_models".
"""

from typing import Literal

from models.backbones.base import Weights
from models.composite import Maker
from models.networks.segmenting import Segmenter


class LinkNet(Segmenter):
    """LinkNet: scores of each class for every pixel, the backbone's maps added on the way up.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        backbone: a name, a mapping or an object; all its maps from stride 2 on are joined.
        in_channels: of the image, for a backbone that isn't an object.
        channels: of the last step up.
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: Maker = "resnet18",
        *,
        in_channels: int = 3,
        channels: int = 32,
        dims: Literal[1, 2, 3] = 2,
        weights: Weights = None,
    ) -> None:
        super().__init__(
            backbone,
            {"type": "LinkNetDecoder", "num_classes": num_classes, "channels": channels},
            in_channels=in_channels,
            dims=dims,
            weights=weights,
            all_levels=True,
        )
