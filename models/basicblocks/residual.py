"""Residual blocks of ResNet and its kin.

Source: He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, figures 2 and 5.
Differs: in a bottleneck the 3x3 convolution carries the stride, as published weights expect.
Names: attributes are torchvision's.
"""

from mcore import Module, Sequential, Tensor
from mcore import functional as F
from models.basicblocks.layers import layers


class BasicBlock(Module):
    """Residual block of two 3x3 convolutions: `relu(branch(x) + shortcut(x))`.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, width, *ceil(size / stride))

    Source: figure 5, left. `first_dilation` is that of the first convolution: in a stage that is dilated
    instead of strided, its first block still sees what the stage before left.
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
        groups: int = 1,
        width_per_group: int = 64,
        dims: int = 2,
    ) -> None:
        if (groups, width_per_group) != (1, 64):
            raise ValueError(
                f"BasicBlock: groups={groups} and width_per_group={width_per_group}, "
                "but only a Bottleneck has groups of another width than 1 of 64."
            )
        super().__init__()
        conv, norm = layers(dims, of="BasicBlock").conv, layers(dims, of="BasicBlock").batch_norm
        first = dilation if first_dilation is None else first_dilation
        self.conv1 = conv(in_channels, width, 3, stride=stride, padding=first, dilation=first, bias=False)
        self.bn1 = norm(width)
        self.conv2 = conv(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = norm(width)
        self.downsample = projection(in_channels, width, stride=stride, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class Bottleneck(Module):
    """Residual block of 1x1, 3x3 and 1x1 convolutions: `relu(branch(x) + shortcut(x))`.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, 4 * width, *ceil(size / stride))

    Source: figure 5, right. With `groups` of `width_per_group` at a width of 64, the block of ResNeXt (Xie et
    al., arXiv:1611.05431, figure 3c) and of wide ResNets (Zagoruyko and Komodakis, arXiv:1605.07146).
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
        groups: int = 1,
        width_per_group: int = 64,
        dims: int = 2,
    ) -> None:
        super().__init__()
        conv, norm = layers(dims, of="Bottleneck").conv, layers(dims, of="Bottleneck").batch_norm
        first = dilation if first_dilation is None else first_dilation
        inner, out_channels = width * width_per_group // 64 * groups, self.expansion * width
        self.conv1, self.bn1 = conv(in_channels, inner, 1, bias=False), norm(inner)
        self.conv2 = conv(inner, inner, 3, stride=stride, padding=first, dilation=first, groups=groups, bias=False)
        self.bn2 = norm(inner)
        self.conv3, self.bn3 = conv(inner, out_channels, 1, bias=False), norm(out_channels)
        self.downsample = projection(in_channels, out_channels, stride=stride, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + shortcut)


def projection(in_channels: int, out_channels: int, *, stride: int, dims: int) -> Sequential | None:
    """The shortcut where the identity doesn't fit: a strided 1x1 convolution and a norm; None where it does.

    Source: section 3.3, option B.
    """
    if stride == 1 and in_channels == out_channels:
        return None
    kit = layers(dims, of="projection")
    return Sequential(kit.conv(in_channels, out_channels, 1, stride=stride, bias=False), kit.batch_norm(out_channels))
