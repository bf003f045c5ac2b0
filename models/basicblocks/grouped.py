"""The bottleneck of RegNet and of cross-stage partial networks.

Source: Radosavovic et al., "Designing Network Design Spaces", arXiv:2003.13678, figure 4; squeeze and excitation
between the last two convolutions: section 4 (RegNetY).
Names: attributes are timm's.
"""

from mcore import Module, Tensor
from models.attention.squeeze_excite import SE
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.layers import Choice, activation_layer


class GroupedBottleneck(Module):
    """Residual block of 1x1, grouped 3x3 and 1x1 convolutions: `relu(branch(x) + shortcut(x))`.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride))

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        width: channels between the convolutions; `out_channels`, where left out.
        group_width: channels of each group of the 3x3 convolution; all, where left out.
        squeezed: channels inside the squeeze and excitation after the 3x3 convolution; None for none.
        stride: of the 3x3 convolution.
        dilation: of the 3x3 convolution.
        first_dilation: of the 3x3 convolution, where it isn't `dilation`: in the first block of a dilated stage.
        activation: after each convolution, and after the sum.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int | None = None,
        group_width: int | None = None,
        squeezed: int | None = None,
        stride: int = 1,
        dilation: int = 1,
        first_dilation: int | None = None,
        activation: Choice = "relu",
        dims: int = 2,
    ) -> None:
        inner = width or out_channels
        groups, rest = divmod(inner, group_width or inner)
        if rest:
            raise ValueError(f"GroupedBottleneck: width={inner} is no multiple of group_width={group_width}.")
        super().__init__()
        first = dilation if first_dilation is None else first_dilation
        self.conv1 = ConvNormAct(in_channels, inner, 1, activation=activation, names=CONV_BN_ACT, dims=dims)
        self.conv2 = ConvNormAct(
            inner,
            inner,
            3,
            stride=stride,
            dilation=first,
            groups=groups,
            activation=activation,
            names=CONV_BN_ACT,
            dims=dims,
        )
        self.se = None if squeezed is None else SE(inner, reduced=squeezed, dims=dims)
        self.conv3 = ConvNormAct(inner, out_channels, 1, activation=None, names=CONV_BN_ACT, dims=dims)
        # A block that keeps the size but dilates where the one before didn't projects too, as timm's does.
        fits = stride == 1 and in_channels == out_channels and first == dilation
        self.downsample = (
            None
            if fits
            else ConvNormAct(in_channels, out_channels, 1, stride=stride, activation=None, names=CONV_BN_ACT, dims=dims)
        )
        self.act3 = activation_layer(activation, of="GroupedBottleneck")

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.conv2(self.conv1(x))
        x = self.conv3(x if self.se is None else self.se(x))
        return self.act3(x + shortcut)
