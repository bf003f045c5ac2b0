"""Concurrent spatial and channel squeeze and excitation.

Source: Roy et al., "Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional Networks",
arXiv:1803.02579, section 2.3.
Names: attributes are segmentation-models', so its weights load as they are.
"""

from mcore import Module, ReLU, Sequential, Sigmoid, Tensor
from models.basicblocks.layers import layers


class SCSE(Module):
    """Weighs channels by their means and pixels by their channels, and adds both: `x * cSE(x) + x * sSE(x)`.

    Shapes:
        x: (n, channels, *size)
        returns: the same

    Args:
        channels: of what comes and goes.
        reduction: channels between the two convolutions of cSE are `channels // reduction`, at least 1.
        dims: 1, 2 or 3.

    Differs: the two are added, as segmentation-models does; the paper compares that with their maximum.
    """

    def __init__(self, channels: int, reduction: int = 16, *, dims: int = 2) -> None:
        between = max(1, channels // reduction)
        super().__init__()
        self.cSE = channel_weights(channels, between, dims=dims, of="SCSE")
        self.sSE = Sequential(layers(dims, of="SCSE").conv(channels, 1, 1), Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.cSE(x) + x * self.sSE(x)


def channel_weights(channels: int, between: int, *, dims: int, of: str) -> Sequential:
    """Weights of channels between 0 and 1, from their means: (n, channels, *size) to (n, channels, 1, ...)."""
    kit = layers(dims, of=of)
    reduce, expand = kit.conv(channels, between, 1), kit.conv(between, channels, 1)
    return Sequential(kit.adaptive_avg_pool(1), reduce, ReLU(), expand, Sigmoid())
