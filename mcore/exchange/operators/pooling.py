"""Pooling over windows, and over everything."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mcore.exchange.operators.convolution import Pairs, bordered, borders, even, window
from mcore.exchange.operators.table import Node, operator, plain

_MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def _pool(table: dict[int, Any], dims: int) -> Callable[..., Any]:
    if dims not in table:
        raise NotImplementedError(f"a pool over {dims} axes: torch has 1 to 3")
    return table[dims]


class _Windows:
    """Where a node's windows lie."""

    def __init__(self, node: Node, x: Tensor) -> None:
        self.kernel = list(node.get("kernel_shape"))
        self.strides, self.dilations, self.reach = window(node, self.kernel)
        self.sizes = list(x.shape[2:])
        self.pairs = borders(node, self.sizes, self.reach, self.strides, crops=True)
        self.ceil = bool(node.get("ceil_mode", 0)) and node.get("auto_pad", "NOTSET") == "NOTSET"

    def native(self) -> bool:
        """Whether torch's own padding does it: even, and at most half a window."""
        return even(self.pairs) and all(2 * a <= k for (a, _), k in zip(self.pairs, self.kernel, strict=True))

    def begins(self) -> list[int]:
        return [a for a, _ in self.pairs]

    def extended(self) -> Pairs:
        """Borders that hold the last window of each axis, where the ceiling lets it reach out."""
        if not self.ceil:
            return self.pairs
        out = []
        for (a, b), n, r, s in zip(self.pairs, self.sizes, self.reach, self.strides, strict=True):
            count = -(-(n + a + b - r) // s) + 1
            if (count - 1) * s >= n + a:  # a window that starts in the border behind doesn't count
                count -= 1
            out.append((a, (count - 1) * s + r - n - a))
        return out


@operator("MaxPool")
def max_pool(node: Node, x: Tensor) -> Any:
    w, kind = _Windows(node, x), x.dtype
    if not kind.is_floating_point:  # torch pools floats; integers of eight bits are exact in them
        x = x.to(torch.float64 if kind.itemsize > 2 else torch.float32)
    pool = _pool(_MAX, len(w.kernel))
    if node.wants(1):
        values, places = _with_places(node, x, w, pool)
        return values.to(kind), places
    if w.native():
        return pool(x, w.kernel, w.strides, w.begins(), w.dilations, w.ceil).to(kind)
    return pool(bordered(x, w.extended(), -math.inf), w.kernel, w.strides, 0, w.dilations).to(kind)


def _with_places(node: Node, x: Tensor, w: _Windows, pool: Callable[..., Any]) -> tuple[Tensor, Tensor]:
    """Values, and their places counted over the whole tensor, as ONNX counts."""
    pairs = w.extended()
    wide = bordered(x, pairs, -math.inf)
    values, inside = pool(wide, w.kernel, w.strides, 0, w.dilations, False, True)
    coordinates: list[Tensor] = []
    for (begin, _), size in zip(reversed(pairs), reversed(wide.shape[2:]), strict=True):
        coordinates.insert(0, inside % size - begin)
        inside = inside // size
    axes = list(range(len(coordinates)))
    if node.get("storage_order", 0):  # the first axis runs fastest
        axes.reverse()
    flat = torch.zeros_like(inside)
    for axis in axes:
        flat = flat * w.sizes[axis] + coordinates[axis]
    planes = torch.arange(x.shape[0] * x.shape[1], device=x.device) * math.prod(w.sizes)
    return values, flat + planes.reshape([x.shape[0], x.shape[1], *[1] * len(w.sizes)])


@operator("AveragePool")
def average_pool(node: Node, x: Tensor) -> Tensor:
    w = _Windows(node, x)
    pool, with_border = _pool(_AVERAGE, len(w.kernel)), bool(node.get("count_include_pad", 0))
    if w.native() and set(w.dilations) == {1}:
        return pool(x, w.kernel, w.strides, w.begins(), w.ceil, with_border)
    outer = [(b - a[0], e - a[1]) for a, (b, e) in zip(w.pairs, w.extended(), strict=True)]
    seen = torch.ones_like(x[:1, :1])
    seen = bordered(bordered(seen, w.pairs, 1.0 if with_border else 0.0), outer)
    return _sums(bordered(x, w.extended()), w) / _sums(seen, w)


def _sums(x: Tensor, w: _Windows) -> Tensor:
    """The sum in each window."""
    dims, count = len(w.kernel), math.prod(w.kernel)
    if set(w.dilations) == {1}:
        return _pool(_AVERAGE, dims)(x, w.kernel, w.strides) * count
    ones = torch.ones([1, 1, *w.kernel], dtype=x.dtype, device=x.device)
    flat = x.reshape([-1, 1, *x.shape[2:]])
    conv = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[dims]
    out = conv(flat, ones, None, w.strides, 0, w.dilations)
    return out.reshape([x.shape[0], x.shape[1], *out.shape[2:]])


@operator("LpPool")
def lp_pool(node: Node, x: Tensor) -> Tensor:
    w, p = _Windows(node, x), node.get("p", 2)
    return _sums(bordered(torch.abs(x) ** p, w.extended()), w) ** (1.0 / p)


def _spatial(x: Tensor) -> list[int]:
    return list(range(2, x.ndim))


@operator("GlobalAveragePool")
def global_average(node: Node, x: Tensor) -> Tensor:
    return torch.mean(x, dim=_spatial(x), keepdim=True)


@operator("GlobalMaxPool")
def global_max(node: Node, x: Tensor) -> Tensor:
    return torch.amax(x, dim=_spatial(x), keepdim=True)


@operator("GlobalLpPool")
def global_lp(node: Node, x: Tensor) -> Tensor:
    p = node.get("p", 2)
    return torch.sum(torch.abs(x) ** p, dim=_spatial(x), keepdim=True) ** (1.0 / p)


@operator("MaxUnpool", numbers=(2,))
def max_unpool(node: Node, x: Tensor, places: Tensor, shape: tuple | None = None) -> Tensor:
    """Places count over the whole tensor that was pooled."""
    kernel = node.get("kernel_shape")
    strides, _, reach = window(node, kernel)
    pairs = borders(node, x.shape[2:], reach, strides)
    pooled = [(n - 1) * s + r - a - b for n, s, r, (a, b) in zip(x.shape[2:], strides, reach, pairs, strict=True)]
    pooled = [x.shape[0], x.shape[1], *pooled]
    flat = torch.zeros([math.prod(pooled)], dtype=x.dtype, device=x.device)
    out = torch.scatter(flat, 0, places.reshape(-1), x.reshape(-1)).reshape(pooled)
    if shape is None:
        return out
    more: Sequence[int] = [wanted - n for wanted, n in zip(shape[2:], pooled[2:], strict=True)]
    if not all(plain(m) and m == 0 for m in more):
        out = bordered(out, [(0, m) for m in more])
    return out
