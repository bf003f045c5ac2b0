"""Self-attention of all pixels, or tokens, with all.

Source: Vaswani et al., "Attention Is All You Need", arXiv:1706.03762, section 3.2.
"""

from mcore import Linear, Module, Tensor
from mcore import functional as F


class MultiHeadSelfAttention(Module):
    """Every pixel takes from all pixels, by how much its query meets their keys: `proj(softmax(q k) v)`.

    Shapes:
        x: (n, channels, *size); a sequence of tokens is a map with one axis
        returns: the same

    Time and memory grow with the square of the number of pixels.

    Args:
        channels: of what comes and goes, divided among the heads.
        heads: attentions side by side.
        qkv_bias: whether queries, keys and values have biases.
        dropout: the share of attention weights dropped in training.

    Names: attributes are timm's.

    Raises:
        ValueError: `heads` don't divide `channels`.
    """

    def __init__(self, channels: int, heads: int = 8, *, qkv_bias: bool = True, dropout: float = 0.0) -> None:
        check_heads(channels, heads, of="MultiHeadSelfAttention")
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = Linear(channels, 3 * channels, bias=qkv_bias)
        self.proj = Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        split = self.qkv(tokens).unflatten(2, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        dropout = self.dropout if self.training else 0.0
        taken = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.proj(taken.transpose(1, 2).flatten(2)).transpose(1, 2).reshape(x.shape)

    def extra_repr(self) -> str:
        return f"heads={self.heads}"


def check_heads(channels: int, heads: int, *, of: str) -> None:
    """Refuses a number of heads that doesn't divide the channels.

    Raises:
        ValueError: it doesn't; the message names those that do.
    """
    if heads < 1 or channels % heads:
        fitting = ", ".join(str(count) for count in range(1, channels + 1) if channels % count == 0)
        raise ValueError(f"{of}: heads={heads} don't divide channels={channels}; {fitting} would.")
