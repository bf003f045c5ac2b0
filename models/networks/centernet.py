"""CenterNet.

Source: Zhou et al., "Objects as Points", arXiv:1904.07850, section 5: a ResNet, three transposed convolutions and a
head for each result.
Differs: transposed convolutions have no deformable convolutions before them, as the authors' code has for "res".
Names: backbone, neck and head; the authors' weights load by the table "centernet".
"""

from collections.abc import Sequence
from typing import Any

from mcore import Tensor
from models.backbones.base import Weights
from models.composite import Composite, Maker, with_arguments
from models.heads.detection import Output
from models.utils.weights import load_weights


class CenterNet(Composite):
    """CenterNet: boxes of objects, each by its centre, on one map at stride 4.

    Shapes:
        x: (n, in_channels, h, w), normalised as the backbone's weights want
        returns: in training, or as `output` says, maps by name: see `models.heads.CenterNet`; "boxes": all boxes
            (n, k, 4) and scores (n, k, num_classes); "detections": "boxes" (n, top, 4), corners in pixels of x,
            "scores" (n, top), "labels" (n, top), rows of nothing having the label -1

    Args:
        num_classes: how many scores each box has.
        backbone: which gives a map at stride 32.
        in_channels: of the image.
        channels: after each transposed convolution, which doubles the size.
        head_channels: between the two convolutions of each of the head's branches.
        output: what eval mode returns: "raw" maps, all "boxes", or "detections".
        score_threshold: detections have a score above it.
        nms: the overlap from which a detection removes a worse one of its class; None removes none, as the paper.
        top: how many detections are returned for each image.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    def __init__(
        self,
        num_classes: int = 80,
        backbone: Maker = "resnet18",
        *,
        in_channels: int = 3,
        channels: Sequence[int] = (256, 256, 256),
        head_channels: int = 64,
        output: Output = "raw",
        score_threshold: float = 0.05,
        nms: float | None = None,
        top: int = 100,
        weights: Weights = None,
    ) -> None:
        head = {"type": "CenterNet", "num_classes": num_classes, "channels": head_channels, "output": output}
        super().__init__(
            {
                "backbone": with_arguments(backbone, in_channels=in_channels),
                "neck": {"type": "Deconvolution", "channels": channels},
                "head": head | {"score_threshold": score_threshold, "nms": nms, "top": top},
            }
        )
        if weights is not None:
            self.weights_report = load_weights(self, weights)

    def forward(self, x: Tensor) -> dict[str, Any]:
        return self._run([x], x.shape[2:])
