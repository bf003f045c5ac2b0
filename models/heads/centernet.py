"""CenterNet's head: a map of centres for each class, with sizes and offsets beside.

Source: Zhou et al., "Objects as Points", arXiv:1904.07850, sections 3 and 4.
Names: attributes are those of the authors' code (hm, wh, reg), so its weights load as they are.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

from mcore import Conv2d, ReLU, Sequential, Tensor, init
from mcore import functional as F
from models.functional import anchors, boxes
from models.heads.detection import Detection, Output, Raw, flattened


class CenterNet(Detection):
    """Boxes of objects, each by its centre, on the finest map fed.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first, or one
        size: of the image, in pixels; None stands for the finest map's size times its stride
        returns: "heatmap", one map (n, num_classes, *size[0]), before sigmoid; "size", (n, 2, *size[0]), width and
            height in pixels of the map; "offset", (n, 2, *size[0]), the centre's x and y in its pixel; or as
            `output` says

    Only the highest score in its neighbourhood of 3x3 pixels counts, which takes the place of suppression.

    Args:
        num_classes: how many scores each box has.
        channels: between the two convolutions of each branch.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        in_strides: of the maps fed; where left out, doubling from 4.
        output: what eval mode returns: "raw" maps, all "boxes", or "detections".
        score_threshold: detections have a score above it.
        nms: the overlap from which a detection removes a worse one of its class; None removes none.
        top: how many detections are returned for each image.
        dims: 2.

    Raises:
        ValueError: an argument out of range.
    """

    first_stride, classifier = 4, "hm.2"

    def __init__(
        self,
        num_classes: int,
        channels: int = 64,
        *,
        in_channels: int | Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        output: Output = "raw",
        score_threshold: float = 0.05,
        nms: float | None = None,
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
        self.used = [0]
        fed = self.in_channels[0]
        # Scores of 0.1 to begin with, as the authors'.
        self.hm = _branch(fed, channels, num_classes, start=-math.log(0.9 / 0.1))
        self.wh, self.reg = _branch(fed, channels, 2), _branch(fed, channels, 2)

    def raw(self, maps: Sequence[Tensor]) -> dict[str, Any]:
        return {"heatmap": (self.hm(maps[0]),), "size": (self.wh(maps[0]),), "offset": (self.reg(maps[0]),)}

    def levels(self, outputs: Raw, size: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        logits = outputs["heatmap"][0]
        highest = F.max_pool2d(logits, 3, stride=1, padding=1) == logits
        cells = anchors.points(logits.shape[2:], 1, like=logits)
        offsets, sizes = flattened(outputs["offset"][0], 2), flattened(outputs["size"][0], 2)
        near = boxes.decode_centers(cells, offsets, sizes, stride=self.in_strides[0])
        return [(boxes.clip(near, size), flattened(logits.sigmoid() * highest, self.num_classes))]


def _branch(in_channels: int, channels: int, out_channels: int, *, start: float = 0.0) -> Sequential:
    last: Any = Conv2d(channels, out_channels, 1)
    init.constant_(last.bias, start)
    return Sequential(Conv2d(in_channels, channels, 3, padding=1), ReLU(), last)
