"""Two convolutions in a row, and a step up that ends with them: what U-Nets are made of."""

from collections import OrderedDict
from typing import Any, Literal

import mcore
from mcore import Module, Sequential, Tensor, Upsample
from models.basicblocks.conv import CONV_NORM_ACT, ConvNormAct, Pixels
from models.basicblocks.layers import Choice, layers
from models.utils.arguments import one_of


class DoubleConv(Sequential):
    """Two convolutions, each with norm and activation.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride)), for odd kernels

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        kernel_size: odd; pixels along every axis, or along each.
        stride: of the first convolution.
        bias: of both convolutions.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        activation: a name, one with arguments, or a constructor; None for none.
        names: of the two.
        dims: 1, 2 or 3.

    Source: Ronneberger et al., arXiv:1505.04597, figure 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pixels = 3,
        *,
        stride: Pixels = 1,
        bias: bool = True,
        norm: Choice = "batch",
        activation: Choice = "relu",
        names: tuple[str, str] = ("0", "1"),
        dims: int = 2,
    ) -> None:
        same: dict[str, Any] = {
            "bias": bias,
            "norm": norm,
            "activation": activation,
            "names": CONV_NORM_ACT,
            "dims": dims,
        }
        first = ConvNormAct(in_channels, out_channels, kernel_size, stride=stride, **same)
        second = ConvNormAct(out_channels, out_channels, kernel_size, **same)
        super().__init__(OrderedDict(zip(names, (first, second), strict=True)))


class UpJoin(Module):
    """A step up: doubles the size of a map, joins those of the finer level, then two convolutions.

    Shapes:
        x: (n, in_channels, *size)
        skip: (n, skip_channels, *2 * size)
        returns: (n, out_channels, *2 * size)

    Args:
        raised: channels of the map once it is finer.
        up: "transposed" convolution, or "linear" interpolation, which keeps the corner pixels' centres, behind a
            1x1 convolution where channels change.

    Source: Falk et al., "U-Net: deep learning for cell counting, detection, and morphometry", 2019,
    doi:10.1038/s41592-018-0261-2.
    Names: upsample.deconv or upsample.preconv, convs.conv_0 and convs.conv_1, as MONAI's UpCat.
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        *,
        raised: int,
        up: Literal["transposed", "linear"] = "transposed",
        bias: bool = True,
        norm: Choice = "batch",
        activation: Choice = "relu",
        dims: int = 2,
    ) -> None:
        one_of(("transposed", "linear"), of="UpJoin", up=up)
        kit = layers(dims, of="UpJoin")
        super().__init__()
        steps: dict[str, Module] = {}
        if up == "transposed":
            steps["deconv"] = kit.conv_transpose(in_channels, raised, 2, stride=2)
        else:
            if in_channels != raised:
                steps["preconv"] = kit.conv(in_channels, raised, 1)
            steps["linear"] = Upsample(scale_factor=2, mode=kit.linear, align_corners=True)
        self.upsample = Sequential(OrderedDict(steps))
        self.convs = DoubleConv(
            skip_channels + raised,
            out_channels,
            bias=bias,
            norm=norm,
            activation=activation,
            names=("conv_0", "conv_1"),
            dims=dims,
        )

    def forward(self, x: Tensor, *skip: Tensor) -> Tensor:
        return self.convs(mcore.cat((*skip, self.upsample(x)), dim=1))
