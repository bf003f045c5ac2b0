"""Boxes and scores out of the maps of YOLO networks."""

from collections.abc import Sequence

import mcore
from mcore import Tensor
from mcore import functional as F
from models.functional.anchors import points


def boxes_and_scores(
    x: Tensor,
    anchors: Sequence[Sequence[float]],
    *,
    stride: float | Sequence[float],
    num_classes: int,
    scale: float = 1.0,
    shares: bool = False,
    softmax: bool = False,
) -> tuple[Tensor, Tensor]:
    """What a map of raw numbers says: boxes in pixels, and how likely each is one of each class.

    Shapes:
        x: (n, anchors * (5 + num_classes), h, w): x, y, width, height, objectness and classes of each anchor
        returns: boxes (n, h * w * anchors, 4), corners in pixels of the image; scores (n, h * w * anchors,
            num_classes), objectness times class. The anchors of a place stand together

    Args:
        x: the map.
        anchors: widths and heights in pixels.
        stride: pixels of the image for each of the map, or one for each axis, (y, x).
        num_classes: how many.
        scale: how much further than its cell a centre can lie, Darknet's scale_x_y.
        shares: the map holds shares already, and sizes are squares of their doubles (Darknet's new_coords).
        softmax: classes exclude each other, as YOLOv2's do.

    Source: Redmon and Farhadi, arXiv:1804.02767, figure 2; the scale: Bochkovskiy et al., arXiv:2004.10934,
    section 3.3; shares: Wang et al., arXiv:2011.08036, as Darknet computes them.
    """
    size = x.shape[2:]
    steps = (stride, stride) if isinstance(stride, int | float) else tuple(stride)
    cells = points(size, steps, like=x)[None, :, None]
    # (n, anchors, numbers, h, w) to (n, h * w, anchors, numbers): how Darknet lists them.
    x = x.reshape(-1, len(anchors), 5 + num_classes, *size).flatten(3).permute(0, 3, 1, 2)
    at, extent, likely, classes = x[..., :2], x[..., 2:4], x[..., 4:5], x[..., 5:]
    if not shares:
        at, likely = F.sigmoid(at), F.sigmoid(likely)
        classes = F.softmax(classes, dim=-1) if softmax else F.sigmoid(classes)
    across = mcore.tensor(steps[::-1], dtype=cells.dtype, device=cells.device)
    centre = (at * scale - (scale - 1.0) / 2.0) * across + cells
    sizes = mcore.tensor([list(anchor) for anchor in anchors], dtype=cells.dtype, device=cells.device)
    half = ((2.0 * extent).square() if shares else extent.exp()) * sizes / 2.0
    boxes = mcore.cat((centre - half, centre + half), dim=-1)
    return boxes.flatten(1, 2), (likely * classes).flatten(1, 2)
