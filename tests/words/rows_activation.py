"""Activations, softmax, dropout."""

import math

from tests.words.contract import A, B, Error, I, Row, Sample, T
from tests.words.rows_arithmetic import EDGES, HALF, typed

NAN, INF = math.nan, math.inf
NOT_LONG = "not implemented for 'Long'"


def bend(*names, arguments=(), wide=False, ints=False, whole=("int8", "int32", "int64", "uint8"), errors=(), extra=(),
         edges=EDGES, **row):  # fmt: skip
    """The row of an activation: sizes, edges, types; `wide`: the runtime has no float64 kernel."""
    unrun = ("float64",) if wide else ()
    samples = [Sample(A(2, 3), *arguments).other(A(5, 7), *arguments), Sample(edges, *arguments)]
    samples += [Sample(A(), *arguments), Sample(A(0, 3), *arguments), Sample(A(2, 3, 4, 5), *arguments)]
    samples += [Sample(T([-50.0, -20.0, -10.0, 10.0, 20.0, 50.0, 90.0, -90.0]), *arguments)]
    kinds = ("float16", "bfloat16", "float64")
    samples += [typed(kind, A(3, 5, dtype=kind), *arguments, unrun=unrun) for kind in kinds]
    errors = list(errors)
    if ints:
        samples += [Sample(I(3, 5, low=0, high=9, dtype=k), *arguments) for k in whole]
    else:
        errors.append(Error(NotImplementedError, NOT_LONG, I(3), *arguments))
    return Row(*names, samples=[*samples, *extra], errors=errors, **row)


BENDS = [
    bend("torch.relu", "Tensor.relu", ints=True, errors=[Error(RuntimeError, "Boolean inputs not supported", B(2))]),
    bend("F.relu", ints=True, extra=[Sample(A(3, 4), inplace=True), Sample(A(3, 4), True)]),
    bend("F.relu6", ints=True, extra=[Sample(A(3, 4), inplace=True)]),
    bend("F.hardtanh", ints=True, whole=("int8", "int32", "int64"), errors=[
        Error(RuntimeError, "cannot do hardtanh on an unsigned type with negative limits", I(2, dtype="uint8")),
    ], extra=[Sample(A(3, 4), -0.5, 0.25), Sample(A(3, 4), inplace=True)]),
    bend("F.leaky_relu", wide=True, extra=[Sample(A(3, 4), 0.3), Sample(A(3, 4), -0.2, True)]),
    bend("F.elu", wide=True, extra=[Sample(A(3, 4), 0.3), Sample(A(3, 4), inplace=True)]),
    bend("torch.celu", "F.celu", wide=True, extra=[Sample(A(3, 4), 0.3), Sample(A(3, 4), 2.0)],
         signature=False, reason="F.celu has inplace, which torch.celu has not"),
    bend("torch.selu", "F.selu", wide=True, signature=False, reason="F.selu has inplace, which torch.selu has not"),
    bend("F.gelu", wide=True, edges=T([NAN, -INF, 0.0, -0.0, 1e-6, -7.75, 100.0]), extra=[
        Sample(A(3, 4), approximate="tanh").other(A(5, 4), approximate="tanh"),
    ], errors=[Error(RuntimeError, "approximate argument must be either none or tanh", A(2), approximate="x")]),
    bend("F.silu", extra=[Sample(A(3, 4), inplace=True)]),
    bend("F.mish", extra=[Sample(A(3, 4), True)]),
    bend("F.softplus", wide=True, extra=[
        Sample(A(3, 4), 2.0), Sample(A(3, 4, low=-3, high=30), 0.5, 3.0), Sample(A(3, 4), beta=1, threshold=0.5),
    ]),
    bend("F.logsigmoid", wide=True),
    bend("F.hardsigmoid", wide=True, extra=[Sample(A(3, 4), inplace=True)]),
    bend("F.hardswish", wide=True, extra=[Sample(A(3, 4), inplace=True)]),
    bend("torch.hardshrink", "Tensor.hardshrink", "F.hardshrink", extra=[Sample(A(3, 4), 0.1), Sample(A(3), lambd=1.0)]),
    bend("F.softshrink", extra=[Sample(A(3, 4), 0.1)],
         errors=[Error(RuntimeError, "but found -1", A(2), -1)]),
    bend("F.tanhshrink", ints=True),
    bend("F.softsign", ints=True, wide=True),
    bend("F.threshold", arguments=(0.3, 7.0), ints=True, extra=[Sample(A(3, 4), 0.1, 20.0, True)]),
    Row("torch.threshold", samples=[Sample(A(3, 4), 0.1, 20.0).other(A(5, 4), 0.1, 20.0)]),
    Row("F.rrelu", samples=[Sample(A(3, 4)).other(A(5, 4)), Sample(A(3, 4), 0.1, 0.3), Sample(A(3), inplace=True)],
        errors=[Error(NotImplementedError, NOT_LONG, I(3))]),
    Row("torch.rrelu", samples=[Sample(A(3, 4)), Sample(A(3, 4), 0.2, 0.4)]),
    Row("torch.prelu", "Tensor.prelu", "F.prelu", samples=[
        Sample(A(2, 3, 4, 5), T([0.25])).other(A(1, 3, 7, 5), T([0.25])), Sample(A(2, 3, 4), A(3)), Sample(A(5), A(1)),
        Sample(A(2, 3), A(3)).other(A(7, 3), A(3)), Sample(EDGES, T([0.5])), Sample(A(2, 3, 4, 5, 6), A(3)),
        Sample(A(2, 3, 4), T(0.3)), Sample(A(2, 1, 3), A(1)),
        Sample(A(2, 3, dtype="float16"), A(3, dtype="float16"), **HALF),
        Sample(A(2, 3, dtype="float64"), A(3, dtype="float64")),
    ], errors=[
        Error(RuntimeError, "Mismatch of parameter numbers and input channel size. Found parameter numbers = 4 and",
              A(2, 3), A(4)),
    ]),
    Row("F.glu", samples=[
        Sample(A(4, 6)).other(A(3, 6)), Sample(A(4, 6), 0).other(A(8, 5), 0), Sample(A(2, 4, 3, 3), 1),
        Sample(A(2, 4), dim=-1), Sample(A(2, 4, dtype="float64"), 1), Sample(A(2, 4, dtype="float16"), **HALF),
    ], errors=[
        Error(RuntimeError, "Halving dimension must be even, but dimension 1 is size 3", A(2, 3)),
        Error(RuntimeError, "glu does not support", A()),
    ]),
]  # fmt: skip

SOFT = [
    Sample(A(2, 3), 1).other(A(5, 3), 1), Sample(A(2, 3), 0).other(A(5, 4), 0), Sample(A(2, 3, 4, 5), 1),
    Sample(A(2, 3, 4, 5), 1).other(A(3, 3, 7, 2), 1), Sample(A(2, 3, 4), -1).other(A(2, 5, 6), -1), Sample(A(), 0),
    Sample(A(2, 3, 4), -3), Sample(T([[-INF, 1.0], [-INF, -INF]]), 1), Sample(T([[-INF, 1.0], [-INF, 2.0]]), 0),
    Sample(T([[1000.0, 1001.0], [-1000.0, 0.0]]), 0), Sample(T([[1000.0, 1001.0], [-1000.0, 0.0]]), 1),
    Sample(A(2, 3, dtype="float16"), 1, **HALF), Sample(A(2, 3, dtype="float16"), 0, **HALF),
    Sample(A(2, 3, dtype="float64"), 0), Sample(A(2, 3, dtype="float64"), 1),
    typed("bfloat16", A(2, 3, dtype="bfloat16"), 1), typed("bfloat16", A(2, 3, dtype="bfloat16"), 0),
    Sample(I(2, 3), 1, dtype="dtype:float32"), Sample(A(2, 3, dtype="float16"), 1, dtype="dtype:float32"),
    Sample(A(0, 3), 1), Sample(A(2, 1), 1),
]  # fmt: skip
SOFT_ERRORS = [
    Error(IndexError, r"Dimension out of range \(expected to be in range of \[-2, 1\], but got 2\)", A(2, 3), 2),
    Error(NotImplementedError, NOT_LONG, I(2, 3), 1),
]
SOFTMAX = [
    Row("torch.softmax", "Tensor.softmax", samples=SOFT, errors=SOFT_ERRORS),
    Row("torch.log_softmax", "Tensor.log_softmax", samples=SOFT, errors=SOFT_ERRORS),
    Row("F.softmax", samples=[*SOFT, Sample(A(2, 3)), Sample(A(3)), Sample(A(2, 3, 4, 5)), Sample(A(2, 3, 4))],
        errors=SOFT_ERRORS),
    Row("F.log_softmax", samples=[*SOFT, Sample(A(2, 3)), Sample(A(2, 3, 4))], errors=SOFT_ERRORS),
    Row("F.softmin", samples=[Sample(A(2, 3), 1).other(A(5, 3), 1), Sample(A(2, 3, 4), 1), Sample(A(2, 3))]),
    Row("F.gumbel_softmax", samples=[Sample(A(2, 3)), Sample(A(2, 3, 4), 0.5, True, dim=1), Sample(A(4), hard=True)],
        random=True),
]  # fmt: skip

CHANCE = "dropout probability has to be between 0 and 1, but got"
DROPOUT = [
    Row("F.dropout", samples=[
        Sample(A(2, 3), training=False).other(A(5, 3), training=False), Sample(A(2, 3), 0.0), Sample(A(2, 3), 1.0),
        Sample(A(2, 3), 0.0, True, True), Sample(A(2, 3), training=False, inplace=True),
    ], errors=[Error(ValueError, CHANCE, A(2), 1.5)]),
    *[
        Row(f"F.{name}", samples=[Sample(A(*shape), training=False), Sample(A(*shape), 0.0), Sample(A(*shape), 1.0, True)],
            errors=[Error(ValueError, CHANCE, A(*shape), -0.5)])
        for name, shape in (("dropout1d", (2, 3, 4)), ("dropout2d", (2, 3, 4, 4)), ("dropout3d", (2, 3, 2, 2, 2)),
                            ("alpha_dropout", (2, 3)), ("feature_alpha_dropout", (2, 3, 4)))
    ],
    *[
        Row(f"torch.{name}", samples=[Sample(A(2, 3), 0.5, False), Sample(A(2, 3), 0.0, True)])
        for name in ("dropout", "alpha_dropout", "feature_alpha_dropout", "feature_dropout")
    ],
]  # fmt: skip

ROWS = [*BENDS, *SOFTMAX, *DROPOUT]
