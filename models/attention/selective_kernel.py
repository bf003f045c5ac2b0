"""Selective kernels.

Source: Li et al., "Selective Kernel Networks", arXiv:1903.06586, section 3.1.
Names: attributes are timm's.
"""

from collections.abc import Sequence

import mcore
from mcore import Module, ModuleList, Tensor
from mcore import functional as F
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.layers import layers
from models.functional.channels import divisible


class SK(Module):
    """Convolutions of several reaches, of which each channel selects by what all of them hold on average.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride))

    Args:
        in_channels: of what comes.
        out_channels: of the result, `in_channels` where left out.
        kernel_sizes: pixels that each convolution reaches, odd; all are 3x3 convolutions, dilated to reach so far.
        stride: of all convolutions.
        dilation: of the block; multiplies that of each convolution.
        groups: of each convolution.
        reduction: channels between the two that select are `out_channels` divided by it, a multiple of `divisor`.
        divisor: what those channels are a multiple of.
        split: each convolution sees its share of the channels instead of all.
        dims: 1, 2 or 3.

    Differs: `split` is timm's, which saves parameters.

    Raises:
        ValueError: kernels or channels that don't fit.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        *,
        kernel_sizes: Sequence[int] = (3, 5),
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        reduction: int = 16,
        divisor: int = 8,
        split: bool = False,
        dims: int = 2,
    ) -> None:
        count, out_channels = len(kernel_sizes), out_channels or in_channels
        if count < 2 or any(size < 3 or size % 2 == 0 for size in kernel_sizes):
            raise ValueError(f"SK: kernel_sizes={list(kernel_sizes)} aren't two or more odd numbers from 3.")
        if split and in_channels % count:
            raise ValueError(f"SK: in_channels={in_channels} can't be split among {count} convolutions.")
        super().__init__()
        self.split = split
        self.paths = ModuleList(
            ConvNormAct(
                in_channels // count if split else in_channels,
                out_channels,
                3,
                stride=stride,
                dilation=dilation * (size - 1) // 2,
                groups=groups,
                names=CONV_BN_ACT,
                dims=dims,
            )
            for size in kernel_sizes
        )
        self.attn = _Selection(out_channels, count, divisible(out_channels / reduction, divisor), dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        parts = x.chunk(len(self.paths), dim=1) if self.split else [x] * len(self.paths)
        maps = [path(part) for path, part in zip(self.paths, parts, strict=True)]
        weights = self.attn(sum(maps[1:], start=maps[0]))
        weighed = [y * weights[:, index] for index, y in enumerate(maps)]
        return sum(weighed[1:], start=weighed[0])


class _Selection(Module):
    """How much of each path a channel takes: (n, channels, *size) to (n, paths, channels, 1, ...), which sum to 1."""

    def __init__(self, channels: int, paths: int, reduced: int, *, dims: int) -> None:
        super().__init__()
        kit = layers(dims, of="SK")
        self.count = paths
        self.fc_reduce, self.bn = kit.conv(channels, reduced, 1, bias=False), kit.batch_norm(reduced)
        self.fc_select = kit.conv(reduced, channels * paths, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(tuple(range(2, x.ndim)), keepdim=True)
        scores = self.fc_select(F.relu(self.bn(self.fc_reduce(mean))))
        return F.softmax(mcore.stack(scores.chunk(self.count, dim=1), dim=1), dim=1)
