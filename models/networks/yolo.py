"""YOLOv3 and YOLOv4: detectors that see the image once.

Source: Redmon and Farhadi, "YOLOv3", arXiv:1804.02767; Huang et al., arXiv:1903.08589 (YOLOv3-SPP); Bochkovskiy
et al., "YOLOv4", arXiv:2004.10934; Wang et al., "Scaled-YOLOv4", arXiv:2011.08036 (YOLOv4-tiny, YOLOv4-CSP).
Names: layers have the numbers of Darknet's files, `layers.<number>.conv` and `.bn`, whose weights load as they are.
"""

import os
from collections.abc import Sequence
from typing import Any

from mcore import Tensor
from models.backbones.base import Weights
from models.component import Component, sized
from models.darknet.cfg import read_cfg
from models.darknet.decoding import decoded
from models.darknet.graph import Graph
from models.darknet.loading import scorers_of, state_of
from models.darknet.plan import plan_of, with_sizes
from models.functional.detections import detections
from models.utils.weights import load_weights

# The description of each, in `models.darknet.published`.
VARIANTS = {
    "YOLOv3": "yolov3",
    "YOLOv3Tiny": "yolov3-tiny",
    "YOLOv3SPP": "yolov3-spp",
    "YOLOv4": "yolov4",
    "YOLOv4Tiny": "yolov4-tiny",
    "YOLOv4CSP": "yolov4-csp",
}


class Detector(Component):
    """A YOLO network: maps of boxes at several strides, in the order of Darknet's file.

    Shapes:
        x: (n, in_channels, h, w), 0 to 1
        returns: maps (n, 3 * (5 + num_classes), ceil(h / stride), ceil(w / stride)), as trained: x, y, width,
            height, objectness and classes of each of three boxes. In eval mode with `decode`, "boxes"
            (n, count, 4), corners in pixels, and "scores" (n, count, num_classes), objectness times class. With
            `nms` besides, the "boxes", "scores" and "labels" of `models.functional.detections`

    Every size of image works: Darknet itself wants multiples of 32.

    Args:
        variant: a row of `VARIANTS`.
        in_channels: channels of the image.
        num_classes: how many.
        anchors: widths and heights of all boxes in pixels, in turn; where left out, those of COCO.
        decode: boxes and scores instead of maps, in eval mode.
        nms: the overlap from which a box of the same class removes a worse one, with `decode`; Darknet takes 0.45.
        score_threshold: only scores above it count, with `nms`.
        top: how many detections of an image are returned, with `nms`.
        weights: a file: `.weights`, one that stops early such as `.conv.137`, or any that `models.utils.weights`
            reads.
    """

    # Coordinates and objectness.
    first_conv, before_classes = "layers.0.conv", 5

    def __init__(
        self,
        variant: str,
        in_channels: int = 3,
        num_classes: int = 80,
        *,
        anchors: Sequence[float] | None = None,
        decode: bool = False,
        nms: float | None = None,
        score_threshold: float = 0.25,
        top: int = 100,
        weights: Weights = None,
    ) -> None:
        if variant not in VARIANTS:
            raise ValueError(f"Detector: variant {variant!r} is none of {', '.join(VARIANTS)}.")
        _check(variant, in_channels, num_classes, decode, nms)
        described = read_cfg(VARIANTS[variant])
        plan = plan_of(with_sizes(described, in_channels=in_channels, num_classes=num_classes, anchors=anchors))
        super().__init__()
        #: What every layer computes, from which, with how many channels.
        self.plan = plan
        self.decode, self.nms, self.score_threshold, self.top = decode, nms, score_threshold, top
        self.layers = Graph(plan, [reader.inputs[0] for reader in plan.detectors], described.flavour)
        self.num_classes, self.classifier = num_classes, scorers_of(described)
        self._described = described
        if weights is not None:
            self.weights_report = load_weights(self, weights)

    def darknet_state(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """The arrays of a `.weights` file, which `models.load_weights` takes."""
        return state_of(path, self.plan, self._described)

    def forward(self, x: Tensor) -> Any:
        maps = self.layers(x)
        if self.training or not self.decode:
            return maps
        found = decoded(maps, self.plan.detectors)
        if self.nms is None:
            return found
        return detections(
            found["boxes"], found["scores"], nms=self.nms, score_threshold=self.score_threshold, top=self.top
        )


def _check(variant: str, in_channels: int, num_classes: int, decode: bool, nms: float | None) -> None:
    if in_channels < 1 or num_classes < 1:
        raise ValueError(f"{variant}: in_channels={in_channels} and num_classes={num_classes} must be 1 or more.")
    if nms is not None and not decode:
        raise ValueError(f"{variant}: nms={nms} needs decode=True: maps hold no boxes yet.")


YOLOv3 = sized(Detector, "YOLOv3")
YOLOv3Tiny = sized(Detector, "YOLOv3Tiny")
YOLOv3SPP = sized(Detector, "YOLOv3SPP")
YOLOv4 = sized(Detector, "YOLOv4")
YOLOv4Tiny = sized(Detector, "YOLOv4Tiny")
YOLOv4CSP = sized(Detector, "YOLOv4CSP")
