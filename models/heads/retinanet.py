"""RetinaNet's head: a class and a shift for each of nine anchors at every place.

Source: Lin et al., "Focal Loss for Dense Object Detection", arXiv:1708.02002, section 4 and figure 3.
Differs: classes are as many as torchvision's, which counts a background that is never found; anchors are rounded to
whole pixels around the upper left corner of each place, as its published weights expect.
Names: attributes are torchvision's, so its weights load as they are.
"""

from collections.abc import Sequence
from typing import Any, Literal

from mcore import Sequential, Tensor
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import Choice
from models.functional import anchors, boxes
from models.heads.detection import Branch, Detection, Output, Raw, alike, flattened, map_strides, start_at_prior


class RetinaNet(Detection):
    """Boxes of objects, by anchors on every level of a pyramid.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first, of the same channels
        size: of the image, in pixels; None stands for the finest map's size times its stride
        returns: "cls_logits", maps (n, anchors * num_classes, *size[i]), before sigmoid; "bbox_regression", maps
            (n, anchors * 4, *size[i]), codes of `models.functional.boxes.encode`; or as `output` says

    Args:
        num_classes: how many scores each box has.
        depth: convolutions in each of the two branches, before the last.
        norm: behind each of those; None, or "group" as torchvision's second version has.
        sizes: of the anchors of each level, in pixels; where left out, 4 times the stride, and by a third and two
            thirds of an octave more, whole pixels.
        ratios: of the anchors, height over width.
        fit_strides: anchors lie as torchvision lays them, see `models.heads.detection.map_strides`; for its
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
        norm: Choice = None,
        sizes: Sequence[Sequence[float]] | None = None,
        ratios: Sequence[float] = (0.5, 1.0, 2.0),
        fit_strides: bool = False,
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        output: Output = "raw",
        score_threshold: float = 0.05,
        nms: float | None = 0.5,
        top: int = 300,
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
        channels, self.fit_strides = alike("RetinaNet", self.in_channels), fit_strides
        chosen = [_octave(stride) for stride in self.in_strides] if sizes is None else sizes
        if len(chosen) != len(self.in_channels) or len({len(one) for one in chosen}) != 1 or not ratios:
            raise ValueError(
                f"RetinaNet: sizes={[list(one) for one in chosen]} and ratios={list(ratios)} don't give the same "
                f"number of anchors for each of {len(self.in_channels)} levels."
            )
        #: Corners of the anchors of each level around a place.
        self.shapes = [anchors.shapes(one, ratios) for one in chosen]
        count = len(self.shapes[0])
        self.classification_head = Branch(_tower(channels, depth, norm), channels, {"cls_logits": count * num_classes})
        self.regression_head = Branch(_tower(channels, depth, norm), channels, {"bbox_reg": count * 4})
        start_at_prior(self.classification_head.cls_logits)

    def raw(self, maps: Sequence[Tensor]) -> dict[str, Any]:
        return {
            "cls_logits": tuple(self.classification_head(x)[0] for x in maps),
            "bbox_regression": tuple(self.regression_head(x)[0] for x in maps),
        }

    def levels(self, outputs: Raw, size: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        found = []
        pairs = zip(outputs["cls_logits"], outputs["bbox_regression"], self.anchors(outputs, size), strict=True)
        for logits, codes, around in pairs:
            near = boxes.clip(boxes.decode(flattened(codes, 4), around), size)
            found.append((near, flattened(logits, self.num_classes).sigmoid()))
        return found

    def anchors(self, outputs: Raw, size: Sequence[int]) -> list[Tensor]:
        """The anchors (k, 4) of each level, in pixels; targets are codes relative to these."""
        return [
            anchors.grid(x.shape[2:], map_strides(x, stride, size, fit=self.fit_strides), shapes, like=x)
            for x, stride, shapes in zip(outputs["bbox_regression"], self.in_strides, self.shapes, strict=True)
        ]


def _octave(stride: int) -> list[int]:
    return [int(4 * stride * 2 ** (third / 3)) for third in range(3)]


def _tower(channels: int, depth: int, norm: Choice) -> Sequential:
    return Sequential(*(ConvNormAct(channels, channels, norm=norm) for _ in range(depth)))
