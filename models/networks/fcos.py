"""FCOS.

Source: Tian et al., "FCOS: Fully Convolutional One-Stage Object Detection", arXiv:1904.01355, figure 2, in the form
of torchvision's fcos_resnet50_fpn.
Names: backbone, neck and head; torchvision's weights load by the table "torchvision_fcos".
"""

from typing import Any

from mcore import Tensor
from models.backbones.base import Weights
from models.composite import Composite, Maker
from models.functional.sizes import pad_to_multiple
from models.heads.detection import Output
from models.networks.retinanet import pyramid
from models.utils.weights import load_weights


class FCOS(Composite):
    """FCOS: boxes of objects, without anchors, on a pyramid of five levels, at strides 8 to 128.

    Shapes:
        x: (n, in_channels, h, w), normalised as the backbone's weights want; zeros pad it to multiples of 32
        returns: in training, or as `output` says, maps by name: see `models.heads.FCOS`; "boxes": all boxes
            (n, k, 4) and scores (n, k, num_classes); "detections": "boxes" (n, top, 4), corners in pixels of x,
            "scores" (n, top), "labels" (n, top), rows of nothing having the label -1

    Args:
        num_classes: how many scores each box has; torchvision's 91 count a background that is never found.
        backbone: which gives maps at strides 8, 16 and 32.
        in_channels: of the image.
        channels: of the pyramid and the head.
        depth: convolutions in each of the head's two branches, before the last.
        output: what eval mode returns: "raw" maps, all "boxes", or "detections".
        score_threshold: detections have a score above it.
        nms: the overlap from which a detection removes a worse one of its class; None removes none.
        top: how many detections are returned for each image.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    def __init__(
        self,
        num_classes: int = 91,
        backbone: Maker = "resnet50",
        *,
        in_channels: int = 3,
        channels: int = 256,
        depth: int = 4,
        output: Output = "raw",
        score_threshold: float = 0.2,
        nms: float | None = 0.6,
        top: int = 100,
        weights: Weights = None,
    ) -> None:
        head = {"type": "FCOS", "num_classes": num_classes, "depth": depth, "fit_strides": True, "output": output}
        super().__init__(
            pyramid(
                backbone,
                head | {"score_threshold": score_threshold, "nms": nms, "top": top},
                in_channels=in_channels,
                channels=channels,
                extra="conv",
            )
        )
        if weights is not None:
            self.weights_report = load_weights(self, weights)

    def forward(self, x: Tensor) -> dict[str, Any]:
        return self._run([pad_to_multiple(x, 32)], x.shape[2:])
