"""ONNX Runtime on files, alone: no engine, no torch. What `python -m mcore.verify` and exports check with."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
import onnx

_BFLOAT16 = "tensor(bfloat16)"


class Runner:
    """A model, ready to run on arrays. Raises ModelFileError-free runtime errors as they are."""

    def __init__(self, model: str | bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # A waiting thread that spins steals the core that the other one needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.inputs = [(entry.name, entry.type) for entry in self.session.get_inputs()]
        self.outputs = [(entry.name, entry.type) for entry in self.session.get_outputs()]
        self.narrow = any(kind == _BFLOAT16 for _, kind in [*self.inputs, *self.outputs])

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        """Outputs for inputs in the graph's order."""
        names = [name for name, _ in self.inputs]
        if len(arrays) != len(names):
            raise ValueError(
                f"the graph has {len(names)} inputs ({', '.join(names)}), got {len(arrays)} arrays."
            )
        if not self.narrow:
            return self.session.run(None, dict(zip(names, arrays, strict=True)))
        given = {name: ort_value(array) for name, array in zip(names, arrays, strict=True)}
        results = self.session.run_with_ort_values([name for name, _ in self.outputs], given)
        return [array_of(value) for value in results]


def ort_value(array: np.ndarray) -> Any:
    """An array as the runtime's own value; bfloat16, which numpy lacks, as 16-bit words."""
    import onnxruntime

    array = np.array(array, order="C", copy=None)
    if array.dtype == ml_dtypes.bfloat16:
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(
            array.view(np.uint16), onnx.TensorProto.BFLOAT16
        )
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)


def array_of(value: Any) -> np.ndarray:
    """The data of a runtime's value."""
    if value.data_type() != _BFLOAT16:
        return value.numpy()
    shape = tuple(value.shape())
    count = int(np.prod(shape, dtype=np.int64))
    if not count:
        return np.zeros(shape, ml_dtypes.bfloat16)
    words = ctypes.string_at(value.data_ptr(), 2 * count)
    return np.frombuffer(bytearray(words), ml_dtypes.bfloat16).reshape(shape)
