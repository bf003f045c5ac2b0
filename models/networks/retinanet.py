"""RetinaNet.

Source: Lin et al., "Focal Loss for Dense Object Detection", arXiv:1708.02002, figure 3, in the form of torchvision's
retinanet_resnet50_fpn and, with `norm="group"` and `extra="conv_on_input"`, retinanet_resnet50_fpn_v2.
Names: backbone, neck and head; torchvision's weights load by the table "torchvision_retinanet".
"""

from collections.abc import Mapping
from typing import Any, Literal

from mcore import Tensor
from models.backbones.base import Weights
from models.basicblocks.layers import Choice
from models.composite import Composite, Maker, with_arguments
from models.functional.sizes import pad_to_multiple
from models.heads.detection import Output
from models.utils.weights import load_weights


class RetinaNet(Composite):
    """RetinaNet: boxes of objects, by anchors on a pyramid of five levels, at strides 8 to 128.

    Shapes:
        x: (n, in_channels, h, w), normalised as the backbone's weights want; zeros pad it to multiples of 32
        returns: in training, or as `output` says, maps by name: see `models.heads.RetinaNet`; "boxes": all boxes
            (n, k, 4) and scores (n, k, num_classes); "detections": "boxes" (n, top, 4), corners in pixels of x,
            "scores" (n, top), "labels" (n, top), rows of nothing having the label -1

    Args:
        num_classes: how many scores each box has; torchvision's 91 count a background that is never found.
        backbone: which gives maps at strides 8, 16 and 32.
        in_channels: of the image.
        channels: of the pyramid and the head.
        depth: convolutions in each of the head's two branches, before the last.
        norm: behind each of those, None or "group".
        extra: where the two coarsest levels come from: "conv", the pyramid's coarsest, or "conv_on_input", the
            backbone's.
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
        norm: Choice = None,
        extra: Literal["conv", "conv_on_input"] = "conv",
        output: Output = "raw",
        score_threshold: float = 0.05,
        nms: float | None = 0.5,
        top: int = 300,
        weights: Weights = None,
    ) -> None:
        head = {"type": "RetinaNet", "num_classes": num_classes, "depth": depth, "norm": norm, "fit_strides": True}
        super().__init__(
            pyramid(
                backbone,
                head | {"output": output, "score_threshold": score_threshold, "nms": nms, "top": top},
                in_channels=in_channels,
                channels=channels,
                extra=extra,
            )
        )
        if weights is not None:
            self.weights_report = load_weights(self, weights)

    def forward(self, x: Tensor) -> dict[str, Any]:
        return self._run([pad_to_multiple(x, 32)], x.shape[2:])


def pyramid(backbone: Maker, head: Mapping[str, Any], *, in_channels: int, channels: int, extra: str) -> dict[str, Any]:
    """A model of a backbone's maps at strides 8 to 32, a pyramid with two levels more, and a head."""
    return {
        "backbone": with_arguments(backbone, in_channels=in_channels, out_indices=[2, 3, 4]),
        "neck": {"type": "FPN", "channels": channels, "extra": extra},
        "head": head,
    }
