"""Losses, distances, labels as rows."""

import torch

from tests.words.contract import A, Error, I, Row, Sample, T
from tests.words.rows_arithmetic import HALF

MODES = ("none", "mean", "sum")


def loss(name, *arguments, others=None, extra=(), errors=(), **options):
    """The row of a loss in its three reductions, by both of torch's ways to ask for them."""
    samples = [Sample(*arguments, reduction=mode, **options) for mode in MODES]
    if others is not None:
        for sample, mode in zip(samples, MODES, strict=True):
            sample.other(*others, reduction=mode, **options)
    if name not in ("F.huber_loss", "F.gaussian_nll_loss", "F.triplet_margin_with_distance_loss"):
        samples += [Sample(*arguments, size_average=False, **options), Sample(*arguments, reduce=False, **options)]
    errors = [*errors, Error(ValueError, "x is not", *arguments, reduction="x", **options)]
    return Row(name, samples=[*samples, *extra], errors=errors)


DROPPED = "torch loses the weight on the way to __torch_function__"
X, Y = A(4, 3), A(4, 3, seed=1)
X2, Y2 = A(6, 5), A(6, 5, seed=1)
CHANCES, MORE_CHANCES = A(4, 3, low=0, high=1), A(6, 5, low=0, high=1)
WEIGHTS = A(4, 3, low=0.1, high=2, seed=3)
SIGNS = T([1, -1, 1, -1])
EMPTY = Sample(A(0, 3), A(0, 3))

DIFFERENCES = [
    loss("F.l1_loss", X, Y, others=(X2, Y2), extra=[
        Sample(X, A(3)), EMPTY,
        *[Sample(X, Y, weight=WEIGHTS, reduction=mode).without("recording", DROPPED) for mode in MODES],
    ], errors=[Error(ValueError, "Weights and input must have the same size", X, Y, weight=A(3))]),
    loss("F.mse_loss", X, Y, others=(X2, Y2), extra=[
        Sample(X, Y, weight=WEIGHTS), Sample(X, A(4, 1)), Sample(X, I(4, 3)), EMPTY,
        Sample(A(4, 3, dtype="float16"), A(4, 3, dtype="float16", seed=1), **HALF),
        Sample(A(4, 3, dtype="float64"), A(4, 3, dtype="float64", seed=1)), Sample(A(2, 3, 4, 5), A(2, 3, 4, 5, seed=1)),
    ]),
    loss("F.smooth_l1_loss", X, Y, others=(X2, Y2), extra=[Sample(X, Y, beta=0.3), Sample(X, Y, beta=0.0)],
         errors=[Error(RuntimeError, "smooth_l1_loss does not support negative values for beta", X, Y, beta=-1.0)]),
    loss("F.huber_loss", X, Y, others=(X2, Y2), extra=[Sample(X, Y, delta=0.3), Sample(X, Y, "mean", 0.5, WEIGHTS)],
         errors=[Error(RuntimeError, "huber_loss does not support non-positive values for delta", X, Y, delta=0)]),
]  # fmt: skip

LABELS = T([0, 2, 1, 2], "int64")
PARTLY = T([0, -100, 1, 2], "int64")
MAP, MAP_LABELS = A(2, 3, 4, 5), I(2, 4, 5, high=3)
SOFT = T(torch.softmax(torch.arange(12.0).reshape(4, 3).sin(), 1).numpy())
CLASS_WEIGHTS = T([0.2, 1.5, 0.7])
CLASSES = [
    Error(ValueError, r"Expected input batch_size \(4\) to match target batch_size \(3\)", X, I(3, high=3)),
    Error(RuntimeError, "0D or 1D target tensor expected, multi-target not supported", X, I(4, 1, high=3)),
    Error(RuntimeError, "weight tensor should be defined either for all 3 classes or no classes but got weight tensor "
          r"of shape: \[4\]", X, LABELS, A(4)),
    Error(RuntimeError, "only batches of spatial targets supported .3D tensors. but got targets of dimension: 2", MAP,
          I(2, 4, high=3)),
    Error(RuntimeError, "size mismatch", MAP, I(2, 4, 4, high=3)),
    Error(RuntimeError, "Expected target size", A(2, 3, 4), I(2, 5, high=3)),
]  # fmt: skip
LIKELIHOODS = [
    *[
        loss(name, X, LABELS, others=(A(7, 5), I(7, high=5)), extra=[
            *[Sample(MAP, MAP_LABELS, CLASS_WEIGHTS, reduction=mode).other(A(3, 3, 2, 6), I(3, 2, 6, high=3), CLASS_WEIGHTS,
              reduction=mode) for mode in MODES],
            *[Sample(X, PARTLY, CLASS_WEIGHTS, reduction=mode) for mode in MODES], Sample(X, PARTLY),
            *[Sample(X, LABELS, ignore_index=2, reduction=mode) for mode in MODES], Sample(A(2, 3, 4), I(2, 4, high=3)),
            Sample(A(2, 3, 2, 2, 2), I(2, 2, 2, 2, high=3)), Sample(A(3), T(1, "int64")), Sample(X, T([0, 1, 2, 0], "uint8")),
            Sample(X, T([-100] * 4, "int64")), Sample(A(4, 3, dtype="float64"), LABELS), Sample(A(0, 3), I(0)),
        ], errors=CLASSES)
        for name in ("F.nll_loss", "F.cross_entropy")
    ],
    Row("F.cross_entropy", samples=[
        *[Sample(x, y, w, label_smoothing=0.1, reduction=mode) for mode in MODES for w in (None, CLASS_WEIGHTS)
          for x, y in ((X, PARTLY), (MAP, MAP_LABELS), (X, LABELS))],
        Sample(X, PARTLY, label_smoothing=0.1).other(A(7, 3), I(7, high=3), label_smoothing=0.1),
        *[Sample(X, SOFT, w, label_smoothing=s, reduction=mode) for mode in MODES for w in (None, CLASS_WEIGHTS)
          for s in (0.0, 0.2)],
        Sample(MAP, A(2, 3, 4, 5, low=0, high=1)), Sample(A(3), A(3, low=0, high=1)), Sample(X, LABELS, label_smoothing=1.0),
        Sample(A(4, 3, dtype="float16"), LABELS, **HALF),
        Sample(T([[1000.0, -1000.0, 0.0], [0.0, 0.0, -1e4]]), T([1, 2], "int64")),
    ], errors=[
        Error(RuntimeError, "label_smoothing must be between 0.0 and 1.0. Got: 2", X, LABELS, label_smoothing=2.0),
        Error(RuntimeError, "ignore_index is not supported for floating point target", X, SOFT, ignore_index=1),
        Error(RuntimeError, "expected target dtype to be Long or Byte, but got Int", X, I(4, high=3, dtype="int32")),
        Error(RuntimeError, "Expected floating point type for target with class probabilities, got Long", X, I(4, 3)),
        Error(IndexError, "Target 5 is out of bounds", X, T([0, 1, 5, 0], "int64")),
        Error(IndexError, "Target -1 is out of bounds", X, T([0, 1, -1, 0], "int64")),
    ]),
    loss("F.multi_margin_loss", X, LABELS, others=(A(7, 5), I(7, high=5)), extra=[
        Sample(X, LABELS, p=2), Sample(X, LABELS, weight=CLASS_WEIGHTS), Sample(X, LABELS, margin=0.3),
        Sample(A(3), T(1, "int64")), Sample(A(3), T([1], "int64")),
    ], errors=[
        Error(ValueError, "only p == 1 and p == 2 supported", X, LABELS, p=3),
        Error(RuntimeError, r"Expected target size \[4\], but got \[3\]", X, I(3, high=3)),
    ]),
    loss("F.multilabel_margin_loss", X, T([[2, 0, -1], [1, -1, 0], [-1, 0, 1], [0, 1, 2]], "int64"), extra=[
        Sample(A(3), T([1, -1, 0], "int64")),
    ]),
]  # fmt: skip

ZERO_ONE = T([[0.0, 1, 0], [1, 0, 0], [1, 1, 0.5], [0.25, 0, 1]])
LOGITS = T([[50.0, -50.0, 0.0], [1e-3, 20.0, -20.0], [1.0, 2.0, 3.0], [-1.0, 100.0, -100.0]])
PROBABILITIES = [
    loss("F.binary_cross_entropy", CHANCES, ZERO_ONE, others=(MORE_CHANCES, MORE_CHANCES), extra=[
        Sample(CHANCES, ZERO_ONE, WEIGHTS), Sample(T([0.0, 1.0, 1e-7]), T([1.0, 0.0, 0.0])), Sample(CHANCES, ZERO_ONE, A(3)),
    ], errors=[
        Error(RuntimeError, "all elements of input should be between 0 and 1", X, ZERO_ONE),
        Error(ValueError, "that is different to the input size", CHANCES, A(3, low=0, high=1)),
    ]),
    loss("F.binary_cross_entropy_with_logits", X, ZERO_ONE, others=(X2, MORE_CHANCES), extra=[
        Sample(X, ZERO_ONE, WEIGHTS), Sample(X, ZERO_ONE, pos_weight=CLASS_WEIGHTS), Sample(LOGITS, ZERO_ONE),
        Sample(LOGITS, ZERO_ONE, reduction="none", rtol=1e-5, atol=0), Sample(X, ZERO_ONE, CLASS_WEIGHTS,
        pos_weight=CLASS_WEIGHTS),
    ], errors=[Error(ValueError, "must be the same as input size", X, A(3))]),
    loss("F.soft_margin_loss", X, T([[1, -1, 1]] * 4, "float32"), extra=[Sample(LOGITS, T([[1, -1, 1]] * 4, "float32"))]),
    Row("F.multilabel_soft_margin_loss", samples=[
        *[Sample(X, ZERO_ONE, reduction=mode).other(X2, MORE_CHANCES, reduction=mode) for mode in MODES],
        Sample(X, ZERO_ONE, CLASS_WEIGHTS), Sample(A(3), A(3, low=0, high=1)),
    ]),
    loss("F.kl_div", X, SOFT, extra=[
        Sample(X, SOFT, reduction="batchmean").other(A(7, 3), A(7, 3, low=0, high=1), reduction="batchmean"),
        Sample(X, Y, log_target=True), Sample(X, T([[0.0, 1.0, 0.0]] * 4), reduction="sum"),
    ]),
    loss("F.poisson_nll_loss", X, A(4, 3, low=0, high=5), others=(X2, A(6, 5, low=0, high=5)), extra=[
        Sample(CHANCES, A(4, 3, low=0, high=5), log_input=False), Sample(X, A(4, 3, low=0, high=5), full=True),
        Sample(X, A(4, 3, low=0, high=5), True, True, eps=1e-3),
    ]),
    loss("F.gaussian_nll_loss", X, Y, WEIGHTS, extra=[
        Sample(X, Y, WEIGHTS, full=True), Sample(X, Y, A(4, low=0, high=1)), Sample(X, Y, A(4, 1, low=0, high=1)),
        Sample(X, Y, 0.5), Sample(X, Y, A(4, 3, low=0, high=1e-6), eps=1e-3),
    ], errors=[
        Error(ValueError, "var has negative entry/entries", X, Y, X), Error(ValueError, "var is of incorrect size", X, Y,
              A(2, low=0, high=1)),
    ]),
]  # fmt: skip

MARGINS = [
    loss("F.margin_ranking_loss", A(4), A(4, seed=1), SIGNS, others=(A(6), A(6, seed=1), A(6)), margin=0.2,
         errors=[Error(RuntimeError, "margin_ranking_loss : All input tensors should have same dimension but got sizes",
                       X, X, SIGNS)]),
    loss("F.hinge_embedding_loss", A(4), SIGNS, extra=[Sample(A(4), SIGNS, 0.3), Sample(X, T([[1], [-1], [1], [-1]]))]),
    loss("F.cosine_embedding_loss", X, Y, SIGNS, extra=[
        Sample(X, Y, SIGNS, 0.3), Sample(A(3), A(3, seed=1), T(1)), Sample(T([[0.0, 0.0]]), T([[1.0, 0.0]]), T([1])),
    ], errors=[
        Error(RuntimeError, "0D or 1D target tensor expected, multi-target not supported", X, X, X),
        Error(RuntimeError, "1D target tensor expects 2D input tensors, but found inputs with sizes", A(4), A(4), SIGNS),
    ]),
    loss("F.triplet_margin_loss", X, Y, A(4, 3, seed=2), others=(X2, Y2, A(6, 5, seed=2)), extra=[
        Sample(X, Y, A(4, 3, seed=2), 0.3, 1.0), Sample(X, Y, A(4, 3, seed=2), swap=True), Sample(X, Y, Y, p=3.0),
    ], errors=[
        Error(RuntimeError, "tensors are expected to have the same number of dimensions", X, X, A(3)),
        Error(ValueError, "margin must be greater than 0, got 0", X, X, X, margin=0),
    ]),
    loss("F.triplet_margin_with_distance_loss", X, Y, A(4, 3, seed=2), extra=[
        Sample(X, Y, A(4, 3, seed=2), swap=True, margin=0.5),
    ]),
]  # fmt: skip

DISTANCES = [
    Row("torch.cosine_similarity", "F.cosine_similarity", samples=[
        Sample(X, Y).other(X2, Y2), Sample(X, Y, 0), Sample(X, A(3), 1), Sample(A(2, 3, 4), A(2, 3, 4, seed=1), dim=-1),
        Sample(T([[0.0, 0.0]]), T([[1.0, 2.0]])), Sample(A(2, 1, 3), A(4, 3), dim=2), Sample(X, A(4, 1), 1),
        Sample(A(4, 3, dtype="float64"), Y), Sample(A(2, 3, dtype="float16"), A(2, 3, dtype="float16", seed=1), **HALF),
    ], errors=[Error(IndexError, "Dimension out of range", X, Y, 2)]),
    Row("torch.pairwise_distance", "F.pairwise_distance", samples=[
        Sample(X, Y).other(X2, Y2), Sample(X, Y, 1.0), Sample(X, Y, keepdim=True), Sample(X, A(3)), Sample(X, Y, float("inf")),
        Sample(X, Y, 3.0), Sample(A(3), A(3, seed=1)), Sample(X, X),
    ]),
    Row("torch.pdist", "F.pdist", samples=[Sample(X), Sample(X, 1), Sample(A(6, 2), 3), Sample(X, float("inf")), Sample(A(1, 3))],
        errors=[Error(RuntimeError, "pdist only supports 2D tensors, got: 1D", A(3)),
                Error(RuntimeError, "pdist only supports non-negative p values", X, -1)]),
    Row("F.normalize", samples=[
        Sample(X).other(X2), Sample(X, dim=0), Sample(X, 1.0), Sample(A(2, 3, 4), dim=-1), Sample(A(2, 3, 4), dim=(1, 2)),
        Sample(X, float("inf")), Sample(X, 3.0), Sample(T([[0.0, 0.0]])), Sample(X, eps=2.0), Sample(A(4), dim=0),
        Sample(A(2, 3, dtype="float16"), **HALF), Sample(A(2, 3, dtype="float64")), Sample(X, 0.0),
    ], errors=[Error(RuntimeError, "Expected a floating point or complex tensor as input. Got Long", I(2, 3)),
               Error(IndexError, "Dimension out of range", X, dim=2)]),
    Row("F.one_hot", samples=[
        Sample(T([0, 2, 1], "int64"), 4), Sample(T([0, 2, 1], "int64"), num_classes=3), Sample(I(2, 3, high=4), 5).other(
            I(4, 6, high=4), 5), Sample(T(2, "int64"), 4), Sample(T([], "int64"), 3),
        Sample(T([0, 2, 1], "int64")).without("recording", "the number of classes is data")
        .without("export", "the number of classes is data"),
    ], errors=[
        Error(RuntimeError, "Class values must be smaller than num_classes", T([0, 4], "int64"), 3),
        Error(RuntimeError, "Class values must be non-negative", T([-1], "int64")),
        Error(RuntimeError, "one_hot is only applicable to index tensor of type LongTensor", A(2)),
        Error(RuntimeError, "Can not infer total number of classes from empty tensor", T([], "int64")),
    ]),
]  # fmt: skip

ROWS = [*DIFFERENCES, *LIKELIHOODS, *PROBABILITIES, *MARGINS, *DISTANCES]
