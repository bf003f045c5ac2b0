"""From a model of a file to a graph that is ready to run.

Operators that the table lacks, but that ONNX itself defines by others, are read as those others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx
import torch
from onnx import inliner
from torch import Tensor

from mcore.exchange.bridge_torch import tensor_of
from mcore.exchange.errors import ModelFileError, UnsupportedOperator
from mcore.exchange.operators.running import OPERATORS, Graph, on_host, plan_drops
from mcore.exchange.operators.table import DTYPES, Host, Node
from mcore.exchange.safety import Loaded, skeleton

OWN = ("", "ai.onnx")
# Constants of at most so many numbers stand on the host too.
_FEW = 64
# The oldest operator set whose operators are read: before it, broadcasting was an attribute.
OLDEST = 7


class Reader:
    """Reads one model: `graph`, and the `constants` that the module has to hold by key."""

    def __init__(self, loaded: Loaded) -> None:
        self.source, self.constants, self.refused = loaded.source, {}, []  # type: tuple[str, dict[str, Tensor], list[str]]
        self.unknown: list[str] = []  # operators among what is refused
        self.reasons: list[str] = []  # why, of those that it knows
        self.model = inliner.inline_local_functions(loaded.model) if loaded.model.functions else loaded.model
        self.loaded = Loaded(self.model, loaded.arrays, loaded.source)
        self.version = next((entry.version for entry in self.model.opset_import if entry.domain in OWN), 0)
        self.types: dict[str, bytes] | None = None
        if self.version and self.version < OLDEST:
            raise NotImplementedError(
                f"{self.source}: operator set {self.version}; the torch engine reads {OLDEST} and newer. Convert it "
                "with onnx.version_converter, or run it with MCORE_BACKEND=platform."
            )
        self.graph = self._graph(self.model.graph, set(loaded.arrays))
        if self.refused:
            listed = "\n  ".join(dict.fromkeys(self.refused))
            text = f"{self.source}: what the torch engine cannot run:\n  {listed}\nRun it with MCORE_BACKEND=platform."
            why = "; ".join(dict.fromkeys(self.reasons))
            raise UnsupportedOperator(text, self.unknown, why) if self.unknown else NotImplementedError(text)

    def _graph(self, graph: onnx.GraphProto, weights: set[str]) -> Graph:
        constants: dict[str, Host | str] = {}
        for tensor in graph.initializer:
            self._constant(constants, tensor.name, partial(onnx.numpy_helper.to_array, tensor))
        for sparse in graph.sparse_initializer:
            self._constant(constants, sparse.values.name, partial(dense, sparse))
        nodes: list[Node] = []
        for node in graph.node:
            self._node(node, nodes, constants, self.version, str)
        inputs = [info.name for info in graph.input if info.name not in constants and info.name not in weights]
        outputs = tuple(info.name for info in graph.output)
        plan_drops(nodes, outputs)
        return Graph(graph.name, tuple(inputs), outputs, nodes, constants)

    # --- constants

    def _constant(self, constants: dict[str, Host | str], name: str, read: Callable[[], np.ndarray]) -> None:
        """A constant on the host, in a buffer, or both."""
        array = read()
        code = onnx.helper.np_dtype_to_tensor_dtype(array.dtype) if array.dtype != object else 8
        if code not in DTYPES:
            kind = onnx.TensorProto.DataType.Name(code)
            self.refused.append(f"constant {name!r:.80}: the element type {kind}")
            constants[name] = Host(np.array(0, dtype=object), torch.float32)
            return
        kind, few = DTYPES[code], array.size <= _FEW
        counts = kind in (torch.int64, torch.int32, torch.bool)
        key = None
        if not (few and counts):
            key = f"{name}" if name not in self.constants else f"{name}:{len(self.constants)}"
            self.constants[key] = (
                tensor_of(array) if kind.itemsize > 1 or kind.is_floating_point is False else _float8(array, kind)
            )
        if few and (counts or kind in (torch.float32, torch.float64)):
            numbers = np.array(array.tolist(), dtype=object).reshape(array.shape)
            constants[name] = held = Host(numbers, kind, key)
            held.flat()
        else:
            assert key is not None
            constants[name] = key

    # --- nodes

    def _node(
        self, node: onnx.NodeProto, nodes: list[Node], constants: dict[str, Host | str], version: int,
        named: Callable[[str], str], given: Mapping[str, onnx.AttributeProto] | None = None,
    ) -> None:  # fmt: skip
        """Reads a node into `nodes`. `named`: what a value is called here; `given`: attributes of the function."""
        attributes = _referred(node, given)
        outputs = [named(name) if name else "" for name in node.output]
        if node.op_type == "Constant" and node.domain in OWN:
            self._constant(constants, outputs[0], lambda: constant_array(attributes))
            return
        inputs = tuple(named(name) if name else "" for name in node.input)
        read = Node(node.op_type, node.name, inputs, tuple(outputs), {}, version,
                    "" if node.domain in OWN else node.domain)  # fmt: skip
        if read.domain:
            self._refuse(read, f" of domain {read.domain!r}")
            return
        entry = OPERATORS.get(read.op)
        if entry is None:
            self._expanded(node, read, nodes, constants, attributes)
            return
        read.attributes = {name: self._value(value, named) for name, value in attributes.items()}
        why = entry.refuses(read) if entry.refuses else None
        if why:
            self._refuse(read, f": {why}")
            self.reasons.append(why)
        elif self._folded(read, constants):
            return
        nodes.append(read)

    def _refuse(self, node: Node, why: str) -> None:
        self.refused.append(node.label() + why)
        self.unknown.append(f"{node.domain}:{node.op}" if node.domain else node.op)

    def _folded(self, node: Node, constants: dict[str, Host | str]) -> bool:
        """Whether a node of constants alone could be computed at once, on the host."""
        given = [constants.get(name, name) if name else None for name in node.inputs]
        try:
            results = on_host(node, given)
        except (ValueError, TypeError, IndexError, ArithmeticError) as error:
            raise ModelFileError(f"{self.source}: {node.label()}: its constants don't fit: {error}") from error
        if results is None:
            return False
        for name, value in zip(node.outputs, results, strict=False):
            value.flat()
            constants[name] = value
        return True

    def _value(self, attribute: onnx.AttributeProto, named: Callable[[str], str]) -> Any:
        """An attribute as operators take it."""
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, onnx.GraphProto):
            return self._renamed(value, named)
        if isinstance(value, onnx.TensorProto):
            return tensor_of(onnx.numpy_helper.to_array(value).copy())
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        if isinstance(value, list | tuple) or hasattr(value, "__len__"):
            return tuple(item.decode(errors="replace") if isinstance(item, bytes) else item for item in value)
        return value

    def _renamed(self, graph: onnx.GraphProto, named: Callable[[str], str]) -> Graph:
        """A node's own graph; in a function's body its names are turned with the rest."""
        if named is str:
            return self._graph(graph, set())
        own = onnx.GraphProto()
        own.CopyFrom(graph)
        for inner in _all_nodes(own):
            inner.input[:] = [named(name) if name else "" for name in inner.input]
            inner.output[:] = [named(name) if name else "" for name in inner.output]
        for info in [*own.input, *own.output, *own.initializer]:
            info.name = named(info.name)
        return self._graph(own, set())

    # --- operators that ONNX defines by others

    def _expanded(
        self, node: onnx.NodeProto, read: Node, nodes: list[Node], constants: dict[str, Host | str],
        attributes: Mapping[str, onnx.AttributeProto],
    ) -> None:  # fmt: skip
        body = self._body(node, read.version, attributes)
        if body is None:
            self._refuse(read, f", operator set {read.version}")
            return
        actual = dict(zip(body.input, read.inputs, strict=False))
        actual |= dict.fromkeys(body.input[len(read.inputs) :], "")
        actual |= {name: out for name, out in zip(body.output, read.outputs, strict=False) if out}
        prefix = f"{read.name or read.op}:{len(nodes)}:"
        version = next((e.version for e in body.opset_import if e.domain in OWN), read.version)
        for inner in body.node:
            self._node(inner, nodes, constants, version, lambda name: actual.get(name, prefix + name), attributes)

    def _body(
        self, node: onnx.NodeProto, version: int, attributes: Mapping[str, onnx.AttributeProto]
    ) -> onnx.FunctionProto | None:
        try:
            # Its stub leaves out what it says of functions.
            schema: Any = onnx.defs.get_schema(node.op_type, version, "")
        except onnx.defs.SchemaError:
            return None
        if schema.has_function:
            fitting = [v for v in schema.function_opset_versions if v <= version] or schema.function_opset_versions[:1]
            body = onnx.FunctionProto.FromString(schema.get_function_with_opset_version(max(fitting)))
        elif schema.has_context_dependent_function:
            known = self._types()
            if any(name and name not in known for name in node.input):
                return None
            versions = schema.context_dependent_function_opset_versions
            fitting = [v for v in versions if v <= version] or versions[:1]
            types = [known.get(name, b"") for name in node.input]
            text = schema.get_context_dependent_function_with_opset_version(
                max(fitting), node.SerializeToString(), types
            )
            body = onnx.FunctionProto.FromString(text)
        else:
            return None
        for name, described in schema.attributes.items():  # defaults that the body refers to
            if name not in attributes and described.default_value.name:
                attributes[name] = described.default_value  # type: ignore[index]  # a dict of this node alone
        return body

    def _types(self) -> dict[str, bytes]:
        """Types of the model's values, as onnx infers them."""
        if self.types is None:
            inferred = onnx.shape_inference.infer_shapes(skeleton(self.loaded), data_prop=True).graph
            self.types = {
                info.name: info.type.SerializeToString()
                for info in [*inferred.input, *inferred.value_info, *inferred.output]
            }
            for tensor in inferred.initializer:
                info = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
                self.types.setdefault(tensor.name, info.type.SerializeToString())
        return self.types


def _float8(array: np.ndarray, kind: torch.dtype) -> Tensor:
    return torch.from_numpy(array.view(np.uint8).copy()).view(kind)


def _referred(node: onnx.NodeProto, given: Mapping[str, onnx.AttributeProto] | None) -> dict[str, onnx.AttributeProto]:
    """Attributes by name; in a function's body some are those of the call."""
    out: dict[str, onnx.AttributeProto] = {}
    for attribute in node.attribute:
        if not attribute.ref_attr_name:
            out[attribute.name] = attribute
        elif given and attribute.ref_attr_name in given:
            out[attribute.name] = given[attribute.ref_attr_name]
    return out


def constant_array(attributes: Mapping[str, onnx.AttributeProto]) -> np.ndarray:
    """The value of a Constant node."""
    kinds = {"value_int": np.int64, "value_ints": np.int64, "value_float": np.float32, "value_floats": np.float32}
    for name, attribute in attributes.items():
        if name in ("value", "sparse_value") or (name not in kinds and attribute.type == attribute.TENSOR):
            return onnx.numpy_helper.to_array(attribute.t) if name == "value" else dense(attribute.sparse_tensor)
        if attribute.type == attribute.SPARSE_TENSOR:
            return dense(attribute.sparse_tensor)
        if name in kinds:
            return np.array(onnx.helper.get_attribute_value(attribute), kinds[name])
    return np.array("text", dtype=object)  # strings, which are refused by their type


def dense(sparse: onnx.SparseTensorProto) -> np.ndarray:
    """A sparse tensor with its zeros."""
    values = onnx.numpy_helper.to_array(sparse.values)
    places = onnx.numpy_helper.to_array(sparse.indices)
    out = np.zeros(list(sparse.dims), values.dtype)
    if places.ndim == 1:
        out.reshape(-1)[places] = values
    else:
        out[tuple(places.T)] = values
    return out


def _all_nodes(graph: onnx.GraphProto) -> Sequence[onnx.NodeProto]:
    out = []
    for node in graph.node:
        out.append(node)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                out += _all_nodes(attribute.g)
                for info in [*attribute.g.input, *attribute.g.output]:
                    info.name = info.name
    return out
