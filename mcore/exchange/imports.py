"""From files back to modules: artifacts as their own class, any ONNX file as a Module, weights by name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from mcore.exchange import bridge, description, files, safety
from mcore.exchange.arguments import Reader
from mcore.exchange.artifact import DATA, MODEL, STATE
from mcore.exchange.errors import ModelFileError


def fromplatform(source: Any) -> Any:
    """A module of this engine from an ONNX file, an artifact's folder, bytes or a ModelProto.

    The project's own artifacts come back as their class, with their weights. Any other graph comes back as an
    `OnnxModule`: on the platform engine the runtime runs it as it is; on the torch engine its nodes are torch's
    functions, its float initializers parameters, and it trains. It has the same `state_dict` on both, and comes in
    eval mode on torch.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: the file is damaged, foreign or unsafe.
        NotImplementedError: nodes that the runtime, or torch, doesn't know; on torch all of them are listed.
    """
    return bridge.this().module_of(source)


def of_artifact(source: Any, engine: ModuleType) -> Any | None:
    """The module of an artifact, as its own class; None where `source` is none."""
    if not isinstance(source, str | os.PathLike):
        return None
    path = Path(source)
    folder = path if path.is_dir() else path.parent if path.name == MODEL else None
    if folder is None or not description.stands_in(folder):
        return None
    said = description.read(folder)
    if said["class"] in _GRAPHS:  # a graph stands for itself
        return None
    reader = Reader(engine, str(folder / description.FILE))
    return _rebuilt(reader.module_class(said["class"]), said, reader, folder)


# The classes of either engine that are made of a graph.
_GRAPHS = ("mcore.exchange.onnx_module:OnnxModule", "mcore.exchange.onnx_torch:OnnxModule")


def rebuild(cls: type, path: str | os.PathLike[str]) -> Any:
    """The module of the artifact at `path`: of class `cls`, or of a subclass of it, with the same weights.

    Raises:
        FileNotFoundError: there is no artifact.
        TypeError: it's of another class; or how it was made wasn't written.
        ModelFileError: a file is damaged, or its weights don't fit.
    """
    folder = _folder(path)
    said = description.read(folder)
    reader = Reader(_engine_of(cls), str(folder / description.FILE))
    return _rebuilt(_class_of(cls, said["class"], reader), said, reader, folder)


def _rebuilt(cls: Any, said: Mapping[str, Any], reader: Reader, folder: Path) -> Any:
    if said["arguments"] is None:
        raise TypeError(
            f"{folder}: how its {said['class']} was made is not written (description=False, or a module that mcore "
            "did not see being made). Make one yourself and take the weights: net.load_platform(path)."
        )
    try:
        module = reader.make(cls, said["arguments"])
    except ModelFileError:
        raise
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"{folder}: {cls.__name__} cannot be made of its arguments: {error}") from error
    load_platform(module, folder)
    return module.train(bool(said.get("training", False)))


def _class_of(cls: type, path: str, reader: Reader) -> type:
    """The class to make: `cls`, or a subclass that this process knows. Nothing is imported that it isn't."""
    name = path.partition(":")[2]
    for known in [cls, *_subclasses(cls)]:
        if f"{known.__module__}:{known.__qualname__}" == path:
            return known
    if cls.__qualname__ == name and ":" in path:
        return cls  # the same source under another module's name: __main__, or a test's copy
    found = reader.module_class(path)
    if not issubclass(found, cls):
        raise TypeError(f"{reader.source} describes a {path}, which is no {cls.__name__}.")
    return found


def _subclasses(cls: type) -> Iterator[type]:
    below: type
    for below in cls.__subclasses__():
        yield below
        yield from _subclasses(below)


def _engine_of(cls: type) -> ModuleType:
    for engine in bridge.loaded():
        if issubclass(cls, engine.namespace().Module):
            return engine
    raise TypeError(f"{cls.__name__} is no class of modules.")


# --- weights


def load_platform(net: Any, path: str | os.PathLike[str], part: str | None = None) -> Any:
    """Takes the weights of the artifact at `path`, by name; with `part="backbone"`, those of that part alone.

    Returns:
        what `load_state_dict` does: the names that were missing and unexpected (none).

    Raises:
        RuntimeError: names or shapes don't fit; all are listed, and nothing was changed.
        KeyError: the artifact or the module has no such part.
    """
    state = read_state(path)
    own = {name: value for name, value in net.state_dict().items() if bridge.is_tensor(value)}
    if part is not None:
        prefix = part.rstrip(".") + "."
        for names, what in ((state, str(path)), (own, type(net).__name__)):
            if not any(name.startswith(prefix) for name in names):
                parts = sorted({name.partition(".")[0] for name in names})
                raise KeyError(f"load_platform: {what} has no part {part!r}; it has {', '.join(parts)}.")
        state = {name: array for name, array in state.items() if name.startswith(prefix)}
        own = {name: value for name, value in own.items() if name.startswith(prefix)}
    _check_fit(net, own, state, str(path))
    engine = bridge.of_module(net)
    tensors = {name: engine.tensor_of(array) for name, array in state.items()}
    # Not strict: what is outside the part, and no tensor, isn't given. That the rest fits was checked.
    result = net.load_state_dict(tensors, strict=False)
    return type(result)([], [])


def _check_fit(net: Any, own: Mapping[str, Any], state: Mapping[str, np.ndarray], path: str) -> None:
    """Raises RuntimeError with everything that doesn't fit, in torch's words."""
    wrong = []
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    if unexpected:
        wrong.append("Unexpected key(s) in state_dict: " + ", ".join(f'"{name}"' for name in unexpected) + ".")
    if missing:
        wrong.append("Missing key(s) in state_dict: " + ", ".join(f'"{name}"' for name in missing) + ".")
    wrong += [
        f"size mismatch for {name}: copying a param with shape {list(state[name].shape)} from {path}, "
        f"the shape in current model is {list(map(int, value.shape))}."
        for name, value in own.items()
        if name in state and tuple(map(int, value.shape)) != state[name].shape
    ]
    if wrong:
        raise RuntimeError(f"Error(s) in loading {path} into {type(net).__name__}:\n\t" + "\n\t".join(wrong))


def read_state(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The state of an artifact as arrays by name, in the module's order; of a bare ONNX file, its initializers.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: a file is damaged, or not the one that was written.
    """
    if not Path(path).is_dir():
        loaded = safety.read_model(path)
        return {**loaded.arrays, **_others(loaded)}
    folder = Path(path)
    said = description.read(folder)
    description.check_files(folder, said, [MODEL, DATA, STATE])
    loaded = safety.read_model(folder / MODEL)
    held = {**loaded.arrays, **_others(loaded), **files.load_arrays(folder / STATE)}
    lost = [name for name in said["state"] if name not in held]
    if lost:
        raise ModelFileError(f"{folder}: {len(lost)} entries of its state are missing, such as {lost[0]!r:.80}.")
    return {name: held[name] for name in said["state"]}


def _others(loaded: safety.Loaded) -> dict[str, np.ndarray]:
    """Initializers that aren't floats."""
    import onnx

    return {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in loaded.model.graph.initializer
        if tensor.data_type != onnx.TensorProto.STRING
    }


def _folder(path: str | os.PathLike[str]) -> Path:
    folder = Path(path)
    return folder.parent if folder.name == MODEL else folder


__all__ = ["fromplatform", "load_platform", "read_state", "rebuild"]
