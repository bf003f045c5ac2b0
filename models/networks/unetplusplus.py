"""U-Net++ on any backbone.

Source: Zhou et al., "UNet++: A Nested U-Net Architecture", arXiv:1807.10165, figure 1.
Differs: the encoder is a backbone of classifiers; the paper's is a plain U-Net's.
Names: backbone and head; segmentation-models' files load by the table "segmentation_models".
"""

from collections.abc import Sequence
from typing import Any, Literal

from models.backbones.base import Weights
from models.basicblocks.layers import Factory
from models.composite import Maker
from models.networks.segmenting import Segmenter


class UNetPlusPlus(Segmenter):
    """UNetPlusPlus: scores of each class for every pixel, from all levels up, densely joined.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, num_classes, *size), before softmax; in training with `deep_supervision`,
            a tuple of these and of the scores of the inner rows

    Args:
        num_classes: how many scores for each pixel.
        backbone: a name, a mapping or an object; all its maps from stride 2 on are joined.
        in_channels: of the image, for a backbone that isn't an object.
        channels: after each step of the outermost row; as many are used as there are steps.
        attention: of each step: a name ("SCSE"), or a constructor from channels.
        deep_supervision: gives scores of the inner rows too in training.
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: Maker = "resnet34",
        *,
        in_channels: int = 3,
        channels: Sequence[int] = (256, 128, 64, 32, 16),
        attention: str | Factory | None = None,
        deep_supervision: bool = False,
        dims: Literal[1, 2, 3] = 2,
        weights: Weights = None,
    ) -> None:
        head: dict[str, Any] = {
            "type": "UNetPlusPlusDecoder",
            "num_classes": num_classes,
            "channels": channels,
            "attention": attention,
        }
        super().__init__(
            backbone,
            {"type": "DeepSupervision", "head": head} if deep_supervision else head,
            in_channels=in_channels,
            dims=dims,
            weights=weights,
            all_levels=True,
        )
