"""Order and sets: sort, topk, medians, quantiles, unique, searchsorted, histograms."""

import numpy as np

from tests.words.contract import A, B, Error, I, Row, Sample, T
from tests.words.holes import eager_only

NAN, INF = np.nan, np.inf
TIES = T([[3, 1, 3, 1, 2, 3, 1, 2], [0, 0, 0, 0, 0, 0, 0, 0]])
NANS = T([[1.0, NAN, 3.0, 2.0], [NAN, 5.0, NAN, 1.0], [NAN, NAN, NAN, NAN], [-INF, 0.0, -0.5, NAN]])
INFS = T([[INF, -INF, 0.0, 1.0], [INF, INF, -INF, 2.0]])
INTS = ("uint8", "int8", "int16", "int32", "int64")
# Distinct values: torch promises nothing of the indices of equals.
DISTINCT = T(np.random.RandomState(0).permutation(60).reshape(3, 4, 5).astype(np.float32))
LARGER = T(np.random.RandomState(1).permutation(252).reshape(6, 6, 7).astype(np.float32))
INTEGERS = [T(np.random.RandomState(2).permutation(20).reshape(4, 5), d) for d in INTS]
HALVES = [T(np.random.RandomState(2).permutation(20).reshape(4, 5), d) for d in ("float16", "bfloat16", "float64")]
OUT_OF_RANGE = "Dimension out of range"

SORTS = [
    Row(
        "torch.sort",
        "Tensor.sort",
        samples=[
            Sample(DISTINCT).other(LARGER),
            Sample(DISTINCT, 0, True).other(LARGER, 0, True),
            Sample(DISTINCT, dim=-2, descending=True),
            Sample(TIES, stable=True),
            Sample(TIES, dim=1, descending=True, stable=True),
            Sample(TIES, stable=True, dim=-1, descending=True),
            Sample(NANS, stable=True),
            Sample(NANS, dim=1, descending=True, stable=True),
            Sample(INFS, stable=True),
            *[Sample(x) for x in INTEGERS],
            *[Sample(x, 0, True) for x in HALVES],
            Sample(B(3, 7), stable=True),
            Sample(A()),
            Sample(A(0, 3), 0),
            Sample(A(2, 0), 1),
            Sample(I(40, high=4), stable=True, descending=True),
        ],
        errors=[Error(IndexError, OUT_OF_RANGE, A(2, 3), 3)],
    ),
    Row(
        "torch.argsort",
        "Tensor.argsort",
        samples=[
            Sample(DISTINCT).other(LARGER),
            Sample(DISTINCT, 0, True),
            Sample(TIES, dim=1, stable=True),
            Sample(TIES, dim=1, descending=True, stable=True),
            *[Sample(x) for x in INTEGERS],
            Sample(A()),
        ],
    ),
    Row("torch.msort", "Tensor.msort", samples=[Sample(DISTINCT).other(LARGER), Sample(I(5)), Sample(NANS)]),
    Row(
        "torch.topk",
        "Tensor.topk",
        samples=[
            Sample(DISTINCT, 3).other(LARGER, 3),
            Sample(DISTINCT, 2, 1, False).other(LARGER, 2, 1, False),
            Sample(DISTINCT, 1, 0),
            Sample(DISTINCT, k=4, dim=-1, largest=True, sorted=True),
            Sample(DISTINCT, 0),
            *[Sample(x, 2) for x in INTEGERS],
            *[Sample(x, 2) for x in HALVES],
            Sample(A(), 1),
            Sample(T([[5.0, NAN, 3.0], [1.0, 2.0, NAN]]), 2),
            Sample(T([[5.0, NAN, 3.0], [1.0, 2.0, NAN]]), 2, 1, False),
        ],
        errors=[
            Error(RuntimeError, "selected index k out of range", A(2, 3), 5),
            Error(RuntimeError, "selected index k out of range", A(2, 3), -1),
            Error(IndexError, OUT_OF_RANGE, A(2, 3), 2, 4),
            Error(RuntimeError, "topk does not support bool dtypes on CPU", B(3), 2),
        ],
    ),
    Row(
        "torch.kthvalue",
        "Tensor.kthvalue",
        samples=[
            Sample(DISTINCT, 2).other(LARGER, 2),
            Sample(DISTINCT, 1, 0, True),
            Sample(DISTINCT, 3, dim=1),
            Sample(A(), 1),
            *[Sample(x, 3) for x in INTEGERS],
            Sample(T([4.0, NAN, 1.0, 2.0]), 3),
            Sample(T([4.0, NAN, 1.0, 2.0]), 4),
        ],
        errors=[
            Error(RuntimeError, r"kthvalue\(\): selected number k out of range for dimension 1", A(2, 3), 5),
            Error(RuntimeError, "selected number k out of range", A(2, 3), 0),
        ],
    ),
]

MEDIANS = [
    Row(
        "torch.median",
        "Tensor.median",
        samples=[
            Sample(DISTINCT).other(LARGER),
            Sample(DISTINCT, 1).other(LARGER, 1),
            Sample(DISTINCT, -1, True),
            Sample(NANS, 1),
            Sample(NANS),
            Sample(T([3.0, 1.0, 2.0, 4.0])),
            *[Sample(x, 1) for x in INTEGERS],
            Sample(A()),
            Sample(A(), 0),
            Sample(A(0)),
            Sample(I(3, 5)),
        ],
        errors=[Error(IndexError, "Expected reduction dim 1 to have non-zero size", A(2, 0), 1)],
    ),
    Row(
        "torch.nanmedian",
        "Tensor.nanmedian",
        samples=[
            Sample(DISTINCT).other(LARGER),
            Sample(DISTINCT, 1).other(LARGER, 1),
            Sample(NANS),
            Sample(T([[NAN, 1.0, 3.0, 2.0], [NAN, 5.0, NAN, 1.0]]), 1, True),
            Sample(T([[1.0, NAN, 3.0, 2.0], [NAN, 5.0, NAN, 1.0]]), 1),
            Sample(I(3, 5)),
            Sample(A()),
        ],
    ),
    Row(
        "torch.quantile",
        "Tensor.quantile",
        samples=[
            Sample(A(3, 8), 0.3).other(A(4, 11), 0.3),
            Sample(A(3, 8), 0.3, 1).other(A(5, 9), 0.3, 1),
            Sample(A(3, 8), 0.5, 0, True),
            Sample(A(3, 8, 2), T([0.1, 0.9, 0.5]), 1).other(A(3, 5, 4), T([0.1, 0.9, 0.5]), 1),
            Sample(A(3, 8), T([0.25, 0.75]), 1, True),
            Sample(A(3, 8), T([0.25, 0.75])),
            Sample(A(3, 8), T([0.25, 0.75]), keepdim=True),
            Sample(A(3, 8), T(0.25), 0),
            Sample(A(3, 8), 0.2, keepdim=True),
            *[
                Sample(A(3, 8), T([0.0, 0.33, 0.5, 1.0]), 1, interpolation=m).other(
                    A(3, 5), T([0.0, 0.33, 0.5, 1.0]), 1, interpolation=m
                )
                for m in ("linear", "lower", "higher", "midpoint", "nearest")
            ],
            Sample(NANS, 0.5, 1),
            Sample(NANS, 0.5),
            Sample(A(3, 8, dtype="float64"), 0.3, 1),
            Sample(A(), 0.5),
            Sample(A(2, 3, 4), 0.5, 1, True),
        ],
        errors=[
            Error(RuntimeError, r"quantile\(\) input tensor must be either float or double dtype", I(3), 0.5),
            Error(RuntimeError, r"quantile\(\) q must be in the range \[0, 1\] but got 2", A(3), 2.0),
            Error(RuntimeError, r"quantile\(\) input tensor must be non-empty", A(0), 0.5),
        ],
    ),
    Row(
        "torch.nanquantile",
        "Tensor.nanquantile",
        samples=[
            Sample(A(3, 8), 0.3).other(A(4, 11), 0.3),
            Sample(NANS, 0.3, 1),
            Sample(NANS, T([0.3, 1.0]), 1, True),
            Sample(NANS, 0.5),
            Sample(NANS, T([0.3, 0.6]), 0, interpolation="nearest"),
        ],
    ),
    Row(
        "torch.mode",
        "Tensor.mode",
        samples=[
            Sample(I(3, 12, high=4)).other(I(4, 15, high=4)),
            Sample(I(6, 9, high=3), 0, True),
            Sample(TIES),
            Sample(B(3, 5)),
            Sample(A()),
            Sample(T([3, 1, 2, 1, 3], "uint8")),
        ],
    ),
]

ROWS = [*SORTS, *MEDIANS]

REPEATS = T([[2, 1, 1], [0, 2, 2], [2, 1, 1]], "int64")
RUNS = T([1, 1, 2, 2, 3, 1, 1, 2], "int64")
SET = [
    I(3, 4, high=3),
    T([1.0, NAN, NAN, 1.0, -2.0]),
    I(7, dtype="uint8", high=3),
    B(5),
    I(4, dtype="int32", high=2),
    A(3, 2),
]
SETS = [
    Row(
        "torch.unique",
        samples=[
            Sample(I(20, high=6)).other(I(31, high=9)),
            *[Sample(x, return_inverse=True, return_counts=True) for x in SET],
            Sample(REPEATS, dim=0),
            Sample(REPEATS, dim=1, return_inverse=True, return_counts=True),
            Sample(REPEATS, True, True),
            Sample(A()),
            Sample(I(0)),
            Sample(A(0)),
            Sample(T([[1.0, 0.0], [1.0, 0.0]]), dim=0, return_counts=True),
        ],
        signature=False,
        reason="torch.unique is a dispatcher over flags, (*args, **kwargs)",
    ),
    Row(
        "Tensor.unique",
        samples=[Sample(I(20, high=6)).other(I(31, high=9)), Sample(REPEATS, return_counts=True)],
    ),
    Row(
        "torch.unique_consecutive",
        samples=[
            Sample(RUNS).other(I(30, high=2)),
            Sample(RUNS, True, True),
            Sample(REPEATS, dim=1, return_inverse=True, return_counts=True),
            Sample(T([[1, 1], [1, 2], [1, 2]], "int64"), dim=0, return_counts=True),
            Sample(I(0)),
            Sample(T([1.0, NAN, NAN])),
        ],
        signature=False,
        reason="torch.unique_consecutive is a dispatcher over flags, (*args, **kwargs)",
    ),
    Row("Tensor.unique_consecutive", samples=[Sample(RUNS)]),
    Row(
        "torch.isin",
        samples=[
            Sample(I(3, 4), I(5, seed=1)).other(I(4, 6), I(9, seed=1)),
            Sample(I(3, 4), I(2, 2), invert=True),
            Sample(A(3), I(2)),
            Sample(I(4), I(0)),
            Sample(I(3, 4), I(3), assume_unique=True),
        ],
    ),
    Row(
        "torch.searchsorted",
        samples=[
            Sample(T([1.0, 2.0, 2.0, 5.0]), A(3, 4, low=0, high=6)),
            Sample(T([1.0, 2.0, 2.0, 5.0]), T([2.0, NAN, 0.0, 9.0]), right=True),
            Sample(T([[1, 3, 5], [2, 4, 6]], "int64"), T([[3, 6], [3, 6]], "int64")),
            Sample(T([1.0, 2.0, 5.0]), 2.0),
            Sample(T([1, 2, 5], "int64"), I(4), out_int32=True),
            Sample(T([1.0, 2.0, 2.0]), T([2.0]), side="right"),
            Sample(T([5.0, 1.0, 2.0]), T([2.0, 7.0]), sorter=T([1, 2, 0], "int64")),
        ],
        errors=[
            Error(
                RuntimeError,
                "side and right can't be set to opposites",
                T([1.0]),
                T([1.0]),
                side="left",
                right=True,
            ),
            Error(
                RuntimeError,
                "boundaries tensor should be 1 dimension or the first N-1 dimensions",
                A(2, 3),
                A(4),
            ),
        ],
    ),
    Row(
        "torch.bucketize",
        samples=[
            Sample(A(3, 4), T([-1.0, 0.0, 1.0])).other(A(5, 2), T([-1.0, 0.0, 1.0])),
            Sample(I(3, 4), T([1, 3, 5], "int64"), right=True),
            Sample(2.0, T([1.0, 2.0]), out_int32=True),
        ],
    ),
    Row(
        "torch.bincount",
        "Tensor.bincount",
        samples=[
            Sample(I(20, high=6)).other(I(31, high=9)),
            Sample(I(20, high=6), minlength=9),
            Sample(I(6, high=4), A(6)),
            Sample(I(6, high=4), I(6, seed=1), 2),
            Sample(I(0)),
            Sample(I(0), minlength=3),
            Sample(I(5, dtype="uint8")),
        ],
        errors=[
            Error(RuntimeError, "bincount only supports 1-d non-negative integral inputs", I(2, 3)),
            Error(RuntimeError, "bincount only supports 1-d non-negative integral inputs", T([-1, 2], "int64")),
        ],
    ),
    Row(
        "torch.histc",
        "Tensor.histc",
        samples=[
            Sample(A(40), 5, -1, 1).other(A(61), 5, -1, 1),
            Sample(A(3, 9)),
            Sample(T([1.0, 2.0, 2.0, 5.0]), 4, 0, 4),
            Sample(T([3.0, 3.0]), 4),
            Sample(A(9, dtype="float64"), bins=3, min=-2, max=2),
            Sample(T([1.0, NAN, 3.0]), 2, 0, 4),
        ],
        errors=[
            Error(RuntimeError, "bins must be > 0", A(3), 0),
            Error(RuntimeError, "max must be larger than min", A(3), 3, 2, 1),
        ],
    ),
]

ROWS = [*ROWS, *SETS]

eager_only(ROWS)
