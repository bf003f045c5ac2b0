"""Products of matrices."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mcore.exchange.operators.table import Node, operator, simple

simple({"MatMul": torch.matmul}, wide=True)
simple({"Det": torch.linalg.det})


@operator("Gemm", wide=True)
def gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    a = a.transpose(0, 1) if node.get("transA", 0) else a
    beside = c is None or (c.ndim == 1 and c.shape[0] == b.shape[0])
    if node.get("transB", 0) and alpha == beta == 1 and a.is_floating_point() and beside:
        return F.linear(a, b, c)
    out = torch.matmul(a, b.transpose(0, 1) if node.get("transB", 0) else b)
    out = out if alpha == 1 else (out * alpha).to(out.dtype)
    if c is None or beta == 0:
        return out
    return out + (c if beta == 1 else (c * beta).to(out.dtype))


@operator("Einsum")
def einsum(node: Node, *given: Tensor) -> Tensor:
    return torch.einsum(node.get("equation"), *given)


@operator("MatMulInteger")
def matmul_integer(
    node: Node, a: Tensor, b: Tensor, a_zero: Tensor | None = None, b_zero: Tensor | None = None
) -> Tensor:
    a, b = a.to(torch.int32), b.to(torch.int32)
    if a_zero is not None:  # one for each row
        a = a - (a_zero.to(torch.int32).unsqueeze(-1) if a_zero.ndim == 1 and a_zero.numel() > 1 else a_zero)
    if b_zero is not None:
        b = b - b_zero.to(torch.int32)
    return torch.matmul(a, b)
