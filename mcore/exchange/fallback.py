"""The way out for torch functions that have no word: torch's own exporter, named in the report."""

from __future__ import annotations

import importlib.util
import io
import re
from typing import Any

import onnx
import torch

from mcore.exchange.axes import Arrays, axis_names, candidates
from mcore.exchange.report import Report


def torch_export(
    net: torch.nn.Module, inputs: Any, names: list[str], output_names: Any, dynamic: Any, opset: int, reason: str
) -> Any:
    """A model written by torch's exporter. Raises NotImplementedError with both reasons where that fails too."""
    from mcore.exchange.export import Exported, arrays_of

    given = inputs if isinstance(inputs, tuple | list) else (inputs,)
    tensors = tuple(t if isinstance(t, torch.Tensor) else torch.from_numpy(t) for t in given)
    arrays: Arrays = arrays_of(list(tensors))
    labels = axis_names(names, arrays, candidates(arrays, [])) if dynamic == "auto" else [{} for _ in names]
    try:
        model = _written(net, tensors, names, output_names, dict(zip(names, labels, strict=True)), opset)
    except Exception as error:
        raise NotImplementedError(
            f"{reason} torch's own exporter failed as well: {type(error).__name__}: {_first_line(error)}"
        ) from error
    report = Report(fallback=reason)
    report.axes = {
        info.name: {a: d.dim_param for a, d in enumerate(info.type.tensor_type.shape.dim) if d.dim_param}
        for info in [*model.graph.input, *model.graph.output]
    }
    report.notes.append("names and open axes are those of torch's exporter")
    return Exported(model, report, [i.name for i in model.graph.input], [o.name for o in model.graph.output])


def _first_line(error: Exception) -> str:
    """The first line of an error that says something, without the colours of a terminal."""
    lines = re.sub(r"\x1b\[[0-9;]*m|\[[0-9;]+m", "", str(error)).splitlines()
    return next((line.strip() for line in lines if line.strip()), "no text")


def _written(
    net: torch.nn.Module,
    tensors: tuple,
    names: list[str],
    output_names: Any,
    axes: dict[str, dict[int, str]],
    opset: int,
) -> onnx.ModelProto:
    """By torch.export where its exporter is installed, else by tracing."""
    if importlib.util.find_spec("onnxscript") is not None:
        shapes = tuple(dict.fromkeys(axes[name], torch.export.Dim.AUTO) for name in names)
        program = torch.onnx.export(
            net, tensors, dynamo=True, input_names=names, output_names=output_names, dynamic_shapes=shapes,
            opset_version=opset, verbose=False,
        )  # fmt: skip
        assert program is not None
        return program.model_proto
    buffer: Any = io.BytesIO()  # torch's stub knows paths only
    torch.onnx.export(
        net, tensors, buffer, dynamo=False, input_names=names, output_names=output_names, dynamic_axes=axes,
        opset_version=min(opset, 20),
    )  # fmt: skip
    return onnx.load_from_string(buffer.getvalue())
