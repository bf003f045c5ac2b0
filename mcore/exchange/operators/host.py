"""Arithmetic of sizes, on the host: nothing waits for a device, and symbolic sizes stay symbolic.

Numbers lie in arrays of Python objects. A function that can't keep its result on the host answers NotImplemented;
the operator is then run on the device.
"""

from __future__ import annotations

import math
import operator as ops
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mcore.exchange.operators.shape import ENDS, even_sizes
from mcore.exchange.operators.table import DTYPES, Host, Node, axis_of, on_host, operator, plain

# More numbers than this are no sizes.
MOST = 1024


def held(value: Any, dtype: torch.dtype) -> Host:
    """Numbers as they were computed; floats rounded as their type has them."""
    array = np.asarray(value, dtype=object)
    if dtype is torch.float32:
        array = np.asarray(_round32(array), dtype=object)
    return Host(array, dtype)


_round32 = np.frompyfunc(lambda v: float(np.float32(v)) if type(v) is float else v, 1, 1)


@operator("Shape", raw=True)
def shape_of(node: Node, x: Any, *, run: Any) -> Host:
    sizes = list(x.array.shape if isinstance(x, Host) else x.shape)
    return Host(np.array(sizes[node.get("start", 0) : node.get("end")], dtype=object), torch.int64)


@operator("Size", raw=True)
def size_of(node: Node, x: Any, *, run: Any) -> Host:
    return held(math.prod(x.array.shape if isinstance(x, Host) else x.shape), torch.int64)


def _each(function: Callable[..., Any], *, kind: torch.dtype | None = None) -> Callable[..., Any]:
    """A function of each number; of `kind`, or of the first input's type."""

    def run(node: Node, *given: Host) -> Host:
        arrays = np.broadcast_arrays(*(value.array for value in given))
        spoken = np.frompyfunc(lambda *numbers: function(*numbers), len(arrays), 1)
        return held(spoken(*arrays), kind or given[0].dtype)

    return run


def _quotient(a: Any, b: Any) -> Any:
    if isinstance(a, float) or isinstance(b, float) or not hasattr(a, "__index__"):
        return a / b if b else math.copysign(math.inf, a) if a else math.nan
    # Towards zero. Sizes are not negative, and symbolic ones are not asked for their sign.
    return a // b if not plain(a) or not plain(b) or a * b >= 0 else -(-a // b)


def _mod(node: Node, a: Host, b: Host) -> Any:
    return NotImplemented if node.get("fmod", 0) else _each(ops.mod)(node, a, b)


def _whole(function: Callable[[Any], Any]) -> Callable[..., Any]:
    """Rounding: it gives a float in a tensor of floats, but a size stays what it was."""
    return _each(lambda v: float(function(v)) if type(v) is float and math.isfinite(v) else function(v))


_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": ops.add, "Sub": ops.sub, "Mul": ops.mul, "Div": _quotient, "Neg": ops.neg, "Abs": abs,
    "Max": max, "Min": min,
}  # fmt: skip
_QUESTIONS: dict[str, Callable[..., Any]] = {
    "Equal": ops.eq, "Greater": ops.gt, "Less": ops.lt, "GreaterOrEqual": ops.ge, "LessOrEqual": ops.le,
    "And": lambda a, b: bool(a and b), "Or": lambda a, b: bool(a or b), "Not": ops.not_,
    "Xor": lambda a, b: bool(a) != bool(b),
}  # fmt: skip
for _name, _function in _ARITHMETIC.items():
    on_host(_name)(_each(_function))
for _name, _function in _QUESTIONS.items():
    on_host(_name)(_each(_function, kind=torch.bool))
on_host("Floor")(_whole(math.floor))
on_host("Ceil")(_whole(math.ceil))
on_host("Mod")(_mod)


@on_host("Where")
def where(node: Node, condition: Host, a: Host, b: Host) -> Host:
    chosen = _each(lambda c, left, right: left if c else right)(node, condition, a, b)
    return Host(chosen.array, a.dtype)


@on_host("Identity")
def identity(node: Node, x: Host) -> Host:
    return x


@on_host("Cast")
def cast(node: Node, x: Host) -> Any:
    kind = DTYPES[node.get("to")]
    if kind is torch.bool:
        return held(np.frompyfunc(bool, 1, 1)(x.array), kind)
    if kind in (torch.int64, torch.int32):
        return held(np.frompyfunc(_integer, 1, 1)(x.array), kind)
    if kind in (torch.float32, torch.float64):
        return held(np.frompyfunc(_float, 1, 1)(x.array), kind)
    return NotImplemented


def _integer(value: Any) -> Any:
    if plain(value):
        return int(value) if math.isfinite(value) else 0
    return value if isinstance(value, int) else math.floor(value)  # a symbolic one; sizes are not negative


def _float(value: Any) -> Any:
    return float(value) if plain(value) else value * 1.0


@on_host("Gather")
def gather(node: Node, x: Host, index: Host) -> Any:
    if not all(plain(n) for n in index.flat()):
        return NotImplemented
    axis = axis_of(node.get("axis", 0), x.array.ndim)
    return Host(np.asarray(np.take(x.array, index.array.astype(np.int64), axis=axis), dtype=object), x.dtype)


@on_host("Concat")
def concat(node: Node, *given: Host) -> Host:
    return Host(np.concatenate([value.array for value in given], axis=node.get("axis", 1)), given[0].dtype)


def _axes(node: Node, axes: Host | None) -> tuple | None:
    return node.get("axes") if axes is None else axes.flat()


@on_host("Unsqueeze")
def unsqueeze(node: Node, x: Host, axes: Host | None = None) -> Host:
    return Host(np.expand_dims(x.array, _axes(node, axes) or ()), x.dtype)


@on_host("Squeeze")
def squeeze(node: Node, x: Host, axes: Host | None = None) -> Host:
    return Host(np.asarray(np.squeeze(x.array, _axes(node, axes)), dtype=object), x.dtype)


@on_host("Reshape")
def reshape(node: Node, x: Host, shape: Host) -> Any:
    sizes = shape.flat()
    if not all(plain(n) for n in sizes) or node.get("allowzero", 0):
        return NotImplemented
    return Host(x.array.reshape([x.array.shape[k] if n == 0 else n for k, n in enumerate(sizes)]), x.dtype)


@on_host("Flatten")
def flatten(node: Node, x: Host) -> Host:
    axis = node.get("axis", 1)
    return Host(x.array.reshape(math.prod(x.array.shape[:axis]), -1), x.dtype)


@on_host("Transpose")
def transpose(node: Node, x: Host) -> Host:
    return Host(np.transpose(x.array, node.get("perm")), x.dtype)


@on_host("Slice")
def cut(node: Node, x: Host, *given: Host | None) -> Any:
    if node.version < 10:
        starts, ends, axes, steps = node.get("starts"), node.get("ends"), node.get("axes"), None
    else:
        values = [None if value is None else value.flat() for value in given]
        starts, ends, axes, steps = (*values, None, None)[:4]
    if not all(plain(n) for part in (starts, ends, steps or ()) for n in part):
        return NotImplemented
    array = x.array
    axes = range(len(starts)) if axes is None else axes
    for start, end, axis, step in zip(starts, ends, axes, steps or [1] * len(starts), strict=True):
        size = array.shape[axis]
        if step < 0 and (end < -size or end in ENDS):  # before the beginning, which is None in a slice of Python's
            end = None
        if step < 0 and start < -size:  # it begins at the first element at least
            start = -size
        array = array[(slice(None),) * axis_of(axis, array.ndim) + (slice(start, end, step),)]
    return Host(array, x.dtype)


@on_host("Split")
def split(node: Node, x: Host, sizes: Host | None = None) -> Any:
    axis = axis_of(node.get("axis", 0), x.array.ndim)
    given = node.get("split") if sizes is None else sizes.flat()
    given = even_sizes(x.array.shape[axis], len(node.outputs)) if given is None else given
    if not all(plain(n) for n in given):
        return NotImplemented
    parts = np.split(x.array, np.cumsum(given)[:-1].tolist(), axis=axis)
    return tuple(Host(part, x.dtype) for part in parts)


@on_host("Expand")
def expand(node: Node, x: Host, shape: Host) -> Any:
    sizes = shape.flat()
    if not all(plain(n) for n in sizes) or math.prod(sizes) > MOST:
        return NotImplemented
    return Host(np.array(np.broadcast_to(x.array, np.broadcast_shapes(x.array.shape, sizes))), x.dtype)


@on_host("Tile")
def tile(node: Node, x: Host, repeats: Host) -> Any:
    sizes = repeats.flat()
    if not all(plain(n) for n in sizes) or math.prod(sizes) * x.array.size > MOST:
        return NotImplemented
    return Host(np.tile(x.array, sizes), x.dtype)


def _folded(function: Callable[[Any, Any], Any], first: Any) -> Callable[..., Any]:
    def run(node: Node, x: Host, axes: Host | None = None) -> Any:
        chosen = _axes(node, axes)
        if x.array.ndim != 1 or not x.array.size or (not chosen and node.get("noop_with_empty_axes", 0)):
            return NotImplemented
        total = first
        for number in x.flat():
            total = number if total is None else function(total, number)
        return held([total] if node.get("keepdims", 1) else total, x.dtype)

    return run


on_host("ReduceProd")(_folded(ops.mul, None))
on_host("ReduceSum")(_folded(ops.add, None))
on_host("ReduceMax")(_folded(max, None))
on_host("ReduceMin")(_folded(min, None))


@operator("Range", raw=True)
def between(node: Node, start: Any, limit: Any, delta: Any, *, run: Any) -> Any:
    given = (start, limit, delta)
    numbers = [run.numbers(value)[0] for value in given]
    if all(isinstance(value, Host) for value in given) and all(map(plain, numbers)):
        count = max(math.ceil((numbers[1] - numbers[0]) / numbers[2]), 0)
        if count <= MOST and start.dtype in _COUNTS:
            return held([numbers[0] + k * numbers[2] for k in range(count)], start.dtype)
    return torch.arange(*numbers, dtype=start.dtype, device=run.device)


@operator("ConstantOfShape", numbers=(0,), places=True)
def constant_of_shape(node: Node, shape: tuple, *, device: torch.device) -> Tensor:
    value = node.get("value")
    number, kind = (0.0, torch.float32) if value is None else (value.item(), value.dtype)
    return torch.full(list(shape), number, dtype=kind, device=device)


@on_host("ConstantOfShape")
def small_constant(node: Node, shape: Host) -> Any:
    sizes, value = shape.flat(), node.get("value")
    kind = torch.float32 if value is None else value.dtype
    if not all(plain(n) for n in sizes) or math.prod(sizes) > 64 or kind not in _COUNTS:
        return NotImplemented
    return Host(np.full(sizes, value.item(), dtype=object), kind)


# Types that sizes have. Floats are no sizes before they are cast.
_COUNTS = (torch.int64, torch.int32, torch.bool)
