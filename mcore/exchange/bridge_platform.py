"""What `mcore.exchange` needs of the platform engine: arrays in and out, files of torch, a module's plain call."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mcore.exchange.pickles import read_pickle as _read_pickle
from mcore.ort_values import PROVIDERS
from mcore.platform import dtypes
from mcore.platform.devices import available
from mcore.platform.parameter import become
from mcore.platform.tensor import CPU, Tensor, device

NAME = "platform"
TENSOR = Tensor
VERSIONS: dict[str, str] = {}


def is_tensor(value: Any) -> bool:
    """Whether `value` is a tensor of this engine."""
    return isinstance(value, Tensor)


def is_module(value: Any) -> bool:
    """Whether `value` is a module of this engine."""
    from mcore.platform.module import Module

    return isinstance(value, Module)


def array_of(tensor: Tensor) -> np.ndarray:
    """The data of a tensor, read-only; bfloat16 as ml_dtypes'."""
    return tensor.numpy()


def tensor_of(array: np.ndarray) -> Tensor:
    """A tensor of an array's data. Raises TypeError for element types that the engine lacks."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return Tensor._of(native, dtypes.from_numpy(native.dtype))


def read_pickle(path: Path) -> Any:
    """What torch.save wrote, tensors and plain data only; nothing in the file runs."""
    return _read_pickle(path, tensor_of)


def run(module: Any, arguments: tuple[Any, ...]) -> Any:
    """The module's own answer."""
    return module(*arguments)


def load_state(module: Any, state: Mapping[str, Any], strict: bool) -> None:
    """Loads a state, whole or not at all, as this engine's modules do by themselves."""
    module.load_state_dict(state, strict=strict)


def write_pickle(state: Mapping[str, Any], path: Path) -> None:
    """Refused: pickles are torch's."""
    raise NotImplementedError(
        f"{path} is named as a pickle, which only torch writes: name it .safetensors instead, which both "
        "engines read, or set MCORE_BACKEND=torch."
    )


def device_of(where: Any) -> str:
    """The device's full name ("cuda" is "cuda:0"). Raises RuntimeError where ONNX Runtime has no provider for it."""
    found = available(device(where))
    return found.type if found == CPU else f"{found.type}:{found.index or 0}"


def best_device() -> str:
    """A GPU where ONNX Runtime has one, else the CPU."""
    import onnxruntime

    return "cuda:0" if PROVIDERS["cuda"] in onnxruntime.get_available_providers() else "cpu"


def tensorrt_device(where: Any) -> str:
    """The name under which TensorRT runs on a GPU: `where` tells which."""
    return f"tensorrt:{device(where).index or 0}"


def private(tensor: Tensor) -> Tensor:
    """The tensor itself: no word of this engine writes in an array that it was given."""
    return tensor


def inferring(where: str, precision: str | None) -> contextlib.AbstractContextManager[Any]:
    """Nothing to switch: there are no gradients here. Raises NotImplementedError for a precision."""
    if precision is not None:
        raise NotImplementedError(
            f"precision={precision!r}: ONNX Runtime computes in the types of the graph; cast the network "
            "(network.half()) and its input instead, or set MCORE_BACKEND=torch."
        )
    return contextlib.nullcontext()


def free_memory(where: str) -> None:
    """Has the next run give back the memory that its session's arena holds and doesn't use."""
    from mcore.platform import session

    session.shrink()


def check_runs_programs(path: Path) -> None:
    """Refuses programs of torch."""
    raise NotImplementedError(
        f"load_model: {path} is a program of torch, which this engine cannot run. Load it with MCORE_BACKEND=torch "
        "and trust=True, or export the model that it was made of (toplatform) and load the .onnx here."
    )


def read_program(path: Path, where: str) -> Any:
    """Refused."""
    check_runs_programs(path)


def read_tensorrt(path: Path, where: str, shape: tuple[int, ...], folder: str) -> Any:
    """An ONNX file run by ONNX Runtime's TensorRT provider, which builds its engine now, for `shape`.

    Raises:
        RuntimeError: this onnxruntime has no TensorRT; the providers that it has are listed.
    """
    from mcore.exchange.onnx_module import OnnxModule

    target = available(device(tensorrt_device(where)))
    module = OnnxModule(path)
    module.provider_options = {"trt_engine_cache_enable": True, "trt_engine_cache_path": folder}
    module.to(target)
    module.warm(shape, target)
    return module


def namespace() -> Any:
    """The module that holds this engine's words."""
    import mcore.platform

    return mcore.platform


def is_dtype(value: Any) -> bool:
    """Whether `value` is an element type of this engine."""
    return isinstance(value, dtypes.dtype)


def layer_arguments(module: Any) -> dict[str, Any] | None:
    """Nothing: every module of this engine keeps its own arguments."""
    return None


@contextlib.contextmanager
def buffers_kept(module: Any) -> Iterator[None]:
    """A block after which the module's buffers are what they were before."""
    before = [(buffer, buffer._data()) for buffer in module.buffers()]
    try:
        yield
    finally:
        for buffer, array in before:
            if buffer._data() is not array:
                become(buffer, Tensor._of(array, dtypes.from_numpy(array.dtype), buffer._device))


def module_of(source: Any) -> Any:
    """Any ONNX graph as a module."""
    from mcore.exchange.onnx_module import OnnxModule

    return OnnxModule(source)
