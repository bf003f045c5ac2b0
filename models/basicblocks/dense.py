"""Layers of densely connected networks.

Source: Huang et al., "Densely Connected Convolutional Networks", arXiv:1608.06993, sections 3 and 4 (the
variant with bottlenecks and compression).
Names: attributes are torchvision's (and timm's).
"""

import mcore
from mcore import Module, ReLU, Sequential, Tensor
from mcore import functional as F
from models.basicblocks.layers import layers


class DenseLayer(Module):
    """Adds `growth` channels to those that come: `cat(x, conv(relu(norm(conv(relu(norm(x)))))))`.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, in_channels + growth, *size), what came first

    Args:
        in_channels: of what comes.
        growth: channels that it adds.
        bottleneck: channels between the 1x1 and the 3x3 convolution, as a multiple of `growth`.
        dilation: of the 3x3 convolution.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        growth: int = 32,
        *,
        bottleneck: int = 4,
        dilation: int = 1,
        dims: int = 2,
    ) -> None:
        super().__init__()
        kit, width = layers(dims, of="DenseLayer"), bottleneck * growth
        self.norm1, self.conv1 = kit.batch_norm(in_channels), kit.conv(in_channels, width, 1, bias=False)
        self.norm2 = kit.batch_norm(width)
        self.conv2 = kit.conv(width, growth, 3, padding=dilation, dilation=dilation, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        new = self.conv1(F.relu(self.norm1(x)))
        return mcore.cat((x, self.conv2(F.relu(self.norm2(new)))), dim=1)


def dense_block(in_channels: int, growth: int, *, depth: int, dilation: int = 1, dims: int = 2) -> Sequential:
    """`depth` layers in a row, each fed by what came and by all layers before it.

    >>> dense_block(8, 4, depth=3)(mcore.zeros(1, 8, 5, 5)).shape[1]
    20
    """
    block = Sequential()
    for number in range(depth):
        layer = DenseLayer(in_channels + number * growth, growth, dilation=dilation, dims=dims)
        block.add_module(f"denselayer{number + 1}", layer)
    return block


def transition(in_channels: int, out_channels: int, *, stride: int = 2, dims: int = 2) -> Sequential:
    """What stands between two dense blocks: norm, ReLU, a 1x1 convolution and the mean of every 2 pixels.

    At stride 1 the mean is left out.
    """
    kit = layers(dims, of="transition")
    block = Sequential()
    block.add_module("norm", kit.batch_norm(in_channels))
    block.add_module("relu", ReLU())
    block.add_module("conv", kit.conv(in_channels, out_channels, 1, bias=False))
    if stride > 1:
        block.add_module("pool", kit.avg_pool(stride))
    return block
