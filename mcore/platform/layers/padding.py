"""Padding with a constant, mirrored, repeated or wrapped values."""

from __future__ import annotations

from typing import ClassVar

from mcore.platform import functional as F
from mcore.platform.base import Module
from mcore.platform.layers._common import Size, repeated
from mcore.platform.tensor import Tensor


class _Pad(Module):
    _axes: ClassVar[int]
    _mode: ClassVar[str]

    def __init__(self, padding: Size) -> None:
        super().__init__()
        self.padding = repeated(padding, 2 * self._axes)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(Module):
    _axes: ClassVar[int]

    def __init__(self, padding: Size, value: float) -> None:
        super().__init__()
        self.value = value
        self.padding = repeated(padding, 2 * self._axes)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Pads the last axis: (begin, end)."""

    _axes = 1


class ConstantPad2d(_ConstantPad):
    """Pads the last two axes: (left, right, top, bottom)."""

    _axes = 2


class ConstantPad3d(_ConstantPad):
    """Pads the last three axes: (left, right, top, bottom, front, back)."""

    _axes = 3


class ZeroPad1d(ConstantPad1d):
    """Pads the last axis with zeros."""

    def __init__(self, padding: Size) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(ConstantPad2d):
    """Pads the last two axes with zeros."""

    def __init__(self, padding: Size) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad3d(ConstantPad3d):
    """Pads the last three axes with zeros."""

    def __init__(self, padding: Size) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ReflectionPad(_Pad):
    _mode = "reflect"


class ReflectionPad1d(_ReflectionPad):
    """Mirrors the last axis at its first and last element."""

    _axes = 1


class ReflectionPad2d(_ReflectionPad):
    """Mirrors the last two axes at their first and last elements."""

    _axes = 2


class ReflectionPad3d(_ReflectionPad):
    """Mirrors the last three axes at their first and last elements."""

    _axes = 3


class _ReplicationPad(_Pad):
    _mode = "replicate"


class ReplicationPad1d(_ReplicationPad):
    """Repeats the first and last element of the last axis."""

    _axes = 1


class ReplicationPad2d(_ReplicationPad):
    """Repeats the first and last elements of the last two axes."""

    _axes = 2


class ReplicationPad3d(_ReplicationPad):
    """Repeats the first and last elements of the last three axes."""

    _axes = 3


class _CircularPad(_Pad):
    _mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        axes, rank = self._axes, input.ndim
        if rank not in (axes + 1, axes + 2):
            raise ValueError(f"expected {axes + 1}D or {axes + 2}D input (got {rank}D input)")
        return super().forward(input)


class CircularPad1d(_CircularPad):
    """Wraps the last axis around."""

    _axes = 1


class CircularPad2d(_CircularPad):
    """Wraps the last two axes around."""

    _axes = 2


class CircularPad3d(_CircularPad):
    """Wraps the last three axes around."""

    _axes = 3


__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d",
    "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip
