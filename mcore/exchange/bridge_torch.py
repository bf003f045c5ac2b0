"""What `mcore.exchange` needs of the torch engine: arrays in and out, files of torch, a module's plain call."""

from __future__ import annotations

import inspect
import pickle
import re
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import torch

from mcore.exchange.errors import ModelFileError

NAME = "torch"
TENSOR = torch.Tensor
# Types that numpy lacks, and the type of the same width that their bits travel in.
_FOREIGN = {torch.bfloat16: (torch.int16, np.dtype(ml_dtypes.bfloat16))}
VERSIONS = {"torch": torch.__version__}


def is_tensor(value: Any) -> bool:
    """Whether `value` is a tensor of this engine."""
    return isinstance(value, torch.Tensor)


def is_module(value: Any) -> bool:
    """Whether `value` is a module of this engine."""
    return isinstance(value, torch.nn.Module)


def array_of(tensor: torch.Tensor) -> np.ndarray:
    """The data of a tensor, shared where it lies in memory; bfloat16 as ml_dtypes'."""
    plain = tensor.detach().cpu()
    if plain.layout is not torch.strided or plain.is_quantized:
        raise TypeError(f"a tensor of layout {plain.layout} and type {plain.dtype} has no plain array.")
    plain = plain.resolve_conj().resolve_neg()
    if plain.dtype in _FOREIGN:
        carrier, dtype = _FOREIGN[plain.dtype]
        return plain.contiguous().view(carrier).numpy().view(dtype)
    return plain.numpy()


def tensor_of(array: np.ndarray) -> torch.Tensor:
    """A tensor of an array's data; shared where the array may be written."""
    array = array if array.flags.writeable else array.copy()
    for dtype, (carrier, twin) in _FOREIGN.items():
        if array.dtype == twin:
            return torch.from_numpy(array.view(f"i{carrier.itemsize}")).view(dtype)
    return torch.from_numpy(array)


def read_pickle(path: Path) -> Any:
    """What torch.save wrote, tensors and plain data only; nothing in the file runs.

    Raises:
        ModelFileError: the file is damaged, or holds other objects.
    """
    try:
        # weights_only is always given: an environment variable overrules its default.
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelFileError(
            f"{path}: {_cause(error)}: only tensors and plain data are. Save the state_dict alone"
        ) from error
    # What the zip reader and torch's own checks raise on damaged bytes has no common class.
    except (
        RuntimeError,
        ValueError,
        TypeError,
        KeyError,
        EOFError,
        AttributeError,
        IndexError,
        OSError,
    ) as error:
        raise ModelFileError(f"{path}: damaged or not written by torch.save: {_first_line(error)}") from error


def run(module: torch.nn.Module, arguments: tuple[Any, ...]) -> Any:
    """The module's own answer, without gradients."""
    state = next(iter(module.state_dict(keep_vars=True).values()), None)
    if state is not None:
        arguments = tuple(argument.to(state.device) for argument in arguments)
    with torch.no_grad():
        return module(*arguments)


def namespace() -> Any:
    """The module that holds this engine's words."""
    import mcore.torch

    return mcore.torch


def _cause(error: Exception) -> str:
    """Torch's reason in one line, without its advice on how to run the file's code."""
    named = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f"it holds a {named[1]}, which is not read" if named else _first_line(error)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def is_dtype(value: Any) -> bool:
    """Whether `value` is an element type of this engine."""
    return isinstance(value, torch.dtype)


def buffers_kept(module: torch.nn.Module) -> Any:
    """A block after which the module's buffers are what they were before."""
    return _Kept(module)


class _Kept:
    def __init__(self, module: torch.nn.Module) -> None:
        self.buffers = list(module.buffers())

    def __enter__(self) -> None:
        self.before = [buffer.clone() for buffer in self.buffers]

    def __exit__(self, *exception: object) -> None:
        with torch.no_grad():
            for buffer, before in zip(self.buffers, self.before, strict=True):
                buffer.copy_(before)


def layer_arguments(module: torch.nn.Module) -> dict[str, Any] | None:
    """How a layer of torch.nn was made, told by its attributes; None where they don't tell it all.

    Torch's layers keep their arguments under the parameters' names. That this holds is not taken on trust: a layer
    made of them has to look the same and have the same state.
    """
    cls = type(module)
    if getattr(torch.nn, cls.__name__, None) is not cls:
        return None
    if cls in (torch.nn.Sequential, torch.nn.ModuleList):
        return {"args" if cls is torch.nn.Sequential else "modules": tuple(module.children())}
    found: dict[str, Any] = {}
    for name, parameter in inspect.signature(cls.__init__).parameters.items():
        if name in ("self", "device", "dtype") or name.startswith("_") or parameter.kind in (2, 4):
            continue
        if hasattr(module, name):
            value = getattr(module, name)
            found[name] = value is not None if name == "bias" and not isinstance(value, bool) else value
        elif name in _TOLD_BY_STATE:
            found[name] = getattr(module, _TOLD_BY_STATE[name], None) is not None
    try:
        with torch.device("meta"):
            twin = cls(**found)
    except (TypeError, ValueError, RuntimeError, AssertionError):
        return None
    shapes = [(n, t.shape) for n, t in module.state_dict().items()]
    alike = repr(twin) == repr(module) and shapes == [(n, t.shape) for n, t in twin.state_dict().items()]
    return found if alike else None


# Parameters of layers whose attribute is the weight that they decide on.
_TOLD_BY_STATE = {"bias": "in_proj_bias", "add_bias_kv": "bias_k"}


def module_of(source: Any) -> torch.nn.Module:
    """The module of an artifact. Raises NotImplementedError for other ONNX files."""
    import sys

    from mcore.exchange import imports, safety

    found = imports.of_artifact(source, sys.modules[__name__])
    if found is None:
        safety.read_model(source)  # a damaged or missing file is told as such
        raise NotImplementedError(
            "fromplatform: the torch engine reads the project's own artifacts (folders with a model.json); other "
            "ONNX files are read with MCORE_BACKEND=platform for now."
        )
    return found
