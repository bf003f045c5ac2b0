"""Lookups in tables of vectors; and torch._assert.

Differs: with `max_norm` the rows that come out are scaled down as torch does, but the table itself is not
rewritten.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mcore.platform import dtypes, graph
from mcore.platform.errors import ShapeError
from mcore.platform.tensor import Tensor, constant, emit
from mcore.platform.word import word
from mcore.platform.words._common import cast, plain, same_shape
from mcore.platform.words._pieces import (
    binary,
    fill,
    filled,
    reduce,
    section,
    take,
    test,
    unary,
    unsqueeze,
    where,
)
from mcore.platform.words.products import power_norm


def known_data(x: Tensor) -> np.ndarray | None:
    """The array of a tensor where this call knows it: data, an input, a constant. None: it is computed."""
    recorder = graph.current()
    if x._recorder is None:
        return x._data()
    for known in (recorder.feeds, recorder.constants):
        if x._value in known:
            return known[x._value]
    return None


def _check(indices: Tensor, weight: Tensor, word_name: str) -> None:
    """Types, and indices where they are known: the runtime would count a negative one from the end."""
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    if indices._dtype not in (dtypes.int32, dtypes.int64):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
            "Long, Int; but got "
            f"torch.{indices._dtype.title}Tensor instead (while checking arguments for {word_name})"
        )
    array = known_data(indices)
    if array is not None and array.size and (array.min() < 0 or array.max() >= int(weight.shape[0])):
        raise IndexError("index out of range in self")


def _looked_up(weight: Tensor, indices: Tensor, max_norm: float | None, norm_type: float) -> Tensor:
    rows = take(weight, indices, 0)
    if max_norm is None:
        return rows
    size = power_norm(rows, norm_type, (rows.ndim - 1,), keepdim=True)
    factor = binary("Div", fill(max_norm, size), binary("Add", size, fill(1e-7, size)))
    return binary("Mul", rows, where(test("Greater", size, fill(max_norm, size)), factor, fill(1, size)))


def _check_padding(padding_idx: int | None, weight: Tensor, name: str) -> None:
    if padding_idx is not None and not -int(weight.shape[0]) <= padding_idx < int(weight.shape[0]):
        raise AssertionError(f"{name} must be within num_embeddings")


@word("F.embedding")
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of a table by index.

    Shapes:
        input: any, weight: (count, width)
        returns: (*input.shape, width)

    Raises:
        IndexError: an index below 0 or beyond the table, where the indices are an argument.
    """
    _check_padding(padding_idx, weight, "Padding_idx")
    _check(input, weight, "embedding")
    return _looked_up(weight, input, max_norm, norm_type)


@word("torch.embedding")
def torch_embedding(
    weight: Tensor,
    indices: Tensor,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of a table by index."""
    _check(indices, weight, "embedding")
    return _looked_up(weight, indices, None, 2.0)


# --- bags


@word("F.embedding_bag")
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sum, mean or maximum over bags of looked-up rows; an empty bag gives zeros.

    Shapes:
        input: (bags, length), or (n,) with offsets (bags,) where each bag begins
        returns: (bags, width)
    """
    if (
        isinstance(weight, Tensor)
        and weight._dtype in (dtypes.int32, dtypes.int64)
        and input._dtype.category == dtypes.FLOAT
    ):
        raise ValueError(
            "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, "
            "input, ...)` is "
            "deprecated, and should now be `embedding_bag(input, weight, ...)`."
        )
    _check_bags(input, weight, offsets, mode, per_sample_weights)
    _check_padding(padding_idx, weight, "padding_idx")
    _check(input, weight, "embedding_bag")
    rows = _looked_up(weight, input, max_norm, norm_type)
    counted = None
    if padding_idx is not None:
        counted = unary("Not", test("Equal", input, fill(padding_idx % int(weight.shape[0]), input)))
    if per_sample_weights is not None:
        rows = binary("Mul", rows, unsqueeze(per_sample_weights, -1))
    if input.ndim == 2:
        return _rows_of_bags(rows, counted, mode)
    assert offsets is not None
    return _scattered_bags(rows, counted, offsets, mode, include_last_offset)


def _check_bags(input: Tensor, weight: Tensor, offsets: Any, mode: str, weights: Tensor | None) -> None:
    if weights is not None and not same_shape(weights.shape, input.shape):
        raise ValueError(
            f"embedding_bag: If per_sample_weights (torch.Size({plain(weights.shape)})) is not None, "
            f"then it must "
            f"have the same shape as the input (torch.Size({plain(input.shape)}))"
        )
    if input.ndim == 2 and offsets is not None:
        raise ValueError(
            "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of "
            "fixed length "
            f"sequences. However, found offsets of type {type(offsets)}"
        )
    if input.ndim == 1:
        if not isinstance(offsets, Tensor):
            raise ValueError(f"offsets has to be a 1D Tensor but got {offsets}")
        if offsets.ndim != 1:
            raise ValueError("offsets has to be a 1D Tensor")
        first = known_data(offsets)
        if first is not None and first.size and first[0] != 0:
            raise ShapeError(
                "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start "
                "from position 0. "
                f"However, got {first[0]}"
            )
    elif input.ndim != 2:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported "
            "for mode='sum' "
            f"(got mode='{mode}')"
        )


def _masked(rows: Tensor, counted: Tensor | None, mode: str) -> Tensor:
    """Rows that count for nothing as the neutral element."""
    if counted is None:
        return rows
    neutral = -math.inf if mode == "max" else 0
    return where(unsqueeze(counted, -1), rows, fill(neutral, rows))


def _rows_of_bags(rows: Tensor, counted: Tensor | None, mode: str) -> Tensor:
    """Bags of one length: (bags, length, width)."""
    x = _masked(rows, counted, mode)
    if counted is None:
        return reduce({"sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax"}[mode], x, (1,))
    if mode == "sum":
        return reduce("ReduceSum", x, (1,))
    count = reduce("ReduceSum", cast(counted, x._dtype), (1,), keepdim=True)
    return _finished(reduce("ReduceSum" if mode == "mean" else "ReduceMax", x, (1,)), count, mode)


def _finished(total: Tensor, count: Tensor, mode: str) -> Tensor:
    """Sums to means; maxima of nothing to 0. `count`: (bags, 1)."""
    if mode == "mean":
        return binary("Div", total, binary("Max", count, fill(1, count)))
    return where(test("Equal", count, fill(0, count)), fill(0, total), total)


def _scattered_bags(rows: Tensor, counted: Tensor | None, offsets: Tensor, mode: str, last: bool) -> Tensor:
    """Bags of any length: each row is added to the bag in which it lies."""
    size = rows.shape[0]
    starts = cast(offsets, dtypes.int64)
    if last:
        starts = section(starts, 0, 0, starts.shape[0] - 1)
    bags = starts.shape[0]
    # The bag of a position: how many bags begin at or before it, less one. A bag may begin behind the end.
    begun = emit(
        "ScatterElements",
        [filled(0, (size + 1,), dtypes.int64), starts, filled(1, (bags,), dtypes.int64)],
        (size + 1,),
        dtypes.int64,
        axis=0,
        reduction="add",
    )
    number = emit("CumSum", [section(begun, 0, 0, size), constant(0)], (size,), dtypes.int64)
    places = unsqueeze(binary("Sub", number, constant(1)), 1)
    x = _masked(rows, counted, mode)
    start = filled(-math.inf if mode == "max" else 0, (bags, rows.shape[1]), x._dtype)
    reduction = "max" if mode == "max" else "add"
    total = emit("ScatterND", [start, places, x], start.shape, x._dtype, reduction=reduction)
    if mode == "sum":
        return total
    ones = filled(1, (size,), x._dtype) if counted is None else cast(counted, x._dtype)
    count = emit("ScatterND", [filled(0, (bags,), x._dtype), places, ones], (bags,), x._dtype, reduction="add")
    return _finished(total, unsqueeze(count, 1), mode)


# --- checks in passing


@word("torch._assert")
def _assert(condition: Any, message: str) -> None:
    """Raises AssertionError unless the condition holds.

    Differs: a condition that is computed in the recording cannot stop a graph; it is noted as a guard
    instead.
    """
    recorder = graph.active.recorder
    if isinstance(condition, Tensor) and condition._recorder is not None and condition._recorder is recorder:
        recorder.guards.append((f"assert: {message}", recorder.place()))
        return
    if not condition:
        raise AssertionError(message)
