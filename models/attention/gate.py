"""The gate of Attention U-Net.

Source: Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas", arXiv:1804.03999, figure 2.
Names: attributes are MONAI's, whose convolutions stand one level deeper (W_g.0.conv for W_g.0).
"""

from mcore import Module, ReLU, Sequential, Sigmoid, Tensor
from models.basicblocks.layers import Choice, layers, norm_layer
from models.functional.sizes import resize


class AttentionGate(Module):
    """Weighs the pixels of a finer map by what a coarser one says of them: `x * sigmoid(psi(relu(W_g g + W_x x)))`.

    Shapes:
        x: (n, channels, *size), the map that joins over a skip connection
        gate: (n, gate_channels, *any size), from below; where left out, x itself
        returns: as x

    Args:
        channels: of the map that is weighed.
        gate_channels: of the coarser map; `channels`, where left out.
        between: channels inside; half of `channels`, where left out.
        resized: brings what the gate says to the size of x; False saves that where sizes agree.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        dims: 1, 2 or 3.

    Differs: x keeps its size and the gate's is raised, where the paper lowers the one and raises the weights.
    """

    def __init__(
        self,
        channels: int,
        gate_channels: int | None = None,
        *,
        between: int | None = None,
        resized: bool = True,
        norm: Choice = "batch",
        dims: int = 2,
    ) -> None:
        conv, make_norm = layers(dims, of="AttentionGate").conv, norm_layer(norm, dims, of="AttentionGate")
        super().__init__()
        inner, self.resized = between or max(1, channels // 2), resized

        def linear(in_channels: int, out_channels: int, *more: Module) -> Sequential:
            norms = [] if make_norm is None else [make_norm(out_channels)]
            return Sequential(conv(in_channels, out_channels, 1), *norms, *more)

        self.W_g = linear(channels if gate_channels is None else gate_channels, inner)
        self.W_x = linear(channels, inner)
        self.psi = linear(inner, 1, Sigmoid())
        self.relu = ReLU()

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        said = self.W_g(x if gate is None else gate)
        if gate is not None and self.resized:
            said = resize(said, x.shape[2:])
        return x * self.psi(self.relu(said + self.W_x(x)))
