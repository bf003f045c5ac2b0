"""Efficient channel attention.

Source: Wang et al., "ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks",
arXiv:1910.03151, section 3.
"""

import math

from mcore import Conv1d, Module, Tensor
from mcore import functional as F
from models.basicblocks.layers import layers
from models.utils.arguments import odd


class ECA(Module):
    """Weighs channels by what their neighbours hold on average: `x * sigmoid(conv(mean(x)))`, over channels.

    Shapes:
        x: (n, channels, *size)
        returns: the same

    Args:
        channels: of what comes.
        kernel_size: how many neighbours count, odd; where left out, more for more channels.
        dims: 1, 2 or 3.

    Source: section 3.3, equation 12 with gamma 2 and b 1.
    """

    def __init__(self, channels: int, *, kernel_size: int | None = None, dims: int = 2) -> None:
        layers(dims, of="ECA")
        size = _reach(channels) if kernel_size is None else kernel_size
        odd(of="ECA", kernel_size=size)
        super().__init__()
        self.channels, self.dims = channels, dims
        self.conv = Conv1d(1, 1, size, padding=size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(tuple(range(2, x.ndim)), keepdim=True)
        # Channels are the sequence along which the convolution runs.
        scores = self.conv(mean.flatten(2).transpose(1, 2)).transpose(1, 2)
        return x * F.sigmoid(scores).reshape(x.shape[0], self.channels, *(1,) * self.dims)


def _reach(channels: int) -> int:
    size = int(abs(math.log2(channels) + 1) / 2)
    return max(size if size % 2 else size + 1, 3)
