"""multi_head_attention_forward: what torch.nn.MultiheadAttention calls.

Differs: heads and batch stay two axes, so the batch stays symbolic; torch folds them into one.
"""

from __future__ import annotations

import math

from mcore.platform import dtypes
from mcore.platform.dtypes import dtype as Kind
from mcore.platform.tensor import Tensor, constant, emit_many, ints
from mcore.platform.word import WORDS, word
from mcore.platform.words._common import cast, plain, same_shape
from mcore.platform.words._pieces import (
    binary,
    concat,
    expand,
    filled,
    permute,
    reduce,
    reshape,
    scaled,
    softmax_of,
    squeeze,
    swap,
    unsqueeze,
    where,
)
from mcore.platform.words.attention import Mask, attend
from mcore.platform.words.linear import linear, matmul


def split(x: Tensor, sizes: list[int], axis: int) -> list[Tensor]:
    """Parts of these sizes along an axis."""
    shapes = [((*x.shape[:axis], s, *x.shape[axis + 1 :]), x._dtype) for s in sizes]
    return emit_many("Split", [x, ints(sizes)], shapes, axis=axis)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def _projected(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    weights: Tensor | tuple[Tensor | None, ...] | None,
    bias: Tensor | None,
) -> list[Tensor]:
    """Queries, keys and values, by one packed weight (3e, e) or by three."""
    shapes = [f"torch.Size({plain(t.shape)})" for t in (key, value)]
    if isinstance(weights, tuple):
        return _separate(query, key, value, weights, bias)
    _require(same_shape(key.shape, value.shape), f"key shape {shapes[0]} does not match value shape {shapes[1]}")
    if weights is None:
        raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
    return _packed(query, key, value, weights, bias)


def _packed(query: Tensor, key: Tensor, value: Tensor, weight: Tensor, bias: Tensor | None) -> list[Tensor]:
    """By one weight; tensors that are the same share one product."""
    size = query.shape[-1]
    if key is value and query is key:
        return split(linear(query, weight, bias), [size] * 3, query.ndim - 1)
    if key is value:
        w = split(weight, [size, 2 * size], 0)
        b = split(bias, [size, 2 * size], 0) if bias is not None else [None, None]
        both = split(linear(key, w[1], b[1]), [size] * 2, key.ndim - 1)
        return [linear(query, w[0], b[0]), *both]
    w = split(weight, [size] * 3, 0)
    b = split(bias, [size] * 3, 0) if bias is not None else [None] * 3
    return [linear(x, w[k], b[k]) for k, x in enumerate((query, key, value))]


def _additive(mask: Tensor | None, name: str, kind: Kind) -> Tensor | None:
    """A mask as numbers to add: in bool masks True shuts out."""
    if mask is None or mask._dtype.category == dtypes.FLOAT:
        return mask
    _require(mask._dtype is dtypes.bool_, f"only bool and floating types of {name} are supported")
    return where(mask, constant(-math.inf, kind), constant(0, kind))


def _check_ranks(query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None) -> bool:
    """Whether there is a batch axis. Raises AssertionError, in torch's words, where ranks do not fit."""
    _require(
        query.ndim in (2, 3),
        f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor",
    )
    kind = "batched (3-D)" if query.ndim == 3 else "unbatched (2-D)"
    _require(
        key.ndim == value.ndim == query.ndim,
        f"For {kind} `query`, expected `key` and `value` to be {query.ndim}-D but found {key.ndim}-D and "
        f"{value.ndim}-D tensors respectively",
    )
    if padding is not None:
        _require(
            padding.ndim == query.ndim - 1,
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {query.ndim - 1}-D but found "
            f"{padding.ndim}-D tensor instead",
        )
    if mask is not None:
        _require(
            mask.ndim in (2, 3),
            f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found {mask.ndim}-D tensor instead",
        )
    return query.ndim == 3


def _by_head(mask: Tensor | None, batch: int, heads: int, length: int, source: int) -> Tensor | None:
    """(l, s) as it is, (n * heads, l, s) as (n, heads, l, s)."""
    if mask is None:
        return None
    want = (length, source) if mask.ndim == 2 else (batch * heads, length, source)
    if not same_shape(mask.shape, want):
        raise RuntimeError(
            f"The shape of the {mask.ndim}D attn_mask is torch.Size({plain(mask.shape)}), but should be "
            f"{tuple(plain(want))}."
        )
    return mask if mask.ndim == 2 else reshape(mask, (batch, heads, length, source))


def _one_more(mask: Tensor | None) -> Tensor | None:
    """A mask with a last column that lets through."""
    if mask is None:
        return None
    return concat([mask, filled(0, (*mask.shape[:-1], 1), mask._dtype)], mask.ndim - 1)


@word("F.multi_head_attention_forward")
def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Multi-head attention with its projections.

    Shapes:
        query: (l, n, e), key: (s, n, ek), value: (s, n, ev), each also without n
        key_padding_mask: (n, s); attn_mask: (l, s) or (n * heads, l, s); True or -inf shuts out
        returns: (l, n, e), and the weights (n, l, s), or (n, heads, l, s) when not averaged
    """
    batched = _check_ranks(query, key, value, key_padding_mask, attn_mask)
    if not batched:
        query, key, value = _with_batch(query, key, value)
        key_padding_mask = None if key_padding_mask is None else unsqueeze(key_padding_mask, 0)
    length, batch, width = query.shape
    _check_width(int(width), int(embed_dim_to_check), num_heads)
    causal, mask, padding = _masks(attn_mask, key_padding_mask, is_causal, need_weights, query._dtype)
    weights = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else in_proj_weight
    q, k, v = _projected(query, key, value, weights, in_proj_bias)
    mask = _by_head(mask, batch, num_heads, length, key.shape[0])
    if bias_k is not None or bias_v is not None:
        k, v = _with_biases(k, v, bias_k, bias_v, static_k, static_v)
        mask, padding = _one_more(mask), _one_more(padding)
    q = _heads(q, num_heads)
    k, v = _static(static_k, k, batch, num_heads), _static(static_v, v, batch, num_heads)
    if add_zero_attn:
        k, v = (concat([x, filled(0, (*x.shape[:2], 1, x.shape[3]), x._dtype)], 2) for x in (k, v))
        mask, padding = _one_more(mask), _one_more(padding)
    mask = _merged(mask, padding, batch, k.shape[2])
    dropout_p = dropout_p if training else 0.0
    shares = None
    if need_weights:
        result, shares = _with_weights(q, k, v, mask, dropout_p)
        shares = reduce("ReduceMean", shares, (1,)) if average_attn_weights else shares
    else:
        scale = 1 / math.sqrt(int(width) // num_heads)
        rule = None if mask is None else Mask(mask, q._dtype)
        result = attend(q, k, v, rule, causal=causal, scale=scale, dropout_p=dropout_p)
    result = reshape(permute(result, (2, 0, 1, 3)), (length, batch, width))
    result = linear(result, out_proj_weight, out_proj_bias)
    if batched:
        return result, shares
    return squeeze(result, 1), None if shares is None else squeeze(shares, 0)


def _with_batch(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """All three with a batch of 1 in the middle; what was one tensor stays one."""
    same_key, same_value = key is query, value is key
    query = unsqueeze(query, 1)
    key = query if same_key else unsqueeze(key, 1)
    return query, key, key if same_value else unsqueeze(value, 1)


def _check_width(width: int, told: int, heads: int) -> None:
    _require(width == told, f"was expecting embedding dimension of {told}, but got {width}")
    _require(width % heads == 0, f"embed_dim {width} not divisible by num_heads {heads}")


def _with_biases(
    k: Tensor,
    v: Tensor,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    static_k: Tensor | None,
    static_v: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Keys and values with one more position, the same in the whole batch."""
    _require(bias_v is not None, "bias_k is set but bias_v is None")
    _require(bias_k is not None, "bias_v is set but bias_k is None")
    _require(static_k is None, "bias cannot be added to static key.")
    _require(static_v is None, "bias cannot be added to static value.")
    shape = (1, *k.shape[1:])
    return concat([k, expand(bias_k, shape)], 0), concat([v, expand(bias_v, shape)], 0)  # type: ignore[arg-type]


def _masks(
    mask: Tensor | None, padding: Tensor | None, is_causal: bool, need_weights: bool, kind: Kind
) -> tuple[bool, Tensor | None, Tensor | None]:
    """Whether to mask causally by the hint alone, and the masks as numbers to add."""
    if is_causal and mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    if is_causal and padding is None and not need_weights:
        return True, None, None
    return False, _additive(mask, "attn_mask", kind), _additive(padding, "key_padding_mask", kind)


def _separate(
    query: Tensor, key: Tensor, value: Tensor, weights: tuple[Tensor | None, ...], bias: Tensor | None
) -> list[Tensor]:
    sides = [f"torch.Size({plain(t.shape[:2])})" for t in (key, value)]
    _require(
        same_shape(key.shape[:2], value.shape[:2]),
        f"key's sequence and batch dims {sides[0]} do not match value's {sides[1]}",
    )
    for weight, name in zip(weights, "qkv", strict=True):
        _require(weight is not None, f"use_separate_proj_weight is True but {name}_proj_weight is None")
    parts = split(bias, [bias.shape[0] // 3] * 3, 0) if bias is not None else [None] * 3
    return [linear(x, w, b) for x, w, b in zip((query, key, value), weights, parts, strict=True)]  # type: ignore[arg-type]


def _heads(x: Tensor, heads: int) -> Tensor:
    """(l, n, e) as (n, heads, l, e / heads)."""
    length, batch, width = x.shape
    return permute(reshape(x, (length, batch, heads, width // heads)), (1, 2, 0, 3))


def _static(static: Tensor | None, x: Tensor, batch: int, heads: int) -> Tensor:
    """Keys or values by head, or those given ready: (n * heads, s, e / heads)."""
    if static is None:
        return _heads(x, heads)
    rows, size = int(batch) * heads, int(x.shape[-1]) // heads
    _require(int(static.shape[0]) == rows, f"expecting static_k.size(0) of {rows}, but got {int(static.shape[0])}")
    _require(int(static.shape[2]) == size, f"expecting static_k.size(2) of {size}, but got {int(static.shape[2])}")
    return reshape(static, (batch, heads, *static.shape[1:]))


def _merged(mask: Tensor | None, padding: Tensor | None, batch: int, source: int) -> Tensor | None:
    """Both masks as one that broadcasts to (n, heads, l, s)."""
    if padding is None:
        return mask
    _require(
        same_shape(padding.shape, (batch, source)),
        f"key_padding_mask shape {tuple(plain(padding.shape))} should be {(int(batch), int(source))}",
    )
    padding = unsqueeze(padding, 1, 2)
    return padding if mask is None else binary("Add", cast(mask, padding._dtype), padding)


def _with_weights(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout_p: float) -> tuple[Tensor, Tensor]:
    """Attention that shows its weights; here torch lets a row with every key masked be NaN."""
    scores = matmul(scaled(q, math.sqrt(1.0 / int(q.shape[-1]))), swap(k, 2, 3))
    if mask is not None:
        scores = binary("Add", scores, cast(mask, scores._dtype))
    shares = softmax_of(scores, 3)
    if dropout_p > 0:
        shares = WORDS["F.dropout"](shares, dropout_p)
    return matmul(shares, v), shares
