"""Operators on each element: arithmetic, comparisons, bits, casts, choices."""

from __future__ import annotations

import functools
from typing import Any

import onnx
import torch
from torch import Tensor

from mcore.exchange.operators.table import DTYPES, Node, operator, simple

simple(
    {
        "Abs": torch.abs, "Neg": torch.neg, "Floor": torch.floor, "Ceil": torch.ceil, "Round": torch.round,
        "Sqrt": torch.sqrt, "Exp": torch.exp, "Log": torch.log, "Reciprocal": torch.reciprocal, "Sign": torch.sign,
        "Sin": torch.sin, "Cos": torch.cos, "Tan": torch.tan, "Asin": torch.asin, "Acos": torch.acos,
        "Atan": torch.atan, "Sinh": torch.sinh, "Cosh": torch.cosh, "Tanh": torch.tanh, "Asinh": torch.asinh,
        "Acosh": torch.acosh, "Atanh": torch.atanh, "Erf": torch.erf, "IsNaN": torch.isnan,
        "Not": torch.logical_not, "And": torch.logical_and, "Or": torch.logical_or, "Xor": torch.logical_xor,
        "Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Equal": torch.eq, "Greater": torch.gt,
        "Less": torch.lt, "GreaterOrEqual": torch.ge, "LessOrEqual": torch.le, "Where": torch.where,
        "BitwiseAnd": torch.bitwise_and, "BitwiseOr": torch.bitwise_or, "BitwiseXor": torch.bitwise_xor,
        "BitwiseNot": torch.bitwise_not,
    },
    wide=True,
)  # fmt: skip


@operator("Div", wide=True)
def div(node: Node, a: Tensor, b: Tensor) -> Tensor:
    if a.is_floating_point() or b.is_floating_point() or a.is_complex():
        return torch.div(a, b)
    return torch.div(a, b, rounding_mode="trunc")


@operator("Mod", wide=True)
def mod(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return torch.fmod(a, b) if node.get("fmod", 0) else torch.remainder(a, b)


@operator("Pow", wide=True)
def power(node: Node, base: Tensor, exponent: Tensor) -> Tensor:
    return torch.pow(base, exponent).to(base.dtype)  # the base's type, whatever the exponent's


@operator("Max", wide=True)
def maximum(node: Node, *given: Tensor) -> Tensor:
    return functools.reduce(torch.maximum, given)


@operator("Min", wide=True)
def minimum(node: Node, *given: Tensor) -> Tensor:
    return functools.reduce(torch.minimum, given)


@operator("Sum")
def total(node: Node, *given: Tensor) -> Tensor:
    return functools.reduce(torch.add, given)


@operator("Mean")
def mean(node: Node, *given: Tensor) -> Tensor:
    return functools.reduce(torch.add, given) / len(given)


@operator("Clip", either=(1, 2), wide=True)
def clip(node: Node, x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    if node.version < 11:
        low, high = node.get("min"), node.get("max")
    low, high = (value[0] if isinstance(value, tuple) else value for value in (low, high))
    if low is None and high is None:
        return x
    if isinstance(low, Tensor) or isinstance(high, Tensor):  # both of one kind, as torch asks
        low, high = (v if v is None or isinstance(v, Tensor) else x.new_full((), v) for v in (low, high))
    return torch.clamp(x, low, high)


@operator("IsInf")
def is_inf(node: Node, x: Tensor) -> Tensor:
    found = torch.isinf(x)
    if not node.get("detect_positive", 1):
        found = torch.logical_and(found, x < 0)
    if not node.get("detect_negative", 1):
        found = torch.logical_and(found, x > 0)
    return found


@operator("BitShift", wide=True)
def shift(node: Node, x: Tensor, by: Tensor) -> Tensor:
    right = node.get("direction") == "RIGHT"
    return torch.bitwise_right_shift(x, by) if right else torch.bitwise_left_shift(x, by)


def _unknown_type(node: Node) -> str | None:
    code = node.get("to")
    return None if code in DTYPES else f"the element type {onnx.TensorProto.DataType.Name(code)}"


_FLOAT8 = [kind for kind in DTYPES.values() if str(kind).startswith("torch.float8")]


@operator("Cast", refuses=_unknown_type)
def cast(node: Node, x: Tensor) -> Tensor:
    return converted(x, DTYPES[node.get("to")], saturate=bool(node.get("saturate", 1)))


@operator("CastLike")
def cast_like(node: Node, x: Tensor, like: Tensor) -> Tensor:
    return converted(x, like.dtype, saturate=bool(node.get("saturate", 1)))


def converted(x: Tensor, kind: torch.dtype, *, saturate: bool) -> Tensor:
    """`x` in another type; what is too large for eight bits becomes the largest that fits."""
    if kind in _FLOAT8 and saturate:
        info = torch.finfo(kind)
        x = torch.clamp(x.to(torch.float32), info.min, info.max)
    elif kind is torch.float8_e4m3fn:  # it has no infinity: what rounds beyond the largest is not a number
        x = torch.where(torch.abs(x) > 464, torch.full_like(x, torch.nan), x)
    return x.to(kind)


@operator("BitCast", refuses=_unknown_type)
def bit_cast(node: Node, x: Tensor) -> Tensor:
    return x.view(DTYPES[node.get("to")])
