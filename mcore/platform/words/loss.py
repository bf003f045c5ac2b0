"""Losses that a validation loop prints, and the distances that they are made of.

The reductions are torch's: "none", "mean", "sum"; a mean of nothing is NaN. Sums are in float32 at least.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dtypes import dtype
from mcore.platform.tensor import Tensor, constant, emit
from mcore.platform.word import word
from mcore.platform.words._common import as_tensor, cast, promote, same_shape
from mcore.platform.words._elementwise import FLOAT, float_kind, join, log1p_of, number, plus, times
from mcore.platform.words._pieces import (
    reduce,
    test,
    unary,
    unsqueeze,
    where,
)  # fmt: skip
from mcore.platform.words.distance import apart, mean_along, pairwise_distance, sum_along

# --- reductions


def reduction_of(reduction: str, size_average: bool | None = None, reduce: bool | None = None) -> str:
    """The reduction asked for, also by torch's two older arguments.

    Raises:
        ValueError: it is none of torch's.
    """
    if size_average is not None or reduce is not None:
        average, reduces = size_average is not False, reduce is not False
        reduction = "mean" if average and reduces else "sum" if reduces else "none"
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.",
            stacklevel=4,
        )
    if reduction == "elementwise_mean":
        return "mean"
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def total_of(x: Tensor) -> Tensor:
    """The sum of all elements."""
    return reduce("ReduceSum", x, range(x.ndim))


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """The loss of each element as it is, or their mean or sum."""
    if reduction == "none":
        return loss
    kind = loss._dtype
    wide = dtypes.float32 if kind.itemsize == 2 and kind.category == FLOAT else kind
    total = total_of(cast(loss, wide))
    if reduction == "mean":
        count = as_tensor(dims.product(loss.shape), wide)
        total = emit("Div", (total, count), (), wide)
    return cast(total, kind)


def _sizes(x: Tensor) -> str:
    return f"torch.Size({[int(s) for s in x.shape]})"


def _floats(*values: Tensor) -> tuple[list[Tensor], dtype]:
    """Tensors in their common float type."""
    kind = float_kind(*values)
    return [cast(v, kind) for v in values], kind


# --- differences


def _difference(input: Tensor, target: Tensor) -> tuple[Tensor, dtype]:
    """`input - target`, warning where their sizes differ."""
    if not same_shape(input.shape, target.shape):
        warnings.warn(
            f"Using a target size ({_sizes(target)}) that is different to the input size ({_sizes(input)}). "
            "This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=5,
        )
    (a, b), kind = promote(input, target)
    return join("Sub", a, b, kind), kind


def _weighted(loss: Tensor, input: Tensor, weight: Tensor | None, reduction: str, *, by_weight: bool) -> Tensor:
    """The reduced loss; with weights, its mean is over their sum (`by_weight`) or over the elements."""
    if weight is None:
        return reduced(loss, reduction)
    if not same_shape(weight.shape, input.shape):
        raise ValueError("Weights and input must have the same size.")
    (loss, weight), kind = promote(loss, weight)
    loss = join("Mul", loss, weight, kind)
    if reduction == "mean" and by_weight:
        return emit("Div", (total_of(loss), total_of(weight)), (), kind)
    return reduced(loss, reduction)


@word("F.l1_loss")
def l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """`|input - target|`."""
    reduction = reduction_of(reduction, size_average, reduce)
    gap, _ = _difference(input, target)
    return _weighted(unary("Abs", gap), input, weight, reduction, by_weight=True)


@word("F.mse_loss")
def mse_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """`(input - target)**2`."""
    reduction = reduction_of(reduction, size_average, reduce)
    gap, kind = _difference(input, target)
    return _weighted(join("Mul", gap, gap, kind), input, weight, reduction, by_weight=True)


def _bent(gap: Tensor, bend: float, kind: dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Whether |gap| is below the bend, |gap|, and gap**2."""
    size = unary("Abs", gap)
    return test("Less", size, number(bend, size)), size, emit("Mul", (gap, gap), gap.shape, kind)


@word("F.smooth_l1_loss")
def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """`0.5 * d**2 / beta` where `d = |input - target|` is below `beta`, else `d - beta / 2`."""
    reduction = reduction_of(reduction, size_average, reduce)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    gap, kind = _difference(input, target)
    if beta == 0:
        return reduced(unary("Abs", gap), reduction)
    near, size, square = _bent(gap, beta, kind)
    return reduced(where(near, times(square, 0.5 / beta), plus(size, -0.5 * beta)), reduction)


@word("F.huber_loss")
def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """`0.5 * d**2` where `d = |input - target|` is below `delta`, else `delta * (d - delta / 2)`."""
    reduction = reduction_of(reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    gap, kind = _difference(input, target)
    near, size, square = _bent(gap, delta, kind)
    loss = where(near, times(square, 0.5), times(plus(size, -0.5 * delta), delta))
    return _weighted(loss, input, weight, reduction, by_weight=False)


# --- probabilities


def _softplus(x: Tensor) -> Tensor:
    """`log(1 + exp(x))` with all its digits, where the operator keeps but those of `1 + exp(x)`."""
    rest = log1p_of(unary("Exp", unary("Neg", unary("Abs", x))))
    return join("Add", emit("Max", (x, constant(0, x._dtype)), x.shape, x._dtype), rest, x._dtype)


def _one_minus(x: Tensor) -> Tensor:
    return emit("Sub", (constant(1, x._dtype), x), x.shape, x._dtype)


@word("F.binary_cross_entropy")
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The entropy of targets under chances; logarithms end at -100.

    Raises:
        ValueError: sizes differ.
        RuntimeError: a chance outside [0, 1]. Within a graph it gives NaN instead.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if not same_shape(input.shape, target.shape):
        raise ValueError(
            f"Using a target size ({_sizes(target)}) that is different to the input size ({_sizes(input)}) "
            "is deprecated. Please ensure they have the same size."
        )
    if input._recorder is None and not np.all((input._data() >= 0) & (input._data() <= 1)):
        raise RuntimeError("all elements of input should be between 0 and 1")
    (x, t), kind = _floats(input, target)
    least = constant(-100, kind)
    hit = emit("Max", (unary("Log", x), least), x.shape, kind)
    miss = emit("Max", (log1p_of(unary("Neg", x)), least), x.shape, kind)
    loss = join("Add", join("Mul", t, hit, kind), join("Mul", _one_minus(t), miss, kind), kind)
    loss = unary("Neg", loss)
    return reduced(loss if weight is None else join("Mul", loss, cast(weight, kind), kind), reduction)


@word("F.binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Binary cross entropy of `sigmoid(input)`, computed without leaving the logarithms."""
    reduction = reduction_of(reduction, size_average, reduce)
    if not same_shape(input.shape, target.shape):
        raise ValueError(f"Target size ({_sizes(target)}) must be the same as input size ({_sizes(input)})")
    (x, t), kind = _floats(input, target)
    cost = _softplus(unary("Neg", x))
    if pos_weight is not None:
        more = join("Mul", plus(cast(pos_weight, kind), -1), t, kind)
        cost = join("Mul", plus(more, 1), cost, kind)
    loss = join("Add", join("Mul", _one_minus(t), x, kind), cost, kind)
    return reduced(loss if weight is None else join("Mul", loss, cast(weight, kind), kind), reduction)


@word("F.soft_margin_loss")
def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """`log(1 + exp(-target * input))`, targets 1 and -1."""
    reduction = reduction_of(reduction, size_average, reduce)
    (x, t), kind = _floats(input, target)
    return reduced(log1p_of(unary("Exp", unary("Neg", join("Mul", t, x, kind)))), reduction)


@word("F.multilabel_soft_margin_loss")
def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The mean over classes (the last axis) of binary cross entropy with logits."""
    reduction = reduction_of(reduction, size_average, reduce)
    (x, t), kind = _floats(input, target)
    loss = join("Add", join("Mul", _one_minus(t), x, kind), _softplus(unary("Neg", x)), kind)
    loss = loss if weight is None else join("Mul", loss, cast(weight, kind), kind)
    return reduced(mean_along(loss, loss.ndim - 1), reduction)


@word("F.kl_div")
def kl_div(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", log_target: bool = False,
) -> Tensor:  # fmt: skip
    """`target * (log(target) - input)`; "batchmean" divides the sum by the size of the first axis."""
    by_batch = reduction == "batchmean" and size_average is None and reduce is None
    reduction = reduction_of("sum" if by_batch else reduction, size_average, reduce)
    (x, t), kind = _floats(input, target)
    if log_target:
        loss = join("Mul", unary("Exp", t), join("Sub", t, x, kind), kind)
    else:
        entropy = join("Mul", t, unary("Log", t), kind)
        entropy = where(test("Equal", t, constant(0, kind)), constant(0, kind), entropy)
        loss = join("Sub", entropy, join("Mul", t, x, kind), kind)
    total = reduced(loss, reduction)
    if by_batch and input.ndim:
        return emit("Div", (total, as_tensor(input.shape[0], kind)), (), kind)
    return total


@word("F.poisson_nll_loss")
def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False,
    size_average: bool | None = None, eps: float = 1e-08, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The negative log-likelihood of counts; `full` adds Stirling's term for counts above 1."""
    reduction = reduction_of(reduction, size_average, reduce)
    (x, t), kind = _floats(input, target)
    if log_input:
        loss = join("Sub", unary("Exp", x), join("Mul", t, x, kind), kind)
    else:
        loss = join("Sub", x, join("Mul", t, unary("Log", plus(x, eps)), kind), kind)
    if full:
        stirling = join("Sub", join("Mul", t, unary("Log", t), kind), t, kind)
        stirling = join("Add", stirling, times(unary("Log", times(t, 2 * math.pi)), 0.5), kind)
        few = test("LessOrEqual", t, constant(1, kind))
        loss = join("Add", loss, where(few, constant(0, kind), stirling), kind)
    return reduced(loss, reduction)


@word("F.gaussian_nll_loss")
def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Any, full: bool = False, eps: float = 1e-06, reduction: str = "mean"
) -> Tensor:
    """`(log(var) + (input - target)**2 / var) / 2`, `var` at least `eps`; `full` adds the constant."""
    if isinstance(var, Tensor):
        if var._recorder is None and np.any(var._data() < 0):
            raise ValueError("var has negative entry/entries")
        var = _variance(var, input)
    elif var < 0:
        raise ValueError("var has negative entry/entries")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    (x, t), kind = _floats(input, target)
    var = as_tensor(var, kind)
    var = emit("Max", (var, as_tensor(eps, kind)), var.shape, kind)
    gap = join("Sub", x, t, kind)
    loss = join("Add", unary("Log", var), join("Div", join("Mul", gap, gap, kind), var, kind), kind)
    loss = times(loss, 0.5)
    return reduced(plus(loss, 0.5 * math.log(2 * math.pi)) if full else loss, reduction)


def _variance(var: Tensor, input: Tensor) -> Tensor:
    """A variance that fits the input: of its shape, or one for each row of the last axis."""
    ours, theirs = [int(s) for s in var.shape], [int(s) for s in input.shape]
    if ours == theirs:
        return var
    if ours == theirs[:-1]:
        return unsqueeze(var, var.ndim)
    if len(ours) == len(theirs) and sum(b for a, b in zip(theirs, ours, strict=True) if a != b) == 1:
        return var
    raise ValueError("var is of incorrect size")


# --- margins


@word("F.margin_ranking_loss")
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """`max(0, -target * (input1 - input2) + margin)`."""
    reduction = reduction_of(reduction, size_average, reduce)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {_sizes(input1)}, input2: {_sizes(input2)}, target: {_sizes(target)} "
        )
    (a, b, t), kind = _floats(input1, input2, target)
    loss = plus(join("Mul", unary("Neg", t), join("Sub", a, b, kind), kind), margin)
    return reduced(emit("Max", (loss, constant(0, kind)), loss.shape, kind), reduction)


def _is(x: Tensor, value: int) -> Tensor:
    return test("Equal", x, constant(value, x._dtype))


@word("F.hinge_embedding_loss")
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The input where the target is 1, `max(0, margin - input)` where it is -1."""
    reduction = reduction_of(reduction, size_average, reduce)
    kind = float_kind(input)
    zero, x = constant(0, kind), cast(input, kind)
    rest = emit("Sub", (as_tensor(margin, kind), x), x.shape, kind)
    rest = emit("Max", (rest, zero), rest.shape, kind)
    far, near = where(_is(target, 1), zero, rest), where(_is(target, -1), zero, x)
    return reduced(join("Add", far, near, kind), reduction)


@word("F.cosine_embedding_loss")
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """`1 - cos` where the target is 1, `max(0, cos - margin)` where it is -1."""
    reduction = reduction_of(reduction, size_average, reduce)
    if target.ndim not in (0, 1):
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if target.ndim == 1 and input1.ndim != 2:
        raise RuntimeError(
            f"1D target tensor expects 2D input tensors, but found inputs with sizes "
            f"{[int(s) for s in input1.shape]} and {[int(s) for s in input2.shape]}."
        )
    if target.ndim == 0 and input1.ndim != 1:
        raise RuntimeError(
            f"0D target tensor expects 1D input tensors, but found inputs with sizes "
            f"{[int(s) for s in input1.shape]} and {[int(s) for s in input2.shape]}."
        )
    (a, b), kind = _floats(input1, input2)
    sums = [sum_along(join("Mul", x, y, kind), target.ndim) for x, y in ((a, b), (a, a), (b, b))]
    lengths = unary("Sqrt", join("Mul", plus(sums[1], 1e-12), plus(sums[2], 1e-12), kind))
    cosine = join("Div", sums[0], lengths, kind)
    zero = constant(0, kind)
    apart = plus(cosine, -margin)
    apart = emit("Max", (apart, zero), apart.shape, kind)
    near, far = where(_is(target, 1), _one_minus(cosine), zero), where(_is(target, -1), apart, zero)
    return reduced(join("Add", near, far, kind), reduction)


def _triplet(
    tensors: tuple[Tensor, Tensor, Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
) -> Tensor:
    """`max(0, margin + d(anchor, positive) - d(anchor, negative))`."""
    ranks = [t.ndim for t in tensors]
    if len(set(ranks)) > 1:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, "
            f"but got: anchor {ranks[0]}D, positive {ranks[1]}D, and negative {ranks[2]}D inputs"
        )
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    anchor, positive, negative = tensors
    near, far = distance(anchor, positive), distance(anchor, negative)
    kind = near._dtype
    if swap:
        far = join("Min", far, distance(positive, negative), kind)
    loss = plus(join("Sub", near, far, kind), margin)
    return emit("Max", (loss, constant(0, kind)), loss.shape, kind)


@word("F.triplet_margin_loss")
def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2, eps: float = 1e-06,
    swap: bool = False, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """How much nearer than the margin the negative is; `swap` takes its distance to the positive if less."""
    reduction = reduction_of(reduction, size_average, reduce)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return apart(a, b, p, eps, keepdim=False)

    return reduced(_triplet((anchor, positive, negative), distance, margin, swap), reduction)


@word("F.triplet_margin_with_distance_loss")
def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None, margin: float = 1.0,
    swap: bool = False, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """`triplet_margin_loss` with a distance of one's own."""
    reduction = reduction_of(reduction)
    distance = distance_function or pairwise_distance
    return reduced(_triplet((anchor, positive, negative), distance, margin, swap), reduction)
