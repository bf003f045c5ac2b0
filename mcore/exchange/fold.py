"""Folding norms into the convolutions and linear maps before them, for files that shall be small.

`norm(conv(x)) = conv'(x)` with weights scaled by `scale / sqrt(variance + eps)` per output channel and the bias
shifted; the folded weights get new names, since they are no longer the module's own.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

# Operators whose weight can take a scale per output channel, and the weight's axis of output channels.
OUTPUT_AXIS = {"Conv": 0, "ConvTranspose": 1, "Gemm": 0}


def fold_norms(model: onnx.ModelProto) -> int:
    """Folds every BatchNormalization that alone follows a convolution or Gemm with constant weights; how many."""
    graph = model.graph
    constants = {t.name: t for t in graph.initializer}
    users: dict[str, int] = {}
    for node in graph.node:
        for name in node.input:
            users[name] = users.get(name, 0) + 1
    for info in graph.output:
        users[info.name] = users.get(info.name, 0) + 1
    makers = {name: node for node in graph.node for name in node.output}
    folded = []
    for norm in graph.node:
        before = makers.get(norm.input[0]) if norm.op_type == "BatchNormalization" else None
        if before is None or users[norm.input[0]] != 1 or not _fits(before, norm, constants):
            continue
        _fold(graph, before, norm, constants)
        folded.append(norm)
        makers[norm.output[0]] = before
    for norm in folded:
        graph.node.remove(norm)
    _drop_unused(graph)
    return len(folded)


def _attribute(node: onnx.NodeProto, name: str, default: float) -> float:
    for attribute in node.attribute:
        if attribute.name == name:
            return attribute.f if attribute.type == attribute.FLOAT else attribute.i
    return default


def _fits(before: onnx.NodeProto, norm: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> bool:
    if before.op_type not in OUTPUT_AXIS or _attribute(norm, "training_mode", 0):
        return False
    if before.op_type == "ConvTranspose" and _attribute(before, "group", 1) != 1:
        return False
    if before.op_type == "Gemm" and (not _attribute(before, "transB", 0) or _attribute(before, "alpha", 1.0) != 1):
        return False
    needed = [*before.input[1:], *norm.input[1:]]
    return all(name in constants and constants[name].data_type == onnx.TensorProto.FLOAT for name in needed if name)


def _fold(
    graph: onnx.GraphProto, before: onnx.NodeProto, norm: onnx.NodeProto, constants: dict[str, onnx.TensorProto]
) -> None:
    scale, shift, mean, variance = (numpy_helper.to_array(constants[n]).astype(np.float64) for n in norm.input[1:5])
    factor = scale / np.sqrt(variance + _attribute(norm, "epsilon", 1e-5))
    weight = numpy_helper.to_array(constants[before.input[1]])
    shape = [1] * weight.ndim
    shape[OUTPUT_AXIS[before.op_type]] = -1
    has_bias = len(before.input) > 2 and before.input[2]
    bias = numpy_helper.to_array(constants[before.input[2]]).astype(np.float64) if has_bias else 0.0
    names = []
    for label, array in (
        ("weight", (weight * factor.reshape(shape)).astype(weight.dtype)),
        ("bias", ((bias - mean) * factor + shift).astype(weight.dtype)),
    ):
        name = f"{before.name}/folded_{label}"
        tensor = numpy_helper.from_array(np.ascontiguousarray(array), name)
        graph.initializer.append(tensor)
        constants[name] = tensor
        names.append(name)
    data, result = before.input[0], norm.output[0]
    del before.input[:]
    before.input.extend([data, *names])
    before.output[0] = result


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input} | {info.name for info in graph.output}
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in used:
            del graph.initializer[index]
