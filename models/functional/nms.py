"""Non-maximum suppression: of boxes that overlap, the best stays.

`mcore.functional.nms_mask` is the word below: it says for every box of a batch whether it stays, in ONNX through the
operator NonMaxSuppression. Here is what people call by other libraries' names.
"""

from typing import Literal

import mcore
from mcore import Tensor
from mcore import functional as F
from models.functional.boxes import iou


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float = 0.5) -> Tensor:
    """Indices of the boxes that stay, best first; how many is known when it runs.

    Shapes:
        boxes: (k, 4), corners
        scores: (k,)
        returns: (kept,), int64

    A box goes when its overlap with a better one that stays is greater than `iou_threshold`. Of equal scores the
    first is the better.

    >>> boxes = mcore.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0], [20.0, 0.0, 29.0, 9.0]])
    >>> nms(boxes, mcore.tensor([0.5, 0.9, 0.7])).tolist()
    [1, 2]
    """
    return _in_order(F.nms_mask(boxes, scores, iou_threshold), scores)


def batched_nms(boxes: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float = 0.5) -> Tensor:
    """`nms` in which boxes of different `labels`, (k,) integers, leave each other alone.

    Exact for coordinates of any size: boxes aren't moved apart, as other libraries do.
    """
    return _in_order(F.nms_mask(boxes, scores, iou_threshold, labels), scores)


def soft_nms(
    boxes: Tensor,
    scores: Tensor,
    *,
    method: Literal["linear", "gaussian"] = "gaussian",
    iou_threshold: float = 0.3,
    sigma: float = 0.5,
    score_threshold: float = 0.001,
) -> tuple[Tensor, Tensor]:
    """Lowers the scores of boxes that overlap better ones, instead of removing them.

    Shapes:
        boxes: (k, 4), corners
        scores: (k,), 0 to 1
        returns: indices (kept,), int64, in the order in which they were chosen, and their scores (kept,)

    Args:
        boxes: of one image.
        scores: one for each.
        method: "linear" multiplies by `1 - overlap` where that is above `iou_threshold`; "gaussian" by
            `exp(-overlap ** 2 / sigma)`.
        iou_threshold: the overlap that "linear" lets pass.
        sigma: how far "gaussian" reaches.
        score_threshold: boxes whose score falls to it or below go.

    Source: Bodla et al., "Soft-NMS", arXiv:1704.04503, figure 2 and equations 2 and 3.
    Differs: it takes one step for each box that stays, so it doesn't export: a graph has no such loop.

    Raises:
        ValueError: no such method.
    """
    if method not in ("linear", "gaussian"):
        raise ValueError(f"soft_nms: method={method!r} is not 'linear' or 'gaussian'.")
    left, chosen, found = scores.clone(), [], []
    places = mcore.arange(scores.shape[0], device=scores.device)
    for _ in range(scores.shape[0]):
        best = left.argmax()
        score = left[best]
        if not bool(score > score_threshold):
            break
        chosen.append(best)
        found.append(score)
        overlap = iou(boxes[best][None], boxes)[0]
        if method == "linear":
            kept = mcore.where(overlap > iou_threshold, 1 - overlap, mcore.ones_like(overlap))
        else:
            kept = (-(overlap**2) / sigma).exp()
        left = mcore.where(places == best, mcore.zeros_like(left) - 1, left * kept)
    if not chosen:
        return places[:0], scores[:0]
    return mcore.stack(chosen), mcore.stack(found)


def _in_order(mask: Tensor, scores: Tensor) -> Tensor:
    order = scores.argsort(descending=True, stable=True)
    return order[mask[order]]
