"""`save_model` and `load_weights_file`: the weights of a network to a file, and from one into it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mcore.checkpoint.places import existing, path_of
from mcore.checkpoint.sniff import check_weights
from mcore.checkpoint.states import read_as_arrays, state_of
from mcore.exchange import bridge, files
from mcore.vocabulary import nearest

WRAPPER = "state_dict"
# Names that users of torch give; under them torch's own format is expected.
PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl")
# Names of whole models, which weights alone are not.
MODELS = (".onnx", ".json", ".jit", ".ts")


def save_model(model: Any, path: str | os.PathLike[str]) -> None:
    """Writes the state of `model` to `path`: whole, or not at all.

    As safetensors, which hold arrays and nothing that could run; under a name of torch's (.pt, .pth, .ckpt, .bin,
    .pkl) as torch.save writes it, on the torch engine. `load_weights_file` reads either, on both engines.

    Args:
        model: a module of either engine.
        path: the file; what is there is replaced.

    Source: zetta_utils, convnet/utils.py.
    Differs: safetensors unless the name asks for torch's format; an interrupted write leaves the old file.

    Raises:
        ValueError: the name is that of a whole model (.onnx, .json, .jit, .ts).
        TypeError: `model` is no module, or its state holds something else than tensors.
        NotImplementedError: a name of torch's, on the platform engine.
        StorageError: the file cannot be written; what was there is unchanged.
    """
    engine, file = bridge.of_module(model), path_of(path, "save_model")
    if file.suffix.lower() in MODELS:
        raise ValueError(
            f"save_model: {file} is named as a whole model, but weights alone are written: name it .safetensors, or "
            "write the model by its toplatform."
        )
    if file.suffix.lower() not in PICKLES:
        files.save(model.state_dict(), file)
        return
    engine.write_pickle(model.state_dict(), file)


def load_weights_file(
    model: Any,
    ckpt_path: str | os.PathLike[str] | None = None,
    component_names: Sequence[str] | str | None = None,
    remove_component_prefix: bool = True,
    strict: bool = True,
    *,
    remap_keys: Mapping[str, str] | None = None,
) -> Any:
    """Loads a file of weights into `model`: all that is asked for, or nothing.

    The file is what `save_model` wrote, safetensors, a bare state by torch.save, a checkpoint that holds one under
    "state_dict", an .npz, or an ONNX file, whose initializers are taken; what it is, its content decides. Tensors and
    plain data are read, nothing in it runs.

    Args:
        model: a module of either engine.
        ckpt_path: the file; with None, `model` stays as it is.
        component_names: take only the entries below these names: "encoder" takes `encoder.conv.weight`. Where two of
            them hold an entry of one name, the later one's is taken, with a warning.
        remove_component_prefix: `encoder.conv.weight` becomes `conv.weight`.
        strict: every entry of the file has its place in `model`, and the other way round.
        remap_keys: other names for entries, or for all below a name: `{"enc": "encoder", "head.out": "head.conv"}`;
            "" as a new name takes the old one away, "" as an old one goes before all. It holds for what the components
            gave; the longest name that fits counts.

    Returns:
        `model`.

    Source: zetta_utils, convnet/utils.py.
    Differs: bare states and safetensors are read; `remap_keys`; a file or component that has nothing for `model` is an
        error also where `strict` is false; nothing is half loaded.

    Raises:
        FileNotFoundError: no such file; the nearest names are told.
        TypeError: `model` is no module, or `component_names` or `remap_keys` are something else than names.
        UnsafeFormat: it is a program (TorchScript, torch.export) or another pickle, whatever its name says.
        ModelFileError: the file is damaged, holds other objects, or is no file of weights, such as a web page.
        ValueError: nothing in the file is meant for `model`, or two entries get one name.
        RuntimeError: names (where `strict`) or shapes don't fit, in torch's words; nothing was changed.
    """
    engine = bridge.of_module(model)
    if ckpt_path is None:
        return model
    file = existing(path_of(ckpt_path, "load_weights_file"), "load_weights_file")
    arrays = read_as_arrays(file, check_weights(file, "load_weights_file").kind)
    state = _state_of(state_of(file) if arrays else files.load(file), file)
    _check_asked(component_names, remap_keys)
    if component_names is not None:
        names = [component_names] if isinstance(component_names, str) else list(component_names)
        state = _of_components(state, names, remove_component_prefix, file)
    if remap_keys:
        state = _remapped(state, remap_keys, file)
    _check_meant(model, state, file)
    if arrays or engine is not bridge.this():  # the latter: a module of the other engine, loaded beside it
        state = {name: engine.tensor_of(bridge.array_of(value)) for name, value in state.items()}
    engine.load_state(model, state, strict)
    return model


def _check_asked(component_names: Any, remap_keys: Any) -> None:
    names = [component_names] if isinstance(component_names, str) else component_names or []
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"load_weights_file: component_names is a list of names, got {component_names!r}.")
    rules = remap_keys or {}
    if not isinstance(rules, Mapping) or not all(isinstance(name, str) for rule in rules.items() for name in rule):
        raise TypeError(f"load_weights_file: remap_keys is a mapping of old names to new ones, got {remap_keys!r}.")


def _state_of(content: Any, file: Path) -> Mapping[str, Any]:
    """The state in what a file holds: under "state_dict", or the content itself."""
    if isinstance(content, Mapping) and isinstance(content.get(WRAPPER), Mapping):
        content = content[WRAPPER]
    if not isinstance(content, Mapping):
        raise ValueError(f"load_weights_file: {file} holds a {type(content).__name__}, no state by names.")
    other = [name for name, value in content.items() if not _is_entry(name, value)]
    if other:
        raise ValueError(
            f"load_weights_file: {file} holds no state, neither itself nor under {WRAPPER!r}: {other[0]!r} is a "
            f"{type(content[other[0]]).__name__}. Its keys are {_some(content)}."
        )
    return content


def _is_entry(name: Any, value: Any) -> bool:
    # Torch's modules may keep data that is no tensor under this name.
    return isinstance(name, str) and (bridge.is_tensor(value) or name.endswith("_extra_state"))


def _of_components(state: Mapping[str, Any], names: Sequence[str], strip: bool, file: Path) -> dict[str, Any]:
    taken: dict[str, Any] = {}
    there = sorted({key.partition(".")[0] for key in state})
    for name in names:
        prefix = f"{name}."
        below = {
            key.removeprefix(prefix) if strip else key: value for key, value in state.items() if key.startswith(prefix)
        }
        twice = [key for key in below if key in taken]
        if twice:
            _warn(f"{file}: {len(twice)} entries of {name!r}, such as {twice[0]}, replace those of a component before")
        if not below:
            likely = nearest(name, there, most=1)
            _warn(f"{file} has nothing below {name!r}" + (f" (did you mean {likely[0]!r}?)" if likely else ""))
        taken |= below
    if not taken:
        raise ValueError(
            f"load_weights_file: {file} has nothing below component_names {list(names)}; it has {_some(there)}."
        )
    return taken


def _warn(text: str) -> None:
    # Told at the line that called load_weights_file.
    warnings.warn(f"load_weights_file: {text}.", stacklevel=4)


def _remapped(state: Mapping[str, Any], rules: Mapping[str, str], file: Path) -> dict[str, Any]:
    ordered = sorted(((old.rstrip("."), new.rstrip(".")) for old, new in rules.items()), key=lambda rule: -len(rule[0]))
    used: set[str] = set()
    first: dict[str, str] = {}
    for key in state:
        new = _renamed(key, ordered, used)
        if not new:
            raise ValueError(f"load_weights_file: remap_keys leaves nothing of the name {key!r}.")
        if first.setdefault(new, key) != key:
            raise ValueError(f"load_weights_file: {first[new]!r} and {key!r} of {file} both become {new!r}.")
    idle = [old for old, _ in ordered if old not in used]
    if idle:
        raise ValueError(f"load_weights_file: remap_keys names {idle[0]!r}, but {file} gives {_some(state)}.")
    return {new: state[key] for new, key in first.items()}


def _renamed(key: str, rules: Sequence[tuple[str, str]], used: set[str]) -> str:
    for old, new in rules:
        if key == old:
            used.add(old)
            return new
        if not old or key.startswith(f"{old}."):
            used.add(old)
            rest = key.removeprefix(f"{old}.") if old else key
            return f"{new}.{rest}" if new else rest
    return key


def _check_meant(model: Any, state: Mapping[str, Any], file: Path) -> None:
    """Refuses a state none of whose names the model has: without `strict` it would load nothing, without a word."""
    own = model.state_dict()
    if own and not any(name in own for name in state):
        raise ValueError(
            f"load_weights_file: none of the {len(state)} entries of {file} is one of {type(model).__name__}: the file "
            f"has {_some(state)}, the model {_some(own)}. Name what is wanted by component_names or remap_keys."
        )


def _some(names: Any, most: int = 5) -> str:
    listed = list(map(str, names))
    return ", ".join(listed[:most]) + (f", ... ({len(listed)} in all)" if len(listed) > most else "")


__all__ = ["load_weights_file", "save_model"]
