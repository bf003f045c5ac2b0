"""A recording as an ONNX model: unused nodes dropped, equal pure nodes merged, names given.

Weights may stay outside the protobuf: then an initializer is only declared, and its array goes to the session.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.graph import CONSTANT, INPUT, STATE, Recorder

# The newest operator set and file version that the oldest supported runtime reads.
OPSET, IR_VERSION = 21, 10
PRODUCER = "mcore"


def used_nodes(recorder: Recorder, outputs: Sequence[int]) -> list[int]:
    """Indices of the nodes that `outputs` need, in order."""
    nodes, producer = recorder.nodes, recorder.producer
    needed: set[int] = set()
    waiting = [producer[v] for v in outputs]
    while waiting:
        index = waiting.pop()
        if index in needed:
            continue
        needed.add(index)
        if nodes[index][0][0] != "@":
            waiting.extend(producer[v] for v in nodes[index][1] if v >= 0)
    return sorted(needed)


class Writer:
    """Writes one recording into one GraphProto.

    Args:
        name_of: value -> its name in the file.
        node_name: node index -> its name in the file.
        detour: (op, dtype of inputs) -> the type to compute in where the runtime has no kernel; or None.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        name_of: Callable[[int], str],
        node_name: Callable[[int], str],
        detour: Callable[[str, dtypes.dtype], dtypes.dtype | None] | None = None,
        merge: bool = False,
        graph: Any = None,
    ) -> None:
        self.recorder, self.name_of, self.node_name = recorder, name_of, node_name
        self.detour, self.merge = detour, merge
        self.graph = onnx.GraphProto() if graph is None else graph
        self._alias: dict[int, int] = {}  # value -> the equal value that is written instead
        self._seen: dict[tuple, int] = {}

    def write(self, outputs: Sequence[int], output_names: Sequence[str]) -> onnx.GraphProto:
        """Nodes in order, then outputs; inputs and initializers are declared by the caller."""
        first_of = self._first_values()
        for index in used_nodes(self.recorder, outputs):
            node = self.recorder.nodes[index]
            if node[0] in (INPUT, STATE, CONSTANT):
                continue
            self._node(index, node, first_of[index])
        for value, name in zip(outputs, output_names, strict=True):
            self._output(value, name)
        return self.graph

    def _first_values(self) -> dict[int, int]:
        first: dict[int, int] = {}
        for value, node in enumerate(self.recorder.producer):
            first.setdefault(node, value)
        return first

    def _node(self, index: int, node: tuple, first: int) -> None:
        op, inputs, count, attributes = node
        inputs = tuple(self._alias.get(v, v) for v in inputs)
        key = (op, inputs, count, attributes)
        if self.merge and not op.startswith("Random"):
            twin = self._seen.setdefault(key, first)
            if twin != first:
                for k in range(count):
                    self._alias[first + k] = twin + k
                return
        names = [self.name_of(v) if v >= 0 else "" for v in inputs]
        results = [self.name_of(first + k) for k in range(count)]
        while names and not names[-1]:
            names.pop()
        compute = self._detour_of(op, inputs)
        if compute is None:
            self._append(op, names, results, self.node_name(index), attributes)
            return
        self._detoured(index, op, inputs, names, results, first, attributes, compute)

    def _detour_of(self, op: str, inputs: tuple) -> dtypes.dtype | None:
        if self.detour is None:
            return None
        for v in inputs:
            if v >= 0 and (found := self.detour(op, self.recorder.types[v])) is not None:
                return found
        return None

    def _detoured(
        self, index: int, op: str, inputs: tuple, names: list, results: list, first: int, attributes: tuple,
        compute: dtypes.dtype,
    ) -> None:  # fmt: skip
        """The node in a type that has a kernel, between casts."""
        types, base = self.recorder.types, self.node_name(index)
        hole = {types[v] for v in inputs if v >= 0 and self.detour and self.detour(op, types[v])}
        into = [
            self._cast(name, compute, f"{base}/in{k}") if v >= 0 and types[v] in hole else name
            for k, (v, name) in enumerate(zip(inputs, names, strict=False))
        ]
        out = [f"{n}/wide" if types[first + k] in hole else n for k, n in enumerate(results)]
        attributes = tuple((k, compute.onnx if k == "to" and dtypes.from_onnx(v) in hole else v) for k, v in attributes)
        self._append(op, into, out, base, attributes)
        for k, (wide, name) in enumerate(zip(out, results, strict=True)):
            if wide != name:
                self._append("Cast", [wide], [name], f"{base}/out{k}", (("to", types[first + k].onnx),))

    def _cast(self, name: str, dtype: dtypes.dtype, label: str) -> str:
        self._append("Cast", [name], [label], label, (("to", dtype.onnx),))
        return label

    def _append(self, op: str, inputs: list, outputs: list, name: str, attributes: tuple) -> None:
        node = self.graph.node.add(op_type=op, name=name)
        node.input.extend(inputs)
        node.output.extend(outputs)
        for key, value in attributes:
            _attribute(node.attribute.add(name=key), value)

    def _output(self, value: int, name: str) -> None:
        value = self._alias.get(value, value)
        if self.name_of(value) != name:  # an input, a weight, or a value asked for twice
            self._append("Identity", [self.name_of(value)], [name], f"output/{name}", ())
        declare(self.graph.output.add(), name, self.recorder.types[value], self.recorder.shapes[value])


def _attribute(proto: Any, value: Any) -> None:
    kinds = onnx.AttributeProto
    if isinstance(value, bool | int | np.integer):
        proto.type, proto.i = kinds.INT, int(value)
    elif isinstance(value, float | np.floating):
        proto.type, proto.f = kinds.FLOAT, float(value)
    elif isinstance(value, str):
        proto.type, proto.s = kinds.STRING, value.encode()
    elif isinstance(value, tuple | list) and value and all(isinstance(v, str) for v in value):
        proto.type = kinds.STRINGS
        proto.strings.extend(v.encode() for v in value)
    elif isinstance(value, tuple | list) and any(isinstance(v, float) for v in value):
        proto.type = kinds.FLOATS
        proto.floats.extend(value)
    elif isinstance(value, tuple | list):
        proto.type = kinds.INTS
        proto.ints.extend(int(v) for v in value)
    elif isinstance(value, bytes):  # a serialized AttributeProto from a file (subgraphs, tensors)
        name = proto.name
        proto.ParseFromString(value)
        proto.name = name
    else:
        raise TypeError(f"attribute {proto.name}: {type(value).__name__} has no ONNX form.")


def declare(info: Any, name: str, dtype: dtypes.dtype, shape: Sequence[Any]) -> None:
    """Fills a ValueInfoProto; a size may be an int, a symbolic size, or a name."""
    info.name = name
    tensor = info.type.tensor_type
    tensor.elem_type = dtype.onnx
    tensor.shape.SetInParent()
    for size in shape:
        axis = tensor.shape.dim.add()
        if isinstance(size, str):
            axis.dim_param = size
        elif type(size) is dims.Dim:
            axis.dim_param = dims.text(size.expr)
        elif size is not None:  # None: known only when it runs
            axis.dim_value = int(size)


def fill_tensor(out: Any, name: str, array: np.ndarray, dtype: dtypes.dtype) -> None:
    """Writes an array into a TensorProto."""
    out.name, out.data_type = name, dtype.onnx
    out.dims.extend(array.shape)
    out.raw_data = array.tobytes()


def external_proto(name: str, array: np.ndarray, dtype: dtypes.dtype) -> onnx.TensorProto:
    """An initializer whose array is handed to the session, not written into the protobuf."""
    out = onnx.TensorProto(name=name, data_type=dtype.onnx, dims=array.shape)
    out.data_location = onnx.TensorProto.EXTERNAL
    for key, text in (("location", "memory"), ("offset", "0"), ("length", str(array.nbytes))):
        out.external_data.add(key=key, value=text)
    return out


def new_model(*, opset: int = OPSET) -> onnx.ModelProto:
    """An empty ModelProto; its graph is filled in place, so weights are copied once."""
    model = onnx.ModelProto(ir_version=IR_VERSION, producer_name=PRODUCER)
    model.opset_import.add(domain="", version=opset)
    return model


def initializers(recorder: Recorder, used: set[int]) -> list[tuple[int, np.ndarray]]:
    """Values with known arrays among the used nodes: parameters, buffers, constants."""
    states = [(v, recorder.state_array(v)) for v in recorder.states if recorder.producer[v] in used]
    return states + [(v, a) for v, a in recorder.constants.items() if recorder.producer[v] in used]
