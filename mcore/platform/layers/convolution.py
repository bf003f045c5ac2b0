"""Convolutions and transposed convolutions over one, two and three axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from mcore.platform import functional as F
from mcore.platform.base import Module
from mcore.platform.layers._common import Size, repeated, reset_linear
from mcore.platform.parameter import empty
from mcore.platform.tensor import Tensor

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What convolutions share: checks, parameters, what they print."""

    _axes: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: str | Size,
        dilation: Size,
        transposed: bool,
        output_padding: Size,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        axes = self._axes
        kernel_size, stride, dilation = (repeated(v, axes) for v in (kernel_size, stride, dilation))
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'same', 'valid'}}")
            if padding == "same" and any(s != 1 for s in stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        else:
            padding = repeated(padding, axes)
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {set(PADDING_MODES)}, but got padding_mode='{padding_mode}'")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        self.transposed, self.output_padding = transposed, repeated(output_padding, axes)
        self.groups, self.padding_mode = groups, padding_mode
        self._reversed_padding_repeated_twice = _both_sides(padding, kernel_size, dilation)
        ends = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        self.weight = empty((ends[0], ends[1] // groups, *kernel_size), device, dtype)
        self.register_parameter("bias", empty(out_channels, device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        reset_linear(self.weight, self.bias)

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}", f"{self.out_channels}"]
        parts += [f"kernel_size={self.kernel_size}", f"stride={self.stride}"]
        if self.padding != (0,) * len(self.padding):
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * len(self.dilation):
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != (0,) * len(self.output_padding):
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


def _both_sides(padding: str | tuple, kernel_size: tuple, dilation: tuple) -> tuple | list:
    """Padding as `F.pad` takes it: last axis first, begin and end."""
    if not isinstance(padding, str):
        return tuple(p for p in reversed(padding) for _ in range(2))
    out = [0, 0] * len(kernel_size)
    if padding == "same":
        for k, (width, step) in enumerate(zip(reversed(kernel_size), reversed(dilation), strict=True)):
            total = step * (width - 1)
            out[2 * k], out[2 * k + 1] = total // 2, total - total // 2
    return out


class _Conv(_ConvNd):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: str | Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, False, 0, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        raise NotImplementedError

    def _with_padding(self, word: Any, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The input padded as `padding_mode` says, then convolved without padding."""
        input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
        return word(input, weight, bias, self.stride, (0,) * self._axes, self.dilation, self.groups)

    def forward(self, input: Tensor) -> Tensor:
        own: Any = self._parameters
        try:
            return self._conv_forward(input, own["weight"], own["bias"])
        except KeyError:  # somebody replaced a parameter by a plain attribute
            return self._conv_forward(input, self.weight, self.bias)


class Conv1d(_Conv):
    """Convolution along one axis.

    Shapes:
        input: (n, in_channels, l) or (in_channels, l)
        returns: (n, out_channels, l') or (out_channels, l')
    """

    _axes = 1

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.padding_mode != "zeros":
            return self._with_padding(F.conv1d, input, weight, bias)
        return F.conv1d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)


class Conv2d(_Conv):
    """Convolution over two axes.

    Shapes:
        input: (n, in_channels, h, w) or (in_channels, h, w)
        returns: (n, out_channels, h', w') or (out_channels, h', w')
    """

    _axes = 2

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.padding_mode != "zeros":
            return self._with_padding(F.conv2d, input, weight, bias)
        return F.conv2d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)


class Conv3d(_Conv):
    """Convolution over three axes.

    Shapes:
        input: (n, in_channels, d, h, w) or (in_channels, d, h, w)
        returns: (n, out_channels, d', h', w') or (out_channels, d', h', w')
    """

    _axes = 3

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.padding_mode != "zeros":
            return self._with_padding(F.conv3d, input, weight, bias)
        return F.conv3d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)


class _ConvTranspose(_ConvNd):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, True, output_padding, groups,
            bias, padding_mode, device, dtype,
        )  # fmt: skip

    def _output_padding(self, input: Tensor, output_size: Sequence[int] | None) -> tuple[int, ...]:
        if output_size is None:
            return self.output_padding
        axes, rank = self._axes, input.ndim
        leading = 2 if rank == axes + 2 else 1
        output_size = list(output_size)
        if len(output_size) == leading + axes:
            output_size = output_size[leading:]
        if len(output_size) != axes:
            raise ValueError(
                f"ConvTranspose{axes}D: for {rank}D input, output_size must have {axes} or {leading + axes} "
                f"elements (got {len(output_size)})"
            )
        settings: tuple = (self.stride, self.padding, self.dilation, self.kernel_size)
        least = [
            (size - 1) * s - 2 * p + d * (k - 1) + 1
            for size, s, p, d, k in zip(input.shape[leading:], *settings, strict=True)
        ]
        for size, low, s in zip(output_size, least, self.stride, strict=True):
            if not int(low) <= int(size) <= int(low) + s - 1:
                most = [int(v) + s - 1 for v, s in zip(least, self.stride, strict=True)]
                raise ValueError(
                    f"requested an output size of {list(map(int, output_size))}, but valid sizes range from "
                    f"{list(map(int, least))} to {most} (for an input of {list(map(int, input.shape[2:]))})"
                )
        return tuple(size - low for size, low in zip(output_size, least, strict=True))

    @staticmethod
    def _word() -> Any:
        raise NotImplementedError

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        if self.padding_mode != "zeros":
            raise ValueError(f"Only `zeros` padding mode is supported for {type(self).__name__}")
        extra = self._output_padding(input, output_size)
        return self._word()(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution along one axis.

    Shapes:
        input: (n, in_channels, l) or (in_channels, l)
        returns: (n, out_channels, l') or (out_channels, l')
    """

    _axes = 1

    @staticmethod
    def _word() -> Any:
        return F.conv_transpose1d


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution over two axes.

    Shapes:
        input: (n, in_channels, h, w) or (in_channels, h, w)
        returns: (n, out_channels, h', w') or (out_channels, h', w')
    """

    _axes = 2

    @staticmethod
    def _word() -> Any:
        return F.conv_transpose2d


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution over three axes.

    Shapes:
        input: (n, in_channels, d, h, w) or (in_channels, d, h, w)
        returns: (n, out_channels, d', h', w') or (out_channels, d', h', w')
    """

    _axes = 3

    @staticmethod
    def _word() -> Any:
        return F.conv_transpose3d


__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]
