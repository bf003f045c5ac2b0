"""`load_model`: a model from a file, whatever its format, on either engine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mcore.checkpoint.errors import UnsafeFormat
from mcore.checkpoint.model_cache import cached
from mcore.checkpoint.places import existing, path_of
from mcore.checkpoint.sniff import sniff
from mcore.checkpoint.spec_files import model_of_spec
from mcore.checkpoint.states import read_program
from mcore.exchange import bridge
from mcore.exchange.errors import ModelFileError

SPEC, GRAPH, PROGRAM, ARTIFACT = "spec", "graph", "program", "artifact"
SUFFIXES = {".json": SPEC, ".onnx": GRAPH, ".jit": PROGRAM, ".ts": PROGRAM, ".pt2": PROGRAM}
# What is read, as messages tell it.
READ = (
    "a spec (.json), an ONNX file (.onnx), an artifact's folder, TorchScript (.jit), a torch.export program (.ts, .pt2)"
)
_WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")


def load_model(
    path: str | os.PathLike[str],
    device: Any = "cpu",
    use_cache: bool = False,
    input_shape: Sequence[int] | None = None,
    tensorrt_enabled: bool = False,
    tensorrt_cache_dir: str | os.PathLike[str] = ".",
    *,
    default_version: str | None = None,
    trust: bool = False,
) -> Any:
    """The model in a file, as a module of this engine on `device`, in the mode in which it was saved.

    - `.json`: a spec of the connectomics convnet, as `mcore.build(spec, namespace="convnet")` reads it; plain JSON, in
      which no key stands twice. Around it may stand a version: `{"default_version": "0.0.2", "spec": {...}}`.
      It comes with fresh weights, in training mode, unless the spec itself loads some.
    - `.onnx`, or the folder of an artifact: as `mcore.fromplatform`.
    - `.jit` (TorchScript), `.ts` and `.pt2` (torch.export), and files of other names that hold either: on the torch
      engine, with `trust=True`. The mode of a program of torch.export, and of what was traced, was fixed when it was
      written: `train()` and `eval()` change nothing.

    Args:
        path: a file, or an artifact's folder.
        device: "cpu", "cuda:0", ..., or a device of this engine.
        use_cache: keep the model and give the same object to whoever loads it again, so that what changes its weights
            changes them for all. The two used last are kept, by path, change time, device and the other arguments but
            `input_shape`. Files that a spec itself names aren't watched: call
            `mcore.checkpoint.clear_model_cache()` when they change.
        input_shape: the shape that TensorRT builds its engine for; without TensorRT nothing asks for it.
        tensorrt_enabled: run the ONNX file through ONNX Runtime's TensorRT provider, on the platform engine.
        tensorrt_cache_dir: where TensorRT keeps the engines that it built.
        default_version: of a `.json`: the version of what names none, unless the file says one.
        trust: load a file that can run code of its own. Only give it for files whose origin you know.

    Source: zetta_utils, convnet/utils.py.
    Differs: JSON is read without a `cue` program; a type whose versions differ needs one named, where the original took
        the oldest; programs need `trust=True`; the cache sees that a file changed, and isn't missed for another
        `input_shape`; TensorRT runs through ONNX Runtime.

    Raises:
        FileNotFoundError: nothing is there; the nearest names are.
        ValueError: the format isn't read, or TensorRT is asked for without what it needs.
        NotImplementedError: this engine cannot run it; what can is said.
        UnsafeFormat: it's a program, which can run code of its own, whatever its name says, and `trust` isn't given.
        ModelFileError: the file is damaged, unsafe or of another kind than its name says.
        RuntimeError: this engine has no such device, or no TensorRT; those that it has are listed.
    """
    file = path_of(path, "load_model")
    kind = checked_kind(file, trust)
    shape = _checked_tensorrt(file, kind, input_shape) if tensorrt_enabled else None
    existing(file, "load_model")
    if not file.is_file() and not file.is_dir():
        raise ModelFileError(f"load_model: {file} is not a regular file.")  # a pipe would wait for a writer
    where = bridge.this().device_of(device)
    folder = os.path.abspath(os.fspath(tensorrt_cache_dir)) if tensorrt_enabled else None

    def load() -> Any:
        if shape is not None and folder is not None:
            return bridge.this().read_tensorrt(file, where, shape, folder)
        return _load(file, kind, where, default_version)

    return cached(file, (where, default_version, trust, folder), load) if use_cache else load()


def checked_kind(file: Path, trust: bool) -> str:
    """What `file` is by its name: a key of the formats above.

    Raises:
        ValueError: nothing that is read.
        UnsafeFormat: a program, by its name or its content, without trust.
        NotImplementedError: a program, on an engine that can't run it.
    """
    if file.is_dir():
        return ARTIFACT
    kind = SUFFIXES.get(file.suffix.lower())
    if kind is None and file.is_file() and sniff(file).runs:
        kind = PROGRAM
    # An artifact's folder has no suffix; that there is none by this name is told later.
    if kind is None and file.suffix == "" and not file.exists():
        return ARTIFACT
    if kind is None:
        weights = file.suffix.lower() in _WEIGHTS
        advice = " It holds weights alone: make the network, and call load_weights_file(network, path)." * weights
        raise ValueError(f"load_model: Unsupported file format: {file}. Read are {READ}.{advice}")
    if kind == PROGRAM:
        bridge.this().check_runs_programs(file)
        if not trust:
            what = f"a {file.suffix} program" if file.suffix.lower() in SUFFIXES else sniff(file).kind
            raise UnsafeFormat(
                f"load_model: {file} is {what}, which can run code of its own. If you know where it "
                "is from, give trust=True; otherwise have the model exported as ONNX, which is data."
            )
    return kind


def _checked_tensorrt(file: Path, kind: str, input_shape: Sequence[int] | None) -> tuple[int, ...]:
    if kind != GRAPH:
        raise ValueError(f"load_model: tensorrt_enabled=True requires an ONNX model, got {file}.")
    if input_shape is None:
        raise ValueError("load_model: tensorrt_enabled=True requires input_shape, such as (1, 1, 32, 128, 128).")
    shape = tuple(input_shape)
    if not shape or not all(isinstance(size, int) and size > 0 for size in shape):
        raise ValueError(f"load_model: input_shape is a list of positive whole numbers, got {input_shape!r}.")
    return shape


def _load(file: Path, kind: str, where: str, default_version: str | None) -> Any:
    if kind == PROGRAM:
        named = file.suffix.lower() in SUFFIXES
        return bridge.this().read_program(file, where) if named else read_program(file, where)
    if kind == SPEC:
        return model_of_spec(file, default_version).to(where)
    # Not at the top: it needs onnx, which the torch engine does without until an ONNX file comes.
    from mcore.exchange.imports import fromplatform

    return fromplatform(file).to(where)


__all__ = ["checked_kind", "load_model"]
