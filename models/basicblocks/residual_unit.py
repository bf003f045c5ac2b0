"""Convolutions with a shortcut, as MONAI's U-Nets and autoencoders are made of."""

import math
from collections.abc import Sequence

from mcore import Module, Sequential, Tensor
from models.basicblocks.conv import CONV_NORM_ACT, ConvNormAct, Pixels, each
from models.basicblocks.layers import PLAIN_INSTANCE, Choice, layers


class ResidualUnit(Module):
    """Convolutions, each with norm and activation, and a shortcut that is added behind the last activation.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride)), for odd kernels

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        kernel_size: odd; pixels along every axis, or along each.
        stride: of the first convolution and the shortcut; pixels along every axis, or along each.
        units: how many convolutions.
        dilation: of all convolutions.
        last_plain: the last convolution stands alone, without norm and activation, as scores need.
        bias: of all convolutions.
        norm: a name, a name with arguments, a constructor, or None.
        activation: the same.
        dims: 1, 2 or 3.

    Source: Kerfoot et al., "Left-Ventricle Quantification Using Residual U-Net", STACOM 2018,
    doi:10.1007/978-3-030-12029-0_40, section 2.1.
    Differs: the shortcut isn't followed by an activation; where it strides, it has the kernel of the others.
    Names: MONAI's ResidualUnit, but for norm and act, which are adn.N and adn.A there.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pixels = 3,
        *,
        stride: Pixels = 1,
        units: int = 2,
        dilation: int = 1,
        last_plain: bool = False,
        bias: bool = True,
        norm: Choice = PLAIN_INSTANCE,
        activation: Choice = "prelu",
        dims: int = 2,
    ) -> None:
        if units < 1:
            raise ValueError(f"ResidualUnit: units={units} is not 1 or more.")
        conv = layers(dims, of="ResidualUnit").conv
        super().__init__()
        self.conv = Sequential()
        for unit in range(units):
            plain = last_plain and unit == units - 1
            layer = ConvNormAct(
                out_channels if unit else in_channels,
                out_channels,
                kernel_size,
                stride=1 if unit else stride,
                dilation=dilation,
                bias=bias,
                norm=None if plain else norm,
                activation=None if plain else activation,
                names=CONV_NORM_ACT,
                dims=dims,
            )
            self.conv.add_module(f"unit{unit}", layer)
        strides = math.prod(each(stride, dims)) > 1
        self.residual = None
        if strides or in_channels != out_channels:
            size: Sequence[int] = each(kernel_size, dims) if strides else (1,) * dims
            around = tuple((dilation if strides else 1) * (pixels - 1) // 2 for pixels in size)
            self.residual = conv(in_channels, out_channels, size, stride=stride, padding=around, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + (x if self.residual is None else self.residual(x))
