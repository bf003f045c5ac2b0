"""Residual blocks of ResNet and its kin, and their shortcuts.

Source: He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, figures 2 and 5.
Differs: in a bottleneck the 3x3 convolution carries the stride, as published weights expect.
Names: attributes are torchvision's, and timm's where it has more.
"""

from collections.abc import Callable

from mcore import Identity, Module, Sequential, Tensor
from mcore import functional as F
from models.basicblocks.layers import layers
from models.basicblocks.pooling import mean_of_two

# What a block may end with, made from its channels and `dims`: `SE`, `ECA`.
Attention = Callable[..., Module]
# What makes a shortcut: `projection` and `pooled_projection`, whole or in part.
Shortcut = Callable[..., Sequential | None]


def projection(
    in_channels: int,
    out_channels: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    first_dilation: int = 1,
    kernel_size: int = 1,
    bias: bool = False,
    dims: int = 2,
) -> Sequential | None:
    """The shortcut where the identity doesn't fit: a strided convolution and a norm; None where it does.

    Source: section 3.3, option B. A larger `kernel_size` (SENet-154) serves where the block strides or is
    dilated; elsewhere it is 1.
    """
    if stride == 1 and in_channels == out_channels:
        return None
    kit = layers(dims, of="projection")
    size, spread = (1, 1) if stride == dilation == 1 else (kernel_size, first_dilation)
    conv = kit.conv(
        in_channels,
        out_channels,
        size,
        stride=stride,
        padding=spread * (size - 1) // 2,
        dilation=spread if size > 1 else 1,
        bias=bias,
    )
    return Sequential(conv, kit.batch_norm(out_channels))


def pooled_projection(
    in_channels: int,
    out_channels: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    first_dilation: int = 1,
    bias: bool = False,
    dims: int = 2,
) -> Sequential | None:
    """A shortcut that averages before its 1x1 convolution, which so sees every pixel: ResNet-D.

    Source: He et al., "Bag of Tricks", arXiv:1812.01187, figure 2c.
    Differs: windows at the border average the pixels that there are. In a dilated block each pixel is averaged
    with the next, which is zero behind the border, as timm does; `first_dilation` is of no use here.
    """
    if stride == 1 and in_channels == out_channels:
        return None
    kit, pool = layers(dims, of="pooled_projection"), shortcut_pool(stride, dilation, dims=dims)
    return Sequential(pool, kit.conv(in_channels, out_channels, 1, bias=bias), kit.batch_norm(out_channels))


def shortcut_pool(stride: int, dilation: int, *, dims: int) -> Module:
    """What averages before the convolution of a `pooled_projection`."""
    return Identity() if stride == dilation == 1 else mean_of_two(stride, dims=dims)


class Residual(Module):
    """Abstract: `relu(branch(x) + shortcut(x))`. A block sets `downsample`, None for the identity."""

    # Channels of the result for each of the block's width.
    expansion = 1
    downsample: Module | None

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(self.branch(x) + shortcut)

    def branch(self, x: Tensor) -> Tensor:
        """What is added to the shortcut."""
        raise NotImplementedError(f"{type(self).__name__} has no branch.")


class BasicBlock(Residual):
    """Residual block of two 3x3 convolutions: `relu(branch(x) + shortcut(x))`.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, width, *ceil(size / stride))

    Args:
        in_channels: of what comes.
        width: channels of both convolutions.
        stride: of the first convolution.
        dilation: of the second convolution.
        first_dilation: of the first, where it differs: in a stage that is dilated instead of strided, the first
            block still sees what the stage before left.
        groups: 1; others are refused.
        width_per_group: 64; others are refused.
        attention: makes what weighs the branch, from its channels and `dims`: `SE`.
        shortcut: makes the shortcut: `projection`, `pooled_projection`.
        dims: 1, 2 or 3.

    Source: figure 5, left.

    Raises:
        ValueError: groups of another width than 1 of 64, which only a Bottleneck has.
    """

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
        attention: Attention | None = None,
        shortcut: Shortcut = projection,
        dims: int = 2,
    ) -> None:
        ungrouped("BasicBlock", groups, width_per_group)
        super().__init__()
        conv, norm = layers(dims, of="BasicBlock").conv, layers(dims, of="BasicBlock").batch_norm
        first = first_dilation or dilation
        self.conv1 = conv(in_channels, width, 3, stride=stride, padding=first, dilation=first, bias=False)
        self.bn1 = norm(width)
        self.conv2 = conv(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = norm(width)
        self.se = None if attention is None else attention(width, dims=dims)
        self.downsample = shortcut(
            in_channels, width, stride=stride, dilation=dilation, first_dilation=first, dims=dims
        )

    def branch(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        return x if self.se is None else self.se(x)


class Bottleneck(Residual):
    """Residual block of 1x1, 3x3 and 1x1 convolutions: `relu(branch(x) + shortcut(x))`.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, 4 * width, *ceil(size / stride))

    Args:
        in_channels: of what comes.
        width: channels of the 3x3 convolution, where `groups` and `width_per_group` are left out.
        stride: of the 3x3 convolution.
        dilation: of the block; its 3x3 convolution has `first_dilation` where that differs.
        first_dilation: of the 3x3 convolution, where it differs.
        groups: of the 3x3 convolution, each of `width_per_group` channels at a width of 64.
        width_per_group: channels of each group at a width of 64.
        reduce_first: the first convolution has its channels divided by this, 2 in SENet-154.
        attention: makes what weighs the branch, from its channels and `dims`: `SE`.
        shortcut: makes the shortcut: `projection`, `pooled_projection`.
        dims: 1, 2 or 3.

    Source: figure 5, right; Xie et al., "Aggregated Residual Transformations", arXiv:1611.05431, figure 3c;
    Zagoruyko and Komodakis, "Wide Residual Networks", arXiv:1605.07146; Hu et al., arXiv:1709.01507, figure 3
    and section 6.5.

    Raises:
        ValueError: widths and groups that don't fit.
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
        reduce_first: int = 1,
        attention: Attention | None = None,
        shortcut: Shortcut = projection,
        dims: int = 2,
    ) -> None:
        super().__init__()
        conv, norm = layers(dims, of="Bottleneck").conv, layers(dims, of="Bottleneck").batch_norm
        first, out_channels = first_dilation or dilation, self.expansion * width
        inner = grouped_width("Bottleneck", width, groups, width_per_group)
        reduced = reduced_width("Bottleneck", inner, groups, reduce_first)
        self.conv1, self.bn1 = conv(in_channels, reduced, 1, bias=False), norm(reduced)
        self.conv2 = conv(reduced, inner, 3, stride=stride, padding=first, dilation=first, groups=groups, bias=False)
        self.bn2 = norm(inner)
        self.conv3, self.bn3 = conv(inner, out_channels, 1, bias=False), norm(out_channels)
        self.se = None if attention is None else attention(out_channels, dims=dims)
        self.downsample = shortcut(
            in_channels, out_channels, stride=stride, dilation=dilation, first_dilation=first, dims=dims
        )

    def branch(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        return x if self.se is None else self.se(x)


def grouped_width(of: str, width: int, groups: int, width_per_group: int) -> int:
    """Channels of the 3x3 convolution of a bottleneck: `groups` of `width_per_group` at a width of 64.

    >>> grouped_width("Bottleneck", 128, groups=32, width_per_group=4)
    256

    Raises:
        ValueError: so narrow that groups are left without channels.
    """
    inner = width * width_per_group // 64 * groups
    if inner < 1:
        least = -(-64 // width)
        raise ValueError(
            f"{of}: groups of width_per_group={width_per_group} have no channels at width={width}; "
            f"{least} is the least there."
        )
    return inner


def reduced_width(of: str, inner: int, groups: int, reduce_first: int) -> int:
    """Channels of the first convolution of a bottleneck whose 3x3 convolution has `inner` channels in `groups`.

    Raises:
        ValueError: groups don't divide them.
    """
    reduced = inner // reduce_first
    if reduced < 1 or reduced % groups:
        raise ValueError(f"{of}: groups={groups} don't divide {inner} channels reduced by reduce_first={reduce_first}.")
    return reduced


def ungrouped(of: str, groups: int, width_per_group: int) -> None:
    """Refuses groups in a block without a bottleneck.

    Raises:
        ValueError: they are others than 1 of 64.
    """
    if (groups, width_per_group) != (1, 64):
        raise ValueError(
            f"{of}: groups={groups} and width_per_group={width_per_group}, "
            "but only a Bottleneck has groups of another width than 1 of 64."
        )
