"""Self-attention with fewer keys than pixels, as PVT and SegFormer have it.

Source: Wang et al., "Pyramid Vision Transformer", arXiv:2102.12122, section 3.3; Xie et al., "SegFormer",
arXiv:2105.15203, section 3.1 ("Efficient self-attention").
Names: attributes are the authors'.
"""

from mcore import Identity, Linear, Module, Tensor
from mcore import functional as F
from models.attention.self_attention import check_heads
from models.basicblocks.layers import layers
from models.basicblocks.norm import ChannelNorm


class SpatialReductionAttention(Module):
    """Self-attention whose keys and values stand for patches of pixels, which a strided convolution makes one.

    Shapes:
        x: (n, channels, *size), at least `reduction` pixels along each axis
        returns: the same

    Args:
        channels: of what comes and goes, divided among the heads.
        heads: attentions side by side.
        reduction: pixels along every axis of a patch; 1 is plain self-attention. Pixels at the end that fill no
            patch have no key.
        dims: 1, 2 or 3.

    Raises:
        ValueError: `heads` don't divide `channels`, or patches without pixels.
    """

    def __init__(self, channels: int, heads: int = 8, *, reduction: int = 2, dims: int = 2) -> None:
        check_heads(channels, heads, of="SpatialReductionAttention")
        if reduction < 1:
            raise ValueError(f"SpatialReductionAttention: reduction={reduction} is not at least 1 pixel.")
        super().__init__()
        self.heads = heads
        self.q, self.kv = Linear(channels, channels), Linear(channels, 2 * channels)
        self.proj = Linear(channels, channels)
        self.sr: Module = Identity()
        self.norm: Module = Identity()
        if reduction > 1:
            self.sr = layers(dims, of="SpatialReductionAttention").conv(channels, channels, reduction, stride=reduction)
            self.norm = ChannelNorm(channels, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.norm(self.sr(x))
        query = self.q(x.flatten(2).transpose(1, 2)).unflatten(2, (self.heads, -1)).transpose(1, 2)
        both = self.kv(patches.flatten(2).transpose(1, 2)).unflatten(2, (2, self.heads, -1))
        key, value = both.permute(2, 0, 3, 1, 4).unbind(0)
        taken = F.scaled_dot_product_attention(query, key, value)
        return self.proj(taken.transpose(1, 2).flatten(2)).transpose(1, 2).reshape(x.shape)
