"""Ghost blocks: half of the channels are convolved, the others are made of those by cheap depthwise convolutions.

Source: Han et al., "GhostNet: More Features from Cheap Operations", arXiv:1911.11907, section 3.
Names: attributes are timm's (and the authors'), so published weights load as they are.
"""

from mcore import Identity, Module, Sequential, Tensor, cat
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import Choice, layers
from models.basicblocks.mobile import Attention
from models.utils.arguments import odd


class GhostModule(Module):
    """A convolution to a part of the channels, and a depthwise convolution of those for the rest.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *size)

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        kernel_size: of the first convolution, odd.
        ratio: one in `ratio` channels is convolved, rounded up.
        cheap_kernel_size: of the depthwise convolution, odd.
        dilation: of the depthwise convolution.
        activation: after both; None for none.
        dims: 1, 2 or 3.

    Source: figure 1b. What the depthwise convolution makes beyond `out_channels` is cut off, as published.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        ratio: int = 2,
        cheap_kernel_size: int = 3,
        dilation: int = 1,
        activation: Choice = "relu",
        dims: int = 2,
    ) -> None:
        if ratio < 2:
            raise ValueError(f"GhostModule: ratio={ratio} leaves nothing to the cheap operation; give 2 or more.")
        odd(of="GhostModule", kernel_size=kernel_size, cheap_kernel_size=cheap_kernel_size)
        super().__init__()
        primary = -(-out_channels // ratio)
        self.out_channels = out_channels
        self.primary_conv = ConvNormAct(in_channels, primary, kernel_size, activation=activation, dims=dims)
        self.cheap_operation = ConvNormAct(
            primary,
            primary * (ratio - 1),
            cheap_kernel_size,
            dilation=dilation,
            groups=primary,
            activation=activation,
            dims=dims,
        )

    def forward(self, x: Tensor) -> Tensor:
        primary = self.primary_conv(x)
        return cat([primary, self.cheap_operation(primary)], 1)[:, : self.out_channels]


class GhostBottleneck(Module):
    """Residual block of two ghost modules, with a depthwise convolution between them where it strides.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride))

    Args:
        in_channels: of what comes.
        inner: channels between the two modules.
        out_channels: of the result.
        kernel_size: of the depthwise convolution and of the shortcut's, odd.
        stride: 1, or 2.
        dilation: of what comes after the stride.
        first_dilation: of what comes before it, `dilation` by default.
        depthwise: whether there is a depthwise convolution; by default where it strides. One that is dilated
            instead of strided has it too.
        se: makes the attention between the two, from its channels: `SE`.
        dims: 1, 2 or 3.

    Source: figure 3.
    """

    def __init__(
        self,
        in_channels: int,
        inner: int,
        out_channels: int,
        *,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        first_dilation: int | None = None,
        depthwise: bool | None = None,
        se: Attention | None = None,
        dims: int = 2,
    ) -> None:
        depthwise = stride > 1 if depthwise is None else depthwise
        if stride > 1 and not depthwise:
            raise ValueError(f"GhostBottleneck: stride={stride} needs the depthwise convolution; leave depthwise out.")
        odd(of="GhostBottleneck", kernel_size=kernel_size)
        super().__init__()
        kit = layers(dims, of="GhostBottleneck")
        first = dilation if first_dilation is None else first_dilation
        self.ghost1 = GhostModule(in_channels, inner, dilation=first, dims=dims)
        if depthwise:
            self.conv_dw = _depthwise(inner, kernel_size, stride=stride, dilation=first, dims=dims)
            self.bn_dw = kit.batch_norm(inner)
        else:
            self.conv_dw = self.bn_dw = Identity()
        self.se = Identity() if se is None else se(inner)
        self.ghost2 = GhostModule(inner, out_channels, dilation=dilation, activation=None, dims=dims)
        if depthwise or in_channels != out_channels:
            self.shortcut: Module = Sequential(
                _depthwise(in_channels, kernel_size, stride=stride, dilation=first, dims=dims),
                kit.batch_norm(in_channels),
                kit.conv(in_channels, out_channels, 1, bias=False),
                kit.batch_norm(out_channels),
            )
        else:
            self.shortcut = Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.se(self.bn_dw(self.conv_dw(self.ghost1(x))))
        return self.ghost2(y) + self.shortcut(x)


def _depthwise(channels: int, kernel_size: int, *, stride: int, dilation: int, dims: int) -> Module:
    return layers(dims, of="GhostBottleneck").conv(
        channels,
        channels,
        kernel_size,
        stride=stride,
        padding=dilation * (kernel_size // 2),
        dilation=dilation,
        groups=channels,
        bias=False,
    )
