"""Recurrent layers and cells, embeddings."""

from tests.words.contract import A, Error, I, Row, Sample, T
from tests.words.holes import eager_only

HALF = {"rtol": 5e-3, "atol": 5e-3}
GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


def call(
    kind: str,
    t: int,
    n: int,
    *,
    layers: int = 1,
    both: bool = False,
    first: bool = False,
    bias: bool = True,
    dtype: str = "float32",
) -> tuple:
    """Arguments of torch.lstm and its kin: 5 features in, 4 units, sizes t and n."""
    size, directions, gates = 4, 2 if both else 1, GATES[kind]
    params = []
    for layer in range(layers):
        width = 5 if layer == 0 else size * directions
        for d in range(directions):
            shapes = [(gates * size, width), (gates * size, size)] + ([(gates * size,)] * 2 if bias else [])
            params += [
                A(*s, seed=10 * layer + 4 * d + k, low=-0.7, high=0.7, dtype=dtype) for k, s in enumerate(shapes)
            ]
    x = A(n, t, 5, dtype=dtype) if first else A(t, n, 5, dtype=dtype)
    state = A(layers * directions, n, size, seed=1, dtype=dtype)
    hx = (state, A(layers * directions, n, size, seed=2, dtype=dtype)) if kind == "lstm" else state
    return x, hx, params, bias, layers, 0.0, False, both, first


def both_sizes(kind: str, **kwargs) -> Sample:
    return Sample(*call(kind, 6, 2, **kwargs)).other(*call(kind, 9, 3, **kwargs))


def layers(kind: str) -> list[Sample]:
    return [
        both_sizes(kind),
        both_sizes(kind, bias=False),
        both_sizes(kind, both=True),
        both_sizes(kind, layers=2),
        both_sizes(kind, layers=3, both=True, first=True),
        both_sizes(kind, first=True),
        both_sizes(kind, layers=2, both=True, bias=False),
        Sample(*call(kind, 1, 1)),
        Sample(*call(kind, 4, 2, dtype="float64"), rtol=1e-5),
        Sample(*call(kind, 4, 2, dtype="float16"), **HALF),
    ]


def wrong(kind: str, **changes) -> list:
    args = list(call(kind, 6, 2))
    for place, value in changes.items():
        args[int(place[1:])] = value
    return args


LAYERS = [
    Row(
        f"torch.{kind}",
        samples=layers(kind),
        errors=[
            Error(
                RuntimeError,
                "input.size\\(-1\\) must be equal to input_size. Expected 5, got 6",
                *wrong(kind, p0=A(6, 2, 6)),
                only="platform",
            ),
            Error(
                RuntimeError,
                "Expected more hidden states",
                *wrong(kind, p1=(A(3, 2, 4), A(3, 2, 4)) if kind == "lstm" else A(3, 2, 4)),
                only="platform" if kind == "lstm" else None,
            ),
            Error(
                NotImplementedError,
                "a packed sequence has no ONNX operator",
                A(6, 5),
                T([2, 2, 2], "int64"),
                wrong(kind)[1],
                wrong(kind)[2],
                True,
                1,
                0.0,
                False,
                False,
                only="platform",
            ),
        ],
        rtol=1e-5,
        atol=2e-6,
    )
    for kind in GATES
]
LAYERS[0].errors.append(
    Error(
        NotImplementedError,
        "proj_size > 0 has no ONNX operator",
        *wrong("lstm", p2=[*call("lstm", 6, 2)[2], A(3, 4)]),
        only="platform",
    )
)


def cell(kind: str, n: int, bias: bool = True) -> tuple:
    gates = GATES[kind.removesuffix("_cell")]
    hx = (A(n, 4, seed=1), A(n, 4, seed=2)) if kind == "lstm_cell" else A(n, 4, seed=1)
    return (
        A(n, 5),
        hx,
        A(4 * gates, 5, seed=3),
        A(4 * gates, 4, seed=4),
        *([A(4 * gates, seed=5), A(4 * gates, seed=6)] if bias else []),
    )


CELLS = [
    Row(
        f"torch.{kind}",
        samples=[Sample(*cell(kind, 2)).other(*cell(kind, 5)), Sample(*cell(kind, 3, bias=False))],
        errors=[
            Error(
                RuntimeError,
                "input has inconsistent input_size: got 6 expected 5",
                A(2, 6),
                *cell(kind, 2)[1:],
            ),
            Error(
                RuntimeError,
                "Input batch size 3 doesn't match hidden0 batch size 2",
                A(3, 5),
                *cell(kind, 2)[1:],
            ),
        ],
    )
    for kind in ("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
]

TABLE = A(7, 3)
OUTSIDE = "index out of range in self"
BAGS, STARTS = I(9, high=7), T([0, 0, 3, 9], "int64")
BAGS2, STARTS2 = I(12, high=7), T([0, 5, 6, 6, 11], "int64")
EMBEDDINGS = [
    Row(
        "F.embedding",
        samples=[
            Sample(I(4, high=7), TABLE).other(I(9, high=7), TABLE),
            Sample(I(2, 3, high=7), TABLE, 1),
            Sample(I(2, 3, high=7, dtype="int32"), TABLE, -1),
            Sample(I(high=7), TABLE),
            Sample(I(0), TABLE),
            Sample(I(4, high=7), TABLE, scale_grad_by_freq=True, sparse=False),
            Sample(I(3, high=7), A(7, 3, dtype="float64")),
            Sample(I(3, high=7), A(7, 3, dtype="bfloat16")),
            Sample(I(5, high=7), TABLE, max_norm=1.0).other(I(8, high=7), TABLE, max_norm=1.0),
            Sample(I(5, high=7), TABLE, None, 0.5, 1.0),
        ],
        errors=[
            Error(IndexError, OUTSIDE, T([7], "int64"), TABLE),
            Error(IndexError, OUTSIDE, T([-1], "int64"), TABLE),
            Error(RuntimeError, "'weight' must be 2-D", I(2), A(3)),
            Error(
                RuntimeError,
                "Expected tensor for argument #1 'indices' to have one of the following scalar "
                "types: Long, Int; but got torch.FloatTensor",
                A(2),
                TABLE,
            ),
            Error(AssertionError, "Padding_idx must be within num_embeddings", I(2), TABLE, 7),
        ],
    ),
    Row(
        "torch.embedding",
        samples=[Sample(TABLE, I(4, high=7)).other(TABLE, I(9, high=7)), Sample(TABLE, I(2, 2, high=7), 1)],
        errors=[Error(IndexError, OUTSIDE, TABLE, T([7], "int64"))],
    ),
    Row(
        "F.embedding_bag",
        samples=[
            *[
                s
                for m in ("sum", "mean", "max")
                for s in (
                    Sample(I(4, 5, high=7), TABLE, mode=m).other(I(6, 3, high=7), TABLE, mode=m),
                    Sample(I(4, 5, high=3), TABLE, mode=m, padding_idx=1).other(
                        I(6, 3, high=3), TABLE, mode=m, padding_idx=1
                    ),
                    Sample(BAGS, TABLE, STARTS, mode=m).other(BAGS2, TABLE, STARTS2, mode=m),
                    Sample(BAGS, TABLE, STARTS, mode=m, padding_idx=2),
                    Sample(BAGS, TABLE, STARTS, mode=m, include_last_offset=True),
                )
            ],
            Sample(BAGS, TABLE, STARTS, mode="sum", per_sample_weights=A(9)),
            Sample(I(4, 5, high=7), TABLE, mode="sum", per_sample_weights=A(4, 5)),
            Sample(T([[1, 1], [1, 2]], "int64"), TABLE, mode="max", padding_idx=1),
            Sample(BAGS, TABLE, STARTS, max_norm=1.0),
            Sample(I(4, 5, high=7, dtype="int32"), TABLE),
        ],
        errors=[
            Error(ValueError, "offsets has to be a 1D Tensor but got None", BAGS, TABLE),
            Error(ValueError, "if input is 2D, then offsets has to be None", I(2, 2), TABLE, T([0], "int64")),
            Error(RuntimeError, r"offsets\[0\] has to be 0", BAGS, TABLE, T([1, 2], "int64")),
            Error(ValueError, "mode has to be one of sum, mean or max", BAGS, TABLE, STARTS, mode="x"),
            Error(
                NotImplementedError,
                "per_sample_weights is only supported for mode='sum'",
                BAGS,
                TABLE,
                STARTS,
                per_sample_weights=A(9),
            ),
            Error(
                ValueError,
                "input has to be 1D or 2D Tensor, but got Tensor of dimension 3",
                I(1, 1, 2),
                TABLE,
            ),
            Error(IndexError, OUTSIDE, T([[-1]], "int64"), TABLE, only="platform"),
        ],
    ),
    Row(
        "torch._assert",
        samples=[Sample(True, "fine")],
        errors=[
            Error(AssertionError, "oh no", False, "oh no"),
            Error(AssertionError, "oh no", T(False, "bool"), "oh no"),
        ],
    ),
]

ROWS = [*LAYERS, *CELLS, *EMBEDDINGS]

eager_only(ROWS)
eager_only(LAYERS, dtype="float64")
