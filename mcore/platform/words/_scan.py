"""Scan: a recurrence along an axis, for what no single operator says, at any length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcore.platform.tensor import Tensor, emit_many

# One step of a recurrence: (operator, inputs, output, attributes).
Step = tuple[str, Sequence[str], str] | tuple[str, Sequence[str], str, dict[str, Any]]


def scan(
    states: Sequence[Tensor], sequences: Sequence[Tensor], steps: Sequence[Step], axes: Sequence[int]
) -> list[Tensor]:
    """All states along the axis, each stacked at `axes[0]`.

    Args:
        states: what the recurrence starts with; in `steps` they are "s0", "s1", ...
        sequences: what it walks along, in `steps` "x0", "x1", ...
        steps: the body; it makes the new states "t0", "t1", ...
        axes: along which axis of each sequence it walks.
    """
    from onnx import helper  # takes long to import, and few networks need it

    body = helper.make_graph(
        [helper.make_node(s[0], list(s[1]), [s[2]], **(s[3] if len(s) > 3 else {})) for s in steps]
        + [helper.make_node("Identity", [f"t{k}"], [f"y{k}"]) for k in range(len(states))],
        "step",
        [_value(f"s{k}", t) for k, t in enumerate(states)]
        + [_value(f"x{k}", t, drop=1) for k, t in enumerate(sequences)],
        [_value(f"{name}{k}", t) for name in "ty" for k, t in enumerate(states)],
    )
    attribute = helper.make_attribute("body", body)
    axis, size = axes[0], sequences[0].shape[axes[0]]
    stacked = [((*t.shape[:axis], size, *t.shape[axis:]), t._dtype) for t in states]
    outputs = emit_many(
        "Scan",
        [*states, *sequences],
        [(t.shape, t._dtype) for t in states] + stacked,
        body=attribute.SerializeToString(deterministic=True),
        num_scan_inputs=len(sequences),
        scan_input_axes=tuple(axes),
        scan_output_axes=(axis,) * len(states),
    )
    return outputs[len(states) :]


def _value(name: str, t: Tensor, drop: int = 0) -> Any:
    """Declares a value by element type and rank; its sizes are what comes."""
    from onnx import helper

    return helper.make_tensor_value_info(name, t._dtype.onnx, [None] * (t.ndim - drop))
