"""Activations."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from mcore.exchange.operators.table import Node, axis_of, operator, simple

simple(
    {
        "Relu": F.relu, "Sigmoid": torch.sigmoid, "Softplus": F.softplus, "Softsign": F.softsign, "Mish": F.mish,
        "HardSwish": F.hardswish,
    }
)  # fmt: skip


@operator("LeakyRelu")
def leaky_relu(node: Node, x: Tensor) -> Tensor:
    return F.leaky_relu(x, node.get("alpha", 0.01))


@operator("Elu")
def elu(node: Node, x: Tensor) -> Tensor:
    return F.elu(x, node.get("alpha", 1.0))


@operator("Celu")
def celu(node: Node, x: Tensor) -> Tensor:
    return F.celu(x, node.get("alpha", 1.0))


@operator("Selu")
def selu(node: Node, x: Tensor) -> Tensor:
    return node.get("gamma", 1.05070102214813232421875) * F.elu(x, node.get("alpha", 1.67326319217681884765625))


@operator("PRelu", wide=True)
def prelu(node: Node, x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x > 0, x, slope * x)


@operator("ThresholdedRelu")
def thresholded(node: Node, x: Tensor) -> Tensor:
    return torch.where(x > node.get("alpha", 1.0), x, torch.zeros_like(x))


@operator("HardSigmoid")
def hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
    if beta == 0.5 and math.isclose(alpha, 1 / 6, rel_tol=1e-6):  # torch's own, up to the file's float32
        return F.hardsigmoid(x)
    return torch.clamp(alpha * x + beta, 0.0, 1.0)


@operator("Gelu")
def gelu(node: Node, x: Tensor) -> Tensor:
    return F.gelu(x, approximate=node.get("approximate", "none"))


@operator("Swish")
def swish(node: Node, x: Tensor) -> Tensor:
    alpha = node.get("alpha", 1.0)
    return F.silu(x) if alpha == 1 else x * torch.sigmoid(alpha * x)


@operator("Shrink", wide=True)
def shrink(node: Node, x: Tensor) -> Tensor:
    edge, bias = node.get("lambd", 0.5), node.get("bias", 0.0)
    moved = torch.where(x < -edge, x + bias, torch.zeros_like(x))
    return torch.where(x > edge, x - bias, moved).to(x.dtype)


@operator("Softmax")
def softmax(node: Node, x: Tensor) -> Tensor:
    return _along(node, x, F.softmax)


@operator("LogSoftmax")
def log_softmax(node: Node, x: Tensor) -> Tensor:
    return _along(node, x, F.log_softmax)


@operator("Hardmax")
def hardmax(node: Node, x: Tensor) -> Tensor:
    return _along(node, x, _first_largest)


def _along(node: Node, x: Tensor, function: object) -> Tensor:
    """Over one axis; before operator set 13 over all from `axis` on, taken as one."""
    old = node.version < 13
    axis = axis_of(node.get("axis", 1 if old else -1), x.ndim)
    if not old or axis == x.ndim - 1:
        return function(x, dim=axis)  # type: ignore[operator]  # F's functions and ours
    flat = torch.flatten(x, axis)
    return function(flat, dim=axis).reshape(x.shape)  # type: ignore[operator]


def _first_largest(x: Tensor, dim: int) -> Tensor:
    best = torch.argmax(x, dim=dim, keepdim=True)
    return torch.zeros_like(x).scatter(dim, best, 1.0)
