"""ONNX Runtime's options and values, for whoever opens a session: the platform engine, exports, `mcore.verify`.

Imports neither engine.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np

BFLOAT16 = "tensor(bfloat16)"
# Kinds of devices, and the execution provider that each stands for.
PROVIDERS = {
    "cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider", "rocm": "ROCMExecutionProvider", "dml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}  # fmt: skip
# Those that are told which device by its number.
_NUMBERED = ("cuda", "tensorrt", "rocm", "dml")
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


def providers_for(kind: str, number: int = 0, options: Mapping[str, Any] | None = None) -> list:
    """Execution providers for a kind of device, best first; the first one with `options`, by the runtime's own names.

    >>> providers_for("cuda", 1)
    [('CUDAExecutionProvider', {'device_id': 1}), 'CPUExecutionProvider']
    """
    import onnxruntime

    if kind == "cpu":
        return [PROVIDERS["cpu"]]
    # What TensorRT has no kernel for, CUDA's provider may.
    beside = kind == "tensorrt" and PROVIDERS["cuda"] in onnxruntime.get_available_providers()
    where = {"device_id": number} if kind in _NUMBERED else {}
    first = (PROVIDERS[kind], {**where, **(options or {})})
    return [first, *([(PROVIDERS["cuda"], where)] if beside else []), PROVIDERS["cpu"]]


def open_session(model: str | bytes, options: Any, providers: Sequence[Any]) -> Any:
    """A session on the first of `providers`.

    Raises:
        RuntimeError: the runtime would have run it on others without a word.
    """
    import onnxruntime

    # Its own fallback prints a line and goes on with the CPU.
    session = onnxruntime.InferenceSession(model, options, providers=list(providers), enable_fallback=0)
    wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
    if wanted not in session.get_providers():
        raise RuntimeError(f"ONNX Runtime dropped {wanted}; it uses {', '.join(session.get_providers())}.")
    return session


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
