"""Residual blocks whose norms and activations stand before their convolutions.

Source: He et al., "Identity Mappings in Deep Residual Networks", arXiv:1603.05027, figure 1b and section 4.
Differs: the 3x3 convolution of a bottleneck carries the stride, as published weights expect.
Names: attributes are timm's.
"""

from collections import OrderedDict

from mcore import Module, Sequential, Tensor
from mcore import functional as F
from models.basicblocks.layers import layers
from models.basicblocks.residual import Shortcut, shortcut_pool


def bare_projection(
    in_channels: int,
    out_channels: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    pooled: bool = False,
    dims: int = 2,
) -> Sequential | None:
    """The shortcut where the identity doesn't fit: a strided 1x1 convolution without a norm; None where it does.

    `pooled` averages instead of striding, as `pooled_projection` does.
    """
    if stride == 1 and in_channels == out_channels:
        return None
    conv = layers(dims, of="bare_projection").conv(
        in_channels, out_channels, 1, stride=1 if pooled else stride, bias=False
    )
    parts = {"pool": shortcut_pool(stride, dilation, dims=dims), "conv": conv} if pooled else {"conv": conv}
    return Sequential(OrderedDict(parts))


class _PreActivated(Module):
    """Abstract: `branch(y) + shortcut(y)`, `y = relu(norm1(x))`; where the shortcut is the identity, it takes `x`."""

    norm1: Module
    downsample: Module | None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(x))
        return self.branch(y) + (x if self.downsample is None else self.downsample(y))

    def branch(self, x: Tensor) -> Tensor:
        """What is added to the shortcut, from what was normed and activated."""
        raise NotImplementedError(f"{type(self).__name__} has no branch.")


class PreActivationBlock(_PreActivated):
    """Residual block of two 3x3 convolutions, each after a norm and ReLU.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, width, *ceil(size / stride))

    Args:
        in_channels: of what comes.
        width: channels of both convolutions.
        stride: of the first convolution.
        dilation: of the block; its first convolution has `first_dilation` where that differs.
        first_dilation: of the first convolution, where it differs.
        shortcut: makes the shortcut: `bare_projection`.
        dims: 1, 2 or 3.
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        first_dilation: int | None = None,
        shortcut: Shortcut = bare_projection,
        dims: int = 2,
    ) -> None:
        super().__init__()
        kit, first = layers(dims, of="PreActivationBlock"), first_dilation or dilation
        self.downsample = shortcut(in_channels, width, stride=stride, dilation=dilation, dims=dims)
        self.norm1 = kit.batch_norm(in_channels)
        self.conv1 = kit.conv(in_channels, width, 3, stride=stride, padding=first, dilation=first, bias=False)
        self.norm2 = kit.batch_norm(width)
        self.conv2 = kit.conv(width, width, 3, padding=dilation, dilation=dilation, bias=False)

    def branch(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.norm2(self.conv1(x))))


class PreActivationBottleneck(_PreActivated):
    """Residual block of 1x1, 3x3 and 1x1 convolutions, each after a norm and ReLU.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, 4 * width, *ceil(size / stride))

    Args:
        in_channels: of what comes.
        width: channels of the first two convolutions.
        stride: of the 3x3 convolution.
        dilation: of the block; its 3x3 convolution has `first_dilation` where that differs.
        first_dilation: of the 3x3 convolution, where it differs.
        shortcut: makes the shortcut: `bare_projection`.
        dims: 1, 2 or 3.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        first_dilation: int | None = None,
        shortcut: Shortcut = bare_projection,
        dims: int = 2,
    ) -> None:
        super().__init__()
        kit, first = layers(dims, of="PreActivationBottleneck"), first_dilation or dilation
        out_channels = self.expansion * width
        self.downsample = shortcut(in_channels, out_channels, stride=stride, dilation=dilation, dims=dims)
        self.norm1, self.conv1 = kit.batch_norm(in_channels), kit.conv(in_channels, width, 1, bias=False)
        self.norm2 = kit.batch_norm(width)
        self.conv2 = kit.conv(width, width, 3, stride=stride, padding=first, dilation=first, bias=False)
        self.norm3, self.conv3 = kit.batch_norm(width), kit.conv(width, out_channels, 1, bias=False)

    def branch(self, x: Tensor) -> Tensor:
        x = self.conv2(F.relu(self.norm2(self.conv1(x))))
        return self.conv3(F.relu(self.norm3(x)))
