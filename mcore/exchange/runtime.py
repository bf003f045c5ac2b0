"""Running an ONNX model as a stranger would: with ONNX Runtime alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def run_onnx(model: Any, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Outputs of a model (ModelProto, bytes or path) on inputs in the graph's order."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = model if isinstance(model, bytes | str) else model.SerializeToString()
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=False)))
