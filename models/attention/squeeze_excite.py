"""Squeeze and excitation.

Source: Hu et al., "Squeeze-and-Excitation Networks", arXiv:1709.01507, section 3.
"""

from mcore import Module, Tensor
from models.basicblocks.layers import Choice, activation_layer, layers


class SE(Module):
    """Weighs channels by what all of them hold on average: `x * gate(expand(relu(reduce(mean(x)))))`.

    Shapes:
        x: (n, channels, *size)
        returns: the same

    Args:
        channels: of what comes.
        reduction: channels between the two convolutions are `channels // reduction`.
        reduced: those channels themselves, where a family rounds them otherwise.
        activation: between the two convolutions.
        gate: after them, "sigmoid" or "hardsigmoid".
        names: of the two convolutions, as the family's publisher calls them.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        *,
        reduced: int | None = None,
        activation: Choice = "relu",
        gate: Choice = "sigmoid",
        names: tuple[str, str] = ("fc1", "fc2"),
        dims: int = 2,
    ) -> None:
        super().__init__()
        conv, between = layers(dims, of="SE").conv, reduced or max(1, channels // reduction)
        self._names = names
        self.add_module(names[0], conv(channels, between, 1))
        self.add_module(names[1], conv(between, channels, 1))
        self.activation = activation_layer(activation, of="SE")
        self.gate = activation_layer(gate, of="SE")

    def forward(self, x: Tensor) -> Tensor:
        reduce, expand = (getattr(self, name) for name in self._names)
        mean = x.mean(tuple(range(2, x.ndim)), keepdim=True)
        return x * self.gate(expand(self.activation(reduce(mean))))
