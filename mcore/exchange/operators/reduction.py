"""Reductions, running sums, and what is found by comparing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mcore.exchange.operators.shape import axes_of
from mcore.exchange.operators.table import Node, axis_of, operator


def _reduced(name: str, reduce: Callable[[Tensor, list[int], bool], Tensor], *, since: int = 18) -> None:
    """Enters a reduction; `since`: the operator set from which its axes are an input."""

    @operator(name, numbers=(1,), wide=True)
    def run(node: Node, x: Tensor, axes: tuple | None = None) -> Tensor:
        given = axes_of(node, axes, since)
        if not given and node.get("noop_with_empty_axes", 0):
            # Over no axis at all: each element by itself.
            return reduce(x.unsqueeze(0), [0], False)
        chosen = [axis_of(a, x.ndim) for a in given] if given else list(range(x.ndim))
        if not chosen:
            return reduce(x.unsqueeze(0), [0], False)
        return reduce(x, chosen, bool(node.get("keepdims", 1)))


def _sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return torch.sum(x, dim=axes, keepdim=keep, dtype=x.dtype)


def _mean(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    if x.is_floating_point():
        return torch.mean(x, dim=axes, keepdim=keep)
    return torch.div(_sum(x, axes, keep), math.prod(x.shape[a] for a in axes), rounding_mode="trunc")


def _prod(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted(axes, reverse=True):
        x = torch.prod(x, dim=axis, keepdim=keep, dtype=x.dtype)
    return x


def _extreme(function: Callable[..., Tensor], *, largest: bool) -> Callable[[Tensor, list[int], bool], Tensor]:
    def reduce(x: Tensor, axes: list[int], keep: bool) -> Tensor:
        if any(x.shape[a] == 0 for a in axes):  # of nothing: what every number beats
            shape = [1 if a in axes else n for a, n in enumerate(x.shape)]
            empty = torch.full(shape, _least(x.dtype, largest=largest), dtype=x.dtype, device=x.device)
            return empty if keep else empty.squeeze(tuple(axes))
        return function(x, dim=axes, keepdim=keep)

    return reduce


def _least(kind: torch.dtype, *, largest: bool) -> Any:
    if kind.is_floating_point:
        return -math.inf if largest else math.inf
    if kind is torch.bool:
        return not largest
    info = torch.iinfo(kind)
    return info.min if largest else info.max


def _log_sum_exp(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return torch.logsumexp(x, dim=axes, keepdim=keep)


_reduced("ReduceSum", _sum, since=13)
_reduced("ReduceMean", _mean)
_reduced("ReduceProd", _prod)
_reduced("ReduceMax", _extreme(torch.amax, largest=True))
_reduced("ReduceMin", _extreme(torch.amin, largest=False))
_reduced("ReduceLogSumExp", _log_sum_exp)
_reduced("ReduceL1", lambda x, axes, keep: _sum(torch.abs(x), axes, keep))
_reduced("ReduceL2", lambda x, axes, keep: torch.sqrt(_sum(x * x, axes, keep)).to(x.dtype))
_reduced("ReduceLogSum", lambda x, axes, keep: torch.log(_sum(x, axes, keep)))
_reduced("ReduceSumSquare", lambda x, axes, keep: _sum(x * x, axes, keep))


@operator("ArgMax")
def arg_max(node: Node, x: Tensor) -> Tensor:
    return _position(node, x, torch.argmax)


@operator("ArgMin")
def arg_min(node: Node, x: Tensor) -> Tensor:
    return _position(node, x, torch.argmin)


def _position(node: Node, x: Tensor, function: Callable[..., Tensor]) -> Tensor:
    axis, keep = axis_of(node.get("axis", 0), x.ndim), bool(node.get("keepdims", 1))
    if not node.get("select_last_index", 0):
        return function(x, dim=axis, keepdim=keep)
    return x.shape[axis] - 1 - function(torch.flip(x, (axis,)), dim=axis, keepdim=keep)


@operator("CumSum", numbers=(1,), wide=True)
def cumulative_sum(node: Node, x: Tensor, axis: tuple) -> Tensor:
    return _cumulative(node, x, axis_of(axis[0], x.ndim), torch.cumsum, 0)


@operator("CumProd", numbers=(1,), wide=True)
def cumulative_product(node: Node, x: Tensor, axis: tuple) -> Tensor:
    return _cumulative(node, x, axis_of(axis[0], x.ndim), torch.cumprod, 1)


def _cumulative(node: Node, x: Tensor, axis: int, function: Callable[..., Tensor], neutral: int) -> Tensor:
    x = torch.flip(x, (axis,)) if node.get("reverse", 0) else x
    if node.get("exclusive", 0):  # each without itself: one step behind
        size = x.shape[axis]
        first = torch.full_like(torch.narrow(x, axis, 0, 1), neutral)
        x = torch.narrow(torch.cat((first, x), dim=axis), axis, 0, size)
    out = function(x, dim=axis, dtype=x.dtype)
    return torch.flip(out, (axis,)) if node.get("reverse", 0) else out


@operator("TopK", numbers=(1,))
def top_k(node: Node, x: Tensor, k: tuple | None = None) -> tuple[Tensor, Tensor]:
    axis, count = axis_of(node.get("axis", -1), x.ndim), node.get("k") if k is None else k[0]
    # Stable: of equal values the first comes first, which torch.topk doesn't promise.
    values, places = torch.sort(x, dim=axis, descending=bool(node.get("largest", 1)), stable=True)
    return torch.narrow(values, axis, 0, count), torch.narrow(places, axis, 0, count)


@operator("NonZero")
def non_zero(node: Node, x: Tensor) -> Tensor:
    return torch.nonzero(x).transpose(0, 1)


@operator("Unique")
def unique(node: Node, x: Tensor) -> tuple[Tensor, ...]:
    axis = node.get("axis")
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis_of(axis, x.ndim))
    values, inverse, counts = torch.unique(x, sorted=True, return_inverse=True, return_counts=True, dim=axis)
    places = torch.arange(x.shape[axis], device=x.device)
    first = torch.full_like(counts, x.shape[axis]).scatter_reduce(0, inverse, places, "amin")
    if not node.get("sorted", 1):  # in the order in which they came
        order = torch.argsort(first)
        values, first, counts = torch.index_select(values, axis, order), first[order], counts[order]
        inverse = torch.argsort(order)[inverse]
    return values, first, inverse, counts


@operator("LpNormalization")
def lp_normalization(node: Node, x: Tensor) -> Tensor:
    axis = node.get("axis", -1)
    squares = node.get("p", 2) == 2
    norm = torch.linalg.vector_norm(x, 2 if squares else 1, dim=axis, keepdim=True)
    return torch.where(norm == 0, torch.zeros_like(x), x / norm)
