"""Split attention.

Source: Zhang et al., "ResNeSt: Split-Attention Networks", arXiv:2004.08955, section 3.
Names: attributes are timm's.
"""

from mcore import Module, Tensor
from mcore import functional as F
from models.basicblocks.layers import layers
from models.functional.channels import divisible
from models.utils.arguments import odd


class SplitAttention(Module):
    """A convolution that gives several maps, of which each channel takes shares, by what all of them hold on average.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride))

    Args:
        in_channels: of what comes.
        out_channels: of the result, `in_channels` where left out.
        kernel_size: of the convolution, odd.
        stride: of the convolution.
        dilation: of the convolution.
        groups: the paper's cardinal groups; both are divided among them.
        radix: how many maps; one is weighed by a gate instead.
        reduction: channels between the two that weigh are `radix * in_channels` divided by it, at least 32.
        dims: 1, 2 or 3.

    Raises:
        ValueError: channels that groups don't divide.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        *,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        radix: int = 2,
        reduction: int = 4,
        dims: int = 2,
    ) -> None:
        out_channels = out_channels or in_channels
        if radix < 1 or in_channels % (groups * radix) or out_channels % groups:
            raise ValueError(
                f"SplitAttention: in_channels={in_channels} and out_channels={out_channels} can't be divided among "
                f"groups={groups} of radix={radix}."
            )
        odd(of="SplitAttention", kernel_size=kernel_size)
        super().__init__()
        kit = layers(dims, of="SplitAttention")
        inner = divisible(radix * in_channels / reduction, least=32)
        self.groups, self.radix = groups, radix
        self.conv = kit.conv(
            in_channels,
            out_channels * radix,
            kernel_size,
            stride=stride,
            padding=dilation * (kernel_size // 2),
            dilation=dilation,
            groups=groups * radix,
            bias=False,
        )
        self.bn0 = kit.batch_norm(out_channels * radix)
        self.fc1, self.bn1 = kit.conv(out_channels, inner, 1, groups=groups), kit.batch_norm(inner)
        self.fc2 = kit.conv(inner, out_channels * radix, 1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        maps = F.relu(self.bn0(self.conv(x))).chunk(self.radix, dim=1)
        mean = sum(maps[1:], start=maps[0]).mean(tuple(range(2, x.ndim)), keepdim=True)
        scores = self.fc2(F.relu(self.bn1(self.fc1(mean))))
        if self.radix == 1:
            return maps[0] * F.sigmoid(scores)
        # Each group gives the scores of all its maps: (n, groups, radix, channels of a group).
        weights = F.softmax(scores.reshape(scores.shape[0], self.groups, self.radix, -1), dim=2)
        weighed = [y * weights[:, :, index].reshape(mean.shape) for index, y in enumerate(maps)]
        return sum(weighed[1:], start=weighed[0])

    def extra_repr(self) -> str:
        return f"groups={self.groups}, radix={self.radix}"
