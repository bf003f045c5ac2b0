"""PSPNet on any backbone that dilates.

Source: Zhao et al., "Pyramid Scene Parsing Network", arXiv:1612.01105, figure 3.
Differs: without the auxiliary classifier; for it, assemble two heads. segmentation-models stops at stride 8 without
dilating: `PSPNet(3, {"type": "resnet34", "out_indices": [2]}, output_stride=None)`.
Names: backbone and head; segmentation-models' files load by the table "segmentation_models".
"""

from typing import Literal

from models.backbones.base import Weights
from models.composite import Maker
from models.networks.segmenting import Segmenter


class PSPNet(Segmenter):
    """PSPNet: scores of each class for every pixel, from one map beside its means over grids.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        backbone: a name, a mapping or an object; its coarsest map is used.
        in_channels: of the image, for a backbone that isn't an object.
        output_stride: at which the backbone stops halving and dilates instead; None leaves it its own.
        channels: after map and means are joined.
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
        channels: int = 512,
        dims: Literal[1, 2, 3] = 2,
        weights: Weights = None,
    ) -> None:
        super().__init__(
            backbone,
            {"type": "PSP", "num_classes": num_classes, "channels": channels},
            in_channels=in_channels,
            dims=dims,
            weights=weights,
            output_stride=output_stride,
        )
