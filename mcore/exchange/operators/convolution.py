"""Convolutions, their transposes and their relatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mcore.exchange.operators.shape import padded
from mcore.exchange.operators.table import Node, operator, plain

_FORWARD = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_BACKWARD = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}

Pairs = list[tuple[int, int]]


def window(node: Node, kernel: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """Strides, dilations and reach of a window, by axis."""
    dims = len(kernel)
    strides, dilations = list(node.get("strides", (1,) * dims)), list(node.get("dilations", (1,) * dims))
    return strides, dilations, [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]


def borders(
    node: Node, sizes: Sequence[int], reach: Sequence[int], strides: Sequence[int], *, crops: bool = False
) -> Pairs:
    """What is added before and after each axis; with `crops`, SAME cuts where windows are narrower than strides."""
    how, dims = node.get("auto_pad", "NOTSET"), len(reach)
    if how == "NOTSET":
        pads = node.get("pads", (0,) * 2 * dims)
        return [(pads[k], pads[k + dims]) for k in range(dims)]
    if how == "VALID":
        return [(0, 0)] * dims
    totals = [_total(n, r, s) for n, r, s in zip(sizes, reach, strides, strict=True)]
    totals = totals if crops else [max(total, 0) for total in totals]
    return [halved(total, more_at_end=how == "SAME_UPPER") for total in totals]


def _total(size: int, reach: int, stride: int) -> int:
    """What SAME needs for ceil(size / stride) windows; with stride 1 it's the same for every size."""
    if stride == 1:
        return reach - 1
    return (-(-size // stride) - 1) * stride + reach - size


def halved(total: int, *, more_at_end: bool) -> tuple[int, int]:
    """An amount at both ends; an odd one has more at one of them. What is cut is halved towards zero."""
    twice = total if more_at_end else total + 1
    first = twice // 2 if twice >= 0 else -(-twice // 2)
    return first, total - first


def even(pairs: Pairs) -> bool:
    """Whether as much is added before as after, so that torch's own padding does it."""
    return all(plain(a) and plain(b) and a == b >= 0 for a, b in pairs)


def bordered(x: Tensor, pairs: Pairs, value: float = 0.0) -> Tensor:
    """`x` with its last axes padded."""
    first = x.ndim - len(pairs)
    amounts = {first + k: pair for k, pair in enumerate(pairs) if pair != (0, 0)}
    return padded(x, amounts, "constant", value) if amounts else x


@operator("Conv")
def conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    kernel = weight.shape[2:]
    strides, dilations, reach = window(node, kernel)
    pairs = borders(node, x.shape[2:], reach, strides)
    padding = [a for a, _ in pairs] if even(pairs) else [0] * len(pairs)
    x = x if even(pairs) else bordered(x, pairs)
    return _forward(len(kernel))(x, weight, bias, strides, padding, dilations, node.get("group", 1))


def _forward(dims: int) -> Callable[..., Tensor]:
    if dims not in _FORWARD:
        raise NotImplementedError(f"a convolution with {dims} spatial axes: torch has 1 to 3")
    return _FORWARD[dims]


@operator("ConvTranspose")
def conv_transpose(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    kernel, dims = weight.shape[2:], weight.ndim - 2
    if dims not in _BACKWARD:
        raise NotImplementedError(f"a transposed convolution with {dims} spatial axes: torch has 1 to 3")
    strides, dilations, reach = window(node, kernel)
    more = list(node.get("output_padding", (0,) * dims))
    pairs = _cropped(node, x.shape[2:], reach, strides, more)
    groups = node.get("group", 1)
    fits = even(pairs) and all(m < max(s, d) for m, s, d in zip(more, strides, dilations, strict=True))
    if fits:
        begins = [a for a, _ in pairs]
        return _BACKWARD[dims](x, weight, bias, strides, begins, more, groups, dilations)
    whole = _BACKWARD[dims](x, weight, None, strides, [0] * dims, [0] * dims, groups, dilations)
    out = bordered(whole, [(-a, m - b) for (a, b), m in zip(pairs, more, strict=True)])
    # After the crop: places that no window reaches hold the bias too.
    return out if bias is None else out + bias.reshape([-1, *[1] * dims])


def _cropped(node: Node, sizes: Sequence[int], reach: Sequence[int], strides: Sequence[int], more: list[int]) -> Pairs:
    """What is cut from the whole result, before and after each axis."""
    how, wanted, dims = node.get("auto_pad", "NOTSET"), node.get("output_shape"), len(reach)
    if wanted is None and how in ("NOTSET", "VALID"):
        return borders(node, sizes, reach, strides)
    shape = [n * s for n, s in zip(sizes, strides, strict=True)] if wanted is None else list(wanted)[-dims:]
    out = []
    for k, size in enumerate(sizes):
        # SAME wants size * stride of each size: the size goes out of the difference, so that it may be symbolic.
        whole = more[k] + reach[k] - strides[k]
        total = whole if wanted is None else whole + strides[k] * size - shape[k]
        out.append(halved(max(total, 0), more_at_end=how == "SAME_UPPER"))
        if wanted is not None and total < 0:  # more is asked for than there is
            more[k] -= total
    return out


@operator("Col2Im", numbers=(1, 2))
def col2im(node: Node, x: Tensor, image: tuple, block: tuple) -> Tensor:
    if len(image) != 2:
        raise NotImplementedError(f"{len(image)} spatial axes: torch's fold has 2")
    strides, dilations, _ = window(node, block)
    pads = node.get("pads", (0,) * 4)
    size = [n + pads[k] + pads[k + 2] for k, n in enumerate(image)]
    fold: Any = F.fold  # its stub takes one number or two, the function any sequence
    whole = fold(x, size, list(block), dilations, 0, strides)
    return bordered(whole, [(-pads[k], -pads[k + 2]) for k in range(2)])


@operator("ConvInteger")
def conv_integer(
    node: Node, x: Tensor, weight: Tensor, x_zero: Tensor | None = None, w_zero: Tensor | None = None
) -> Tensor:
    return integer_conv(node, x, weight, x_zero, w_zero).to(torch.int32)


def integer_conv(node: Node, x: Tensor, weight: Tensor, x_zero: Tensor | None, w_zero: Tensor | None) -> Tensor:
    """The products' exact sums: in float64, which holds them all."""
    x, weight = x.to(torch.float64), weight.to(torch.float64)
    x = x if x_zero is None else x - x_zero
    if w_zero is not None:
        weight = weight - w_zero.to(torch.float64).reshape([-1, *[1] * (weight.ndim - 1)])
    return conv(node, x, weight)
