"""A graph from a file, node by node into the recording that is under way."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import inliner

from mcore.exchange.safety import Loaded, skeleton
from mcore.platform import dim as dims
from mcore.platform import dtypes, proto
from mcore.platform.dim import Dim
from mcore.platform.errors import located
from mcore.platform.graph import Recorder, current
from mcore.platform.tensor import Tensor

if TYPE_CHECKING:
    from mcore.exchange.onnx_module import OnnxModule

_OWN = ("", "ai.onnx")


class CannotJoin(Exception):
    """Why a node cannot be a part of another module's recording."""


def speak(module: OnnxModule, given: Sequence[Tensor]) -> list[Any]:
    """The graph's outputs, recorded; run on the spot where the graph cannot join the recording.

    Raises:
        NotImplementedError: it cannot join, and the recording is an export.
    """
    recorder = current()
    try:
        return _Speaker(module, given, recorder).outputs()
    except CannotJoin as reason:
        if recorder.exporting:
            message = f"{module._source}: {reason} cannot be a part of another module's graph; export it by itself"
            raise NotImplementedError(located(message, recorder.place(), recorder)) from None
    arrays = recorder._run_now([recorder.use(t) for t in given])
    results = module.run_now([Tensor._of(a, t._dtype) for a, t in zip(arrays, given, strict=True)])
    return [_lifted(result, recorder) for result in results]


def _lifted(result: Any, recorder: Recorder) -> Any:
    if isinstance(result, Tensor):
        value = recorder.input(result._data(), result._dtype)
        return Tensor._recorded(recorder, value, result._dtype, recorder.shapes[value])
    return [_lifted(item, recorder) for item in result] if isinstance(result, list) else result


def converted(loaded: Loaded, opset: int) -> onnx.ModelProto:
    """The model, without its arrays, in another operator set; as it is where no node's meaning differs."""
    model = loaded.model
    if model.functions:
        model = inliner.inline_local_functions(model)
    version = next((entry.version for entry in model.opset_import if entry.domain in _OWN), opset)
    if version == opset or all(_same_meaning(node, version, opset) for node in model.graph.node):
        return model
    bare = skeleton(Loaded(model, loaded.arrays, loaded.source))
    out = onnx.version_converter.convert_version(bare, opset)
    kept = [info for info in out.graph.input if info.name not in loaded.arrays]
    copies = [onnx.ValueInfoProto.FromString(info.SerializeToString()) for info in kept]
    del out.graph.input[:]
    out.graph.input.extend(copies)
    return out


def _same_meaning(node: onnx.NodeProto, version: int, opset: int) -> bool:
    if node.domain not in _OWN:
        return True
    try:
        before = onnx.defs.get_schema(node.op_type, version, "").since_version
        return before == onnx.defs.get_schema(node.op_type, opset, "").since_version
    except onnx.defs.SchemaError:
        return False


class _Plan:
    """One graph, ready to be spoken: converted, with its nodes' attributes read, and what was inferred of sizes."""

    def __init__(self, module: OnnxModule) -> None:
        self.source = module._source
        loaded = module._loaded()
        try:
            self.model = converted(loaded, proto.OPSET)
        except Exception as error:  # the converter has no class of its own
            raise CannotJoin(f"its operator set (conversion to {proto.OPSET} fails: {error})") from error
        graph = self.model.graph
        if graph.sparse_initializer:
            raise CannotJoin("a sparse initializer")
        for node in graph.node:
            if node.domain not in _OWN:
                raise CannotJoin(f"{label(node)} of domain {node.domain}")
            if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
                raise CannotJoin(f"{label(node)}, which has graphs of its own,")
        self.bare = skeleton(Loaded(self.model, loaded.arrays, ""))
        # What the file says of sizes was said of other inputs.
        del self.bare.graph.value_info[:]
        for info in self.bare.graph.output:
            info.type.tensor_type.ClearField("shape")
        self.inputs = [info.name for info in graph.input]
        self.outputs = [info.name for info in graph.output]
        self.constants = {t.name: _array(onnx.numpy_helper.to_array(t)) for t in graph.initializer}
        self.nodes: list[tuple[str, tuple[str, ...], tuple[str, ...], dict[str, Any]]] = []
        for node in graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = _array(constant_of(node))
            else:
                attributes = {attribute.name: value_of(attribute) for attribute in node.attribute}
                self.nodes.append((node.op_type, tuple(node.input), tuple(node.output), attributes))
        self.known: dict[tuple, tuple[dict[str, dtypes.dtype], dict[str, tuple]]] = {}

    def inferred(self, sizes: tuple[tuple[int | str, ...], ...]) -> tuple[dict[str, dtypes.dtype], dict[str, tuple]]:
        """Types and sizes of all values for inputs of these sizes: ints, names, or None where unknown."""
        if sizes not in self.known:
            if len(self.known) > 64:
                self.known.clear()
            self.known[sizes] = self._infer(sizes)
        return self.known[sizes]

    def _infer(self, sizes: tuple[tuple[int | str, ...], ...]) -> tuple[dict[str, dtypes.dtype], dict[str, tuple]]:
        bare = onnx.ModelProto()
        bare.CopyFrom(self.bare)
        for info, shape in zip(bare.graph.input, sizes, strict=False):
            info.type.tensor_type.ClearField("shape")
            info.type.tensor_type.shape.SetInParent()
            for size in shape:
                axis = info.type.tensor_type.shape.dim.add()
                if isinstance(size, str):
                    axis.dim_param = size
                else:
                    axis.dim_value = size
        plain = all(isinstance(size, int) for shape in sizes for size in shape)
        try:
            found = onnx.shape_inference.infer_shapes(bare, data_prop=True, strict_mode=plain)
        except (onnx.shape_inference.InferenceError, RuntimeError) as error:
            first = (str(error).strip().splitlines() or [""])[0]
            raise RuntimeError(f"{self.source}: these inputs don't fit the graph: {first}") from error
        types: dict[str, dtypes.dtype] = {}
        shapes: dict[str, tuple] = {}
        for info in [*found.graph.value_info, *found.graph.output]:
            kind = info.type.tensor_type
            if info.type.HasField("tensor_type") and kind.elem_type in _KNOWN:
                types[info.name] = dtypes.from_onnx(kind.elem_type)
                if kind.HasField("shape"):
                    shapes[info.name] = tuple(
                        d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in kind.shape.dim
                    )
        for op, _, outputs, _ in self.nodes:  # all types are known before anything is recorded
            for name in outputs:
                if name and name not in types:
                    raise CannotJoin(f"value {name!r:.80} of {op}, whose type is not known beforehand,")
        for name in self.outputs:
            if name in types and name not in shapes:
                raise CannotJoin(f"output {name!r:.80}, whose number of axes is not known beforehand,")
        return types, shapes


_plans: weakref.WeakKeyDictionary[Any, _Plan | CannotJoin] = weakref.WeakKeyDictionary()


def _plan_of(module: OnnxModule) -> _Plan:
    found = _plans.get(module)
    if found is None:
        try:
            found = _Plan(module)
        except CannotJoin as reason:
            found = reason
        _plans[module] = found
    if isinstance(found, CannotJoin):
        raise found
    return found


class _Speaker:
    """Speaks one graph into one recording."""

    def __init__(self, module: OnnxModule, given: Sequence[Tensor], recorder: Recorder) -> None:
        self.plan, self.given, self.recorder = _plan_of(module), given, recorder
        self.values: dict[str, int] = {"": -1}
        self.weights = module.parameters_by_name()
        self.labels = {dims.text(n.expr): n for t in given for n in t._shape if type(n) is Dim}

    def outputs(self) -> list[Tensor]:
        plan, recorder = self.plan, self.recorder
        types, shapes = plan.inferred(tuple(tuple(int(n) for n in t._shape) for t in self.given))
        opened = plan.inferred(tuple(tuple(map(_sign, t._shape)) for t in self.given))[1] if self.labels else shapes
        self.values |= {name: recorder.use(t) for name, t in zip(plan.inputs, self.given, strict=True)}
        self.values |= {name: recorder.use(p) for name, p in self.weights.items()}
        self.values |= {name: recorder.constant(*held) for name, held in plan.constants.items()}
        for op, inputs, outputs, attributes in plan.nodes:
            # Sizes in the middle are for nobody to read; only a known 0 means that there is nothing to compute.
            described = [
                (
                    tuple(n if isinstance(n, int) else None for n in shapes.get(name, ())),
                    types.get(name, dtypes.float32),
                )
                for name in outputs
            ]
            first = recorder.emit(op, [self.values[name] for name in inputs], described, attributes)
            self.values |= {name: first + k for k, name in enumerate(outputs) if name}
        return [self.result(name, types, shapes, opened) for name in plan.outputs]

    def result(
        self, name: str, types: dict[str, dtypes.dtype], shapes: dict[str, tuple], opened: dict[str, tuple]
    ) -> Tensor:
        """An output with sizes that forward may go on with: symbolic where they hang on symbolic ones."""
        recorder, value = self.recorder, self.values[name]
        if recorder.nodes[recorder.producer[value]][0][0] == "@":  # an input, weight or constant handed through
            return Tensor._recorded(recorder, value, recorder.types[value], recorder.shapes[value])
        known = shapes[name]
        sizes: list[int] = []
        for axis, (size, sign) in enumerate(zip(known, opened.get(name, (None,) * len(known)), strict=True)):
            if not isinstance(size, int):
                sizes.append(recorder.unknown_size(value, axis))
            elif isinstance(sign, str) and sign in self.labels:
                sizes.append(self.labels[sign])
            elif isinstance(sign, int):
                sizes.append(size)
            else:
                sizes.append(recorder.symbol(f"onnx{len(recorder.sources)}", size, value, axis))
        recorder.shapes[value] = tuple(sizes)
        return Tensor._recorded(recorder, value, types[name], tuple(sizes))


def _sign(size: int) -> int | str:
    """A size for onnx's own inference: symbolic ones under the text of their expression."""
    return dims.text(size.expr) if type(size) is Dim else int(size)


def _array(array: np.ndarray) -> tuple[np.ndarray, dtypes.dtype]:
    try:
        return np.array(array), dtypes.from_numpy(array.dtype)
    except TypeError:
        raise CannotJoin(f"a constant of type {array.dtype}") from None


_KNOWN = {t.onnx for t in dtypes.ALL}


def label(node: onnx.NodeProto) -> str:
    """`node 'relu3' (Relu)`."""
    return f"node {node.name!r:.80} ({node.op_type})"


def constant_of(node: onnx.NodeProto) -> np.ndarray:
    """The value of a Constant node."""
    for attribute in node.attribute:
        if attribute.name == "value":
            return onnx.numpy_helper.to_array(attribute.t)
        kinds = {
            "value_int": np.int64,
            "value_ints": np.int64,
            "value_float": np.float32,
            "value_floats": np.float32,
        }
        if attribute.name in kinds:
            return np.array(onnx.helper.get_attribute_value(attribute), kinds[attribute.name])
    raise CannotJoin(f"{label(node)}, which holds no numbers,")


def value_of(attribute: onnx.AttributeProto) -> Any:
    """An attribute as the recorder keeps it; whatever isn't plain as its own bytes."""
    kinds = onnx.AttributeProto
    if attribute.type == kinds.INT:
        return attribute.i
    if attribute.type == kinds.FLOAT:
        return attribute.f
    if attribute.type == kinds.INTS and len(attribute.ints):
        return tuple(attribute.ints)
    if attribute.type == kinds.STRING:
        try:
            return attribute.s.decode()
        except UnicodeDecodeError:
            return attribute.SerializeToString()
    return attribute.SerializeToString()
