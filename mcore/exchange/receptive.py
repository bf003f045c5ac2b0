"""How much of the input each value of a model sees: receptive fields, by walking the ONNX graph.

Source: Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019: a window of k
taps, `dilation` apart, on a map of which neighbours are `jump` pixels apart adds (k - 1) * dilation * jump.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import onnx

# Operators that look at one place of each input.
_POINTWISE = {
    *("Abs", "Add", "And", "BatchNormalization", "Cast", "Ceil", "Celu", "Clip", "Div", "Dropout", "Elu", "Equal"),
    *("Erf", "Exp", "Floor", "Gelu", "Greater", "HardSigmoid", "HardSwish", "Identity", "LRN", "LeakyRelu", "Less"),
    *("Log", "Max", "Mean", "Min", "Mish", "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Round"),
    *("Selu", "Sigmoid", "Sign", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tanh", "ThresholdedRelu", "Where"),
    # These move or add places, and look no further.
    *("Concat", "Pad", "Slice", "Split"),
}
_WINDOWS = {"Conv", "MaxPool", "AveragePool", "LpPool"}


class Axis(NamedTuple):
    """Along one axis: how many pixels of the input are seen, and how many lie between neighbours."""

    size: float
    jump: float


# A value that sees the whole input, or of which nothing is known.
ALL = ()
Sight = tuple[Axis, ...]


def receptive_fields(model: onnx.ModelProto) -> dict[str, tuple[int, ...] | None]:
    """What the last value of each module sees of the first input, in pixels by axis; None: all of it.

    Modules go by their path ("layer1.0.conv1"), which nodes of an export are named after. Operators that look
    further than a window (means over an image, attention) see all of it.
    """
    inferred = onnx.shape_inference.infer_shapes(model)
    shapes = _shapes(inferred.graph)
    image = inferred.graph.input[0].name
    seen: dict[str, Sight] = {image: tuple(Axis(1, 1) for _ in shapes[image][2:])}
    found: dict[str, tuple[int, ...] | None] = {}
    for node in inferred.graph.node:
        fed = [seen[name] for name in node.input if name in seen]
        if not fed:
            # Made of weights alone.
            continue
        sight = _through(node, fed, shapes)
        for name in node.output:
            seen[name] = sight
        path = node.name.rpartition("/")[0]
        found[path] = tuple(math.ceil(axis.size) for axis in sight) if sight else None
    return found


def _through(node: onnx.NodeProto, fed: Sequence[Sight], shapes: Mapping[str, Sequence[int]]) -> Sight:
    if ALL in fed:
        return ALL
    widest = tuple(Axis(max(a.size for a in axes), max(a.jump for a in axes)) for axes in zip(*fed, strict=True))
    if node.op_type in _POINTWISE or (node.op_type == "Softmax" and _attribute(node, "axis", -1) == 1):
        return widest
    if node.op_type in _WINDOWS:
        taps = _taps(node, shapes, len(widest))
        strides = _attribute(node, "strides", [1] * len(widest))
        return tuple(
            Axis(axis.size + (count - 1) * axis.jump, axis.jump * stride)
            for axis, count, stride in zip(widest, taps, strides, strict=True)
        )
    if node.op_type == "ConvTranspose":
        taps = _taps(node, shapes, len(widest))
        strides = _attribute(node, "strides", [1] * len(widest))
        return tuple(
            Axis(axis.size + (math.ceil(count / stride) - 1) * axis.jump, axis.jump / stride)
            for axis, count, stride in zip(widest, taps, strides, strict=True)
        )
    if node.op_type == "Resize" and node.output[0] in shapes:
        before, after = shapes[node.input[0]][2:], shapes[node.output[0]][2:]
        more = 0 if _attribute(node, "mode", "nearest") == "nearest" else 1
        return tuple(
            Axis(axis.size + (more * axis.jump if a != b else 0), axis.jump * b / a)
            for axis, b, a in zip(widest, before, after, strict=True)
        )
    return ALL


def _taps(node: onnx.NodeProto, shapes: Mapping[str, Sequence[int]], count: int) -> list[int]:
    """Pixels that a kernel spans along each axis, with what dilation leaves out."""
    kernel = _attribute(node, "kernel_shape", None) or shapes[node.input[1]][2:]
    dilations = _attribute(node, "dilations", [1] * count)
    return [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True)]


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            value = onnx.helper.get_attribute_value(attribute)
            return value.decode() if isinstance(value, bytes) else value
    return default


def _shapes(graph: onnx.GraphProto) -> dict[str, list[int]]:
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    values: Iterable[onnx.ValueInfoProto] = [*graph.input, *graph.value_info, *graph.output]
    for value in values:
        dims = value.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            shapes[value.name] = [dim.dim_value for dim in dims]
    return shapes


__all__ = ["receptive_fields"]
