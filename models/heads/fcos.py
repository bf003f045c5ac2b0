"""FCOS's head: at every place a class, the distances to the sides of a box, and how central the place is.

Source: Tian et al., "FCOS: Fully Convolutional One-Stage Object Detection", arXiv:1904.01355, figure 2; the
centre-ness beside the distances: arXiv:2006.09214.
Differs: points lie in the upper left corner of each place, and distances are in strides, as torchvision's published
weights expect.
Names: attributes are torchvision's, so its weights load as they are.
"""

from collections.abc import Sequence
from typing import Any, Literal

import mcore
from mcore import Conv2d, ReLU, Sequential, Tensor
from mcore import functional as F
from models.basicblocks.layers import group_norm
from models.functional import anchors, boxes
from models.heads.detection import Branch, Detection, Output, Raw, alike, flattened, map_strides, start_at_prior


class FCOS(Detection):
    """Boxes of objects, without anchors, on every level of a pyramid.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first, of the same channels
        size: of the image, in pixels; None stands for the finest map's size times its stride
        returns: "cls_logits", maps (n, num_classes, *size[i]), before sigmoid; "bbox_regression", maps
            (n, 4, *size[i]), distances to the left, top, right and bottom in strides, at least 0; "bbox_ctrness",
            maps (n, 1, *size[i]), before sigmoid; or as `output` says

    The score of a class is the root of its own times the centre-ness.

    Args:
        num_classes: how many scores each box has.
        depth: convolutions in each of the two branches, before the last.
        fit_strides: points lie as torchvision lays them, see `models.heads.detection.map_strides`; for its
            published weights. Where left out, a level's stride apart.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        in_strides: of the maps fed; where left out, doubling from 8.
        output: what eval mode returns: "raw" maps, all "boxes", or "detections".
        score_threshold: detections have a score above it.
        nms: the overlap from which a detection removes a worse one of its class; None removes none.
        top: how many detections are returned for each image.
        dims: 2.

    Raises:
        ValueError: maps of different channels; an argument out of range.
    """

    classifier = "classification_head.cls_logits"

    def __init__(
        self,
        num_classes: int,
        *,
        depth: int = 4,
        fit_strides: bool = False,
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        output: Output = "raw",
        score_threshold: float = 0.2,
        nms: float | None = 0.6,
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
        channels, self.fit_strides = alike("FCOS", self.in_channels), fit_strides
        self.classification_head = Branch(_tower(channels, depth), channels, {"cls_logits": num_classes})
        self.regression_head = Branch(_tower(channels, depth), channels, {"bbox_reg": 4, "bbox_ctrness": 1})
        start_at_prior(self.classification_head.cls_logits)

    def raw(self, maps: Sequence[Tensor]) -> dict[str, Any]:
        sides = [self.regression_head(x) for x in maps]
        return {
            "cls_logits": tuple(self.classification_head(x)[0] for x in maps),
            "bbox_regression": tuple(F.relu(distances) for distances, _ in sides),
            "bbox_ctrness": tuple(central for _, central in sides),
        }

    def levels(self, outputs: Raw, size: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        found = []
        rows = zip(*(outputs[name] for name in ("cls_logits", "bbox_regression", "bbox_ctrness")), strict=True)
        points = self.points(outputs, size)
        for (logits, distances, central), stride, near in zip(rows, self.in_strides, points, strict=True):
            corners = boxes.decode_distances(flattened(distances, 4), near, scale=float(stride))
            scores = flattened(logits, self.num_classes).sigmoid() * flattened(central, 1).sigmoid()
            found.append((boxes.clip(corners, size), mcore.sqrt(scores)))
        return found

    def points(self, outputs: Raw, size: Sequence[int]) -> list[Tensor]:
        """The points (k, 2) of each level, in pixels; targets are distances from these over `in_strides`."""
        return [
            anchors.points(x.shape[2:], map_strides(x, stride, size, fit=self.fit_strides), like=x)
            for x, stride in zip(outputs["bbox_regression"], self.in_strides, strict=True)
        ]


def _tower(channels: int, depth: int) -> Sequential:
    # One after the other, not in blocks: the names count every layer.
    blocks = ((Conv2d(channels, channels, 3, padding=1), group_norm(channels), ReLU()) for _ in range(depth))
    return Sequential(*(layer for block in blocks for layer in block))
