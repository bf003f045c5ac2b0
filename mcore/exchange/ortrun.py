"""ONNX Runtime on files, alone: no engine, no torch. What `python -m mcore.verify` and exports check with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from mcore.ort_values import BFLOAT16, PROVIDERS, array_of, open_session, ort_value, session_options

# How the runtime says that it lacks an operator, wholly or for these types.
NO_KERNEL = re.compile(r"implementation for (\S+?)\((\d+)\) node with name '([^']*)'")
NO_OPERATOR = re.compile(r"No Op registered for (\S+)")
NO_FUNCTION = re.compile(r"(\S+) is not a registered function/op")


class Runner:
    """A model, ready to run on arrays. Raises ModelFileError-free runtime errors as they are.

    Args:
        providers: execution providers, best first, as `ort_values.providers_for` gives them; the CPU's by default.
        threads: 0 lets the runtime decide.
        placed: note which provider each node was given to; see `nodes_on`.
    """

    def __init__(
        self, model: str | bytes, *, providers: Sequence[Any] = (PROVIDERS["cpu"],), threads: int = 0,
        placed: bool = False,
    ) -> None:  # fmt: skip
        options = session_options(threads)
        if placed:
            options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        self.session = open_session(model, options, providers)
        self.inputs = [(entry.name, entry.type) for entry in self.session.get_inputs()]
        self.outputs = [(entry.name, entry.type) for entry in self.session.get_outputs()]
        self.narrow = any(kind == BFLOAT16 for _, kind in [*self.inputs, *self.outputs])

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        """Outputs for inputs in the graph's order."""
        names = [name for name, _ in self.inputs]
        if len(arrays) != len(names):
            raise ValueError(f"the graph has {len(names)} inputs ({', '.join(names)}), got {len(arrays)} arrays.")
        if not self.narrow:
            return self.session.run(None, dict(zip(names, arrays, strict=True)))
        given = {name: ort_value(array) for name, array in zip(names, arrays, strict=True)}
        results = self.session.run_with_ort_values([name for name, _ in self.outputs], given)
        return [array_of(value) for value in results]

    def nodes_on(self, provider: str) -> int | None:
        """How many nodes `provider` was given; None where this onnxruntime cannot tell (before 1.24)."""
        if not hasattr(self.session, "get_provider_graph_assignment_info"):
            return None
        parts = self.session.get_provider_graph_assignment_info()
        return sum(len(part.get_nodes()) for part in parts if part.ep_name == provider)
