"""Distances, lengths, and labels as rows: what losses are made of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mcore.platform import dtypes
from mcore.platform.graph import current
from mcore.platform.tensor import Tensor, constant, emit, unknown_sizes
from mcore.platform.word import word
from mcore.platform.words._common import as_tensor, axes_of, axis_of, broadcast, cast, promote
from mcore.platform.words._elementwise import FLOAT, join, plus
from mcore.platform.words._pieces import counted, expand, flat, reduce, take, test, unary, unsqueeze


def sum_along(x: Tensor, axis: int) -> Tensor:
    """The sum along one axis, of half types in float32."""
    wide = dtypes.float32 if x._dtype.itemsize == 2 else x._dtype
    return cast(reduce("ReduceSum", cast(x, wide), (axis,)), x._dtype)


def mean_along(x: Tensor, axis: int) -> Tensor:
    """The mean along one axis."""
    return emit("Div", (total := sum_along(x, axis), as_tensor(x.shape[axis], x._dtype)), total.shape, x._dtype)


def length_along(x: Tensor, p: float, axes: tuple[int, ...], *, keepdim: bool) -> Tensor:
    """The p-norm along axes; of half types computed in float32."""
    kind = x._dtype
    if kind.itemsize == 2:
        return cast(length_along(cast(x, dtypes.float32), p, axes, keepdim=keepdim), kind)
    if p in (1, 2):
        return reduce(f"ReduceL{int(p)}", x, axes, keepdim)
    size = unary("Abs", x)
    if math.isinf(p):
        return reduce("ReduceMax" if p > 0 else "ReduceMin", size, axes, keepdim)
    if p == 0:
        other = test("Not", test("Equal", x, constant(0, kind)))
        return reduce("ReduceSum", cast(other, kind), axes, keepdim)
    power = emit("Pow", (size, constant(p, kind)), x.shape, kind)
    total = reduce("ReduceSum", power, axes, keepdim)
    return emit("Pow", (total, constant(1 / p, kind)), total.shape, kind)


@word("F.normalize")
def normalize(input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """`input` divided by its p-norm along `dim`, which counts as at least `eps`."""
    axes = axes_of(dim, input.ndim)
    kind = input._dtype
    if kind.category != FLOAT:
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got " + kind.title
        )
    length = length_along(input, p, axes, keepdim=True)
    length = emit("Max", (length, as_tensor(eps, kind)), length.shape, kind)
    result = join("Div", input, length, kind)
    return result if out is None else out._write(cast(result, out._dtype))


@word("torch.cosine_similarity", "F.cosine_similarity")
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-08) -> Tensor:
    """The cosine of the angle along `dim`; each length counts as at least `eps`."""
    (a, b), kind = promote(x1, x2)
    if kind.category != FLOAT:
        raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {kind.title}")
    shape = broadcast(a.shape, b.shape)
    axis = axis_of(dim, len(shape))
    unit = []
    for x in (a, b):
        x = unsqueeze(x, *range(len(shape) - x.ndim))
        length = length_along(
            x if int(x.shape[axis]) == int(shape[axis]) else expand(x, shape), 2, (axis,), keepdim=True
        )
        length = emit("Max", (length, as_tensor(eps, kind)), length.shape, kind)
        unit.append(join("Div", x, length, kind))
    return sum_along(join("Mul", unit[0], unit[1], kind), axis)


def apart(x1: Tensor, x2: Tensor, p: float, eps: float, *, keepdim: bool) -> Tensor:
    """The p-norm of `x1 - x2 + eps` along the last axis."""
    (a, b), kind = promote(x1, x2)
    gap = plus(join("Sub", a, b, kind), eps)
    return length_along(gap, p, (gap.ndim - 1,), keepdim=keepdim)


@word("torch.pairwise_distance", "F.pairwise_distance")
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-06, keepdim: bool = False) -> Tensor:
    """The p-norm of `x1 - x2 + eps` along the last axis."""
    return apart(x1, x2, p, eps, keepdim=keepdim)


@word("torch.pdist", "F.pdist")
def pdist(input: Tensor, p: float = 2) -> Tensor:
    """The p-norm distance of each pair of rows, in the order (0, 1), (0, 2), ..., (1, 2), ..."""
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    rows = current().fix(input.shape[0], "pdist lists pairs of rows")
    first, second = (constant(k, dtypes.int64) for k in np.triu_indices(rows, 1))
    gap = join("Sub", take(input, first, 0), take(input, second, 0), input._dtype)
    return length_along(gap, p, (1,), keepdim=False)


@word("F.one_hot")
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Labels as rows of zeros with a 1; without `num_classes`, as long as the largest label needs.

    Raises:
        RuntimeError: a label is no class. Within a graph, such a row is zeros.
    """
    if tensor._dtype is not dtypes.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if tensor._recorder is None:
        _check_labels(tensor._data(), int(num_classes))
    if num_classes != -1:
        classes = counted(num_classes)
    else:
        last = reduce("ReduceMax", flat(tensor), (0,))
        zero, one = constant(0, dtypes.int64), constant(1, dtypes.int64)
        classes = unknown_sizes(emit("Range", (zero, plus(last, 1), one), (None,), dtypes.int64))
    return cast(test("Equal", unsqueeze(tensor, tensor.ndim), classes), dtypes.int64)


def _check_labels(labels: np.ndarray, num_classes: int) -> None:
    if not labels.size:
        if num_classes < 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
    elif labels.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    elif -1 < num_classes <= labels.max():
        raise RuntimeError("Class values must be smaller than num_classes.")
