"""Blocks of networks for small machines: a convolution of each channel by itself, and 1x1 convolutions that mix them.

Source: Sandler et al., "MobileNetV2", arXiv:1801.04381, section 3; Tan and Le, "EfficientNetV2", arXiv:2104.00298,
figure 2.
Names: attributes are timm's, so its weights load as they are.
"""

from collections.abc import Callable
from typing import NamedTuple

from mcore import Identity, Module, Tensor
from models.basicblocks.drop import DropPath
from models.basicblocks.layers import Choice, Factory, activation_layer, layers, norm_layer
from models.basicblocks.same import Padding, padding_of
from models.functional.channels import divisible

# What a block may have between its convolutions, made for a number of channels.
Attention = Callable[[int], Module]


class _Window(NamedTuple):
    """The one convolution of a block that looks around, and may stride."""

    kernel_size: int
    stride: int
    dilation: int
    padding: Padding

    def over(
        self, in_channels: int, out_channels: int, *, groups: int = 1, dims: int, of: str
    ) -> tuple[Module, Module]:
        """What pads, and the convolution; `of` is the block's class, for messages."""
        size, stride, dilation, padding = self
        pad, around = padding_of(padding, size, stride=stride, dilation=dilation, of=of)
        options = {"stride": stride, "padding": around, "dilation": dilation, "groups": groups}
        return pad, layers(dims, of=of).conv(in_channels, out_channels, size, **options, bias=False)


class _Residual(Module):
    """Abstract: `branch(x) + x` where the shapes fit and a shortcut is wanted, else `branch(x)`."""

    def __init__(self, *, shortcut: bool, drop_path: float) -> None:
        super().__init__()
        self.shortcut, self.drop_path = shortcut, DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch(x)
        return self.drop_path(y) + x if self.shortcut else y

    def branch(self, x: Tensor) -> Tensor:
        """What is added to the shortcut."""
        raise NotImplementedError(f"{type(self).__name__} has no branch.")

    def extra_repr(self) -> str:
        return f"shortcut={self.shortcut}"


class DepthwiseSeparable(_Residual):
    """A depthwise convolution and a 1x1 convolution, each with a norm: MBConv without expansion.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride))

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        kernel_size: of the depthwise convolution, odd.
        stride: of the same convolution.
        dilation: of the same convolution.
        padding: of the convolution that strides, see `models.basicblocks.same`: "even", "same" or pixels of an axis.
        se: makes the attention between the two, from its channels: `SE`.
        norm: "batch", "instance", "group", one with arguments, or a constructor.
        activation: after the depthwise convolution; after the second too, unless `linear`.
        linear: the second convolution has no activation, as in MobileNetV2; that of the first MobileNet has.
        shortcut: adds what came where shapes fit.
        drop_path: the share of samples that lose the branch in training.
        dims: 1, 2 or 3.

    Source: Howard et al., "MobileNets", arXiv:1704.04861, figure 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        padding: Padding = "even",
        se: Attention | None = None,
        norm: Choice = "batch",
        activation: Choice = "relu",
        linear: bool = True,
        shortcut: bool = True,
        drop_path: float = 0.0,
        dims: int = 2,
    ) -> None:
        name = type(self).__name__
        super().__init__(shortcut=shortcut and stride == 1 and in_channels == out_channels, drop_path=drop_path)
        conv, make_norm = layers(dims, of=name).conv, _norm(norm, dims, of=name)
        window = _Window(kernel_size, stride, dilation, padding)
        self.pad, self.conv_dw = window.over(in_channels, in_channels, groups=in_channels, dims=dims, of=name)
        self.bn1 = make_norm(in_channels)
        self.se = Identity() if se is None else se(in_channels)
        self.conv_pw = conv(in_channels, out_channels, 1, bias=False)
        self.bn2 = make_norm(out_channels)
        self.act1 = activation_layer(activation, of=name)
        self.act2 = Identity() if linear else activation_layer(activation, of=name)

    def branch(self, x: Tensor) -> Tensor:
        x = self.se(self.act1(self.bn1(self.conv_dw(self.pad(x)))))
        return self.act2(self.bn2(self.conv_pw(x)))


class InvertedResidual(_Residual):
    """MBConv: 1x1 to more channels, a depthwise convolution, 1x1 to fewer, each with a norm.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride))

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        kernel_size: of the depthwise convolution, odd.
        stride: of the same convolution.
        dilation: of the same convolution.
        expansion: channels between are `divisible(expansion * in_channels)`.
        padding: of the convolution that strides, see `models.basicblocks.same`: "even", "same" or pixels of an axis.
        se: makes the attention before the last convolution, from its channels: `SE`.
        norm: "batch", "instance", "group", one with arguments, or a constructor.
        activation: after all convolutions but the last.
        shortcut: adds what came where shapes fit.
        drop_path: the share of samples that lose the branch in training.
        dims: 1, 2 or 3.

    Source: Sandler et al., arXiv:1801.04381, figure 4d.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        expansion: float = 6,
        stride: int = 1,
        dilation: int = 1,
        padding: Padding = "even",
        se: Attention | None = None,
        norm: Choice = "batch",
        activation: Choice = "relu",
        shortcut: bool = True,
        drop_path: float = 0.0,
        dims: int = 2,
    ) -> None:
        name = type(self).__name__
        super().__init__(shortcut=shortcut and stride == 1 and in_channels == out_channels, drop_path=drop_path)
        conv, make_norm = layers(dims, of=name).conv, _norm(norm, dims, of=name)
        inner = divisible(expansion * in_channels)
        self.conv_pw = conv(in_channels, inner, 1, bias=False)
        self.bn1 = make_norm(inner)
        window = _Window(kernel_size, stride, dilation, padding)
        self.pad, self.conv_dw = window.over(inner, inner, groups=inner, dims=dims, of=name)
        self.bn2 = make_norm(inner)
        self.se = Identity() if se is None else se(inner)
        self.conv_pwl = conv(inner, out_channels, 1, bias=False)
        self.bn3 = make_norm(out_channels)
        self.act1 = activation_layer(activation, of=name)
        self.act2 = activation_layer(activation, of=name)

    def branch(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv_pw(x)))
        x = self.se(self.act2(self.bn2(self.conv_dw(self.pad(x)))))
        return self.bn3(self.conv_pwl(x))


class FusedMBConv(_Residual):
    """MBConv whose first two convolutions are one: a whole convolution to more channels, and 1x1 to fewer.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride))

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        kernel_size: of the first convolution, odd.
        stride: of the same convolution.
        dilation: of the same convolution.
        expansion: channels between are `divisible(expansion * in_channels)`.
        padding: of the convolution that strides, see `models.basicblocks.same`: "even", "same" or pixels of an axis.
        se: makes the attention before the last convolution, from its channels: `SE`.
        norm: "batch", "instance", "group", one with arguments, or a constructor.
        activation: after the first convolution.
        shortcut: adds what came where shapes fit.
        drop_path: the share of samples that lose the branch in training.
        dims: 1, 2 or 3.

    Source: Tan and Le, arXiv:2104.00298, figure 2.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        expansion: float = 4,
        stride: int = 1,
        dilation: int = 1,
        padding: Padding = "even",
        se: Attention | None = None,
        norm: Choice = "batch",
        activation: Choice = "relu",
        shortcut: bool = True,
        drop_path: float = 0.0,
        dims: int = 2,
    ) -> None:
        name = type(self).__name__
        super().__init__(shortcut=shortcut and stride == 1 and in_channels == out_channels, drop_path=drop_path)
        conv, make_norm = layers(dims, of=name).conv, _norm(norm, dims, of=name)
        inner = divisible(expansion * in_channels)
        window = _Window(kernel_size, stride, dilation, padding)
        self.pad, self.conv_exp = window.over(in_channels, inner, dims=dims, of=name)
        self.bn1 = make_norm(inner)
        self.se = Identity() if se is None else se(inner)
        self.conv_pwl = conv(inner, out_channels, 1, bias=False)
        self.bn2 = make_norm(out_channels)
        self.act1 = activation_layer(activation, of=name)

    def branch(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv_pwl(self.se(self.act1(self.bn1(self.conv_exp(self.pad(x)))))))


class ResidualConv(_Residual):
    """One convolution with norm and activation, and a shortcut if asked for.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride))

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        kernel_size: of the convolution, odd.
        stride: of the convolution.
        dilation: of the convolution.
        padding: of the convolution that strides, see `models.basicblocks.same`: "even", "same" or pixels of an axis.
        norm: "batch", "instance", "group", one with arguments, or a constructor.
        activation: a name, one with arguments, or a constructor; None for none.
        shortcut: adds what came where shapes fit.
        drop_path: the share of samples that lose the branch in training.
        dims: 1, 2 or 3.

    Source: the first stage of EfficientNetV2 (arXiv:2104.00298, table 4: Fused-MBConv1), with a shortcut; the
    last of MobileNetV3 (arXiv:1905.02244, tables 1 and 2), without.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        padding: Padding = "even",
        norm: Choice = "batch",
        activation: Choice = "relu",
        shortcut: bool = True,
        drop_path: float = 0.0,
        dims: int = 2,
    ) -> None:
        name = type(self).__name__
        super().__init__(shortcut=shortcut and stride == 1 and in_channels == out_channels, drop_path=drop_path)
        window = _Window(kernel_size, stride, dilation, padding)
        self.pad, self.conv = window.over(in_channels, out_channels, dims=dims, of=name)
        self.bn1 = _norm(norm, dims, of=name)(out_channels)
        self.act1 = activation_layer(activation, of=name)

    def branch(self, x: Tensor) -> Tensor:
        return self.act1(self.bn1(self.conv(self.pad(x))))


def _norm(norm: Choice, dims: int, *, of: str) -> Factory:
    make = norm_layer(norm, dims, of=of)
    if make is None:
        raise ValueError(f"{of}: norm=None, but its convolutions have no bias; name a norm.")
    return make
