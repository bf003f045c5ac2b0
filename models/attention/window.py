"""Attention within windows, as Swin transformers have it.

Source: Liu et al., "Swin Transformer", arXiv:2103.14030, section 3.2, figures 2 and 4.
"""

from collections.abc import Sequence
from typing import Literal

import mcore
from mcore import Linear, Module, Parameter, Tensor, init, zeros
from mcore import functional as F
from models.attention.self_attention import check_heads
from models.functional.sizes import crop, pad_to_multiple

# What is added to the scores of pixels that only the shift brought into one window.
APART = -100.0


class WindowAttention(Module):
    """Self-attention among the pixels of each window, with a learnt bias by relative position.

    Shapes:
        x: (n, channels, *size), of any size: zeros are put behind the last pixels to fill windows
        returns: the same

    Args:
        channels: of what comes and goes, divided among the heads.
        heads: attentions side by side.
        window: pixels along every axis of a window.
        shifted: moves windows by half their size, so that what stood at their borders meets. Pixels from
            opposite borders of the map, which share a window then, don't see each other. Where one window covers an
            axis, nothing is moved along it.
        qkv_bias: whether queries, keys and values have biases.
        dropout: the share of attention weights dropped in training.
        dims: 1, 2 or 3.

    Differs: what was padded takes part, as it does in the authors' code for other sizes than those trained on.
    Names: attributes are timm's (and the authors').

    Raises:
        ValueError: `heads` don't divide `channels`, or a window without pixels.
    """

    relative_position_index: Tensor

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        *,
        window: int = 7,
        shifted: bool = False,
        qkv_bias: bool = True,
        dropout: float = 0.0,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        check_heads(channels, heads, of="WindowAttention")
        if window < 1:
            raise ValueError(f"WindowAttention: window={window} is not at least 1 pixel.")
        super().__init__()
        self.heads, self.window, self.shifted, self.dropout, self.dims = heads, window, shifted, dropout, dims
        self.relative_position_bias_table = Parameter(zeros((2 * window - 1) ** dims, heads))
        self.register_buffer("relative_position_index", _relative_positions(window, dims), persistent=False)
        self.qkv = Linear(channels, 3 * channels, bias=qkv_bias)
        self.proj = Linear(channels, channels)
        init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        size, axes = x.shape[2:], tuple(range(1, self.dims + 1))
        x = pad_to_multiple(x, self.window).movedim(1, -1)
        shifts = self._shifts(x.shape[1:-1]) if self.shifted else ()
        if self.shifted:
            x = mcore.roll(x, tuple(-shift for shift in shifts), axes)
        x = self._attend(x, shifts)
        if self.shifted:
            x = mcore.roll(x, shifts, axes)
        return self.proj(crop(x.movedim(-1, 1), size).movedim(1, -1)).movedim(-1, 1)

    def extra_repr(self) -> str:
        return f"heads={self.heads}, window={self.window}, shifted={self.shifted}"

    def _attend(self, x: Tensor, shifts: Sequence[int]) -> Tensor:
        """Attention in each window of `x`, channels last, whose size is a multiple of the window's."""
        n, *size, channels = x.shape
        dims, window, pixels = self.dims, self.window, self.window**self.dims
        counts = [pixels_along // window for pixels_along in size]
        cut = [length for count in counts for length in (count, window)]
        split = self.qkv(x).reshape(n, *cut, 3, self.heads, channels // self.heads)
        # To (3, n, *counts, heads, *window, channels of a head).
        of_windows, of_pixels = range(1, 2 * dims + 1, 2), range(2, 2 * dims + 1, 2)
        split = split.permute(2 * dims + 1, 0, *of_windows, 2 * dims + 2, *of_pixels, 2 * dims + 3)
        bias = self._bias()
        if shifts:
            # Each window has its own mask: windows and heads make one axis.
            query, key, value = split.reshape(3, n, -1, pixels, channels // self.heads).unbind(0)
            bias = (bias + self._mask(counts, shifts, x)).reshape(1, -1, pixels, pixels)
        else:
            query, key, value = split.reshape(3, -1, self.heads, pixels, channels // self.heads).unbind(0)
        dropout = self.dropout if self.training else 0.0
        taken = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout)
        taken = taken.reshape(n, *counts, self.heads, *(window for _ in counts), channels // self.heads)
        woven = [axis for pair in zip(range(1, dims + 1), range(dims + 2, 2 * dims + 2), strict=True) for axis in pair]
        return taken.permute(0, *woven, dims + 1, 2 * dims + 2).reshape(n, *size, channels)

    def _bias(self) -> Tensor:
        """What relative positions add to the scores: (1, heads, pixels, pixels)."""
        pixels = self.window**self.dims
        chosen = self.relative_position_bias_table.index_select(0, self.relative_position_index.flatten())
        return chosen.reshape(1, pixels, pixels, self.heads).permute(0, 3, 1, 2)

    def _shifts(self, size: Sequence[int]) -> tuple[int, ...]:
        """Pixels to move along each axis: half a window, and none where there is but one (1 - 1 // count is 0)."""
        return tuple(self.window // 2 * (1 - 1 // (pixels // self.window)) for pixels in size)

    def _mask(self, counts: Sequence[int], shifts: Sequence[int], like: Tensor) -> Tensor:
        """What keeps pixels apart that were apart before the shift: (windows, 1, pixels, pixels)."""
        dims, region = self.dims, mcore.zeros((), dtype=mcore.int64, device=like.device)
        for axis, (count, shift) in enumerate(zip(counts, shifts, strict=True)):
            place = mcore.arange(count * self.window, device=like.device)
            moved_in = (place >= count * self.window - shift).to(mcore.int64)
            shape = [1] * (2 * dims)
            shape[axis], shape[dims + axis] = count, self.window
            region = 2 * region + moved_in.reshape(shape)
        region = region.reshape(-1, 1, self.window**dims)
        return APART * (region != region.transpose(1, 2)).to(like.dtype).unsqueeze(1)


def _relative_positions(window: int, dims: int) -> Tensor:
    """For each pair of pixels of a window, the row of the table of biases: (pixels, pixels)."""
    pixels, index = mcore.arange(window**dims), mcore.zeros((), dtype=mcore.int64)
    for axis in range(dims):
        place = pixels // window ** (dims - 1 - axis) % window
        index = (2 * window - 1) * index + place.unsqueeze(1) - place.unsqueeze(0) + window - 1
    return index
