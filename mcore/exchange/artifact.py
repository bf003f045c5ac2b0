"""Artifacts: a folder with the graph, the state, a description, and data to test them with.

model.onnx              initializers under their state_dict names
model.onnx.data         weights, where they are more than 1 GB
state.safetensors       state entries that the graph doesn't hold unchanged under their own name
model.json              class, arguments, inputs, outputs, axes, versions, hashes, report
test_data_set_<n>/      input_<k>.pb and output_<k>.pb, as ONNX's own tools run them
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx

from mcore.exchange import bridge, compare, files
from mcore.exchange import description as description_
from mcore.exchange.atomic import atomic_folder
from mcore.exchange.ortrun import Runner
from mcore.exchange.report import Report
from mcore.exchange.samples import Sample, further_samples, given_samples

MODEL, DATA, STATE = "model.onnx", "model.onnx.data", "state.safetensors"
# Weights of more bytes stand beside the graph: protobuf ends at 2 GB.
EXTERNAL_FROM = 1 << 30
_ALIGNMENT = 4096
# Data sets of an artifact, at least.
SETS = 3


@dataclass
class Artifact:
    """What `toplatform` wrote.

    Attributes:
        path: the folder.
        model: the graph, weights included.
        description: what `model.json` says.
        samples: the data sets: inputs and outputs as arrays.
        report: what the export found out; print it.
    """

    path: Path
    model: onnx.ModelProto
    description: dict[str, Any]
    samples: list[Sample]
    report: Report

    def __repr__(self) -> str:
        return f"Artifact({str(self.path)!r}, {self.report.nodes} nodes, {len(self.samples)} data sets)"


def toplatform(
    module: Any,
    path: str | os.PathLike[str],
    sizes: Sequence[Sequence[int]] | None = None,
    inputs: Sequence[Any] | None = None,
    *,
    overwrite: bool = False,
    description: bool = True,
    tolerance: float | None = None,
    **options: Any,
) -> Artifact:
    """Export a module to the folder `path`, and verify it with ONNX Runtime against the module's own output.

    Args:
        module: a module of either engine.
        path: where the folder shall stand; its parents are made.
        sizes: shapes of one float32 input, which is drawn at random. The first one records, all are verified; where
            fewer than three are given, others are made by varying the axes that are free.
        inputs: tensors, or tuples of tensors, instead of sizes: several inputs, or other dtypes.
        overwrite: replace an artifact that is there.
        description: False leaves the constructor's arguments out of `model.json`.
        tolerance: largest relative difference that passes; by default that of `compare.TOLERANCES`.
        options: those of `mcore.to_onnx`: input_names, output_names, dynamic, strict, fold, opset.

    Raises:
        FileExistsError: the folder is there, and `overwrite` is false.
        RuntimeError: the module is in train mode where that matters, or the graph doesn't give what it gives.
        TypeError: a constructor argument cannot be written; it's named.
        StorageError: the folder cannot be written; what was there is unchanged.
    """
    engine = bridge.of_module(module)
    notes = _training_notes(module)
    # Refused before minutes are spent on recording.
    with atomic_folder(path, overwrite=overwrite, replaceable=_is_artifact) as folder:
        samples = given_samples(sizes, inputs)
        for sample in samples:
            sample.outputs = run(module, engine, sample.inputs)
        exported = _export(module, engine, samples, options)
        exported.report.notes += notes
        samples += further_samples(samples, exported, lambda arrays: run(module, engine, arrays), SETS)
        state = _state(module, exported.report)
        _write(folder, exported.model, state, samples)
        verify(folder, samples, exported.report, exported.output_names, tolerance)
        said = description_.describe(
            module, engine, exported.model, exported.report, arguments=description, state=list(state)
        )
        description_.write(said, folder)
    real = Path(os.path.realpath(os.fspath(path)))
    return Artifact(real, exported.model, description_.read(real), samples, exported.report)


def run(module: Any, engine: ModuleType, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The module's own outputs, in the order in which a graph gives them; its buffers stay as they are."""
    from mcore.exchange.recorded import leaves_of

    with engine.buffers_kept(module):
        result = engine.run(module, tuple(engine.tensor_of(array.copy()) for array in arrays))
    tensors, _ = leaves_of(result, engine.TENSOR)
    return [np.array(bridge.array_of(tensor)) for tensor in tensors]


def verify(
    folder: Path, samples: Sequence[Sample], report: Report, names: Sequence[str], tolerance: float | None
) -> None:
    """Runs the graph that was written on every data set, and notes the largest relative difference of each.

    Raises:
        RuntimeError: an output differs; the size and the output are named.
    """
    runner = Runner(str(folder / MODEL))
    for sample in samples:
        sizes = ", ".join("x".join(map(str, array.shape)) or "scalar" for array in sample.inputs)
        try:
            got = runner(sample.inputs)
        except Exception as error:  # the runtime has no class of its own
            raise RuntimeError(f"toplatform: ONNX Runtime fails at size {sizes}: {error}") from error
        assert sample.outputs is not None
        if len(got) != len(sample.outputs):
            raise RuntimeError(
                f"toplatform: the graph gives {len(got)} outputs, the module {len(sample.outputs)} at size {sizes}."
            )
        for name, array, expected in zip(names, got, sample.outputs, strict=True):
            wrong = compare.unlike(name, array, expected, tolerance)
            if wrong:
                raise RuntimeError(
                    f"toplatform: at size {sizes} the graph is wrong: {wrong}. Nothing was written. "
                    f"Where forward treats that size otherwise, fix the axis (dynamic=...).{_hints(report)}"
                )
        shapes = tuple(tuple(array.shape) for array in sample.inputs)
        report.differences.append((shapes, compare.largest(got, sample.outputs)))


def _hints(report: Report) -> str:
    held = [*report.fixed, *report.guards]
    return f" The recording holds where: {'; '.join(text.rstrip('.') for text in held)}." if held else ""


def _export(module: Any, engine: ModuleType, samples: Sequence[Sample], options: Mapping[str, Any]) -> Any:
    from mcore.exchange.export import export

    tensors = [tuple(engine.tensor_of(array.copy()) for array in sample.inputs) for sample in samples]
    return export(module, tensors[0], others=tensors[1:], **options)


# Classes that compute something else in train mode, by the beginning of their name.
_TRAINS = (
    "Dropout",
    "AlphaDropout",
    "FeatureAlphaDropout",
    "BatchNorm",
    "SyncBatchNorm",
    "LazyBatchNorm",
    "RReLU",
)


def _training_notes(module: Any) -> list[str]:
    """What to say of modules in train mode. Raises RuntimeError where the graph would not be the one to serve."""
    if not any(part.training for part in module.modules()):
        return []
    matter = [
        f"{name or 'the module itself'} ({type(part).__name__})"
        for name, part in module.named_modules()
        if part.training and any(cls.__name__.startswith(_TRAINS) for cls in type(part).__mro__)
    ]
    if matter:
        some = ", ".join(matter[:3]) + (f" and {len(matter) - 3} more" if len(matter) > 3 else "")
        raise RuntimeError(
            f"toplatform: {type(module).__name__} is in train mode, in which {some} compute something else than "
            "when serving. Call .eval() first."
        )
    return ["exported in train mode; no layer known to depend on it was found (call .eval() to be sure)"]


def _state(module: Any, report: Report) -> dict[str, np.ndarray]:
    """All entries of the state as arrays; what is no tensor is noted."""
    state = {}
    for name, value in module.state_dict().items():
        if bridge.is_tensor(value):
            state[name] = bridge.array_of(value)
        else:
            report.notes.append(f"state entry {name} is no tensor ({type(value).__name__}) and is left out")
    return state


def _write(folder: Path, model: onnx.ModelProto, state: Mapping[str, np.ndarray], samples: Sequence[Sample]) -> None:
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    apart = {name: array for name, array in state.items() if not _holds(held.get(name), array)}
    files.write_arrays(apart, folder / STATE)
    write_model(model, folder)
    inputs = [info.name for info in model.graph.input]
    outputs = [info.name for info in model.graph.output]
    for number, sample in enumerate(samples):
        place = folder / f"test_data_set_{number}"
        place.mkdir()
        assert sample.outputs is not None
        for kind, names, arrays in (("input", inputs, sample.inputs), ("output", outputs, sample.outputs)):
            for k, (name, array) in enumerate(zip(names, arrays, strict=True)):
                (place / f"{kind}_{k}.pb").write_bytes(onnx.numpy_helper.from_array(array, name).SerializeToString())


def _holds(tensor: onnx.TensorProto | None, array: np.ndarray) -> bool:
    """Whether an initializer is this very array."""
    if tensor is None or tuple(tensor.dims) != array.shape:
        return False
    if tensor.data_type != onnx.helper.np_dtype_to_tensor_dtype(array.dtype):
        return False
    held = onnx.numpy_helper.to_array(tensor)
    # By bits: NaN equals itself, and 0.0 isn't -0.0.
    return held.tobytes() == array.tobytes()


def write_model(model: onnx.ModelProto, folder: Path) -> None:
    """Writes the graph; with weights of more than EXTERNAL_FROM bytes, these into a file beside it."""
    total = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    if total <= EXTERNAL_FROM:
        (folder / MODEL).write_bytes(model.SerializeToString())
        return
    bare = onnx.ModelProto()
    bare.ir_version, bare.producer_name = model.ir_version, model.producer_name
    bare.opset_import.extend(model.opset_import)
    bare.functions.extend(model.functions)
    bare.metadata_props.extend(model.metadata_props)
    for field, value in model.graph.ListFields():
        if field.name != "initializer":
            getattr(bare.graph, field.name).MergeFrom(value) if field.is_repeated else setattr(
                bare.graph, field.name, value
            )
    with open(folder / DATA, "xb") as data:
        for tensor in model.graph.initializer:
            _append(bare.graph.initializer.add(), tensor, data)
    (folder / MODEL).write_bytes(bare.SerializeToString())


def _append(entry: onnx.TensorProto, tensor: onnx.TensorProto, data: Any) -> None:
    """One initializer: small ones stay in the graph, the others go to the end of `data`."""
    content = tensor.raw_data
    if len(content) < 1024:
        entry.CopyFrom(tensor)
        return
    # At the start of a page, so that a runtime can map it.
    data.write(b"\0" * (-data.tell() % _ALIGNMENT))
    entry.name, entry.data_type = tensor.name, tensor.data_type
    entry.dims.extend(tensor.dims)
    entry.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", DATA), ("offset", data.tell()), ("length", len(content))):
        entry.external_data.add(key=key, value=str(value))
    data.write(content)


def _is_artifact(folder: Path) -> bool:
    """Whether a folder holds an artifact and nothing else, so that replacing it loses nothing."""
    known = {MODEL, DATA, STATE, description_.FILE}
    return (folder / MODEL).is_file() and all(
        entry.name in known or entry.name.startswith("test_data_set_") for entry in folder.iterdir()
    )
