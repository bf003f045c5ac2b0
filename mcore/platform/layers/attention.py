"""Multi-head attention."""

from __future__ import annotations

import warnings
from typing import Any

from mcore.platform import functional as F
from mcore.platform import init
from mcore.platform.base import Module
from mcore.platform.layers.linear import Linear
from mcore.platform.parameter import empty
from mcore.platform.tensor import Tensor
from mcore.platform.words._common import cast


class NonDynamicallyQuantizableLinear(Linear):
    """The output projection, under the name that torch prints."""


def canonical_mask(
    mask: Tensor | None,
    mask_name: str,
    other: Tensor | None,
    other_name: str,
    target: Tensor,
    check_other: bool = True,
) -> Tensor | None:
    """A mask as numbers to add: a boolean one has minus infinity where it is true.

    Raises:
        AssertionError: the mask is neither boolean nor float, or not of the other mask's type.
    """
    if mask is None:
        return None
    floating = mask._dtype.is_floating_point
    if mask._dtype.name != "bool" and not floating:
        raise AssertionError(f"only bool and floating types of {mask_name} are supported")
    if check_other and other is not None and mask._dtype is not other._dtype:
        warnings.warn(
            f"Support for mismatched {mask_name} and {other_name} is deprecated. Use same type for both instead.",
            stacklevel=3,
        )
    if floating:
        return mask
    zeros = cast(mask, target._dtype) * 0
    return zeros.masked_fill(mask, float("-inf"))


class MultiheadAttention(Module):
    """Attention with several heads, each on a share of the channels.

    Shapes:
        query: (l, n, embed_dim), or (n, l, embed_dim) with `batch_first`, or (l, embed_dim)
        key, value: likewise, of length s, with `kdim` and `vdim` channels
        returns: like query; and the weights (n, l, s), one map a head without `average_attn_weights`, or None
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and "
                f"num_heads={num_heads} instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim, self.vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads, self.dropout, self.batch_first = num_heads, dropout, batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")
        apart = ("q_proj_weight", embed_dim), ("k_proj_weight", self.kdim), ("v_proj_weight", self.vdim)
        if self._qkv_same_embed_dim:
            self.in_proj_weight = empty((3 * embed_dim, embed_dim), device, dtype)
            for name, _ in apart:
                self.register_parameter(name, None)
        else:
            for name, width in apart:
                self.register_parameter(name, empty((embed_dim, width), device, dtype))
            self.register_parameter("in_proj_weight", None)
        self.register_parameter("in_proj_bias", empty(3 * embed_dim, device, dtype) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, device, dtype)
        for name in ("bias_k", "bias_v"):
            setattr(self, name, empty((1, 1, embed_dim), device, dtype) if add_bias_kv else None)
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            weight = getattr(self, name)
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
            init.constant_(self.out_proj.bias, 0.0)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        batched = query.ndim == 3
        names = "key_padding_mask", "attn_mask"
        key_padding_mask = canonical_mask(key_padding_mask, names[0], attn_mask, names[1], query)
        attn_mask = canonical_mask(attn_mask, names[1], None, "", query, check_other=False)
        if self.batch_first and batched:
            # The same tensor stays the same, by which the word sees self-attention.
            swapped = {id(t): t.transpose(1, 0) for t in (query, key, value)}  # type: ignore[attr-defined]
            query, key, value = (swapped[id(t)] for t in (query, key, value))
        apart: dict[str, Any] = {}
        if not self._qkv_same_embed_dim:
            apart = {
                "use_separate_proj_weight": True,
                "q_proj_weight": self.q_proj_weight,
                "k_proj_weight": self.k_proj_weight,
                "v_proj_weight": self.v_proj_weight,
            }
        out, weights = F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias,
            self.bias_k, self.bias_v, self.add_zero_attn, self.dropout, self.out_proj.weight,
            self.out_proj.bias, training=self.training, key_padding_mask=key_padding_mask,
            need_weights=need_weights, attn_mask=attn_mask, average_attn_weights=average_attn_weights,
            is_causal=is_causal, **apart,
        )  # fmt: skip
        return (out.transpose(1, 0) if self.batch_first and batched else out), weights


__all__ = ["MultiheadAttention"]
