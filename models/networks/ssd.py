"""SSD300.

Source: Liu et al., "SSD: Single Shot MultiBox Detector", arXiv:1512.02325, figure 2, in the form of torchvision's
ssd300_vgg16.
Names: torchvision's, so its weights load as they are.
"""

from typing import Any

from mcore import Tensor
from models.backbones.base import Weights
from models.composite import Composite, Maker, with_arguments
from models.heads.detection import Output
from models.utils.weights import load_weights

# Pixels from one default box to the next, of an image of 300: how often each map fits into it.
STEPS = (8, 16, 32, 64, 100, 300)


class SSD300(Composite):
    """SSD for images of 300 by 300 pixels: boxes of objects, by default boxes on six maps.

    Shapes:
        x: (n, in_channels, h, w), 300 pixels along each axis, 268 at least; torchvision's weights want values of 0
            to 255 less their means, (123, 117, 104)
        returns: in training, or as `output` says, maps by name: see `models.heads.SSD`; "boxes": all boxes (n, k, 4)
            and scores (n, k, num_classes); "detections": "boxes" (n, top, 4), corners in pixels of x, "scores"
            (n, top), "labels" (n, top), rows of nothing having the label -1

    Args:
        num_classes: how many scores each box has, the background's, class 0, among them.
        backbone: which gives six maps.
        in_channels: of the image.
        output: what eval mode returns: "raw" maps, all "boxes", or "detections".
        score_threshold: detections have a score above it.
        nms: the overlap from which a detection removes a worse one of its class; None removes none.
        top: how many detections are returned for each image.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    def __init__(
        self,
        num_classes: int = 91,
        backbone: Maker = "ssd_vgg16",
        *,
        in_channels: int = 3,
        output: Output = "raw",
        score_threshold: float = 0.01,
        nms: float | None = 0.45,
        top: int = 200,
        weights: Weights = None,
    ) -> None:
        head = {"type": "SSD", "num_classes": num_classes, "steps": STEPS, "output": output}
        super().__init__(
            {
                "backbone": with_arguments(backbone, in_channels=in_channels),
                "head": head | {"score_threshold": score_threshold, "nms": nms, "top": top},
            }
        )
        if weights is not None:
            self.weights_report = load_weights(self, weights)

    def forward(self, x: Tensor) -> dict[str, Any]:
        return self._run([x], x.shape[2:])
