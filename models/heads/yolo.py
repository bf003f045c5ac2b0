"""YOLO's head: at every place of every level a few boxes of preset sizes, each with objectness and classes.

Source: Redmon and Farhadi, "YOLOv3", arXiv:1804.02767, section 2.1 to 2.3; the scale of centres: Bochkovskiy et al.,
"YOLOv4", arXiv:2004.10934, section 3.3.
Names: convs_bridge and convs_pred are those of mmdetection's YOLOV3Head, which counts levels from the coarsest.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from mcore import Conv2d, LeakyReLU, ModuleList, Tensor
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.layers import Choice
from models.functional.yolo import boxes_and_scores
from models.heads.detection import Detection, Output, Raw

# Widths and heights in pixels, in turn, of YOLOv3's three levels at strides 8, 16 and 32.
COCO_ANCHORS = ((10, 13, 16, 30, 33, 23), (30, 61, 62, 45, 59, 119), (116, 90, 156, 198, 373, 326))


class YOLO(Detection):
    """Boxes of objects, by anchors on every level; levels may have channels of their own.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        size: of the image, in pixels; boxes don't depend on it
        returns: "maps", (n, anchors * (5 + num_classes), *size[i]) of each level, before sigmoid: x, y, width, height,
            objectness and classes of each anchor; or as `output` says

    Args:
        num_classes: how many scores each box has.
        anchors: for each level, widths and heights in pixels, in turn; where left out, YOLOv3's for strides 8, 16
            and 32, else its three finest in proportion to the stride.
        width: channels of the 3x3 convolution before the last, as a multiple of those that come; 0 leaves it out.
        scale: how much further than its cell a centre can lie; one number, or one for each level. YOLOv4 has 1.2,
            1.1 and 1.05.
        activation: after that convolution; where left out, leaky ReLU with Darknet's slope of 0.1.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        in_strides: of the maps fed; where left out, doubling from 8.
        output: what eval mode returns: "raw" maps, all "boxes", or "detections".
        score_threshold: detections have a score above it, objectness times class.
        nms: the overlap from which a detection removes a worse one of its class; None removes none.
        top: how many detections are returned for each image.
        dims: 2.
    """

    # Coordinates and objectness.
    before_classes = 5

    def __init__(
        self,
        num_classes: int,
        anchors: Sequence[Sequence[float]] | None = None,
        *,
        width: float = 2.0,
        scale: float | Sequence[float] = 1.0,
        activation: Choice = None,
        in_channels: int | Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        output: Output = "raw",
        score_threshold: float = 0.05,
        nms: float | None = 0.45,
        top: int = 100,
        dims: Literal[2] = 2,
    ) -> None:
        super().__init__(
            num_classes,
            in_channels=in_channels,
            in_strides=in_strides,
            dims=dims,
            output=output,
            score_threshold=score_threshold,
            nms=nms,
            top=top,
        )
        count = len(self.in_channels)
        #: Widths and heights of each level's boxes, in pixels.
        self.anchors = _anchors(anchors, self.in_strides)
        self.scales = tuple(scale) if isinstance(scale, Sequence) else (scale,) * count
        if len(self.scales) != count:
            raise ValueError(f"YOLO: scale={list(self.scales)} has not one number for each of {count} levels.")
        if width < 0:
            raise ValueError(f"YOLO: width={width} is negative; 0 leaves the convolution out.")
        act = partial(LeakyReLU, 0.1) if activation is None else activation
        widths = [max(1, int(width * channels)) for channels in self.in_channels] if width else self.in_channels
        self.convs_bridge = ModuleList(
            ConvNormAct(channels, wide, activation=act, names=CONV_BN_ACT)
            for channels, wide in zip(self.in_channels if width else (), widths, strict=False)
        )
        self.convs_pred = ModuleList(
            Conv2d(wide, len(boxes) * (5 + num_classes), 1) for wide, boxes in zip(widths, self.anchors, strict=True)
        )

        self.classifier = tuple(f"convs_pred.{level}" for level in range(count))

    def raw(self, maps: Sequence[Tensor]) -> dict[str, Any]:
        if len(self.convs_bridge):
            maps = [conv(x) for conv, x in zip(self.convs_bridge, maps, strict=True)]
        return {"maps": tuple(conv(x) for conv, x in zip(self.convs_pred, maps, strict=True))}

    def levels(self, outputs: Raw, size: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        found = []
        for x, anchors, stride, scale in zip(outputs["maps"], self.anchors, self.in_strides, self.scales, strict=True):
            found.append(boxes_and_scores(x, anchors, stride=stride, num_classes=self.num_classes, scale=scale))
        return found


def _anchors(given: Sequence[Sequence[float]] | None, strides: Sequence[int]) -> list[list[tuple[float, float]]]:
    """Pairs of width and height for each level."""
    if given is None:
        first = COCO_ANCHORS[0]
        coco = tuple(strides) == (8, 16, 32)
        given = COCO_ANCHORS if coco else [[number * stride / 8 for number in first] for stride in strides]
    rows = [list(row) for row in given]
    if len(rows) != len(strides) or any(not row or len(row) % 2 or min(row) <= 0 for row in rows):
        raise ValueError(
            f"YOLO: anchors={rows} are no widths and heights, in turn, for each of {len(strides)} levels at strides "
            f"{list(strides)}."
        )
    return [list(zip(row[::2], row[1::2], strict=True)) for row in rows]
