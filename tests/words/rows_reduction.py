"""Reductions: sums, means, extremes, truth, spread; cumulative words."""

import numpy as np

from tests.words.contract import A, B, Error, I, Row, Sample, T
from tests.words.holes import eager_only

NAN, INF = np.nan, np.inf
INTS = ("uint8", "int8", "int16", "int32", "int64")
HALF = {"rtol": 2e-3, "atol": 2e-3}
BFLOAT = {"rtol": 2e-2, "atol": 2e-2}
HOLES = T([[1.0, NAN, 3.0, 2.0], [INF, 1.0, -INF, 0.0], [NAN, 5.0, 5.0, NAN], [-INF, -INF, -INF, -INF]])
TIES = T([[3, 1, 3, 1, 2], [0, 0, 0, 0, 0]])


def forms() -> list[Sample]:
    """The ways in which axes are named, at two sizes."""
    x, y = A(2, 3, 4, 5), A(3, 3, 6, 7)
    return [
        Sample(x).other(y),
        Sample(x, 1).other(y, 1),
        Sample(x, -1, True).other(y, -1, True),
        Sample(x, dim=(2, 3)).other(y, dim=(2, 3)),
        Sample(x, dim=(-1, 0), keepdim=True).other(y, dim=(-1, 0), keepdim=True),
        Sample(x, dim=[1]),
        Sample(A(), 0),
        Sample(A(), -1, True),
        Sample(A()),
    ]


def single() -> list[Sample]:
    """The ways in which one axis is named."""
    x, y = A(2, 3, 4), A(4, 3, 7)
    return [
        Sample(x, 1).other(y, 1),
        Sample(x, -1, True).other(y, -1, True),
        Sample(x, dim=0, keepdim=False).other(y, dim=0, keepdim=False),
        Sample(A(), 0),
    ]


def dtypes(*args, low: int = 0, high: int = 9) -> list[Sample]:
    """Integers and bools."""
    return [Sample(I(3, 4, low=low, high=high, dtype=d), *args) for d in INTS] + [Sample(B(3, 4), *args)]


def floats(*args, **kwargs) -> list[Sample]:
    """The other float types."""
    return [
        Sample(A(3, 4, dtype="float64"), *args, **kwargs),
        Sample(A(3, 4, dtype="float16"), *args, **kwargs, **HALF),
        Sample(A(3, 4, dtype="bfloat16"), *args, **kwargs, **BFLOAT),
    ]


OUT_OF_RANGE = Error(
    IndexError, r"Dimension out of range \(expected to be in range of \[-2, 1\], but got 5\)", A(2, 3), 5
)
TWICE = Error(RuntimeError, "dim 0 appears multiple times in the list of dims", A(2, 3), (0, -2))

SUMS = [
    Row(
        "torch.sum",
        "Tensor.sum",
        samples=[
            *forms(),
            *dtypes(),
            *dtypes(1),
            *floats(),
            Sample(A(2, 3), ()),
            Sample(A(2, 3), []),
            Sample(A(0, 3), 0),
            Sample(A(0, 3)),
            Sample(A(0, 3), 1),
            Sample(HOLES, 1),
            Sample(A(2, 3), dtype="dtype:float64"),
            Sample(A(2, 3, low=0, high=9), 1, dtype="dtype:int64"),
            Sample(I(200, low=0, high=9), dtype="dtype:uint8"),
            Sample(B(4, 5), 1, dtype="dtype:float32"),
            Sample(I(4, 5), dtype="dtype:bool"),
        ],
        errors=[OUT_OF_RANGE, TWICE],
    ),
    Row(
        "torch.mean",
        "Tensor.mean",
        samples=[
            *forms(),
            *floats(),
            *floats(1),
            Sample(A(2, 3), []),
            Sample(A(0, 3), 0),
            Sample(A(0, 3)),
            Sample(A(0, 3), 1),
            Sample(I(2, 3), dtype="dtype:float32"),
            Sample(B(2, 3), 1, dtype="dtype:float32"),
            Sample(HOLES, 1),
            Sample(A(4, 500, dtype="float16"), 1, **HALF),
        ],
        errors=[
            OUT_OF_RANGE,
            TWICE,
            Error(
                RuntimeError,
                r"mean\(\): could not infer output dtype. Input dtype must be .* Got: Long",
                I(2, 3),
            ),
            Error(RuntimeError, "Got: Bool", B(2, 3)),
        ],
    ),
    Row(
        "torch.prod",
        "Tensor.prod",
        samples=[
            *single(),
            Sample(A(2, 3)).other(A(3, 5)),
            *dtypes(low=1, high=4),
            *dtypes(1, low=1, high=4),
            *floats(),
            Sample(A(0, 3), 0),
            Sample(A(0)),
            Sample(A(2, 3), dtype="dtype:float64"),
            Sample(HOLES, 0),
        ],
        errors=[
            OUT_OF_RANGE,
            Error(TypeError, r"prod\(\) received an invalid combination of arguments", A(2, 3), (0, 1)),
        ],
    ),
    Row(
        "torch.nansum",
        "Tensor.nansum",
        samples=[
            *forms(),
            *dtypes(),
            Sample(HOLES),
            Sample(HOLES, 1),
            Sample(HOLES, (0, 1), True),
            Sample(A(0, 3), 0),
        ],
    ),
    Row(
        "torch.nanmean",
        "Tensor.nanmean",
        samples=[
            *forms(),
            *floats(),
            Sample(HOLES),
            Sample(HOLES, 1),
            Sample(T([[NAN, NAN], [1.0, NAN]]), 1, True),
        ],
        errors=[Error(RuntimeError, r"nanmean\(\): expected input to have floating point .* but got Long", I(3))],
    ),
    Row(
        "torch.count_nonzero",
        "Tensor.count_nonzero",
        samples=[
            Sample(HOLES),
            Sample(I(3, 4, high=2), 1).other(I(5, 7, high=2), 1),
            Sample(B(3, 4), (0, 1)),
            Sample(A(0, 3), 0),
            Sample(T([0.0, -0.0, 0.3, NAN])),
        ],
    ),
    Row(
        "torch.logsumexp",
        "Tensor.logsumexp",
        samples=[
            Sample(A(2, 3, 4), 1).other(A(5, 3, 6), 1),
            Sample(A(2, 3, 4), (0, -1), True),
            Sample(A(2, 3, low=900, high=1000), 1),
            Sample(T([[-INF, -INF], [1.0, -INF]]), 1),
            Sample(A(3, 0), 1),
            Sample(I(3, 4), 0),
            Sample(A(), 0),
            *floats(1),
            Sample(T([[1.0, INF]]), 1),
            Sample(A(2, 3, low=-1000, high=-900), 1),
        ],
        errors=[OUT_OF_RANGE],
    ),
    Row(
        "torch.any",
        "Tensor.any",
        samples=[
            *forms(),
            *dtypes(),
            *floats(1),
            Sample(B(3, 4), ()),
            Sample(A(2, 0), 1),
            Sample(B(0, 2), 0),
            Sample(B(0)),
            Sample(B(2, 3), 1).other(B(2, 0), 1),
            Sample(T([0.0, NAN])),
            Sample(T([0.0, -0.0])),
        ],
        errors=[OUT_OF_RANGE],
    ),
    Row(
        "torch.all",
        "Tensor.all",
        samples=[
            *forms(),
            *dtypes(),
            *floats(1),
            Sample(B(3, 4), []),
            Sample(A(2, 0), 1),
            Sample(B(0, 2), 0),
            Sample(B(0)),
            Sample(B(2, 3), 1).other(B(2, 0), 1),
            Sample(T([1.0, NAN])),
        ],
        errors=[OUT_OF_RANGE],
    ),
]

LARGE = A(2, 3, 4, low=1000, high=1001)
SPREAD = [
    *forms(),
    *floats(),
    *floats(1),
    Sample(A(3), True),
    Sample(A(3), False),
    Sample(A(3, 4), 1, False),
    Sample(A(3, 4), 0, True, True),
    Sample(A(3, 4), dim=1, correction=0).other(A(5, 7), dim=1, correction=0),
    Sample(A(3, 4), 1, correction=2).other(A(4, 6), 1, correction=2),
    Sample(A(3, 4), 1, correction=0.5).other(A(3, 6), 1, correction=0.5),
    Sample(A(3, 1), 1),
    Sample(A(3, 1), 1, correction=3),
    Sample(A(0, 3), 0),
    Sample(A(0, 3), 1),
    Sample(LARGE, 1, rtol=1e-4),
    Sample(A(3, 4), unbiased=False),
    Sample(A(4, 400, dtype="float16", low=10, high=11), 1, **HALF),
]
INT_SPREAD = [Error(RuntimeError, "only support floating point and complex dtypes", I(3))]
SPREADS = [
    Row("torch.var", "Tensor.var", samples=SPREAD, errors=INT_SPREAD),
    Row("torch.std", "Tensor.std", samples=SPREAD, errors=INT_SPREAD),
    Row("torch.var_mean", samples=SPREAD, errors=INT_SPREAD),
    Row("torch.std_mean", samples=SPREAD, errors=INT_SPREAD),
]

EMPTY = Error(IndexError, r"Expected reduction dim 0 to have non-zero size", A(0, 3), 0)
ALONG = [
    *single(),
    *dtypes(1),
    *floats(1),
    Sample(HOLES, 1),
    Sample(HOLES, 0, True),
    Sample(TIES, 1),
    Sample(TIES, 0),
    Sample(A(0, 3), 1),
    Sample(T([[1.0, NAN], [NAN, NAN], [NAN, 3.0]]), 1),
]
# A NaN beside an infinity of the sought sign: torch's index is the NaN's.
NO_MIXED = [s for s in ALONG if s.args[0] is not HOLES]
EXTREMES = [
    Row(
        f"torch.{name}",
        f"Tensor.{name}",
        samples=[
            *forms(),
            *dtypes(),
            *dtypes(1),
            *floats(),
            Sample(HOLES),
            Sample(HOLES, 1),
            Sample(HOLES, 0, True),
            Sample(A(2, 3), ()),
            Sample(A(0, 3), 1),
            Sample(I(5, high=2**62)),
        ],
        errors=[
            OUT_OF_RANGE,
            EMPTY,
            TWICE,
            Error(
                RuntimeError,
                rf"{name}\(\): Expected reduction dim to be specified for input.numel\(\) == 0",
                A(0, 3),
            ),
        ],
    )
    for name in ("amax", "amin")
] + [
    Row(
        "torch.aminmax",
        "Tensor.aminmax",
        samples=[
            Sample(A(2, 3, 4)).other(A(3, 5, 4)),
            Sample(A(2, 3), dim=1).other(A(4, 6), dim=1),
            Sample(HOLES, dim=0, keepdim=True),
            Sample(I(3, 4)),
            Sample(A()),
        ],
        errors=[
            Error(
                RuntimeError,
                r"aminmax\(\): cannot compute aminmax over an empty dimension as the operation has no "
                r"identity",
                A(0, 3),
            )
        ],
    ),
    *(
        Row(
            f"torch.{name}",
            f"Tensor.{name}",
            samples=[
                *NO_MIXED,
                *dtypes(),
                Sample(A(2, 3)).other(A(4, 5)),
                Sample(HOLES),
                Sample(A(2, 3), A(3, seed=1)).other(A(4, 5), A(5, seed=1)),
                Sample(A(2, 3), other=I(3)),
                Sample(B(3), B(3, seed=1)),
                Sample(HOLES, T([0.0, 1.0, NAN, 2.0])),
                Sample(I(3, dtype="int16"), I(2, 3, dtype="int16")),
                Sample(A()),
            ],
            errors=[
                OUT_OF_RANGE,
                EMPTY,
                Error(RuntimeError, "must match the size of tensor b", A(2, 3), A(2, 4)),
                Error(
                    RuntimeError,
                    rf"{name}\(\): Expected reduction dim to be specified for input.numel\(\) == 0",
                    A(0, 3),
                ),
            ],
        )
        for name in ("max", "min")
    ),
    *(
        Row(
            f"torch.{name}",
            f"Tensor.{name}",
            samples=[
                *(s for s in NO_MIXED if s.args[0].dtype != "bool"),
                Sample(T([[1.0, NAN, 3.0], [NAN, 3.0, NAN]]), 1),
                Sample(A(2, 3)).other(A(4, 5)),
                Sample(A(2, 3), keepdim=True).other(A(3, 4), keepdim=True),
                Sample(A()),
                Sample(A(), keepdim=True),
                Sample(TIES),
                Sample(I(3, 4, high=2)),
                Sample(T([-INF, INF, INF])),
            ],
            errors=[
                OUT_OF_RANGE,
                EMPTY,
                Error(
                    IndexError,
                    rf"{name}\(\): Expected reduction dim to be specified for input.numel\(\) == 0",
                    A(0, 3),
                ),
                Error(RuntimeError, rf"{name}\(\): does not support bool input", B(3)),
            ],
        )
        for name in ("argmax", "argmin")
    ),
]

ROWS = [*SUMS, *SPREADS, *EXTREMES]

RUN = [
    Sample(A(3, 4), 1).other(A(5, 7), 1),
    Sample(A(3, 4, 2), 0).other(A(6, 4, 3), 0),
    Sample(A(3, 4), -2),
    Sample(A(), 0),
    Sample(A(0, 3), 0),
    Sample(A(3, 0), 1),
    *dtypes(1, low=1, high=4),
    *floats(1),
    Sample(A(1, 6), 1),
]
RUNS = T([[1.0, 3.0, 3.0, 2.0, 4.0], [1.0, NAN, 3.0, NAN, 3.0], [-INF, INF, -INF, INF, 0.0]])
CUMULATIVE = [
    Row(
        "torch.cumsum",
        "Tensor.cumsum",
        samples=[
            *RUN,
            Sample(A(3, 4), dim=1, dtype="dtype:float64"),
            Sample(I(3, 4), 1, dtype="dtype:int16"),
            Sample(HOLES, 1),
        ],
        errors=[OUT_OF_RANGE],
    ),
    Row(
        "torch.cumprod",
        "Tensor.cumprod",
        samples=[
            *RUN,
            Sample(I(3, 4), 1, dtype="dtype:float32"),
            Sample(T([[2.0, 0.0, -3.0, 1.0], [-1.0, -2.0, NAN, 4.0]]), 1),
        ],
        errors=[OUT_OF_RANGE],
    ),
    Row(
        "torch.cummax",
        "Tensor.cummax",
        samples=[*RUN, Sample(RUNS, 1), Sample(RUNS, 0), Sample(B(3, 5), 1)],
        errors=[OUT_OF_RANGE],
    ),
    Row(
        "torch.cummin",
        "Tensor.cummin",
        samples=[*RUN, Sample(RUNS, 1), Sample(RUNS, 0), Sample(B(3, 5), 1)],
        errors=[OUT_OF_RANGE],
    ),
    Row(
        "torch.logcumsumexp",
        "Tensor.logcumsumexp",
        samples=[
            Sample(A(3, 4), 1).other(A(5, 7), 1),
            Sample(A(3, 4, low=90, high=900), 0),
            Sample(RUNS, 1),
            Sample(A(), 0),
            *floats(1),
        ],
        atol=2e-6,
    ),
    Row(
        "torch.diff",
        "Tensor.diff",
        samples=[
            Sample(A(3, 6)).other(A(4, 9)),
            Sample(A(3, 6), 2, 0),
            Sample(A(3, 6), n=3),
            Sample(A(3, 6), 0),
            Sample(B(3, 6)),
            Sample(I(5)),
            Sample(A(3, 6), 1, 1, A(3, 2), A(3, 1)).other(A(4, 7), 1, 1, A(4, 2), A(4, 1)),
            Sample(A(3, 2), 5),
            Sample(A(3), prepend=I(1)),
        ],
        errors=[Error(RuntimeError, "diff expects input to be at least one-dimensional", A())],
    ),
    Row(
        "torch.trapezoid",
        "torch.trapz",
        samples=[
            Sample(A(3, 6)).other(A(4, 9)),
            Sample(A(3, 6), A(6)).other(A(2, 5), A(5)),
            Sample(A(3, 6), A(3, 6)),
            Sample(A(3, 6), dx=0.5, dim=0),
            Sample(A(3, 6, 2), A(6), dim=1),
        ],
    ),
    Row(
        "torch.cumulative_trapezoid",
        samples=[Sample(A(3, 6)).other(A(4, 9)), Sample(A(3, 6), A(6)), Sample(A(3, 6), dx=0.5, dim=0)],
    ),
]

ROWS = [*ROWS, *CUMULATIVE]

eager_only(ROWS)
