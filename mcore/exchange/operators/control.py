"""Control flow, sequences and optional values. Torch is eager, so the host decides and Python's lists are sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mcore.exchange.operators.shape import even_sizes
from mcore.exchange.operators.table import Host, Node, axis_of, operator


@operator("If", raw=True)
def choose(node: Node, condition: Any, *, run: Any) -> Any:
    branch = node.get("then_branch") if run.truth(condition) else node.get("else_branch")
    return tuple(run.inside(branch, ()))


@operator("Loop", raw=True)
def loop(node: Node, trips: Any, condition: Any, *carried: Any, run: Any) -> Any:
    body, count = node.get("body"), None if trips is None else run.numbers(trips)[0]
    rows: list[list[Any]] = [[] for _ in range(len(body.outputs) - 1 - len(carried))]
    going, turn = True if condition is None else run.truth(condition), 0
    state = list(carried)
    while going and (count is None or turn < count):
        results = run.inside(
            body,
            (Host(np.array(turn, dtype=object), torch.int64), Host(np.array(going, dtype=object), torch.bool), *state),
        )
        going = run.truth(results[0])
        state = results[1 : 1 + len(state)]
        for row, value in zip(rows, results[1 + len(state) :], strict=True):
            row.append(run.tensor(value))
        turn += 1
    return tuple(state) + tuple(_stacked(node, row) for row in rows)


def _stacked(node: Node, row: list[Any], axis: int = 0) -> Any:
    if not row:
        raise NotImplementedError("a loop of no turns, whose stacked results have no known size")
    return torch.stack(row, dim=axis)


def _old_scan(node: Node) -> str | None:
    return "operator set 8, whose batches are scanned apart" if node.version < 9 else None


@operator("Scan", raw=True, refuses=_old_scan)
def scan(node: Node, *given: Any, run: Any) -> Any:
    body, count = node.get("body"), node.get("num_scan_inputs")
    state, scanned = list(given[:-count]), [run.tensor(value) for value in given[-count:]]
    axes = [axis_of(a, x.ndim) for a, x in zip(node.get("scan_input_axes", (0,) * count), scanned, strict=True)]
    back = node.get("scan_input_directions", (0,) * count)
    rows: list[list[Any]] = [[] for _ in range(len(body.outputs) - len(state))]
    length = scanned[0].shape[axes[0]]
    for turn in range(length):
        items = [
            torch.select(x, axis, length - 1 - turn if b else turn)
            for x, axis, b in zip(scanned, axes, back, strict=True)
        ]
        results = run.inside(body, (*state, *items))
        state = results[: len(state)]
        for row, value in zip(rows, results[len(state) :], strict=True):
            row.append(run.tensor(value))
    out = node.get("scan_output_axes", (0,) * len(rows))
    ways = node.get("scan_output_directions", (0,) * len(rows))
    stacked = [_stacked(node, row[::-1] if way else row, axis) for row, axis, way in zip(rows, out, ways, strict=True)]
    return (*state, *stacked)


# --- sequences


@operator("SequenceConstruct", raw=True)
def sequence_of(node: Node, *given: Any, run: Any) -> list[Any]:
    return [run.tensor(value) for value in given]


@operator("SequenceEmpty", raw=True)
def empty_sequence(node: Node, *, run: Any) -> list[Any]:
    return []


@operator("SequenceAt", raw=True)
def sequence_at(node: Node, sequence: list[Any], position: Any, *, run: Any) -> Any:
    return sequence[run.numbers(position)[0]]


@operator("SequenceInsert", raw=True)
def sequence_insert(node: Node, sequence: list[Any], value: Any, position: Any = None, *, run: Any) -> list[Any]:
    at = len(sequence) if position is None else run.numbers(position)[0]
    at = at + len(sequence) if at < 0 else at
    return [*sequence[:at], run.tensor(value), *sequence[at:]]


@operator("SequenceErase", raw=True)
def sequence_erase(node: Node, sequence: list[Any], position: Any = None, *, run: Any) -> list[Any]:
    at = -1 if position is None else run.numbers(position)[0]
    at = at + len(sequence) if at < 0 else at
    return [value for k, value in enumerate(sequence) if k != at]


@operator("SequenceLength", raw=True)
def sequence_length(node: Node, sequence: list[Any], *, run: Any) -> Host:
    return Host(np.array(len(sequence), dtype=object), torch.int64)


@operator("ConcatFromSequence", raw=True)
def joined(node: Node, sequence: list[Any], *, run: Any) -> Any:
    function = torch.stack if node.get("new_axis", 0) else torch.cat
    return function(sequence, dim=node.get("axis"))


@operator("SplitToSequence", raw=True)
def split_to_sequence(node: Node, x: Any, sizes: Any = None, *, run: Any) -> list[Any]:
    x = run.tensor(x)
    axis = axis_of(node.get("axis", 0), x.ndim)
    size = x.shape[axis]
    if sizes is None:
        parts = list(torch.split(x, 1, dim=axis))
        return parts if node.get("keepdims", 1) else [torch.squeeze(part, axis) for part in parts]
    given, scalar = run.numbers(sizes), not (sizes.array if isinstance(sizes, Host) else sizes).ndim
    return list(torch.split(x, given[0] if scalar else list(given or even_sizes(size, 1)), dim=axis))


# --- optional values: the value itself, or None


@operator("Optional", raw=True)
def optional(node: Node, value: Any = None, *, run: Any) -> Any:
    return value


@operator("OptionalHasElement", raw=True)
def has_element(node: Node, value: Any = None, *, run: Any) -> Host:
    return Host(np.array(value is not None, dtype=object), torch.bool)


@operator("OptionalGetElement", raw=True)
def element(node: Node, value: Any, *, run: Any) -> Any:
    if value is None:
        raise ValueError("the optional value is not there")
    return value
