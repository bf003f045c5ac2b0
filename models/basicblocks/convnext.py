"""The block of ConvNeXt, first and second version.

Source: Liu et al., "A ConvNet for the 2020s", arXiv:2201.03545, figure 4; Woo et al., "ConvNeXt V2",
arXiv:2301.00808, figure 5.
Names: attributes are timm's.
"""

from mcore import Module, Parameter, Tensor, full, linalg, zeros
from models.basicblocks.drop import DropPath
from models.basicblocks.layers import layers
from models.basicblocks.mlp import MLP
from models.basicblocks.norm import ChannelNorm
from models.utils.arguments import odd


class GRN(Module):
    """Global response normalisation: channels compete by how much of them there is in the whole map.

    Shapes:
        x: (n, channels, *size)
        returns: the same

    Args:
        channels: of what comes and goes.
        eps: added to the mean amount that a channel's is divided by.

    Source: Woo et al., arXiv:2301.00808, algorithm 1.
    """

    def __init__(self, channels: int, *, eps: float = 1e-6) -> None:
        super().__init__()
        self.channels, self.eps = channels, eps
        self.weight, self.bias = Parameter(zeros(channels)), Parameter(zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        amount = linalg.vector_norm(x, dim=tuple(range(2, x.ndim)), keepdim=True)
        share = amount / (amount.mean(1, keepdim=True) + self.eps)
        shape = (-1, *(1 for _ in range(2, x.ndim)))
        return x + self.bias.reshape(shape) + self.weight.reshape(shape) * (x * share)

    def extra_repr(self) -> str:
        return f"{self.channels}, eps={self.eps}"


class ConvNeXtBlock(Module):
    """Residual block of a large depthwise convolution, a norm and an MLP over channels.

    Shapes:
        x: (n, channels, *size)
        returns: the same

    Args:
        channels: of what comes and goes.
        kernel_size: of the depthwise convolution, odd.
        dilation: of the depthwise convolution.
        mlp_ratio: hidden channels of the MLP, as a multiple of `channels`.
        conv_mlp: the MLP has 1x1 convolutions instead of linear layers: same arithmetic, other shapes of weights.
        grn: a `GRN` in the MLP, as the second version has.
        layer_scale: what the factors of the branch's channels start with; None, there are none.
        drop_path: the share of samples that lose the branch in training.
        dims: 1, 2 or 3.

    Raises:
        ValueError: an even `kernel_size`.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int = 7,
        dilation: int = 1,
        mlp_ratio: float = 4.0,
        conv_mlp: bool = False,
        grn: bool = False,
        layer_scale: float | None = 1e-6,
        drop_path: float = 0.0,
        dims: int = 2,
    ) -> None:
        odd(of="ConvNeXtBlock", kernel_size=kernel_size)
        super().__init__()
        hidden = int(mlp_ratio * channels)
        self.gamma = None if layer_scale is None else Parameter(full((channels,), layer_scale))
        self.conv_dw = layers(dims, of="ConvNeXtBlock").conv(
            channels,
            channels,
            kernel_size,
            padding=dilation * (kernel_size - 1) // 2,
            dilation=dilation,
            groups=channels,
        )
        self.norm = ChannelNorm(channels)
        self.mlp = MLP(channels, hidden, grn=GRN(hidden) if grn else None, dims=dims if conv_mlp else None)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.mlp(self.norm(self.conv_dw(x)))
        if self.gamma is not None:
            branch = branch * self.gamma.reshape(-1, *(1 for _ in range(2, x.ndim)))
        return x + self.drop_path(branch)
