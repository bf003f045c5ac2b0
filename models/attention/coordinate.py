"""Coordinate attention.

Source: Hou et al., "Coordinate Attention for Efficient Mobile Network Design", arXiv:2103.02907, section 3.2.
Names: attributes are the authors' and timm's, so their weights load as they are.
"""

import mcore
from mcore import Module, Tensor
from models.basicblocks.layers import Choice, activation_layer, layers, norm_layer


class CoordinateAttention(Module):
    """Weighs rows and columns by their means: a channel's weight is a product of one number for each axis.

    Shapes:
        x: (n, channels, *size)
        returns: the same

    Args:
        channels: of what comes and goes.
        reduction: channels between are `channels // reduction`, at least 8.
        reduced: those channels themselves.
        bias: of the convolutions; timm's have none.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        activation: between the convolutions.
        gate: "sigmoid" or "hardsigmoid".
        dims: 1, 2 or 3; the paper's two axes, or each there is. Along a single axis there is no mean to take.

    Names: conv_h and conv_w belong to rows and columns; in volumes, conv_d to slices.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 32,
        *,
        reduced: int | None = None,
        bias: bool = True,
        norm: Choice = "batch",
        activation: Choice = "hardswish",
        gate: Choice = "sigmoid",
        dims: int = 2,
    ) -> None:
        name = "CoordinateAttention"
        conv, make_norm = layers(dims, of=name).conv, norm_layer(norm, dims, of=name)
        super().__init__()
        self.axes = "dhw"[-dims:]
        between = max(8, channels // reduction) if reduced is None else reduced
        self.conv1 = conv(channels, between, 1, bias=bias)
        self.bn1 = None if make_norm is None else make_norm(between)
        self.act = activation_layer(activation, of=name)
        for axis in self.axes:
            self.add_module(f"conv_{axis}", conv(between, channels, 1, bias=bias))
        self.gate = activation_layer(gate, of=name)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        # Means over the other axes, one behind the other on axis 2, so that they share convolution and norm.
        rows = mcore.cat([_means(x, axis).movedim(axis, 2) for axis in range(2, x.ndim)], dim=2)
        rows = self.conv1(rows)
        rows = self.act(rows if self.bn1 is None else self.bn1(rows))
        for number, row in enumerate(rows.split(list(size), dim=2)):
            weigh = getattr(self, f"conv_{self.axes[number]}")
            x = x * self.gate(weigh(row.movedim(2, 2 + number)))
        return x


def _means(x: Tensor, axis: int) -> Tensor:
    """Means over all pixels with the same place on `axis`."""
    others = tuple(other for other in range(2, x.ndim) if other != axis)
    return x.mean(others, keepdim=True) if others else x
