"""scaled_dot_product_attention.

A row whose every key is masked gives zeros, as torch does. So that no NaN appears on the way, masked
scores are the least finite number, not -inf: in every other row their share is exactly 0 too, and in such
a row the result is multiplied by 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mcore.platform import dtypes, graph
from mcore.platform.dim import Dim
from mcore.platform.dtypes import dtype as Kind
from mcore.platform.errors import ShapeError
from mcore.platform.tensor import Tensor, constant
from mcore.platform.word import WORDS, word
from mcore.platform.words._common import cast
from mcore.platform.words._pieces import (
    binary,
    expand,
    fill,
    lower_triangle,
    permute,
    reduce,
    reshape,
    scaled,
    softmax_of,
    test,
    unsqueeze,
    where,
)
from mcore.platform.words.linear import _C_NAMES, matmul

# Least finite number, by type.
_LEAST = {
    "float16": -65504.0,
    "bfloat16": -3.3895313892515355e38,
    "float32": -3.4028234663852886e38,
    "float64": -1.7976931348623157e308,
}


def causal_bias(rows: int, columns: int, kind: Kind) -> Tensor:
    """0 where the column is at most the row, -inf elsewhere: aligned at the top left, as torch's."""
    if type(rows) is not Dim and type(columns) is not Dim and rows * columns <= 1 << 14:
        return constant(np.where(np.tri(rows, columns, dtype=bool), 0.0, -math.inf), kind)
    return where(lower_triangle(rows, columns), constant(0, kind), constant(-math.inf, kind))


def _known(mask: Tensor) -> np.ndarray | None:
    """The mask's data where no run can change it: a constant, a parameter or a buffer."""
    recorder = graph.current()
    value = recorder.use(mask)
    if value in recorder.constants:
        return recorder.constants[value]
    return recorder.state_array(value) if value in recorder.states else None


class Mask:
    """What a mask adds to the scores, and which rows keep anything at all (None: every row)."""

    __slots__ = ("bias", "keep")

    def __init__(self, mask: Tensor, kind: Kind) -> None:
        if mask._dtype is dtypes.bool_:
            self.bias = where(mask, constant(0, kind), constant(_LEAST[kind.name], kind))
            some = reduce("ReduceMax", mask, (mask.ndim - 1,), keepdim=True)
        else:
            known = _known(mask)
            if known is not None and not np.isneginf(known.astype(np.float32)).all(-1).any():
                self.bias, self.keep = cast(mask, kind), None
                return
            mask = cast(mask, kind)
            self.bias = binary("Max", mask, fill(_LEAST[kind.name], mask))
            some = test("Greater", reduce("ReduceMax", mask, (mask.ndim - 1,), keepdim=True), fill(-math.inf, mask))
        self.keep = cast(some, kind)


def scale_of(scale: float | None, query: Tensor) -> float:
    """`scale`, or one over the root of the head's size."""
    if scale is not None:
        return scale
    return 1 / math.sqrt(graph.current().fix(query.shape[-1], "attention scales by the root of the head's size"))


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Mask | None,
    *,
    causal: bool,
    scale: float,
    dropout_p: float = 0.0,
) -> Tensor:
    """`softmax(scale * query @ key.T + bias) @ value`."""
    rank = key.ndim
    turned = permute(key, (*range(rank - 2), rank - 1, rank - 2))
    scores = matmul(scaled(query, scale), turned)
    if causal:
        scores = binary("Add", scores, causal_bias(query.shape[-2], key.shape[-2], scores._dtype))
    if mask is not None:
        scores = binary("Add", scores, mask.bias)
    shares = softmax_of(scores, scores.ndim - 1)
    if dropout_p > 0:
        shares = WORDS["F.dropout"](shares, dropout_p)
    result = matmul(shares, value)
    if mask is not None and mask.keep is not None:
        result = binary("Mul", result, mask.keep)
    return result


def _check(query: Tensor, key: Tensor, value: Tensor, attn_mask: Any) -> None:
    ranks = query.ndim, key.ndim, value.ndim
    if min(ranks) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{ranks[0]} key.dim: {ranks[1]} and value.dim: {ranks[2]} instead."
        )
    kinds = query._dtype, key._dtype, value._dtype
    if kinds[0] is not kinds[1] or kinds[0] is not kinds[2]:
        names = [_C_NAMES[k.name] for k in kinds]
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{names[0]} key.dtype: {names[1]} and value.dtype: {names[2]} instead."
        )
    if attn_mask is not None and attn_mask._dtype not in (dtypes.bool_, dtypes.float32, kinds[0]):
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
            f"{_C_NAMES[attn_mask._dtype.name]} and  query.dtype: {_C_NAMES[kinds[0].name]} instead."
        )


@word("F.scaled_dot_product_attention")
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attention: `softmax(scale * query @ key.T + mask) @ value`; a row with every key masked gives zeros.

    Shapes:
        query: (..., heads, l, e), key: (..., heads, s, e), value: (..., heads, s, v)
        attn_mask: broadcasts to (..., heads, l, s); bool: True takes part; float: added to the scores
        returns: (..., heads, l, v)
    """
    _check(query, key, value, attn_mask)
    if enable_gqa:
        key, value = _shared_heads(query, key), _shared_heads(query, value)
    if int(key.shape[-2]) != int(value.shape[-2]):
        raise ShapeError(
            f"scaled_dot_product_attention: key has {int(key.shape[-2])} positions, value {int(value.shape[-2])}"
        )
    mask = None if attn_mask is None else Mask(attn_mask, query._dtype)
    return attend(query, key, value, mask, causal=is_causal, scale=scale_of(scale, query), dropout_p=dropout_p)


def _shared_heads(query: Tensor, x: Tensor) -> Tensor:
    """Heads of keys or values repeated, one after the other, for groups of query heads."""
    if x.ndim < 3 or query.ndim < 3:
        raise RuntimeError("scaled_dot_product_attention: enable_gqa needs an axis of heads")
    wanted, heads = query.shape[-3], x.shape[-3]
    if int(wanted) == int(heads):
        return x
    if int(wanted) % int(heads):
        raise ShapeError("Number of heads in key and value must divide the number of heads in query")
    *batch, _, length, size = x.shape
    spread = expand(unsqueeze(x, -3), (*batch, heads, wanted // heads, length, size))
    return reshape(spread, (*batch, wanted, length, size))
