"""Norms that torch has for the last axis only, over channels of sequences, images and volumes."""

from mcore import Module, Parameter, Tensor, ones, zeros
from mcore import functional as F


class ChannelNorm(Module):
    """Layer normalisation over the channels of each pixel.

    Shapes:
        x: (n, channels, *size)
        returns: the same

    Args:
        channels: of what comes and goes.
        eps: added to the variance.

    Source: Liu et al., "A ConvNet for the 2020s", arXiv:2201.03545, section 2.6 (LN).
    Names: weight and bias, as LayerNorm.
    """

    def __init__(self, channels: int, *, eps: float = 1e-6) -> None:
        super().__init__()
        self.channels, self.eps = channels, eps
        self.weight, self.bias = Parameter(ones(channels)), Parameter(zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        x = F.layer_norm(x.movedim(1, -1), (self.channels,), self.weight, self.bias, self.eps)
        return x.movedim(-1, 1)

    def extra_repr(self) -> str:
        return f"{self.channels}, eps={self.eps}"
