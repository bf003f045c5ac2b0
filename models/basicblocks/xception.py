"""Blocks of Xception, as it was and as segmentation networks have it (aligned).

Source: Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", arXiv:1610.02357, figure 5;
Chen et al., "Encoder-Decoder with Atrous Separable Convolution", arXiv:1802.02611, figure 4.
Names: attributes are timm's.
"""

from collections.abc import Sequence
from functools import partial

from mcore import Module, ReLU, Sequential, Tensor
from mcore import functional as F
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.layers import layers


class SeparableConv(Module):
    """A 3x3 convolution of each channel by itself and a 1x1 convolution, each with a norm.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride))

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        stride: of the 3x3 convolution.
        dilation: of the 3x3 convolution.
        activated: a ReLU follows each norm.
        eps: of both norms.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        activated: bool = False,
        eps: float = 1e-3,
        dims: int = 2,
    ) -> None:
        super().__init__()
        kit, self.activated = layers(dims, of="SeparableConv"), activated
        self.conv_dw = kit.conv(
            in_channels,
            in_channels,
            3,
            stride=stride,
            padding=dilation,
            dilation=dilation,
            groups=in_channels,
            bias=False,
        )
        self.bn_dw = kit.batch_norm(in_channels, eps=eps)
        self.conv_pw = kit.conv(in_channels, out_channels, 1, bias=False)
        self.bn_pw = kit.batch_norm(out_channels, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn_dw(self.conv_dw(x))
        x = self.bn_pw(self.conv_pw(F.relu(x) if self.activated else x))
        return F.relu(x) if self.activated else x


class AlignedXceptionBlock(Module):
    """Three separable convolutions, each after a ReLU, and a shortcut; the third carries the stride.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride)), or that of the last of `out_channels`

    Args:
        in_channels: of what comes.
        out_channels: of all three convolutions, or of each.
        stride: of the third convolution and of the shortcut.
        dilation: of all 3x3 convolutions.
        residual: whether there is a shortcut; without it, ReLUs follow the norms instead of going before.
        whole: False builds no more than `before_last` needs.
        eps: of every norm.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int | Sequence[int],
        *,
        stride: int = 1,
        dilation: int = 1,
        residual: bool = True,
        whole: bool = True,
        eps: float = 1e-3,
        dims: int = 2,
    ) -> None:
        widths = (out_channels,) * 3 if isinstance(out_channels, int) else tuple(out_channels)
        if len(widths) != 3:
            raise ValueError(f"AlignedXceptionBlock: out_channels={widths} are {len(widths)}, not one or three.")
        super().__init__()
        self.residual = residual
        fits = stride == 1 and in_channels == widths[-1]
        self.shortcut: Module | None = None
        if residual and whole and not fits:
            norm = partial(layers(dims, of="AlignedXceptionBlock").batch_norm, eps=eps)
            self.shortcut = ConvNormAct(
                in_channels, widths[-1], 1, stride=stride, norm=norm, activation=None, names=CONV_BN_ACT, dims=dims
            )
        self.stack = Sequential()
        for number, width in enumerate(widths if whole else widths[:2]):
            conv = SeparableConv(
                in_channels,
                width,
                stride=stride if number == 2 else 1,
                dilation=dilation,
                activated=not residual,
                eps=eps,
                dims=dims,
            )
            self.stack.add_module(f"conv{number + 1}", conv)
            in_channels = width

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.before_last(x), x)

    def before_last(self, x: Tensor) -> Tensor:
        """What the third convolution sees: the finest map before the block strides."""
        for conv in list(self.stack)[:2]:
            x = conv(F.relu(x) if self.residual else x)
        return F.relu(x) if self.residual else x

    def last(self, before: Tensor, x: Tensor) -> Tensor:
        """The result, from what `before_last` gave for `x`."""
        y = list(self.stack)[2](before)
        if not self.residual:
            return y
        return y + (x if self.shortcut is None else self.shortcut(x))


class XceptionBlock(Module):
    """Separable convolutions, each after a ReLU and with a norm at its end; a maximum where it strides; a shortcut.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride))

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        depth: how many convolutions.
        stride: of the maximum and of the shortcut.
        first_relu: whether a ReLU goes before the first.
        grows_first: whether the first convolution changes the channels, or the last.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        depth: int = 2,
        stride: int = 1,
        first_relu: bool = True,
        grows_first: bool = True,
        dims: int = 2,
    ) -> None:
        super().__init__()
        kit = layers(dims, of="XceptionBlock")
        self.skip = self.skipbn = None
        if in_channels != out_channels or stride != 1:
            self.skip = kit.conv(in_channels, out_channels, 1, stride=stride, bias=False)
            self.skipbn = kit.batch_norm(out_channels)
        row: list[Module] = []
        width = in_channels
        for number in range(depth):
            given = out_channels if grows_first or number == depth - 1 else in_channels
            if first_relu or number > 0:
                row.append(ReLU())
            row += [depthwise_pointwise(width, given, dims=dims), kit.batch_norm(given)]
            width = given
        if stride != 1:
            row.append(kit.max_pool(3, stride=stride, padding=1))
        self.rep = Sequential(*row)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.skip is None or self.skipbn is None else self.skipbn(self.skip(x))
        return self.rep(x) + shortcut


def depthwise_pointwise(in_channels: int, out_channels: int, *, dims: int = 2) -> Sequential:
    """A 3x3 convolution of each channel by itself and a 1x1 convolution, with nothing between them."""
    conv, pair = layers(dims, of="Xception").conv, Sequential()
    pair.add_module("conv1", conv(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False))
    pair.add_module("pointwise", conv(in_channels, out_channels, 1, bias=False))
    return pair
