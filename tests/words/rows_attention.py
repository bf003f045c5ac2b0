"""Attention: scaled dot products, masks, heads, projections."""

import math

import numpy as np

from tests.words.contract import A, B, Error, I, Row, Sample, T
from tests.words.holes import eager_only

INF = math.inf
HALF = {"rtol": 3e-3, "atol": 3e-3}
BFLOAT = {"rtol": 3e-2, "atol": 3e-2}

Q, K, V = A(2, 3, 4, 8), A(2, 3, 6, 8, seed=1), A(2, 3, 6, 8, seed=2)
Q2, K2, V2 = A(3, 3, 7, 8), A(3, 3, 5, 8, seed=1), A(3, 3, 5, 8, seed=2)


def masked(n: int, length: int, source: int, *, bool_mask: bool) -> "T":
    """A mask (n, 1, l, s) whose first row shuts out everything."""
    keep = np.random.RandomState(length).rand(n, 1, length, source) > 0.3
    keep[..., 0] = True
    keep[0, 0, 0] = False
    return T(keep, "bool") if bool_mask else T(np.where(keep, np.random.RandomState(1).randn(*keep.shape), -INF))


SDPA = [
    Sample(Q, K, V).other(Q2, K2, V2),
    Sample(Q, K, V, is_causal=True).other(Q2, K2, V2, is_causal=True),
    Sample(Q2, K2, V2, is_causal=True),
    Sample(Q, K, V, B(4, 6)),
    Sample(Q, K, V, A(4, 6, seed=3)).other(Q2, K2, V2, A(7, 5, seed=3)),
    Sample(Q, K, V, masked(2, 4, 6, bool_mask=True)).other(Q2, K2, V2, masked(3, 7, 5, bool_mask=True)),
    Sample(Q, K, V, masked(2, 4, 6, bool_mask=False)).other(Q2, K2, V2, masked(3, 7, 5, bool_mask=False)),
    Sample(Q, K, V, T(np.full((4, 6), -INF))),
    Sample(Q, K, V, T(np.zeros((4, 6)), "bool")),
    Sample(Q, K, V, scale=0.3),
    Sample(Q, K, V, None, 0.0, False),
    Sample(Q, K, V, B(2, 1, 1, 6)),
    Sample(A(3, 4, 8), A(3, 6, 8, seed=1), A(3, 6, 8, seed=2)),
    Sample(A(4, 8), A(6, 8, seed=1), A(6, 8, seed=2)),
    Sample(A(2, 3, 4, 8), A(2, 3, 6, 8), A(2, 3, 6, 5)),
    Sample(A(2, 6, 4, 8), A(2, 3, 6, 8), A(2, 3, 6, 8), enable_gqa=True).other(
        A(4, 6, 5, 8), A(4, 3, 7, 8), A(4, 3, 7, 8), enable_gqa=True
    ),
    Sample(A(2, 6, 4, 8), A(2, 2, 4, 8), A(2, 2, 4, 8), is_causal=True, enable_gqa=True),
    *[
        Sample(A(2, 3, 4, 8, dtype=d), A(2, 3, 6, 8, dtype=d), A(2, 3, 6, 8, dtype=d), **t)
        for d, t in (("float64", {}), ("float16", HALF), ("bfloat16", BFLOAT))
    ],
    Sample(A(2, 3, 150, 8), A(2, 3, 140, 8), A(2, 3, 140, 8), is_causal=True).other(
        A(1, 3, 90, 8), A(1, 3, 130, 8), A(1, 3, 130, 8), is_causal=True
    ),
]

ROWS = [
    Row(
        "F.scaled_dot_product_attention",
        samples=SDPA,
        errors=[
            Error(
                RuntimeError,
                r"Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: 1",
                A(4),
                A(5, 4),
                A(5, 4),
            ),
            Error(
                RuntimeError,
                r"to be: \[2, 4\] but got: \[2, 6\]",
                A(1, 2, 3, 4),
                A(1, 2, 5, 6),
                A(1, 2, 5, 4),
            ),
            Error(
                RuntimeError,
                "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
                "attn_mask.dtype: long int",
                A(1, 2, 3, 4),
                A(1, 2, 5, 4),
                A(1, 2, 5, 4),
                I(3, 5),
            ),
            Error(
                RuntimeError,
                "Number of heads in key and value must divide the number of heads in",
                A(1, 4, 3, 4),
                A(1, 3, 5, 4),
                A(1, 3, 5, 4),
                enable_gqa=True,
            ),
            Error(
                RuntimeError,
                "key has 5 positions, value 6",
                A(1, 2, 3, 4),
                A(1, 2, 5, 4),
                A(1, 2, 6, 4),
                only="platform",
            ),
        ],
    ),
    Row("F.scaled_dot_product_attention", random=True, samples=[Sample(Q, K, V, dropout_p=0.5)]),
]

# --- multi-head attention: (length, batch, width), 3 heads of 4

E, H = 12, 3
WEIGHTS = [A(3 * E, E, seed=5), A(3 * E, seed=6)]
OUT = [A(E, E, seed=7), A(E, seed=8)]


def mha(
    length: int,
    batch: int,
    source: int,
    *,
    kind: str = "cross",
    bias: bool = False,
    zero: bool = False,
    **kwargs,
) -> tuple:
    """Arguments of a call; "cross" has three tensors, "two" shares keys and values, "self" shares all."""
    q, k, v = A(length, batch, E), A(source, batch, E, seed=1), A(source, batch, E, seed=2)
    if batch == 0:
        q, k, v = A(length, E), A(source, E, seed=1), A(source, E, seed=2)
    bias_k, bias_v = (A(1, 1, E, seed=9), A(1, 1, E, seed=10)) if bias else (None, None)
    return (q, k, v, E, H, *WEIGHTS, bias_k, bias_v, zero, 0.0, *OUT), {"training": False, **kwargs}


def pair(first: tuple, second: tuple | None = None) -> Sample:
    sample = Sample(*first[0], **first[1])
    return sample if second is None else sample.other(*second[0], **second[1])


def padding(n: int, s: int) -> "T":
    keep = np.random.RandomState(n).rand(n, s) > 0.6
    keep[:, 0] = False
    return T(keep, "bool")


def causal(length: int, source: int | None = None) -> "T":
    return T(np.triu(np.ones((length, source or length)), 1) > 0, "bool")


QUIET = {"need_weights": False}
SEPARATE = {
    "use_separate_proj_weight": True,
    "q_proj_weight": A(E, E, seed=11),
    "k_proj_weight": A(E, 5, seed=12),
    "v_proj_weight": A(E, 7, seed=13),
}


def separate(length: int, batch: int, source: int, **kwargs) -> tuple:
    args = (
        A(length, batch, E),
        A(source, batch, 5, seed=1),
        A(source, batch, 7, seed=2),
        E,
        H,
        None,
        WEIGHTS[1],
        None,
        None,
        False,
        0.0,
        *OUT,
    )
    return args, {"training": False, **SEPARATE, **kwargs}


MHA = [
    pair(mha(4, 2, 5), mha(6, 3, 7)),
    pair(mha(4, 2, 5, average_attn_weights=False), mha(6, 3, 7, average_attn_weights=False)),
    pair(mha(4, 2, 5, **QUIET), mha(6, 3, 7, **QUIET)),
    pair(mha(4, 0, 5)),
    pair(mha(4, 0, 5, **QUIET)),
    pair(mha(4, 2, 5, key_padding_mask=padding(2, 5)), mha(6, 3, 7, key_padding_mask=padding(3, 7))),
    pair(
        mha(4, 2, 5, key_padding_mask=padding(2, 5), **QUIET),
        mha(6, 3, 7, key_padding_mask=padding(3, 7), **QUIET),
    ),
    pair(mha(4, 2, 4, attn_mask=causal(4), **QUIET), mha(6, 3, 6, attn_mask=causal(6), **QUIET)),
    pair(mha(4, 2, 5, attn_mask=A(4, 5))),
    pair(mha(4, 2, 5, attn_mask=A(4, 5), **QUIET)),
    pair(mha(4, 2, 5, attn_mask=A(6, 4, 5)), mha(6, 3, 7, attn_mask=A(9, 6, 7))),
    pair(mha(4, 2, 5, attn_mask=A(6, 4, 5), **QUIET), mha(6, 3, 7, attn_mask=A(9, 6, 7), **QUIET)),
    pair(
        mha(4, 2, 4, attn_mask=causal(4), key_padding_mask=padding(2, 4)),
        mha(6, 3, 6, attn_mask=causal(6), key_padding_mask=padding(3, 6)),
    ),
    pair(
        mha(4, 2, 4, attn_mask=causal(4), key_padding_mask=padding(2, 4), **QUIET),
        mha(6, 3, 6, attn_mask=causal(6), key_padding_mask=padding(3, 6), **QUIET),
    ),
    pair(
        mha(4, 2, 4, attn_mask=causal(4), is_causal=True, **QUIET),
        mha(6, 3, 6, attn_mask=causal(6), is_causal=True, **QUIET),
    ),
    pair(mha(4, 2, 5, key_padding_mask=T(np.ones((2, 5)), "bool"), **QUIET)),
    pair(mha(4, 2, 5, key_padding_mask=T(np.ones((2, 5)), "bool"))),
    pair(mha(4, 2, 5, bias=True), mha(6, 3, 7, bias=True)),
    pair(mha(4, 2, 5, zero=True), mha(6, 3, 7, zero=True)),
    pair(
        mha(4, 2, 5, bias=True, zero=True, key_padding_mask=padding(2, 5), attn_mask=B(4, 5)),
        mha(6, 3, 7, bias=True, zero=True, key_padding_mask=padding(3, 7), attn_mask=B(6, 7)),
    ),
    pair(mha(4, 2, 5, static_k=A(6, 7, 4), static_v=A(6, 7, 4, seed=1))),
    pair(separate(4, 2, 5), separate(6, 3, 7)),
    pair(separate(4, 2, 5, **QUIET), separate(6, 3, 7, **QUIET)),
]


def bad(kind: type, words: str, call: tuple) -> Error:
    return Error(kind, words, *call[0], **call[1])


ROWS += [
    Row(
        "F.multi_head_attention_forward",
        samples=MHA,
        rtol=2e-5,
        atol=2e-5,
        errors=[
            bad(RuntimeError, "Need attn_mask if specifying the is_causal hint", mha(4, 2, 5, is_causal=True)),
            bad(
                RuntimeError,
                r"The shape of the 2D attn_mask is torch.Size\(\[3, 5\]\), but should be \(4, 5\)",
                mha(4, 2, 5, attn_mask=A(3, 5)),
            ),
            bad(
                AssertionError,
                "For batched \\(3-D\\) `query`, expected `key_padding_mask` to be `None` or 2-D",
                mha(4, 2, 5, key_padding_mask=B(5)),
            ),
            bad(
                AssertionError,
                "only bool and floating types of attn_mask are supported",
                mha(4, 2, 5, attn_mask=I(4, 5)),
            ),
            Error(
                AssertionError,
                "was expecting embedding dimension of 11, but got 12",
                *mha(4, 2, 5)[0][:3],
                11,
                *mha(4, 2, 5)[0][4:],
            ),
        ],
    ),
]

eager_only(ROWS)
