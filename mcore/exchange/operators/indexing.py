"""Taking and putting by index."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from mcore.exchange.operators.table import Node, axis_of, operator, plain
from mcore.torch.own import nms_mask


def _wrapped(index: Tensor, size: int) -> Tensor:
    """Indices counted from behind counted from the front; int64, as torch wants them."""
    index = index.to(torch.int64)
    return torch.where(index < 0, index + size, index)


@operator("Gather", either=(1,))
def gather(node: Node, x: Tensor, index: Any) -> Tensor:
    axis = axis_of(node.get("axis", 0), x.ndim)
    if isinstance(index, tuple):  # one number; more come as a tensor
        return torch.select(x, axis, index[0])
    index = _wrapped(index, x.shape[axis])
    if index.ndim == 1:
        return torch.index_select(x, axis, index)
    taken = torch.index_select(x, axis, index.reshape(-1))
    return taken.reshape([*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]])


@operator("GatherElements")
def gather_elements(node: Node, x: Tensor, index: Tensor) -> Tensor:
    axis = axis_of(node.get("axis", 0), x.ndim)
    return torch.gather(x, axis, _wrapped(index, x.shape[axis]))


@operator("GatherND")
def gather_nd(node: Node, x: Tensor, index: Tensor) -> Tensor:
    batch = node.get("batch_dims", 0)
    depth = index.shape[-1]
    parts = [_wrapped(index[..., k], x.shape[batch + k]) for k in range(depth)]
    rank = index.ndim - 1
    rows = [
        torch.arange(x.shape[k], device=x.device).reshape([-1 if axis == k else 1 for axis in range(rank)])
        for k in range(batch)
    ]
    return x[(*rows, *parts)]


@operator("Scatter", "ScatterElements")
def scatter_elements(node: Node, x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    axis = axis_of(node.get("axis", 0), x.ndim)
    index, how = _wrapped(index, x.shape[axis]), node.get("reduction", "none")
    if how == "none":
        return torch.scatter(x, axis, index, updates)
    return torch.scatter_reduce(x, axis, index, updates, _REDUCTIONS[how])


_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@operator("ScatterND")
def scatter_nd(node: Node, x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    depth, how = index.shape[-1], node.get("reduction", "none")
    parts = tuple(_wrapped(index[..., k], x.shape[k]) for k in range(depth))
    if how in ("none", "add"):
        return torch.index_put(x, parts, updates, accumulate=how == "add")
    rest = math.prod(x.shape[depth:])
    place = torch.zeros_like(parts[0])
    for part, size in zip(parts, x.shape, strict=False):
        place = place * size + part
    rows = place.reshape(-1, 1).expand(-1, rest)
    flat = torch.scatter_reduce(x.reshape(-1, rest), 0, rows, updates.reshape(-1, rest), _REDUCTIONS[how])
    return flat.reshape(x.shape)


@operator("OneHot", numbers=(1,))
def one_hot(node: Node, index: Tensor, depth: tuple, values: Tensor) -> Tensor:
    size, rank = int(depth[0]) if plain(depth[0]) else depth[0], index.ndim + 1
    axis = axis_of(node.get("axis", -1), rank)
    classes = torch.arange(size, device=index.device).reshape([-1 if k == axis else 1 for k in range(rank)])
    return torch.where(_wrapped(index, size).unsqueeze(axis) == classes, values[1], values[0])


@operator("Compress")
def compress(node: Node, x: Tensor, condition: Tensor) -> Tensor:
    axis = node.get("axis")
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis_of(axis, x.ndim))
    return torch.index_select(x, axis, torch.nonzero(condition).reshape(-1))


@operator("ReverseSequence")
def reverse_sequence(node: Node, x: Tensor, lengths: Tensor) -> Tensor:
    time, batch = node.get("time_axis", 0), node.get("batch_axis", 1)
    steps = torch.arange(x.shape[time], device=x.device)
    steps = steps.reshape([-1 if k == time else 1 for k in range(x.ndim)])
    lengths = lengths.reshape([-1 if k == batch else 1 for k in range(x.ndim)])
    return torch.gather(x, time, torch.where(steps < lengths, lengths - 1 - steps, steps).expand(x.shape))


@operator("NonMaxSuppression", either=(2, 3, 4), fixed=(2, 3, 4))
def non_max_suppression(
    node: Node, boxes: Tensor, scores: Tensor, most: Any = None, overlap: Any = None, score: Any = None
) -> Tensor:
    """(batch, class, box) of each box that stays, best first within a class."""
    most, overlap, score = (v[0] if isinstance(v, tuple) else v for v in (most, overlap, score))
    if node.get("center_point_box", 0):
        middle, half = boxes[..., :2], boxes[..., 2:] / 2
        boxes = torch.cat((middle - half, middle + half), dim=-1)
    if score is not None:
        scores = torch.where(scores > score, scores, torch.full_like(scores, -math.inf))
    n, classes, k = scores.shape
    each = boxes.unsqueeze(1).expand(n, classes, k, 4)
    kept = nms_mask(each, scores, float(overlap or 0))
    order = torch.argsort(scores, dim=-1, descending=True, stable=True)
    kept = torch.gather(kept, -1, order)
    limit = 0 if most is None else most
    kept = torch.logical_and(kept, torch.cumsum(kept.to(torch.int64), dim=-1) <= limit)
    found = torch.nonzero(kept)
    box = order[found[:, 0], found[:, 1], found[:, 2]]
    return torch.cat((found[:, :2], box.unsqueeze(1)), dim=1)
