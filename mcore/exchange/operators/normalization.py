"""Norms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mcore.exchange.operators.table import Node, axis_of, operator


def _not_spatial(node: Node) -> str | None:
    return None if node.get("spatial", 1) else "spatial=0 (a mean for each place)"


@operator("BatchNormalization", refuses=_not_spatial, fixed=(3, 4), training=True)
def batch_norm(
    node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, *, training: bool
) -> Any:
    """By the running statistics; in train mode as torch's layer: by the batch's, which the running ones then follow.

    Without an epsilon it's no norm: exporters write a scale and a shift for each channel so. Statistics that are
    computed have nowhere to be kept.
    """
    eps, momentum = node.get("epsilon", 1e-5), node.get("momentum", 0.9)
    training = training and eps > 0 and not node.get("computed", 0)
    if node.version >= 14 and node.get("training_mode", 0):
        return _by_the_batch(x, scale, bias, mean, variance, eps, momentum)
    kept = (mean.detach(), variance.detach()) if training else (mean, variance)
    if scale.dtype != x.dtype:
        x, kind = x.to(mean.dtype), x.dtype
        scale, bias = scale.to(mean.dtype), bias.to(mean.dtype)
        return F.batch_norm(x, *kept, scale, bias, training, 1 - momentum, eps).to(kind)
    return F.batch_norm(x, *kept, scale, bias, training, 1 - momentum, eps)


def _by_the_batch(
    x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float, momentum: float
) -> tuple[Tensor, Tensor, Tensor]:
    """What the file's own train mode says: the running variance is the population's."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    own, spread = torch.mean(x, dim=axes), torch.var(x, dim=axes, correction=0)
    y = F.batch_norm(x, own, spread, scale, bias, False, 0.0, eps)
    return y, mean * momentum + own * (1 - momentum), variance * momentum + spread * (1 - momentum)


@operator("InstanceNormalization")
def instance_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    # Not F's: it refuses a single element, for which the answer is the bias.
    return torch.instance_norm(x, scale, bias, None, None, True, 0.0, node.get("epsilon", 1e-5), False)


@operator("GroupNormalization")
def group_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    groups = node.get("num_groups")
    if node.version < 21:  # one scale a group; one a channel since
        each = x.shape[1] // groups
        scale, bias = scale.repeat_interleave(each), bias.repeat_interleave(each)
    return torch.group_norm(x, groups, scale, bias, node.get("epsilon", 1e-5))


@operator("LayerNormalization")
def layer_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Any:
    axis, eps = axis_of(node.get("axis", -1), x.ndim), node.get("epsilon", 1e-5)
    shape, whole = list(x.shape[axis:]), scale.ndim == x.ndim - axis and list(scale.shape) == list(x.shape[axis:])
    if whole and (bias is None or bias.shape == scale.shape):
        y = torch.layer_norm(x, shape, scale, bias, eps)
    else:
        y = torch.layer_norm(x, shape, None, None, eps) * scale
        y = y if bias is None else y + bias
    if not (node.wants(1) or node.wants(2)):
        return y
    axes = list(range(axis, x.ndim))
    mean = torch.mean(x, dim=axes, keepdim=True)
    return y, mean, torch.rsqrt(torch.var(x, dim=axes, correction=0, keepdim=True) + eps)


@operator("RMSNormalization")
def rms_norm(node: Node, x: Tensor, scale: Tensor) -> Tensor:
    axes = list(range(axis_of(node.get("axis", -1), x.ndim), x.ndim))
    wide = x.to(torch.float32) if x.dtype in (torch.float16, torch.bfloat16) else x
    root = torch.rsqrt(torch.mean(wide * wide, dim=axes, keepdim=True) + node.get("epsilon", 1e-5))
    return (wide * root).to(x.dtype) * scale


@operator("LRN")
def local_response_norm(node: Node, x: Tensor) -> Tensor:
    size, alpha, beta, bias = node.get("size"), node.get("alpha", 1e-4), node.get("beta", 0.75), node.get("bias", 1.0)
    if size % 2:
        return F.local_response_norm(x, size, alpha, beta, bias)
    # An even window reaches further behind here, and further before in torch.
    channels = x.shape[1]
    before = (size - 1) // 2
    squares = F.pad(x * x, [*[0, 0] * (x.ndim - 2), before, size - 1 - before])
    total = sum(torch.narrow(squares, 1, k, channels) for k in range(size))
    return x / (bias + alpha / size * total) ** beta
