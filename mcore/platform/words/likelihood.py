"""Losses over classes: likelihoods of labels, cross entropy, margins between classes."""

from __future__ import annotations

import numpy as np

from mcore.platform import dtypes
from mcore.platform.tensor import Tensor, constant, emit, size_tensor
from mcore.platform.word import word
from mcore.platform.words._common import as_tensor, cast, same_shape
from mcore.platform.words._elementwise import FLOAT, join, plus, times
from mcore.platform.words._pieces import (
    counted,
    flat,
    reduce,
    squeeze,
    take,
    take_along,
    test,
    unary,
    unsqueeze,
    where,
)
from mcore.platform.words.activation import softmax_along
from mcore.platform.words.distance import mean_along, sum_along
from mcore.platform.words.loss import reduced, reduction_of, total_of


def _class_axis(input: Tensor) -> int:
    return 0 if input.ndim == 1 else 1


def _check_classes(input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """Shapes of scores (n, c, ...) and class indices (n, ...), in torch's words."""
    ours, theirs = [int(s) for s in input.shape], [int(s) for s in target.shape]
    if not len(ours) >= 1:
        raise ValueError(f"Expected 1 or more dimensions (got {len(ours)})")
    if len(ours) > 1 and theirs and ours[0] != theirs[0]:
        raise ValueError(f"Expected input batch_size ({ours[0]}) to match target batch_size ({theirs[0]}).")
    if len(ours) <= 2 and len(theirs) != len(ours) - 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if len(ours) == 4 and len(theirs) != 3:
        raise RuntimeError(
            "only batches of spatial targets supported (3D tensors) but got targets of dimension: "
            f"{len(theirs)}"
        )  # fmt: skip
    if len(ours) > 2 and [ours[0], *ours[2:]] != theirs:
        if len(ours) == 4:
            raise RuntimeError(f"size mismatch (got input: {ours} , target: {theirs}")
        raise RuntimeError(f"Expected target size {[ours[0], *ours[2:]]}, got {theirs}")
    classes = ours[_class_axis(input)]
    if weight is not None and [int(s) for s in weight.shape] != [classes]:
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but got weight "
            f"tensor of shape: {[int(s) for s in weight.shape]}"
        )


def _indices(target: Tensor) -> Tensor:
    if target._dtype not in (dtypes.int64, dtypes.uint8):
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {target._dtype.title}")
    return cast(target, dtypes.int64)


def _check_labels(labels: np.ndarray, classes: int, ignore_index: int) -> None:
    wrong = labels[((labels < 0) | (labels >= classes)) & (labels != ignore_index)]
    if wrong.size:
        raise IndexError(f"Target {int(wrong[0])} is out of bounds.")


class _Labels:
    """Class indices with those to ignore told apart, and the weight of each."""

    def __init__(self, input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> None:
        self.axis, kind = _class_axis(input), input._dtype
        if target._recorder is None:
            _check_labels(target._data(), int(input.shape[self.axis]), ignore_index)
        target = _indices(target)
        zero = constant(0, dtypes.int64)
        self.ignored = test("Equal", target, constant(ignore_index, dtypes.int64))
        places = where(self.ignored, zero, target)
        # A negative index would count from the end; beyond it the runtime refuses.
        beyond = size_tensor(input.shape[self.axis])
        self.places = where(test("Less", places, zero), beyond, places)
        own = constant(1, kind) if weight is None else take(cast(weight, kind), self.places, 0)
        self.weights = where(self.ignored, constant(0, kind), own)

    def picked(self, scores: Tensor) -> Tensor:
        """The score of each label's class."""
        return squeeze(take_along(scores, unsqueeze(self.places, self.axis), self.axis), self.axis)

    def mean(self, loss: Tensor) -> Tensor:
        """The sum over that of the weights: NaN where all are ignored."""
        kind = loss._dtype
        wide = dtypes.float32 if kind.itemsize == 2 else kind
        total, weights = total_of(cast(loss, wide)), total_of(cast(self.weights, wide))
        return cast(emit("Div", (total, weights), (), wide), kind)

    def reduced(self, loss: Tensor, reduction: str) -> Tensor:
        """The loss of each label, their sum, or their weighted mean."""
        return self.mean(loss) if reduction == "mean" else reduced(loss, reduction)


def _likelihood(logarithms: Tensor, labels: _Labels, reduction: str) -> Tensor:
    picked = unary("Neg", labels.picked(logarithms))
    # Not by the weights alone: 0 times an ignored infinity would be NaN.
    loss = join("Mul", picked, labels.weights, logarithms._dtype)
    loss = where(labels.ignored, constant(0, loss._dtype), loss)
    return labels.reduced(loss, reduction)


def _along_classes(weight: Tensor, input: Tensor) -> Tensor:
    """Class weights laid along the axis of classes."""
    weight = cast(weight, input._dtype)
    return unsqueeze(weight, *range(1, input.ndim - _class_axis(input)))


@word("F.nll_loss")
def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The negative of each label's score; input (n, c, ...), target (n, ...).

    Raises:
        IndexError: a label is no class; within a graph the runtime's RuntimeError.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    _check_classes(input, target, weight)
    return _likelihood(input, _Labels(input, target, weight, ignore_index), reduction)


@word("F.cross_entropy")
def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """The negative log-likelihood of labels, or of class probabilities, under softmax of the input.

    Shapes:
        input: (c), (n, c) or (n, c, ...)
        target: labels (), (n) or (n, ...), or probabilities in the shape of the input
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    logarithms = softmax_along(input, _class_axis(input), None, log=True)
    if same_shape(input.shape, target.shape):
        return _soft_entropy(logarithms, target, weight, ignore_index, reduction, label_smoothing)
    _check_classes(input, target, weight)
    labels = _Labels(input, target, weight, ignore_index)
    loss = _likelihood(logarithms, labels, reduction)
    if label_smoothing == 0:
        return loss
    return _smoothed(loss, logarithms, labels, weight, reduction, label_smoothing)


def _smoothed(
    loss: Tensor, logarithms: Tensor, labels: _Labels, weight: Tensor | None, reduction: str, smoothing: float
) -> Tensor:
    """A share of the loss spread over all classes; its mean is by the labels' weights, as the loss's is."""
    kind, axis = logarithms._dtype, labels.axis
    scores = logarithms if weight is None else join("Mul", logarithms, _along_classes(weight, logarithms), kind)
    spread = unary("Neg", sum_along(scores, axis))
    spread = where(labels.ignored, constant(0, kind), spread)
    spread = labels.reduced(spread, reduction)
    classes = as_tensor(logarithms.shape[axis], kind)
    share = emit("Div", (constant(smoothing, kind), classes), (), kind)
    return join("Add", times(loss, 1 - smoothing), join("Mul", spread, share, kind), kind)


def _soft_entropy(
    logarithms: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    smoothing: float,
) -> Tensor:
    """Cross entropy of class probabilities; its mean is over the places, whatever the weights."""
    if target._dtype.category != FLOAT:
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities, got {target._dtype.title}"
        )
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    kind, axis = logarithms._dtype, _class_axis(logarithms)
    target = cast(target, kind)
    if smoothing:
        classes = as_tensor(logarithms.shape[axis], kind)
        target = times(target, 1 - smoothing)
        target = join("Add", target, emit("Div", (constant(smoothing, kind), classes), (), kind), kind)
    product = join("Mul", logarithms, target, kind)
    if weight is not None:
        product = join("Mul", product, _along_classes(weight, logarithms), kind)
    return reduced(unary("Neg", sum_along(product, axis)), reduction)


@word("F.multi_margin_loss")
def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
    size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """By how much the wrong classes come within the margin of the right one."""
    reduction = reduction_of(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    single, kind = input.ndim == 1, input._dtype
    x, labels = (unsqueeze(input, 0), flat(target)) if single else (input, target)
    if not same_shape(labels.shape, x.shape[:1]):
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples "
            f"(batch size). Expected target size [{int(x.shape[0])}], but got "
            f"{[int(s) for s in labels.shape]}. Input has shape {[int(s) for s in x.shape]}."
        )
    places = unsqueeze(_indices(labels), 1)
    gap = plus(join("Sub", x, take_along(x, places, 1), kind), margin)
    loss = emit("Max", (gap, constant(0, kind)), gap.shape, kind)
    loss = loss if p == 1 else join("Mul", loss, loss, kind)
    loss = loss if weight is None else join("Mul", loss, take(cast(weight, kind), places, 0), kind)
    right = test("Equal", places, counted(x.shape[1]))
    loss = mean_along(where(right, constant(0, kind), loss), 1)
    return reduced(squeeze(loss, 0) if single else loss, reduction)


@word("F.multilabel_margin_loss")
def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """By how much other classes come within 1 of those listed; a row of the target ends at its first -1."""
    reduction = reduction_of(reduction, size_average, reduce)
    if not same_shape(input.shape, target.shape):
        raise RuntimeError(
            f"inconsistent target size: {[int(s) for s in target.shape]} for input of size: "
            f"{[int(s) for s in input.shape]}"
        )
    single, kind = input.ndim == 1, input._dtype
    x, labels = (unsqueeze(input, 0), unsqueeze(target, 0)) if single else (input, target)
    zero, one = constant(0, dtypes.int64), constant(1, dtypes.int64)
    ended = cast(test("Less", labels, zero), dtypes.int32)
    valid = test("Equal", emit("CumSum", (ended, one), labels.shape, dtypes.int32), constant(0, dtypes.int32))
    places = emit("Max", (labels, zero), labels.shape, dtypes.int64)
    named = test("Equal", unsqueeze(places, 2), counted(x.shape[1]))
    named = test("And", named, unsqueeze(valid, 2))
    listed = _any_along(named, 1)
    gap = join("Sub", unsqueeze(x, 1), unsqueeze(take_along(x, places, 1), 2), kind)
    loss = plus(gap, 1)
    loss = emit("Max", (loss, constant(0, kind)), loss.shape, kind)
    counts = test("And", unsqueeze(valid, 2), unsqueeze(test("Not", listed), 1))
    loss = mean_along(sum_along(where(counts, loss, constant(0, kind)), 1), 1)
    return reduced(squeeze(loss, 0) if single else loss, reduction)


def _any_along(x: Tensor, axis: int) -> Tensor:
    """Whether any is true along an axis."""
    return cast(reduce("ReduceMax", cast(x, dtypes.int32), (axis,)), dtypes.bool_)
