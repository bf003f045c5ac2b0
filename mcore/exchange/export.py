"""From a module of either engine to an ONNX model: `to_onnx`, and `toplatform`'s first half.

The module is recorded once with open axes, again at other sizes to see which axes may stay open, and written
with names from its own attribute paths.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import onnx

from mcore.exchange import bridge
from mcore.exchange.axes import Arrays, Record, Search, axis_names, candidates
from mcore.exchange.fold import fold_norms
from mcore.exchange.naming import Names
from mcore.exchange.recorded import Recorded, record_platform
from mcore.exchange.report import Report
from mcore.platform import proto, session
from mcore.platform.errors import located

# Operator sets that can be asked for: from where words' lowerings can be written down to the newest that the
# runtime reads.
OPSETS = range(18, 27)


@dataclasses.dataclass
class Exported:
    """A model with its report, and the names of its inputs and outputs."""

    model: onnx.ModelProto
    report: Report
    input_names: list[str]
    output_names: list[str]


def to_onnx(
    net: Any,
    inputs: Any,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    *,
    dynamic: Any = "auto",
    strict: bool = False,
    fold: bool = False,
    opset: int | None = None,
) -> onnx.ModelProto:
    """The ONNX model of a module, without files.

    Args:
        net: a module of either engine; on the torch engine also one that nobody here wrote.
        inputs: a tensor, or a tuple of tensors, as `net` takes them.
        input_names: names of the inputs in the file; by default those of forward's parameters, or, where it takes
            any number, those in `net.inputs`.
        output_names: names of the outputs; by default the keys or numbers of forward's result, with a number behind
            where an input or a weight is called so.
        dynamic: "auto" opens the batch and the spatial axes where the network allows; a mapping of input name or
            number to axes (a list, or axis -> name) opens exactly those; None or {} opens none.
        strict: never fall back to torch's own exporter.
        fold: norms that follow a convolution or a linear map are folded into its weights.
        opset: operator set of the file, 18 to 26; 21 by default.

    Raises:
        RuntimeError: forward reads a value, draws random numbers, or cannot take these inputs.
        NotImplementedError: a function has no ONNX counterpart, and `strict` forbids torch's exporter or that
            failed too.
    """
    return export(
        net, inputs, input_names=input_names, output_names=output_names, dynamic=dynamic, strict=strict, fold=fold,
        opset=opset,
    ).model  # fmt: skip


def toplatform(module: Any, path: str | os.PathLike[str], **options: Any) -> Any:
    """Exports a module to a folder; see `mcore.exchange.artifact.toplatform`."""
    from mcore.exchange import artifact

    return artifact.toplatform(module, path, **options)


def export(
    net: Any,
    inputs: Any,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic: Any = "auto",
    strict: bool = False,
    fold: bool = False,
    opset: int | None = None,
    others: Sequence[Any] = (),
) -> Exported:
    """As `to_onnx`, with the report. `others`: inputs of further sizes that the graph must hold too."""
    if opset is not None and opset not in OPSETS:
        raise ValueError(f"to_onnx: opset={opset} is not supported; choose {OPSETS[0]} to {OPSETS[-1]}.")
    arrays = arrays_of(inputs)
    further = [arrays_of(other) for other in others]
    names = _input_names(net, len(arrays), input_names)
    if both := [name for name in output_names or () if name in names]:
        raise ValueError(f"output_names: {', '.join(both)} can't name outputs, since inputs are called so.")
    try:
        exported = _recorded_export(net, arrays, further, names, output_names, dynamic, opset or proto.OPSET)
    except NotImplementedError as error:
        if strict or not _is_torch(net):
            raise
        from mcore.exchange.fallback import torch_export

        exported = torch_export(net, inputs, names, output_names, dynamic, opset or proto.OPSET, str(error))
    if fold:
        fold_norms(exported.model)
    if opset not in (None, _opset_of(exported.model)):
        exported.model = onnx.version_converter.convert_version(exported.model, opset)
    exported.report.nodes = len(exported.model.graph.node)
    return exported


def arrays_of(inputs: Any) -> Arrays:
    """Inputs as arrays. Raises TypeError for what is no tensor."""
    if bridge.is_tensor(inputs):
        return [bridge.array_of(inputs)]
    if not isinstance(inputs, tuple | list):
        raise TypeError(f"inputs: expected a tensor or a tuple of tensors, got {type(inputs).__name__}.")
    return [bridge.array_of(item) for item in inputs]


def _opset_of(model: onnx.ModelProto) -> int:
    return next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def _is_torch(net: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(net, torch.nn.Module)


def _recorder_for(net: Any) -> tuple[Record, dict[int, str]]:
    """A function that records `net`, and the names of its parameters and buffers by identity."""
    named = [*net.named_parameters(), *net.named_buffers()]
    if not _is_torch(net):
        return (lambda arrays, axes: record_platform(net, arrays, axes)), {t._uid: name for name, t in named}
    from mcore.exchange.recording import record, states_of

    states = states_of(net)
    return (lambda arrays, axes: record(net, arrays, axes, states)), {states[id(t)]._uid: name for name, t in named}


def _recorded_export(
    net: Any, arrays: Arrays, further: list[Arrays], names: list[str], output_names: Any, dynamic: Any, opset: int
) -> Exported:
    record, state_names = _recorder_for(net)
    if isinstance(dynamic, str):
        if dynamic != "auto":
            raise ValueError(f"dynamic={dynamic!r}: expected 'auto', a mapping of inputs to axes, or None.")
        found = Search(record, names, arrays, further).run(candidates(arrays, further))
        recorded, labels, report = found.recorded, found.open, Report(fixed=found.fixed, notes=found.notes)
    elif isinstance(dynamic, Mapping | None) or dynamic is False:
        labels = _asked_axes(dynamic or {}, names, arrays)
        recorded, report = record(arrays, labels), Report()
        why = Search(record, names, arrays, further).doubt(recorded, labels)
        report.notes += [f"open axes were asked for, yet no other size gives the same graph: {why}"] if why else []
    else:
        raise ValueError(
            f"dynamic={dynamic!r}: expected 'auto', a mapping of inputs to axes such as {{{names[0]!r}: [0]}}, or None."
        )
    report.guards = guards_of(recorded)
    report.notes += _notes_on_mode(net, record, arrays, labels, recorded)
    states = {state_names.get(tensor._uid, "") for tensor in recorded.recorder.states.values()}
    outputs = _output_names(recorded.names, output_names, {*names, *states})
    if output_names is None:
        numbered = [(was, name) for was, name in zip(recorded.names, outputs, strict=True) if was != name]
        report.notes += [f"output {was!r} is called {name!r}: the file has another {was!r}" for was, name in numbered]
    model = write(recorded, names, outputs, state_names, opset)
    report.axes = {name: axes for name, axes in zip(names, labels, strict=True) if axes}
    report.axes |= {info.name: axes for info in model.graph.output if (axes := _open_axes(info))}
    return Exported(model, report, names, outputs)


def _notes_on_mode(
    net: Any, record: Record, arrays: Arrays, labels: list[dict[int, str]], recorded: Recorded
) -> list[str]:
    """Says that parts were left in train mode, where the graph is then not what inference runs."""
    trained = [(name, module) for name, module in net.named_modules() if module.training]
    if not trained:
        return []
    try:
        for _, module in trained:
            module.training = False
        if record(arrays, labels).structure() == recorded.structure():
            return []
    finally:
        for _, module in trained:
            module.training = True
    norms = [name or type(m).__name__ for name, m in trained if getattr(m, "running_mean", None) is not None]
    more = f" and {len(norms) - 3} more" if len(norms) > 3 else ""
    why = f" ({', '.join(norms[:3])}{more}: each batch is normalised by its own statistics)" if norms else ""
    return [f"exported in train mode, where the network computes something else{why}; call eval() first for inference"]


def _open_axes(info: onnx.ValueInfoProto) -> dict[int, str]:
    return {axis: d.dim_param for axis, d in enumerate(info.type.tensor_type.shape.dim) if d.dim_param}


def guards_of(recorded: Recorded) -> list[str]:
    """Comparisons of symbolic sizes, each once, with the line that made it."""
    texts = [located(condition, place, recorded.recorder) for condition, place in recorded.recorder.guards]
    return list(dict.fromkeys(texts))


def write(
    recorded: Recorded, names: Sequence[str], outputs: Sequence[str], state_names: dict[int, str], opset: int
) -> onnx.ModelProto:
    """The model of a recording, weights included, under readable names."""
    recorder = recorded.recorder
    model = proto.new_model(opset=proto.OPSET)
    naming = Names(recorded, names, outputs, state_names)
    writer = proto.Writer(
        recorder, graph=model.graph, name_of=naming.value, node_name=naming.node, merge=True, detour=session.lacking
    )
    for value, name in zip(recorded.inputs, names, strict=True):
        proto.declare(model.graph.input.add(), name, recorder.types[value], recorder.shapes[value])
    writer.write(recorded.outputs, outputs)
    used = set(proto.used_nodes(recorder, recorded.outputs))
    for value, array in proto.initializers(recorder, used):
        proto.fill_tensor(model.graph.initializer.add(), naming.value(value), array, recorder.types[value])
    extra = [v for v in recorder.feeds if v not in recorded.inputs and recorder.producer[v] in used]
    for value in extra:  # tensors that forward took from outside: their content is part of the graph
        proto.fill_tensor(
            model.graph.initializer.add(), naming.value(value), recorder.feeds[value], recorder.types[value]
        )
    model.graph.name = type(recorder.root).__name__
    return model


def _input_names(net: Any, count: int, given: Sequence[str] | None) -> list[str]:
    """The given names, or those of forward's parameters; a module that takes any number names them in `inputs`."""
    if given is not None:
        if len(given) != count or len(set(given)) != count:
            raise ValueError(f"input_names: {count} different names are needed, got {list(given)}.")
        return list(given)
    out: list[str] = []
    for parameter in inspect.signature(net.forward).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            out += getattr(net, "inputs", ())
            break
        out.append(parameter.name)
    out = out[:count]
    return out + [f"input_{k}" for k in range(len(out), count)]


def _output_names(found: Sequence[str], given: Sequence[str] | None, taken: set[str]) -> list[str]:
    """The given names, or those found, with numbers where an input, a weight or another output is called so."""
    if given is None:
        names: list[str] = []
        for name in found:
            free, number = name, 0
            # A number must not make the name of a later output.
            while free in taken or free in names or (number and free in found):
                number += 1
                free = f"{name}_{number}"
            names.append(free)
        return names
    if len(given) != len(found) or len(set(given)) != len(found):
        raise ValueError(f"output_names: {len(found)} different names are needed, got {list(given)}.")
    return list(given)


def _asked_axes(dynamic: Any, names: list[str], arrays: Arrays) -> list[dict[int, str]]:
    """The axes that a mapping asks for. Raises ValueError for inputs or axes that are not there."""
    tried: list[list[int]] = [[] for _ in arrays]
    labels: list[dict[int, str]] = [{} for _ in arrays]
    for key, axes in dynamic.items():
        index = key if isinstance(key, int) else names.index(key) if key in names else None
        if index is None or not 0 <= index < len(arrays):
            raise ValueError(f"dynamic: there is no input {key!r}; the inputs are {', '.join(names)}.")
        rank = arrays[index].ndim
        for axis in axes:
            if not -rank <= axis < rank:
                raise ValueError(f"dynamic: input {names[index]} has {rank} axes, there is no axis {axis}.")
            tried[index].append(axis % rank)
            if isinstance(axes, dict):
                labels[index][axis % rank] = axes[axis]
    defaults = axis_names(names, arrays, tried)
    return [{**default, **own} for own, default in zip(labels, defaults, strict=True)]


__all__ = ["Exported", "export", "to_onnx", "toplatform"]
