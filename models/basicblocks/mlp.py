"""Two maps over the channels of each pixel, as transformers and ConvNeXt have them."""

from mcore import Dropout, Linear, Module, Tensor
from models.basicblocks.layers import Choice, activation_layer, layers


class MLP(Module):
    """A hidden layer over the channels of each pixel: `fc2(activation(fc1(x)))`.

    Shapes:
        x: (n, channels, *size); a sequence of tokens is a map with one axis
        returns: the same

    Args:
        channels: of what comes and goes.
        hidden: channels between the two, 4 times as many where left out.
        activation: between the two.
        dropout: the share of values dropped after each of the two, in training.
        grn: a norm between activation and `fc2`, for the hidden channels: ConvNeXt V2 has one.
        dims: 1, 2 or 3 makes both 1x1 convolutions, whose weights have as many axes more, as some publishers
            store them; None, linear layers, which serve any number of dimensions.

    Names: attributes are timm's.
    """

    def __init__(
        self,
        channels: int,
        hidden: int | None = None,
        *,
        activation: Choice = "gelu",
        dropout: float = 0.0,
        grn: Module | None = None,
        dims: int | None = None,
    ) -> None:
        super().__init__()
        hidden = 4 * channels if hidden is None else hidden
        self.fc1 = pointwise_layer(channels, hidden, dims)
        self.act = activation_layer(activation, of="MLP")
        self.grn = grn
        self.fc2 = pointwise_layer(hidden, channels, dims)
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(self.act(pointwise(self.fc1, x)))
        if self.grn is not None:
            x = self.grn(x)
        return self.drop(pointwise(self.fc2, x))


def pointwise_layer(in_channels: int, out_channels: int, dims: int | None) -> Module:
    """A linear layer, or a 1x1 convolution of `dims` dimensions."""
    if dims is None:
        return Linear(in_channels, out_channels)
    return layers(dims, of="MLP").conv(in_channels, out_channels, 1)


def pointwise(layer: Module, x: Tensor) -> Tensor:
    """What `layer` makes of the channels of each pixel, be it a linear layer or a 1x1 convolution.

    Axes are moved without copying, so that layers in a row leave channels last in memory.
    """
    return layer(x.movedim(1, -1)).movedim(-1, 1) if isinstance(layer, Linear) else layer(x)
