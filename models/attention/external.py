"""External attention.

Source: Guo et al., "Beyond Self-attention: External Attention using Two Linear Layers for Visual Tasks",
arXiv:2105.02358, section 3.2.
Names: attributes are the authors' (github.com/MenghaoGuo/EANet), so their weights load as they are.
"""

from mcore import Conv1d, Module, Tensor
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import layers


class ExternalAttention(Module):
    """Pixels attend to a learned memory instead of to each other, so that the work grows as their number.

    Shapes:
        x: (n, channels, *size)
        returns: the same, 0 or more

    Args:
        channels: of what comes and goes.
        memory: how many entries the memory has.
        dims: 1, 2 or 3.

    Differs: the memories of keys and values start apart, as the paper has them; the authors' code starts the
    one as the other's transpose.
    """

    def __init__(self, channels: int, memory: int = 64, *, dims: int = 2) -> None:
        conv = layers(dims, of="ExternalAttention").conv
        super().__init__()
        self.conv1 = conv(channels, channels, 1)
        self.linear_0, self.linear_1 = Conv1d(channels, memory, 1, bias=False), Conv1d(memory, channels, 1, bias=False)
        self.conv2 = ConvNormAct(channels, channels, 1, activation=None, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.linear_0(self.conv1(x).flatten(2)).softmax(2)
        # Equation 7: over pixels, then over the memory's entries.
        weights = weights / (1e-9 + weights.sum(1, keepdim=True))
        y = self.linear_1(weights).unflatten(2, tuple(x.shape[2:]))
        return (self.conv2(y) + x).relu()
