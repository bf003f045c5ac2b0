"""Losses, which graphs of training hold."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mcore.exchange.operators.table import Node, operator


@operator("NegativeLogLikelihoodLoss")
def negative_log_likelihood(node: Node, x: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    return _loss(node, x, target, weight)


@operator("SoftmaxCrossEntropyLoss")
def cross_entropy(node: Node, scores: Tensor, target: Tensor, weight: Tensor | None = None) -> Any:
    log_probability = F.log_softmax(scores, dim=1)
    loss = _loss(node, log_probability, target, weight)
    return (loss, log_probability) if node.wants(1) else loss


def _loss(node: Node, x: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    # Without an index to ignore, one that no class has.
    ignored = node.get("ignore_index", torch.iinfo(torch.int64).min)
    return F.nll_loss(x, target.to(torch.int64), weight, ignore_index=ignored, reduction=node.get("reduction", "mean"))
