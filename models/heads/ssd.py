"""SSD's head: a class and a shift for each of several default boxes at every place.

Source: Liu et al., "SSD: Single Shot MultiBox Detector", arXiv:1512.02325, sections 2.1 and 2.2.
Names: attributes are torchvision's, so its weights load as they are.
"""

from collections.abc import Sequence
from typing import Any, Literal

from mcore import Conv2d, Module, ModuleList, Tensor
from mcore import functional as F
from models.functional import anchors, boxes
from models.heads.detection import Detection, Output, Raw, flattened
from models.utils.initialise import xavier

# One over the variances 0.1 and 0.2.
WEIGHTS = (10.0, 10.0, 5.0, 5.0)
# Sizes of the default boxes of six levels, as parts of the image, and that of one level more.
SCALES = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)


class SSD(Detection):
    """Boxes of objects, by default boxes on every map. Class 0 is the background, which is never detected.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        size: of the image, in pixels; None stands for the finest map's size times its stride
        returns: "cls_logits", maps (n, boxes[i] * num_classes, *size[i]), before softmax; "bbox_regression", maps
            (n, boxes[i] * 4, *size[i]), codes of `models.functional.boxes.encode` with `WEIGHTS`; or as `output` says

    Args:
        num_classes: how many scores each box has, the background's among them.
        steps: pixels from one default box to the next on each level; where left out, `in_strides`.
        scales: sizes of the default boxes of each level and of one level more, as parts of the image; where left
            out, those of SSD300 for six levels, else from 0.15 to 0.9 evenly, and 1.
        ratios: of the default boxes of each level, besides squares, each with its inverse; where left out, 2 on the
            first and the last two, 2 and 3 on the others.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        in_strides: of the maps fed; where left out, doubling from 8.
        output: what eval mode returns: "raw" maps, all "boxes", or "detections".
        score_threshold: detections have a score above it.
        nms: the overlap from which a detection removes a worse one of its class; None removes none.
        top: how many detections are returned for each image.
        dims: 2.

    Raises:
        ValueError: steps, scales or ratios that don't go with the levels; an argument out of range.
    """

    candidates, by_class = 400, True

    def __init__(
        self,
        num_classes: int,
        *,
        steps: Sequence[float] | None = None,
        scales: Sequence[float] | None = None,
        ratios: Sequence[Sequence[float]] | None = None,
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        output: Output = "raw",
        score_threshold: float = 0.01,
        nms: float | None = 0.45,
        top: int = 200,
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
        self.steps = tuple(self.in_strides if steps is None else steps)
        sizes = _scales(count) if scales is None else tuple(scales)
        shapes = _ratios(count) if ratios is None else ratios
        if (len(self.steps), len(sizes), len(shapes)) != (count, count + 1, count):
            raise ValueError(
                f"SSD: {len(self.steps)} steps, {len(sizes)} scales and {len(shapes)} ratios are given, but {count} "
                f"levels take {count}, {count + 1} and {count}."
            )
        #: Widths and heights of the default boxes of each level, as parts of the image.
        self.parts = [anchors.default_shapes(sizes[i], sizes[i + 1], shapes[i]) for i in range(count)]
        counts = [len(parts) for parts in self.parts]
        self.classification_head = _ByLevel(self.in_channels, [count * num_classes for count in counts])
        self.classifier = tuple(f"classification_head.module_list.{level}" for level in range(count))
        self.regression_head = _ByLevel(self.in_channels, [count * 4 for count in counts])

    def raw(self, maps: Sequence[Tensor]) -> dict[str, Any]:
        return {"cls_logits": self.classification_head(maps), "bbox_regression": self.regression_head(maps)}

    def levels(self, outputs: Raw, size: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        found = []
        pairs = zip(outputs["cls_logits"], outputs["bbox_regression"], self.anchors(outputs, size), strict=True)
        for logits, codes, around in pairs:
            near = boxes.clip(boxes.decode(flattened(codes, 4), around, weights=WEIGHTS), size)
            scores = flattened(logits, self.num_classes).softmax(2)
            # Nothing is above no threshold.
            found.append((near, F.pad(scores[:, :, 1:], (1, 0))))
        return found

    def anchors(self, outputs: Raw, size: Sequence[int]) -> list[Tensor]:
        """The default boxes (k, 4) of each level, in pixels; targets are codes relative to these."""
        return [
            anchors.default_boxes(x.shape[2:], size, step, parts, like=x)
            for x, step, parts in zip(outputs["bbox_regression"], self.steps, self.parts, strict=True)
        ]


class _ByLevel(Module):
    """A 3x3 convolution for each map."""

    def __init__(self, in_channels: Sequence[int], out_channels: Sequence[int]) -> None:
        super().__init__()
        self.module_list = ModuleList(
            Conv2d(fed, given, 3, padding=1) for fed, given in zip(in_channels, out_channels, strict=True)
        )
        xavier(self)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(conv(x) for conv, x in zip(self.module_list, maps, strict=True))


def _scales(count: int) -> tuple[float, ...]:
    if count == len(SCALES) - 1:
        return SCALES
    return (*(0.15 + 0.75 * level / max(1, count - 1) for level in range(count)), 1.0)


def _ratios(count: int) -> list[tuple[int, ...]]:
    return [(2,) if level in (0, count - 2, count - 1) else (2, 3) for level in range(count)]
