"""Numbers of few bits, and back."""

from __future__ import annotations

import torch
from torch import Tensor

from mcore.exchange.operators.convolution import integer_conv
from mcore.exchange.operators.elementwise import converted
from mcore.exchange.operators.table import Node, axis_of, operator, torch_dtype


def _spread(node: Node, value: Tensor, x: Tensor, default: int) -> Tensor:
    """Scales or zero points beside `x`: one for all, one for each place on an axis, or one for each block."""
    if value.ndim == 0 or value.numel() == 1:
        return value.reshape(())
    axis, block = axis_of(node.get("axis", default), x.ndim), node.get("block_size", 0)
    if block:
        return torch.narrow(value.repeat_interleave(block, dim=axis), axis, 0, x.shape[axis])
    return value.reshape([-1 if k == axis else 1 for k in range(x.ndim)])


@operator("QuantizeLinear")
def quantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    code = node.get("output_dtype", 0)
    kind = zero.dtype if zero is not None else torch_dtype(code) if code else torch.uint8
    inner = torch.float32 if x.dtype in (torch.int32, torch.float16, torch.bfloat16) else x.dtype
    y = x.to(inner) / _spread(node, scale, x, 1).to(inner)
    if kind.is_floating_point:
        return converted(y, kind, saturate=bool(node.get("saturate", 1)))
    y = torch.round(y)
    y = y if zero is None else y + _spread(node, zero, x, 1).to(inner)
    return bounded(y, kind)


def bounded(y: Tensor, kind: torch.dtype) -> Tensor:
    """Rounded values as integers, the nearest where they don't fit."""
    info = torch.iinfo(kind)
    return torch.clamp(y, info.min, info.max).to(kind)


@operator("DequantizeLinear")
def dequantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    code = node.get("output_dtype", 0)
    kind = torch_dtype(code) if code else scale.dtype
    y = x.to(torch.float32)
    if zero is not None and not zero.dtype.is_floating_point:
        y = y - _spread(node, zero, x, 1).to(torch.float32)
    return (y * _spread(node, scale, x, 1)).to(kind)


@operator("QLinearConv")
def quantized_conv(
    node: Node, x: Tensor, x_scale: Tensor, x_zero: Tensor, w: Tensor, w_scale: Tensor, w_zero: Tensor,
    y_scale: Tensor, y_zero: Tensor, bias: Tensor | None = None,
) -> Tensor:  # fmt: skip
    total = integer_conv(node, x, w, x_zero.reshape(()), w_zero)
    beside = [-1, *[1] * (w.ndim - 2)]
    total = total if bias is None else total + bias.reshape(beside)
    scale = x_scale.reshape(()) * w_scale / y_scale.reshape(())
    scale = scale.reshape(beside) if scale.ndim and scale.numel() > 1 else scale.reshape(())
    return bounded(torch.round(total * scale) + y_zero.reshape(()), y_zero.dtype)


@operator("QLinearMatMul")
def quantized_matmul(
    node: Node, a: Tensor, a_scale: Tensor, a_zero: Tensor, b: Tensor, b_scale: Tensor, b_zero: Tensor,
    y_scale: Tensor, y_zero: Tensor,
) -> Tensor:  # fmt: skip
    def rows(value: Tensor) -> Tensor:
        return value.unsqueeze(-1) if value.ndim == 1 and value.numel() > 1 else value

    total = torch.matmul(a.to(torch.float64) - rows(a_zero), b.to(torch.float64) - b_zero)
    scale = rows(a_scale).to(torch.float64) * b_scale / rows(y_scale)
    return bounded(torch.round(total * scale) + rows(y_zero), y_zero.dtype)
