"""Largest and smallest: values and their places over axes.

The runtime's maxima pass over NaN and order them anyhow; torch's answer NaN, so floats take a second look.
Differs: in a row that has both an infinity (of the sought sign) and a NaN, the place found is that of
whichever comes first; the value is NaN, as in torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from mcore.platform import dtypes
from mcore.platform.tensor import Tensor, constant, emit
from mcore.platform.word import word
from mcore.platform.words._common import axes_of, axis_of, cast, promote
from mcore.platform.words._pieces import (
    binary,
    count_of,
    fill,
    flat,
    hand_out,
    reduce,
    reduced_shape,
    reshape,
    test,
    where,
)

Axes = int | Sequence[int]


class Extreme(NamedTuple):
    """Values and where they stand along the axis."""

    values: Tensor
    indices: Tensor


class Range(NamedTuple):
    """The smallest and the largest."""

    min: Tensor
    max: Tensor


def comparable(x: Tensor) -> Tensor:
    """`x` in a type that the runtime compares in: it has no kernels for bool and int16."""
    kind = {"bool": dtypes.uint8, "int16": dtypes.int32}.get(x._dtype.name)
    return x if kind is None else cast(x, kind)


def _check_not_empty(x: Tensor, axes: Sequence[int], whole: bool, name: str, error: type = RuntimeError) -> None:
    if whole and x.ndim and int(count_of(x.shape, axes)) == 0:
        hint = " Specify the reduction dim with the 'dim' argument." if error is RuntimeError else ""
        raise error(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.{hint}")
    for axis in axes:
        if int(x.shape[axis]) == 0:
            raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")


def extreme(op: str, x: Tensor, axes: Sequence[int], keepdim: bool, nan: Tensor | None = None) -> Tensor:
    """ReduceMax or ReduceMin that lets NaN through. `nan`: where `x` is NaN, if already known."""
    if not x.ndim:
        return x
    out = cast(reduce(op, comparable(x), axes, keepdim), x._dtype)
    if x._dtype.category != dtypes.FLOAT:
        return out
    spoilt = reduce("ReduceMax", test("IsNaN", x) if nan is None else nan, axes, keepdim)
    return where(spoilt, fill(math.nan, x), out)


def place(op: str, x: Tensor, axis: int, keepdim: bool, nan: Tensor | None = None) -> Tensor:
    """First index of the extreme (ArgMax or ArgMin) along an axis; a NaN counts as more extreme than all."""
    if not x.ndim:
        return constant(0, dtypes.int64)
    x = comparable(x)
    if x._dtype.category == dtypes.FLOAT:
        end = fill(math.inf if op == "ArgMax" else -math.inf, x)
        x = where(test("IsNaN", x) if nan is None else nan, end, x)
    shape = reduced_shape(x.shape, (axis,), keepdim)
    return emit(op, [x], shape, dtypes.int64, axis=axis, keepdims=int(keepdim))


def _amount(op: str, input: Tensor, dim: Axes, keepdim: bool, name: str) -> Tensor:
    axes = axes_of(dim, input.ndim)
    _check_not_empty(input, axes, not isinstance(dim, int) and not len(dim), name)
    return extreme(op, input, axes, keepdim)


@word("torch.amax", "Tensor.amax")
def amax(input: Tensor, dim: Axes = (), keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """Largest over axes (all by default). Raises IndexError for an axis of size 0."""
    return hand_out(_amount("ReduceMax", input, dim, keepdim, "amax"), out)


@word("torch.amin", "Tensor.amin")
def amin(input: Tensor, dim: Axes = (), keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """Smallest over axes (all by default). Raises IndexError for an axis of size 0."""
    return hand_out(_amount("ReduceMin", input, dim, keepdim, "amin"), out)


@word("torch.aminmax", "Tensor.aminmax")
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False, out: tuple | None = None) -> Range:
    """Smallest and largest over one axis or all."""
    axes = axes_of(dim, input.ndim)
    if dim is None and input.ndim and not int(count_of(input.shape, axes)):
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
        )
    _check_not_empty(input, axes, False, "aminmax")
    both = [extreme(op, input, axes, keepdim) for op in ("ReduceMin", "ReduceMax")]
    return Range(*(hand_out(r, o) for r, o in zip(both, out or (None, None), strict=True)))


def _overloads(
    sign: str,
    input: Tensor,
    dim: int | Tensor | None,
    keepdim: bool,
    other: Tensor | None,
    out: Tensor | tuple | None,
) -> Tensor | Extreme:
    """torch.max and torch.min: of everything, along an axis, of two tensors."""
    name = sign.lower()
    other = dim if isinstance(dim, Tensor) else other
    if other is not None:
        (a, b), kind = promote(input, other)
        return hand_out(cast(binary(sign, comparable(a), comparable(b)), kind), out)  # type: ignore[arg-type]
    if dim is None:
        axes = axes_of(None, input.ndim)
        _check_not_empty(input, axes, True, name)
        return hand_out(extreme(f"Reduce{sign}", input, axes, False), out)  # type: ignore[arg-type]
    axis = axis_of(dim, input.ndim)  # type: ignore[arg-type]
    axes = (axis,) if input.ndim else ()
    _check_not_empty(input, axes, False, name)
    nan = test("IsNaN", input) if input._dtype.category == dtypes.FLOAT and input.ndim else None
    values = extreme(f"Reduce{sign}", input, axes, keepdim, nan)
    indices = place(f"Arg{sign}", input, axis, keepdim, nan)
    if out is None:
        return Extreme(values, indices)
    return Extreme(hand_out(values, out[0]), hand_out(indices, out[1]))  # type: ignore[index]


@word("torch.max", "Tensor.max")
def max(
    input: Tensor,
    dim: int | Tensor | None = None,
    keepdim: bool = False,
    *,
    other: Tensor | None = None,
    out: Tensor | tuple | None = None,
) -> Tensor | Extreme:
    """Largest of all; along an axis with its first index (`values`, `indices`); or of two tensors."""
    return _overloads("Max", input, dim, keepdim, other, out)


@word("torch.min", "Tensor.min")
def min(
    input: Tensor,
    dim: int | Tensor | None = None,
    keepdim: bool = False,
    *,
    other: Tensor | None = None,
    out: Tensor | tuple | None = None,
) -> Tensor | Extreme:
    """Smallest of all; along an axis with its first index (`values`, `indices`); or of two tensors."""
    return _overloads("Min", input, dim, keepdim, other, out)


def _arg(op: str, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    name = op.lower()
    if input._dtype is dtypes.bool_:
        raise RuntimeError(f"{name}(): does not support bool input")
    if dim is None:
        _check_not_empty(input, axes_of(None, input.ndim), True, name, IndexError)
        out = place(op, flat(input), 0, False)
        return reshape(out, (1,) * input.ndim) if keepdim else out
    axis = axis_of(dim, input.ndim)
    _check_not_empty(input, (axis,) if input.ndim else (), False, name)
    return place(op, input, axis, keepdim)


@word("torch.argmax", "Tensor.argmax")
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """First index of the largest along an axis, or in the flattened tensor."""
    return hand_out(_arg("ArgMax", input, dim, keepdim), out)


@word("torch.argmin", "Tensor.argmin")
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """First index of the smallest along an axis, or in the flattened tensor."""
    return hand_out(_arg("ArgMin", input, dim, keepdim), out)
