"""ONNX Runtime's options and values, for whoever opens a session: the platform engine, exports, `mcore.verify`.

Imports neither engine.
"""

from __future__ import annotations

import ctypes
from typing import Any

import ml_dtypes
import numpy as np

BFLOAT16 = "tensor(bfloat16)"
# TensorProto.BFLOAT16, written out so that no onnx import is needed.
_BFLOAT16_CODE = 16


def session_options(threads: int = 0) -> Any:
    """Options that every session here has: quiet, and waiting threads don't spin (they would steal the core that
    another one needs). `threads`: 0 lets the runtime decide.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads:
        options.intra_op_num_threads = threads
    return options


def ort_value(array: np.ndarray) -> Any:
    """An array as the runtime's own value; bfloat16, which numpy lacks, as 16-bit words."""
    import onnxruntime

    array = np.array(array, order="C", copy=None)
    if array.dtype == ml_dtypes.bfloat16:
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view(np.uint16), _BFLOAT16_CODE)
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)


def array_of(value: Any) -> np.ndarray:
    """The data of a runtime's value."""
    if value.data_type() != BFLOAT16:
        return value.numpy()
    shape = tuple(value.shape())
    count = int(np.prod(shape, dtype=np.int64))
    if not count:
        return np.zeros(shape, ml_dtypes.bfloat16)
    words = ctypes.string_at(value.data_ptr(), 2 * count)
    return np.frombuffer(bytearray(words), ml_dtypes.bfloat16).reshape(shape)
