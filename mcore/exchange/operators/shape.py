"""Operators that move, cut, join and repeat."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mcore.exchange.operators.table import Node, axis_of, operator, plain, torch_dtype

# What files write for "to the end": the largest int32 or int64. Other ends beyond it come to the same.
ENDS = (2**31 - 1, 2**63 - 1)
_FAR = ENDS[0]


@operator("Reshape", numbers=(1,))
def reshape(node: Node, x: Tensor, shape: tuple) -> Tensor:
    copies = not node.get("allowzero", 0)
    return x.reshape([x.shape[k] if copies and plain(n) and n == 0 else n for k, n in enumerate(shape)])


@operator("Flatten")
def flatten(node: Node, x: Tensor) -> Tensor:
    axis = node.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    if axis == 1 and x.ndim > 1:
        return torch.flatten(x, 1)
    return x.reshape((math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def axes_of(node: Node, given: tuple | None, since: int) -> tuple | None:
    """Axes: an attribute before operator set `since`, an input from there on."""
    return given if node.version >= since else node.get("axes")


@operator("Squeeze", numbers=(1,))
def squeeze(node: Node, x: Tensor, axes: tuple | None = None) -> Tensor:
    axes = axes_of(node, axes, 13)
    if axes is None:
        axes = tuple(k for k, n in enumerate(x.shape) if n == 1)
    for axis in sorted((axis_of(axis, x.ndim) for axis in axes), reverse=True):
        if x.shape[axis] != 1:
            raise ValueError(f"axis {axis} has {x.shape[axis]} elements, not 1")
        x = torch.squeeze(x, axis)
    return x


@operator("Unsqueeze", numbers=(1,))
def unsqueeze(node: Node, x: Tensor, axes: tuple | None = None) -> Tensor:
    axes = axes_of(node, axes, 13) or ()
    rank = x.ndim + len(axes)
    for axis in sorted(axis_of(axis, rank) for axis in axes):
        x = torch.unsqueeze(x, axis)
    return x


@operator("Transpose")
def transpose(node: Node, x: Tensor) -> Tensor:
    return x.permute(node.get("perm", tuple(reversed(range(x.ndim)))))


@operator("Concat")
def concat(node: Node, *given: Tensor) -> Tensor:
    return torch.cat(given, dim=node.get("axis", 1))


@operator("Split", numbers=(1,))
def split(node: Node, x: Tensor, sizes: tuple | None = None) -> tuple[Tensor, ...]:
    axis = axis_of(node.get("axis", 0), x.ndim)
    given = node.get("split") if node.version < 13 else sizes
    given = even_sizes(x.shape[axis], len(node.outputs)) if given is None else list(given)
    return tuple(torch.split(x, given, dim=axis))


def even_sizes(size: int, parts: int) -> list[int]:
    """Sizes of `parts` equal parts; where they don't divide, the last is smaller."""
    if plain(size):
        part = -(-size // parts)
        return [*[part] * (parts - 1), size - part * (parts - 1)]
    return [size // parts] * parts if size % parts == 0 else even_sizes(int(size), parts)


@operator("Slice", numbers=(1, 2, 3, 4))
def cut(node: Node, x: Tensor, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None) -> Tensor:
    if node.version < 10:
        starts, ends, axes = node.get("starts"), node.get("ends"), node.get("axes")
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = axis_of(axis, x.ndim)
        if plain(step) and step < 0:
            x, start, end, step = _mirrored(x, axis, start, end), None, None, -step
        else:
            start, end = _near(start), None if plain(end) and end >= _FAR else _near(end)
        if start or end is not None or step != 1:
            x = x[(slice(None),) * axis + (slice(start, end, step),)]
    return x


def _near(place: int) -> int:
    """A place that is farther than any tensor is long, within 32 bits."""
    return max(min(place, _FAR), -_FAR) if plain(place) else place


def _mirrored(x: Tensor, axis: int, start: int, end: int) -> Tensor:
    """The elements from `start` back to before `end`, in that order."""
    size = x.shape[axis]
    first = min(max(start + size if start < 0 else start, 0), size - 1)
    # What stays negative lies before the beginning; so does "to the end", this way round.
    last = -1 if end in ENDS else max(end + size if end < 0 else end, -1)
    if first < 0 or first <= last:
        return torch.narrow(x, axis, 0, 0)
    return torch.flip(torch.narrow(x, axis, last + 1, first - last), (axis,))


@operator("Expand", numbers=(1,))
def expand(node: Node, x: Tensor, shape: tuple) -> Tensor:
    """Both ways: a 1 in `shape` keeps what `x` has."""
    shape = (*[1] * (x.ndim - len(shape)), *shape)
    added = len(shape) - x.ndim
    return x.expand([-1 if k >= added and plain(n) and n == 1 else n for k, n in enumerate(shape)])


@operator("Tile", numbers=(1,), wide=True)
def tile(node: Node, x: Tensor, repeats: tuple) -> Tensor:
    return x.repeat(list(repeats)) if repeats else x


# --- borders


@operator("Pad", numbers=(1, 3), either=(2,), wide=True)
def pad(node: Node, x: Tensor, pads: Any = None, value: Any = None, axes: tuple | None = None) -> Tensor:
    if node.version < 11:
        pads, value = node.get("pads"), node.get("value", 0.0)
    value = value[0] if isinstance(value, tuple) else value
    axes = tuple(range(x.ndim)) if axes is None else tuple(axis_of(axis, x.ndim) for axis in axes)
    amounts = {axis: (pads[k], pads[k + len(axes)]) for k, axis in enumerate(axes)}
    amounts = {axis: pair for axis, pair in amounts.items() if not _nothing(pair)}
    mode = node.get("mode", "constant")
    return padded(x, amounts, mode, value) if amounts else x


def _nothing(pair: tuple[int, int]) -> bool:
    return all(plain(n) and n == 0 for n in pair)


def padded(x: Tensor, amounts: dict[int, tuple[int, int]], mode: str = "constant", value: Any = None) -> Tensor:
    """Begins and ends by axis; negative ones crop."""
    if mode == "constant":
        return _filled(x, amounts, 0 if value is None else value)
    for axis, (begin, end) in amounts.items():
        if begin < 0 or end < 0:  # what is cut off is not seen by the border either
            first, last = max(-begin, 0), max(-end, 0)
            x = torch.narrow(x, axis, first, x.shape[axis] - first - last)
            begin, end = max(begin, 0), max(end, 0)
        x = torch.index_select(x, axis, _mirror_index(x, axis, begin, end, mode))
    return x


def _filled(x: Tensor, amounts: dict[int, tuple[int, int]], value: Any) -> Tensor:
    first = min(amounts)
    flat = [n for axis in range(x.ndim - 1, first - 1, -1) for n in amounts.get(axis, (0, 0))]
    if not isinstance(value, Tensor):
        return F.pad(x, flat, value=bool(value) if x.dtype is torch.bool else value)
    # A value that is computed: written where a padded mask of ones is not.
    inside = F.pad(torch.ones_like(x), flat)
    return torch.where(inside != 0, F.pad(x, flat), value.reshape(()).to(x.dtype))


def _mirror_index(x: Tensor, axis: int, begin: int, end: int, mode: str) -> Tensor:
    """Which element of an axis stands at each place of the padded one."""
    size = x.shape[axis]
    index = torch.arange(-begin, size + end, device=x.device)
    if mode == "edge":
        return torch.clamp(index, 0, size - 1)
    if mode == "wrap":
        return torch.remainder(index, size)
    if mode != "reflect":
        raise ValueError(f"mode={mode!r} is not one of constant, reflect, edge, wrap")
    period = max(2 * (size - 1), 1)
    index = torch.remainder(index, period)
    return torch.minimum(index, period - index)


# --- blocks


@operator("DepthToSpace")
def depth_to_space(node: Node, x: Tensor) -> Tensor:
    block = node.get("blocksize")
    if node.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, block)
    n, c, h, w = x.shape
    inner = c // block**2
    y = x.reshape((n, block, block, inner, h, w)).permute(0, 3, 4, 1, 5, 2)
    return y.reshape((n, inner, h * block, w * block))


@operator("SpaceToDepth")
def space_to_depth(node: Node, x: Tensor) -> Tensor:
    block = node.get("blocksize")
    if node.get("mode", "DCR") == "CRD":
        return F.pixel_unshuffle(x, block)
    n, c, h, w = x.shape
    y = x.reshape((n, c, h // block, block, w // block, block)).permute(0, 3, 5, 1, 2, 4)
    return y.reshape((n, c * block**2, h // block, w // block))


# --- diagonals


@operator("EyeLike")
def eye_like(node: Node, x: Tensor) -> Tensor:
    code = node.get("dtype")
    kind = x.dtype if code is None else torch_dtype(code)
    rows = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
    columns = torch.arange(x.shape[1], device=x.device).unsqueeze(0)
    return (columns - rows == node.get("k", 0)).to(kind)


@operator("Trilu", either=(1,))
def trilu(node: Node, x: Tensor, k: Any = None) -> Tensor:
    by = 0 if k is None else k[0] if isinstance(k, tuple) else int(k.item())
    return torch.triu(x, by) if node.get("upper", 1) else torch.tril(x, by)


@operator("Identity")
def identity(node: Node, x: Any) -> Any:
    return x
