"""What `mcore.exchange` needs of the platform engine: arrays in and out, files of torch, a module's plain call."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mcore.exchange.pickles import read_pickle as _read_pickle
from mcore.platform import dtypes
from mcore.platform.parameter import become
from mcore.platform.tensor import Tensor

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
