"""Random numbers, from torch's generator; the seeds that files name are those of another one."""

from __future__ import annotations

import torch
from torch import Tensor

from mcore.exchange.operators.table import DTYPES, Node, operator


def _kind(node: Node, like: Tensor | None) -> torch.dtype:
    code = node.get("dtype")
    return DTYPES[code] if code is not None else torch.float32 if like is None else like.dtype


def _drawn(node: Node, *, normal: bool, like: Tensor | None, device: torch.device | None) -> Tensor:
    shape = list(node.get("shape", ()) if like is None else like.shape)
    draw = torch.randn if normal else torch.rand
    out = draw(shape, dtype=_kind(node, like), device=device)
    if normal:
        return out * node.get("scale", 1.0) + node.get("mean", 0.0)
    low, high = node.get("low", 0.0), node.get("high", 1.0)
    return out * (high - low) + low


@operator("RandomNormalLike")
def normal_like(node: Node, x: Tensor) -> Tensor:
    return _drawn(node, normal=True, like=x, device=x.device)


@operator("RandomUniformLike")
def uniform_like(node: Node, x: Tensor) -> Tensor:
    return _drawn(node, normal=False, like=x, device=x.device)


@operator("RandomNormal", places=True)
def normal(node: Node, *, device: torch.device) -> Tensor:
    return _drawn(node, normal=True, like=None, device=device)


@operator("RandomUniform", places=True)
def uniform(node: Node, *, device: torch.device) -> Tensor:
    return _drawn(node, normal=False, like=None, device=device)


@operator("Bernoulli")
def bernoulli(node: Node, x: Tensor) -> Tensor:
    return torch.bernoulli(x).to(_kind(node, x))


@operator("Multinomial")
def multinomial(node: Node, x: Tensor) -> Tensor:
    """Of logarithms of probabilities that need not sum to 1."""
    drawn = torch.multinomial(torch.softmax(x.to(torch.float32), dim=-1), node.get("sample_size", 1), replacement=True)
    return drawn.to(DTYPES[node.get("dtype", 6)])


@operator("Dropout", either=(1, 2), training=True)
def dropout(node: Node, x: Tensor, ratio: object = None, train: object = None, *, training: bool) -> object:
    """Nothing in a graph for inference; in train mode what the ratio says."""
    rate = _number(ratio, 0.5) if node.version >= 12 else node.get("ratio", 0.5)
    active = training or bool(_number(train, 0.0))
    y = torch.nn.functional.dropout(x, rate, training=active)
    if not node.wants(1):
        return y
    return y, (y != 0) if active else torch.ones_like(x, dtype=torch.bool)


def _number(value: object, default: float) -> float:
    if value is None:
        return default
    return float(value[0]) if isinstance(value, tuple) else float(value.item())  # type: ignore[attr-defined]
