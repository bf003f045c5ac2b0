"""What `mcore.exchange` needs of the torch engine: arrays in and out, files of torch, a module's plain call."""

from __future__ import annotations

import contextlib
import gc
import inspect
import pickle
import re
import types
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import torch

from mcore.exchange.atomic import atomic_file
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
        # An open file, since by a path torch goes by its name: one called .safetensors isn't read as a pickle.
        # weights_only is always given: an environment variable overrules its default.
        with open(path, "rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
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


def load_state(module: torch.nn.Module, state: Mapping[str, Any], strict: bool) -> None:
    """Loads a state as torch does, whole or not at all: torch copies entry by entry, and tells at the end."""
    held = dict(module.state_dict(keep_vars=True).items())
    before = {name: value.detach().clone() for name, value in held.items() if is_tensor(value)}
    try:
        module.load_state_dict(state, strict=strict)
    except BaseException:
        with torch.no_grad():
            for name, value in before.items():
                held[name].copy_(value)
        raise


def write_pickle(state: Mapping[str, Any], path: Path) -> None:
    """Writes a state as torch.save does: whole, or not at all."""
    with atomic_file(path) as file:
        torch.save(state, file)


def device_of(device: Any) -> str:
    """The device's full name ("cuda" is "cuda:0", or whichever is current). Raises RuntimeError where there is none."""
    try:
        where = torch.device(device)
        torch.empty(0, device=where)
    # Torch has no class for it: an assertion where it was built without, a RuntimeError of the driver otherwise.
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        usable = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        raise RuntimeError(
            f"device {str(device)!r} is not available: {_first_line(error)}; this torch has {', '.join(usable)}."
        ) from error
    if where.index is None and where.type == "cuda":
        return f"cuda:{torch.cuda.current_device()}"
    return str(where)


def best_device() -> str:
    """A GPU where there is one, else the CPU."""
    return device_of("cuda") if torch.cuda.is_available() else "cpu"


def private(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor that a network may write in place without the caller seeing it."""
    return tensor.detach().clone()


def inferring(device: str, precision: str | None) -> contextlib.AbstractContextManager[Any]:
    """A block that keeps nothing for gradients; in a lower precision only where one is named.

    Not torch's inference mode: what a network makes and keeps inside it (a mask, a table of positions) could take no
    part in training afterwards.
    """
    stack = contextlib.ExitStack()
    stack.enter_context(torch.no_grad())
    if precision is not None:
        stack.enter_context(torch.autocast(torch.device(device).type, dtype=getattr(torch, precision)))
    return stack


def free_memory(device: str) -> None:
    """Gives the memory of a GPU that torch holds but doesn't use back to others."""
    if torch.device(device).type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def check_runs_programs(path: Path) -> None:
    """Nothing to refuse: programs of torch run here."""


def read_program(path: Path, device: str) -> torch.nn.Module:
    """TorchScript (.jit), or a program of torch.export (.ts). It can run code of its own: only for trusted files.

    Raises:
        ModelFileError: the file is damaged or something else.
    """
    if not zipfile.is_zipfile(path):
        raise ModelFileError(f"{path}: no program of torch, which is a zip archive; damaged, truncated or foreign.")
    try:
        if path.suffix.lower() == ".jit":
            return torch.jit.load(str(path), map_location=device)
        with open(path, "rb") as file:
            program = torch.export.load(file)
    # The readers raise whatever damaged content makes them stumble over.
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, AssertionError, zipfile.BadZipFile) as error:
        kind = "TorchScript" if path.suffix.lower() == ".jit" else "a program of torch.export"
        raise ModelFileError(f"{path}: damaged, or not {kind}: {_first_line(error)}") from error
    return _of_program(program, device)


def _of_program(program: Any, device: str) -> torch.nn.Module:
    from torch.export.passes import move_to_device_pass

    module = move_to_device_pass(program, device).module()
    # Its mode was fixed when it was written, and torch's own train() and eval() raise: here they change nothing.
    module.train = types.MethodType(_as_it_is, module)  # type: ignore[method-assign]
    module.eval = types.MethodType(_as_it_is, module)  # type: ignore[method-assign]
    return module


def _as_it_is(self: torch.nn.Module, mode: bool = True) -> torch.nn.Module:
    return self


def read_tensorrt(path: Path, device: str, shape: tuple[int, ...], folder: str) -> Any:
    """Refused: TensorRT is reached through ONNX Runtime, which is the other engine's."""
    try:
        import onnxruntime

        found = f"this onnxruntime has {', '.join(onnxruntime.get_available_providers())}"
    except ImportError:
        found = "onnxruntime is not installed"
    raise NotImplementedError(
        f"load_model: {path}: TensorRT runs through ONNX Runtime: set MCORE_BACKEND=platform ({found})."
    )


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
    """The module of an artifact as its own class, of any other ONNX graph as an `OnnxModule`."""
    import sys

    from mcore.exchange import imports

    found = imports.of_artifact(source, sys.modules[__name__])
    if found is not None:
        return found
    from mcore.exchange.onnx_torch import OnnxModule

    return OnnxModule(source)
