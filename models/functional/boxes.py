"""Boxes: areas, overlaps, forms, and the codes in which networks learn them.

A box is four numbers on the last axis, in pixels: the corners (x1, y1, x2, y2), unless a function says otherwise.
Every function is differentiable, takes any axes in front, and works on both engines.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import mcore
from mcore import Tensor

Form = Literal["xyxy", "xywh", "cxcywh"]

# Divisors are at least this: of nothing with nothing, an overlap is 0.
EPS = 1e-7
# The largest logarithm of a size relative to its anchor's, so that the first steps of training don't overflow.
# Source: Girshick et al., Detectron: 1000 pixels over 16.
LARGEST_LOG = math.log(1000 / 16)


def area(boxes: Tensor) -> Tensor:
    """Areas: (..., 4) to (...).

    >>> area(mcore.tensor([[0.0, 0.0, 4.0, 3.0]])).tolist()
    [12.0]
    """
    x1, y1, x2, y2 = boxes.unbind(-1)
    return (x2 - x1) * (y2 - y1)


def iou(a: Tensor, b: Tensor, *, pairwise: bool = True) -> Tensor:
    """Intersection over union.

    Shapes:
        a: (..., n, 4)
        b: (..., m, 4)
        returns: (..., n, m), of each with each; without `pairwise`, box by box: shapes are broadcast
    """
    both, union = _joint(*_sides(a, b, pairwise))
    return both / union.clamp(min=EPS)


def giou(a: Tensor, b: Tensor, *, pairwise: bool = True) -> Tensor:
    """Generalised intersection over union, -1 to 1: less the share of the hull that belongs to neither.

    Shapes: as of `iou`.
    Source: Rezatofighi et al., arXiv:1902.09630, algorithm 1.
    """
    p, q = _sides(a, b, pairwise)
    both, union = _joint(p, q)
    width, height = _hull(p, q)
    hull = width * height
    return both / union.clamp(min=EPS) - (hull - union) / hull.clamp(min=EPS)


def diou(a: Tensor, b: Tensor, *, pairwise: bool = True) -> Tensor:
    """Intersection over union, less the squared distance of the centres over that of the hull's corners.

    Shapes: as of `iou`.
    Source: Zheng et al., "Distance-IoU Loss", arXiv:1911.08287, equation 7.
    """
    p, q = _sides(a, b, pairwise)
    both, union = _joint(p, q)
    return both / union.clamp(min=EPS) - _distance(p, q)


def ciou(a: Tensor, b: Tensor, *, pairwise: bool = True) -> Tensor:
    """`diou`, less a penalty on differing proportions. The penalty's weight gets no gradient, as in the paper.

    Shapes: as of `iou`.
    Source: Zheng et al., "Distance-IoU Loss", arXiv:1911.08287, equations 8 to 11.
    """
    p, q = _sides(a, b, pairwise)
    both, union = _joint(p, q)
    overlap = both / union.clamp(min=EPS)
    angles = [mcore.atan((x2 - x1) / (y2 - y1).clamp(min=EPS)) for x1, y1, x2, y2 in (p, q)]
    differing = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    weight = (differing / (1 - overlap + differing).clamp(min=EPS)).detach()
    return overlap - _distance(p, q) - weight * differing


def _sides(a: Tensor, b: Tensor, pairwise: bool) -> tuple[Any, Any]:
    """The four coordinates of each, of shapes that broadcast against each other."""
    return (a.unsqueeze(-2) if pairwise else a).unbind(-1), (b.unsqueeze(-3) if pairwise else b).unbind(-1)


def _joint(p: Any, q: Any) -> tuple[Tensor, Tensor]:
    """Areas of intersection and union."""
    width = (mcore.minimum(p[2], q[2]) - mcore.maximum(p[0], q[0])).clamp(min=0)
    height = (mcore.minimum(p[3], q[3]) - mcore.maximum(p[1], q[1])).clamp(min=0)
    both = width * height
    return both, (p[2] - p[0]) * (p[3] - p[1]) + (q[2] - q[0]) * (q[3] - q[1]) - both


def _hull(p: Any, q: Any) -> tuple[Tensor, Tensor]:
    """Width and height of the smallest box around both."""
    width = mcore.maximum(p[2], q[2]) - mcore.minimum(p[0], q[0])
    return width, mcore.maximum(p[3], q[3]) - mcore.minimum(p[1], q[1])


def _distance(p: Any, q: Any) -> Tensor:
    """Squared distance of the centres over the squared diagonal of the hull."""
    width, height = _hull(p, q)
    across = ((p[0] + p[2] - q[0] - q[2]) ** 2 + (p[1] + p[3] - q[1] - q[3]) ** 2) / 4
    return across / (width**2 + height**2).clamp(min=EPS)


# --- forms


def convert(boxes: Tensor, source: Form, target: Form) -> Tensor:
    """Boxes in another form: corners "xyxy", a corner and size "xywh", the centre and size "cxcywh".

    >>> convert(mcore.tensor([10.0, 20.0, 14.0, 30.0]), "xyxy", "cxcywh").tolist()
    [12.0, 25.0, 4.0, 10.0]

    Raises:
        ValueError: no such form.
    """
    for form in (source, target):
        if form not in ("xyxy", "xywh", "cxcywh"):
            raise ValueError(f"convert: {form!r} is not 'xyxy', 'xywh' or 'cxcywh'.")
    if source == target:
        return boxes
    p, q = boxes[..., :2], boxes[..., 2:]
    if source == "xyxy":
        q = q - p
    elif source == "cxcywh":
        p = p - q / 2
    if target == "xyxy":
        q = p + q
    elif target == "cxcywh":
        p = p + q / 2
    return mcore.cat((p, q), dim=-1)


def clip(boxes: Tensor, size: Sequence[int]) -> Tensor:
    """Boxes cut off at the borders of an image of `size`, height and width in pixels.

    >>> clip(mcore.tensor([-2.0, 3.0, 40.0, 70.0]), (50, 30)).tolist()
    [0.0, 3.0, 30.0, 50.0]
    """
    height, width = size
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return mcore.stack((x, y), dim=-1).flatten(-2)


# --- codes


def encode(boxes: Tensor, anchors: Tensor, *, weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """Boxes relative to anchors: shifts of the centre in sizes of the anchor, logarithms of the sizes' quotients.

    Shapes:
        boxes, anchors: (..., 4)
        returns: (..., 4), (x, y, width, height)

    The four are multiplied by `weights`: RetinaNet's are 1, Faster R-CNN's (10, 10, 5, 5), and SSD's the same, one
    over its variances 0.1 and 0.2.

    Source: Ren et al., "Faster R-CNN", arXiv:1506.01497, equation 2.
    """
    box, anchor = convert(boxes, "xyxy", "cxcywh"), convert(anchors, "xyxy", "cxcywh")
    shift = (box[..., :2] - anchor[..., :2]) / anchor[..., 2:]
    scale = (box[..., 2:] / anchor[..., 2:]).log()
    return mcore.cat((shift, scale), dim=-1) * _constant(weights, boxes)


def decode(codes: Tensor, anchors: Tensor, *, weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """Boxes that `encode` made these codes of. Sizes are at most 62.5 times the anchor's.

    Shapes:
        codes, anchors: (..., 4), broadcast
        returns: (..., 4)
    """
    codes, anchor = codes / _constant(weights, codes), convert(anchors, "xyxy", "cxcywh")
    centre = anchor[..., :2] + codes[..., :2] * anchor[..., 2:]
    half = anchor[..., 2:] * codes[..., 2:].clamp(max=LARGEST_LOG).exp() / 2
    return mcore.cat((centre - half, centre + half), dim=-1)


def encode_distances(boxes: Tensor, points: Tensor, *, scale: float | Tensor = 1.0) -> Tensor:
    """Distances from points to the left, top, right and bottom sides; negative for sides on the wrong side.

    Shapes:
        boxes: (..., 4)
        points: (..., 2), (x, y) in pixels
        returns: (..., 4), in units of `scale`, a number or (..., 1)

    Source: Tian et al., "FCOS", arXiv:1904.01355, equation 1.
    """
    return mcore.cat((points - boxes[..., :2], boxes[..., 2:] - points), dim=-1) / scale


def decode_distances(codes: Tensor, points: Tensor, *, scale: float | Tensor = 1.0) -> Tensor:
    """Boxes that `encode_distances` made these codes of; shapes as there."""
    codes = codes * scale
    return mcore.cat((points - codes[..., :2], points + codes[..., 2:]), dim=-1)


def centerness(codes: Tensor) -> Tensor:
    """How near to the middle of its box a point is, 0 to 1, by its distances: (..., 4) to (...).

    Source: Tian et al., "FCOS", arXiv:1904.01355, equation 3.
    """
    left, top, right, bottom = codes.unbind(-1)
    across = mcore.minimum(left, right) / mcore.maximum(left, right).clamp(min=EPS)
    along = mcore.minimum(top, bottom) / mcore.maximum(top, bottom).clamp(min=EPS)
    return (across * along).clamp(min=0).sqrt()


def encode_yolo(boxes: Tensor, cells: Tensor, anchors: Tensor, *, stride: float, scale: float = 1.0) -> Tensor:
    """Boxes relative to the cell that holds their centre, and to an anchor's size; the network's raw numbers.

    Shapes:
        boxes: (..., 4)
        cells: (..., 2), column and row of the cell
        anchors: (..., 2), width and height in pixels
        returns: (..., 4): what a sigmoid makes the place in the cell, and logarithms of the sizes' quotients

    `stride` is the pixels of a cell; `scale` says how much further than the cell the sigmoid reaches (Darknet's
    scale_x_y).

    Source: Redmon and Farhadi, "YOLOv3", arXiv:1804.02767, figure 2; the scale: Bochkovskiy et al., "YOLOv4",
    arXiv:2004.10934, section 3.3.
    """
    box = convert(boxes, "xyxy", "cxcywh")
    place = (box[..., :2] / stride - cells + (scale - 1) / 2) / scale
    return mcore.cat((mcore.logit(place, eps=EPS), (box[..., 2:] / anchors).log()), dim=-1)


def decode_yolo(codes: Tensor, cells: Tensor, anchors: Tensor, *, stride: float, scale: float = 1.0) -> Tensor:
    """Boxes that `encode_yolo` made these codes of; shapes as there."""
    centre = (codes[..., :2].sigmoid() * scale - (scale - 1) / 2 + cells) * stride
    half = codes[..., 2:].exp() * anchors / 2
    return mcore.cat((centre - half, centre + half), dim=-1)


def encode_centers(boxes: Tensor, *, stride: float) -> tuple[Tensor, Tensor, Tensor]:
    """The cell that holds the centre of each box, the centre's place in it, and the size, in cells of `stride`.

    Shapes:
        boxes: (..., 4)
        returns: three of (..., 2), (x, y): cells, whole numbers; offsets, 0 to 1; sizes

    Source: Zhou et al., "Objects as Points", arXiv:1904.07850, section 3.
    """
    box = convert(boxes, "xyxy", "cxcywh") / stride
    cells = box[..., :2].floor()
    return cells, box[..., :2] - cells, box[..., 2:]


def decode_centers(cells: Tensor, offsets: Tensor, sizes: Tensor, *, stride: float) -> Tensor:
    """Boxes that `encode_centers` made these of; shapes as there."""
    centre = cells + offsets
    return mcore.cat((centre - sizes / 2, centre + sizes / 2), dim=-1) * stride


def _constant(values: Sequence[float], like: Tensor) -> Tensor:
    return mcore.tensor(tuple(values), dtype=like.dtype, device=like.device)
