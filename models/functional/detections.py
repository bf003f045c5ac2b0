"""From boxes with scores to detections: a fixed number for each image, whatever is in it."""

from collections.abc import Sequence

import mcore
from mcore import Tensor
from mcore import functional as F
from models.functional.maps import as_maps


def detections(
    boxes: Tensor | Sequence[Tensor],
    scores: Tensor | Sequence[Tensor],
    *,
    score_threshold: float = 0.05,
    nms: float | None = 0.5,
    top: int = 100,
    candidates: int = 1000,
    by_class: bool = False,
) -> dict[str, Tensor]:
    """The best boxes of each image, each of one class, by descending score.

    Shapes:
        boxes: (n, k, 4), corners; or one for each level of a pyramid
        scores: (n, k, classes), 0 to 1
        returns: "boxes" (n, top, 4); "scores" (n, top); "labels" (n, top), int64, the class by its index. Rows
            without a detection come last, with a box and score of zeros and the label -1

    Every size may be symbolic, the batch too. A box may be detected as of several classes.

    Args:
        boxes: of all places, or of each level.
        scores: of every class, as many of them as boxes.
        score_threshold: only scores above it count; what is no number is not.
        nms: the overlap from which a box of the same class removes a worse one; None keeps all.
        top: how many are returned.
        candidates: how many take part in suppression, of each level.
        by_class: candidates are counted by class instead, as SSD does; levels then come as one.
    """
    take = _by_class if by_class else _by_level
    levels = zip(as_maps(boxes), as_maps(scores), strict=True)
    found = [take(b, s.masked_fill(~(s > score_threshold), -mcore.inf), candidates) for b, s in levels]
    # (n, m), or (n, classes, m), where boxes of different classes don't meet.
    axis = found[0][1].ndim - 1
    near, likely, labels = (mcore.cat(parts, dim=axis) for parts in zip(*found, strict=True))
    if nms is not None:
        stays = F.nms_mask(near, likely, nms, None if by_class else labels)
        likely = likely.masked_fill(~stays, -mcore.inf)
    return _ordered(near.flatten(1, -2), likely.flatten(1), labels.flatten(1), top)


def _by_level(boxes: Tensor, scores: Tensor, candidates: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best of all classes together: boxes (n, m, 4), scores (n, m), labels (n, m)."""
    n, classes = scores.shape[0], scores.shape[2]
    scores = scores.flatten(1)
    # Of a slice, so that the smaller of the two numbers stays symbolic.
    best, place = scores.topk(scores[:, :candidates].shape[1], dim=1)
    near = boxes.gather(1, (place // classes)[:, :, None].expand(n, place.shape[1], 4))
    return near, best, place % classes


def _by_class(boxes: Tensor, scores: Tensor, candidates: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best of each class: boxes (n, classes, m, 4), scores (n, classes, m), labels (n, classes, m)."""
    scores = scores.transpose(1, 2)
    best, place = scores.topk(scores[:, :, :candidates].shape[2], dim=2)
    flat = place.flatten(1)
    near = boxes.gather(1, flat[:, :, None].expand(*flat.shape, 4)).reshape(*place.shape, 4)
    return near, best, mcore.arange(scores.shape[1], device=scores.device)[:, None].expand(place.shape)


def _ordered(boxes: Tensor, scores: Tensor, labels: Tensor, top: int) -> dict[str, Tensor]:
    """The `top` best of each image, behind them rows of nothing."""
    scores, place = F.pad(scores, (0, top), value=-mcore.inf).topk(top, dim=1)
    found = scores > -mcore.inf
    boxes = F.pad(boxes, (0, 0, 0, top)).gather(1, place[:, :, None].expand(*place.shape, 4))
    labels = F.pad(labels, (0, top)).gather(1, place)
    return {
        "boxes": boxes.masked_fill(~found[:, :, None], 0.0),
        "scores": scores.masked_fill(~found, 0.0),
        "labels": labels.masked_fill(~found, -1),
    }
