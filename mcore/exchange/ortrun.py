"""ONNX Runtime on files, alone: no engine, no torch. What `python -m mcore.verify` and exports check with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcore.ort_values import BFLOAT16, array_of, ort_value, session_options


class Runner:
    """A model, ready to run on arrays. Raises ModelFileError-free runtime errors as they are."""

    def __init__(self, model: str | bytes) -> None:
        import onnxruntime

        self.session = onnxruntime.InferenceSession(model, session_options(), providers=["CPUExecutionProvider"])
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
