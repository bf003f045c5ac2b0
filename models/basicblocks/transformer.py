"""The block of transformers that normalise before each branch.

Source: Vaswani et al., "Attention Is All You Need", arXiv:1706.03762, section 3; Dosovitskiy et al., "An Image is Worth
16x16 Words", arXiv:2010.11929, figure 1 and equations 2 and 3.
Names: attributes are timm's.
"""

from mcore import Identity, Module, Parameter, Tensor, full
from models.attention.self_attention import MultiHeadSelfAttention
from models.basicblocks.drop import DropPath
from models.basicblocks.mlp import MLP
from models.basicblocks.norm import ChannelNorm


class LayerScale(Module):
    """A learnt factor for each channel of a residual branch, which starts small.

    Shapes:
        x: (n, channels, *size)
        returns: the same

    Args:
        channels: of what comes and goes.
        start: what the factors begin with.

    Source: Touvron et al., "Going deeper with Image Transformers", arXiv:2103.17239, section 2.
    """

    def __init__(self, channels: int, start: float = 1e-5) -> None:
        super().__init__()
        self.gamma = Parameter(full((channels,), start))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma.reshape(-1, *(1 for _ in range(2, x.ndim)))


class TransformerBlock(Module):
    """Two residual branches, each behind a norm: attention among pixels, then an MLP over channels.

    Shapes:
        x: (n, channels, *size); a sequence of tokens is a map with one axis
        returns: the same

    Args:
        channels: of what comes and goes.
        heads: of the attention.
        mlp_ratio: hidden channels of the MLP, as a multiple of `channels`.
        qkv_bias: whether queries, keys and values have biases.
        layer_scale: what the factors of the branches' channels start with; None, there are none.
        dropout: the share of attention weights, and of the MLP's values, dropped in training.
        drop_path: the share of samples that lose a branch in training.
        eps: of both norms.
        attention: in the place of `MultiHeadSelfAttention`.
        mlp: in the place of `MLP`.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        *,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        layer_scale: float | None = None,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        eps: float = 1e-6,
        attention: Module | None = None,
        mlp: Module | None = None,
    ) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels, eps=eps)
        if attention is None:
            attention = MultiHeadSelfAttention(channels, heads, qkv_bias=qkv_bias, dropout=dropout)
        self.attn = attention
        self.ls1 = Identity() if layer_scale is None else LayerScale(channels, layer_scale)
        self.norm2 = ChannelNorm(channels, eps=eps)
        self.mlp = MLP(channels, int(mlp_ratio * channels), dropout=dropout) if mlp is None else mlp
        self.ls2 = Identity() if layer_scale is None else LayerScale(channels, layer_scale)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.ls1(self.attn(self.norm1(x))))
        return x + self.drop_path(self.ls2(self.mlp(self.norm2(x))))
