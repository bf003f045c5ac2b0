"""Boxes out of the maps that a description's [yolo] and [region] sections read."""

from collections.abc import Sequence
from typing import Any

import mcore
from mcore import Tensor
from models.darknet.plan import Layer, boxes_of
from models.functional.yolo import boxes_and_scores


def decoded(maps: Sequence[Tensor], readers: Sequence[Layer]) -> dict[str, Tensor]:
    """Boxes and scores of all maps, in the order of the sections that read them.

    Shapes:
        maps: (n, boxes * (5 + classes), h, w) each
        returns: "boxes" (n, count, 4), corners in pixels; "scores" (n, count, classes)
    """
    pairs = zip(maps, readers, strict=True)
    found = [boxes_and_scores(x, anchors_of(reader), **_reading(reader)) for x, reader in pairs]
    boxes, scores = (mcore.cat(parts, dim=1) for parts in zip(*found, strict=True))
    return {"boxes": boxes, "scores": scores}


def anchors_of(reader: Layer) -> list[tuple[float, float]]:
    """Widths and heights in pixels of the boxes that a section reads; [region] tells them in cells."""
    numbers, stride = reader.options["anchors"], reader.stride
    units = (stride.width, stride.height) if reader.kind == "region" and stride else (1, 1)
    pairs = [(numbers[2 * box], numbers[2 * box + 1]) for box in boxes_of(reader)]
    return [(float(width * units[0]), float(height * units[1])) for width, height in pairs]


def _reading(reader: Layer) -> dict[str, Any]:
    options, stride = reader.options, reader.stride
    return {
        "stride": (float(stride.height), float(stride.width)) if stride else 1.0,
        "num_classes": options["classes"],
        "scale": options.get("scale_x_y", 1.0),
        "shares": bool(options.get("new_coords")),
        "softmax": bool(options.get("softmax")),
    }
