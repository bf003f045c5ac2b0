"""Detection: non-maximum suppression, a word of mcore's own."""

from __future__ import annotations

import numpy as np

from mcore.platform import dtypes
from mcore.platform.dim import product
from mcore.platform.tensor import Tensor, constant, emit, ints, unknown_sizes
from mcore.platform.word import word
from mcore.platform.words._common import cast, same_shape
from mcore.platform.words._pieces import (
    binary,
    concat,
    fill,
    filled,
    flat,
    reduce,
    reshape,
    take,
    test,
    unsqueeze,
    where,
)

# Every score but minus infinity is above it.
_LOWEST = float(np.finfo(np.float32).min)


@word("own.nms_mask")
def nms_mask(boxes: Tensor, scores: Tensor, iou_threshold: float = 0.5, labels: Tensor | None = None) -> Tensor:
    """Which boxes non-maximum suppression keeps: best first, each removes those that overlap it too much.

    Shapes:
        boxes: (..., k, 4), corners (x1, y1, x2, y2)
        scores: (..., k); one of minus infinity takes no part: it is not kept, and removes nothing
        labels: (..., k), integers; boxes of different labels leave each other alone
        returns: (..., k), bool

    Differs: the runtime compares in float32. The operator takes a score for each label and box, so the span of
    labels costs memory.

    Raises:
        ValueError: `iou_threshold` is not in 0 to 1.
        RuntimeError: shapes that don't belong together.
    """
    _check(boxes, scores, iou_threshold, labels)
    n, k = product(boxes.shape[:-2]), boxes.shape[-2]
    corners = reshape(cast(boxes, dtypes.float32), (n, k, 4))
    rows = reshape(cast(scores, dtypes.float32), (n, 1, k))
    if labels is not None:
        rows = _by_label(rows, reshape(cast(labels, dtypes.int64), (n, 1, k)))
    inputs = [corners, rows, ints([k]), constant([iou_threshold], dtypes.float32), constant([_LOWEST], dtypes.float32)]
    chosen = unknown_sizes(emit("NonMaxSuppression", inputs, (None, 3), dtypes.int64))
    # (image, class, box) of each that is kept.
    places = take(chosen, constant([0, 2]), 1)
    ones = filled(True, (chosen.shape[0],), dtypes.bool_)
    mask = emit("ScatterND", [filled(False, (n, k), dtypes.bool_), places, ones], (n, k), dtypes.bool_)
    return reshape(mask, scores.shape)


def _check(boxes: Tensor, scores: Tensor, threshold: float, labels: Tensor | None) -> None:
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"nms_mask: iou_threshold={threshold} is not in 0 to 1.")
    if boxes.ndim < 2 or int(boxes.shape[-1]) != 4:
        raise RuntimeError(f"nms_mask: boxes must be (..., k, 4), got {tuple(map(int, boxes.shape))}")
    for name, other in (("scores", scores), ("labels", labels)):
        if other is not None and not same_shape(other.shape, boxes.shape[:-1]):
            expected, got = tuple(map(int, boxes.shape[:-1])), tuple(map(int, other.shape))
            raise RuntimeError(f"nms_mask: {name} must be {expected}, one for each box, got {got}")


def _by_label(rows: Tensor, labels: Tensor) -> Tensor:
    """(n, 1, k) scores to (n, classes, k): minus infinity where a box has another label."""
    # A zero in front, so that nothing has a least and a largest too.
    all_labels = concat([constant([0]), flat(labels)], 0)
    first, last = (reduce(f"Reduce{which}", all_labels, (0,)) for which in ("Min", "Max"))
    end = binary("Add", last, constant(1))
    classes = unknown_sizes(emit("Range", [first, end, constant(1)], (None,), dtypes.int64))
    return where(test("Equal", labels, unsqueeze(classes, 1)), rows, fill(-np.inf, rows))
