"""Words of mcore's own on torch, whose core lacks them: written in torch's functions, for every device."""

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

# Pairs of boxes that are compared at once: as many as stay in a cache.
_PAIRS = 1 << 21


def nms_mask(boxes: Tensor, scores: Tensor, iou_threshold: float = 0.5, labels: Tensor | None = None) -> Tensor:
    """Which boxes non-maximum suppression keeps: best first, each removes those that overlap it too much.

    Shapes:
        boxes: (..., k, 4), corners (x1, y1, x2, y2)
        scores: (..., k); one of minus infinity takes no part: it is not kept, and removes nothing
        labels: (..., k), integers; boxes of different labels leave each other alone
        returns: (..., k), bool

    Of equal scores the first is the better. A box goes when its intersection over union with a better one that
    stays is greater than `iou_threshold`.

    Raises:
        ValueError: `iou_threshold` is not in 0 to 1.
        RuntimeError: shapes that don't belong together.
    """
    given = (boxes, scores, labels)
    if has_torch_function(given):
        return handle_torch_function(nms_mask, given, boxes, scores, iou_threshold, labels)
    check_nms(boxes.shape, scores.shape, iou_threshold, None if labels is None else labels.shape)
    with torch.no_grad():
        wide = torch.promote_types(boxes.dtype, torch.float32)
        flat = boxes.to(wide).reshape(-1, *boxes.shape[-2:]) if boxes.numel() else boxes.new_zeros((0, 0, 4))
        if not flat.numel():
            return torch.zeros_like(scores, dtype=torch.bool)
        groups = None if labels is None else labels.reshape(flat.shape[:2])
        return _kept(flat, scores.reshape(flat.shape[:2]), iou_threshold, groups).reshape(scores.shape)


def check_nms(boxes: torch.Size, scores: torch.Size, threshold: float, labels: torch.Size | None) -> None:
    """Refuses arguments of `nms_mask` that don't belong together."""
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"nms_mask: iou_threshold={threshold} is not in 0 to 1.")
    if len(boxes) < 2 or boxes[-1] != 4:
        raise RuntimeError(f"nms_mask: boxes must be (..., k, 4), got {tuple(boxes)}")
    for name, shape in (("scores", scores), ("labels", labels)):
        if shape is not None and shape != boxes[:-1]:
            raise RuntimeError(f"nms_mask: {name} must be {tuple(boxes[:-1])}, one for each box, got {tuple(shape)}")


def _kept(boxes: Tensor, scores: Tensor, threshold: float, labels: Tensor | None) -> Tensor:
    """(n, k, 4), (n, k) to (n, k): blocks of boxes in order of score; each settles itself, then removes later ones."""
    n, k = scores.shape
    order = scores.argsort(dim=1, descending=True, stable=True)
    low, high = boxes.view(n, k, 2, 2).aminmax(dim=2)
    corners = torch.cat((low, high), dim=2).gather(1, order[:, :, None].expand(n, k, 4)).permute(2, 0, 1).contiguous()
    groups = None if labels is None else labels.gather(1, order)
    alive = (scores > -torch.inf).gather(1, order)
    k = int(alive.sum(dim=1).max())  # the others come last
    step = max(16, min(k, _PAIRS // max(1, n * k)))
    for start in range(0, k, step):
        block, rest = slice(start, min(start + step, k)), slice(start, k)
        near = _overlap(corners[:, :, block, None], corners[:, :, None, rest]) > threshold
        if groups is not None:
            near &= groups[:, block, None] == groups[:, None, rest]
        size = block.stop - start
        alive[:, block] = settled = _settled(alive[:, block], near[:, :, :size].triu(1))
        alive[:, block.stop : k] &= ~(near[:, :, size:] & settled[:, :, None]).any(dim=1)
    return torch.zeros_like(alive).scatter_(1, order, alive)


def _settled(alive: Tensor, near: Tensor) -> Tensor:
    """(n, b), and (n, b, b) with who would remove whom, earlier ones only: who stays.

    Repeated from what is alive, the first i are right after i rounds, as the earlier ones decide; in practice
    few rounds settle all.
    """
    settled = alive
    while True:
        again = alive & ~(near & settled[:, :, None]).any(dim=1)
        if torch.equal(again, settled):
            return settled
        settled = again


def _overlap(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes given by their four coordinates; of nothing with nothing it isn't a number."""
    width = torch.minimum(a[2], b[2]).sub_(torch.maximum(a[0], b[0])).clamp_(min=0)
    height = torch.minimum(a[3], b[3]).sub_(torch.maximum(a[1], b[1])).clamp_(min=0)
    both = width.mul_(height)
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return both / (areas - both)


__all__ = ["nms_mask"]
