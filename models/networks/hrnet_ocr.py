"""HRNet-OCR.

Source: Yuan et al., "Object-Contextual Representations for Semantic Segmentation", arXiv:1909.11065, section 3.3;
the backbone: Wang et al., arXiv:1908.07919.
Names: backbone, and head as the authors' HRNet-Semantic-Segmentation; its files load by the table "hrnet_ocr".
"""

from typing import Literal

from models.backbones.base import Weights
from models.composite import Maker
from models.networks.segmenting import Segmenter


class HRNetOCR(Segmenter):
    """HRNetOCR: scores of each class for every pixel, each pixel seeing the regions of all classes.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, num_classes, *size), before softmax; in training with `auxiliary`, a dict of
            these under "out" and the scores of the regions under "aux"

    Args:
        num_classes: how many scores for each pixel.
        backbone: a name, a mapping or an object; its maps from stride 4 on are joined.
        in_channels: of the image, for a backbone that isn't an object.
        channels: of pixels and regions.
        key_channels: in which the two are compared.
        auxiliary: gives the scores of the regions too in training, whose loss the paper weighs with 0.4.
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: Maker = "hrnet_w48",
        *,
        in_channels: int = 3,
        channels: int = 512,
        key_channels: int = 256,
        auxiliary: bool = False,
        dims: Literal[1, 2, 3] = 2,
        weights: Weights = None,
    ) -> None:
        head = {
            "type": "OCR",
            "num_classes": num_classes,
            "channels": channels,
            "key_channels": key_channels,
            "auxiliary": auxiliary,
        }
        super().__init__(
            backbone,
            head,
            in_channels=in_channels,
            dims=dims,
            weights=weights,
            options={"taps": "branches"},
        )
