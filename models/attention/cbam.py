"""Convolutional block attention.

Source: Woo et al., "CBAM: Convolutional Block Attention Module", arXiv:1807.06521, section 3.
Names: attributes are timm's, so its weights load as they are.
"""

import mcore
from mcore import Module, Tensor
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.layers import Choice, activation_layer, layers
from models.utils.arguments import odd


class CBAM(Module):
    """Weighs channels by their means and maxima, then pixels by those of their channels.

    Shapes:
        x: (n, channels, *size)
        returns: the same

    Args:
        channels: of what comes and goes.
        reduction: channels between the two convolutions are `channels / reduction`, rounded, at least 1.
        reduced: those channels themselves.
        kernel_size: of the convolution that weighs pixels, odd.
        gate: "sigmoid" or "hardsigmoid".
        dims: 1, 2 or 3.

    Differs: the convolution that weighs pixels has a norm, as in the authors' code.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        *,
        reduced: int | None = None,
        kernel_size: int = 7,
        gate: Choice = "sigmoid",
        dims: int = 2,
    ) -> None:
        odd(of="CBAM", kernel_size=kernel_size)
        between = max(1, int(channels / reduction + 0.5)) if reduced is None else reduced
        super().__init__()
        self.channel = _Channels(channels, between, gate=gate, dims=dims)
        self.spatial = _Pixels(kernel_size, gate=gate, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        return self.spatial(self.channel(x))


class _Channels(Module):
    """`x * gate(mlp(mean(x)) + mlp(max(x)))`: equation 2."""

    def __init__(self, channels: int, between: int, *, gate: Choice, dims: int) -> None:
        super().__init__()
        conv = layers(dims, of="CBAM").conv
        self.fc1, self.fc2 = conv(channels, between, 1, bias=False), conv(between, channels, 1, bias=False)
        self.act, self.gate = activation_layer("relu", of="CBAM"), activation_layer(gate, of="CBAM")

    def forward(self, x: Tensor) -> Tensor:
        axes = tuple(range(2, x.ndim))
        mean, largest = x.mean(axes, keepdim=True), x.amax(axes, keepdim=True)
        return x * self.gate(self.fc2(self.act(self.fc1(mean))) + self.fc2(self.act(self.fc1(largest))))


class _Pixels(Module):
    """`x * gate(conv([mean; max] over channels))`: equation 3."""

    def __init__(self, kernel_size: int, *, gate: Choice, dims: int) -> None:
        super().__init__()
        self.conv = ConvNormAct(2, 1, kernel_size, activation=None, names=CONV_BN_ACT, dims=dims)
        self.gate = activation_layer(gate, of="CBAM")

    def forward(self, x: Tensor) -> Tensor:
        pooled = mcore.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return x * self.gate(self.conv(pooled))
