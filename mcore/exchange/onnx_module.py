"""Any ONNX graph as a Module: run by ONNX Runtime as it is, or spoken into the recording that is under way.

Float initializers are parameters under their own names, so `state_dict` works and edits take effect. Called by
itself the module is one session of the graph as it stands, whatever its operator set. Called inside another
module's forward its nodes join that module's recording; what can't join (control flow, sequences, operators of
other domains) is run on the spot, except while exporting, when it's an error that names the node.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from mcore.exchange import onnx_inline, ortrun, safety
from mcore.exchange.safety import Loaded
from mcore.exchange.slots import Slot, ordered, own_inputs
from mcore.ort_values import array_of, ort_value
from mcore.platform import dtypes, proto, session
from mcore.platform.graph import active
from mcore.platform.hooks import call_hooked
from mcore.platform.module import Module
from mcore.platform.parameter import Parameter
from mcore.platform.tensor import CPU, Tensor, device
from mcore.portable import Arguments

_sessions: weakref.WeakKeyDictionary[Any, tuple[tuple, Any]] = weakref.WeakKeyDictionary()


class OnnxModule(Module):
    """A graph from a file, an artifact's folder, bytes or a ModelProto.

    Shapes: those of the graph's inputs; one tensor returns, or a tuple where the graph has several outputs.

    Raises:
        ModelFileError: the file is damaged, foreign or unsafe.
        NotImplementedError: the runtime knows no kernel for a node, in this operator set or a newer one.
    """

    def __init__(self, source: Any) -> None:
        super().__init__()
        loaded = safety.read_model(source)
        for name, array in loaded.arrays.items():
            parameter = Parameter(Tensor._of(array, dtypes.from_numpy(array.dtype)))
            _place(self, name, parameter)
        self._names = list(loaded.arrays)
        loaded.arrays = {}
        self._model, self._source = loaded.model, loaded.source
        # What the execution provider is told beyond its device: ONNX Runtime's own names.
        self.provider_options: dict[str, Any] = {}
        self._describe()
        self._session(CPU)
        # The graph stands for itself: neither a copy nor an artifact needs what it was read from.
        object.__setattr__(self, "_arguments", Arguments())

    def _describe(self) -> None:
        inputs = [_copy(info) for info in own_inputs(self._model.graph, self._names)]
        del self._model.graph.input[:]
        self._model.graph.input.extend(inputs)
        if self._model.ir_version < 4:  # only from there on may initializers not be inputs
            self._model.ir_version = 4
        if self._model.ir_version > proto.IR_VERSION:
            self._model.ir_version = max(proto.IR_VERSION, min(self._model.ir_version, 13))
        self._inputs = [_Slot(info) for info in inputs]

    def parameters_by_name(self) -> dict[str, Tensor]:
        """The float initializers: their names in the file, and the parameters that they are now."""
        return {name: _placed(self, name) for name in self._names}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if active.recorder is not None:
            return super().__call__(*args, **kwargs)
        return call_hooked(self, args, kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The graph's outputs for its inputs, given in order or by name."""
        given = self._ordered(args, kwargs)
        if active.recorder is not None:
            results = onnx_inline.speak(self, given)
        else:
            results = self.run_now(given)
        return results[0] if len(results) == 1 else tuple(results)

    def _ordered(self, args: tuple, kwargs: dict[str, Any]) -> list[Tensor]:
        given = ordered(self._inputs, args, kwargs, self._source)
        return [slot.fitting(value, self._source) for slot, value in zip(self._inputs, given, strict=True)]

    # --- running

    def run_now(self, given: Sequence[Tensor]) -> list[Any]:
        """Outputs of the graph as it stands, by a session of its own."""
        where = given[0]._device if given else CPU
        opened = self._session(where)
        arrays = {slot.name: t._data() for slot, t in zip(self._inputs, given, strict=True)}
        outputs, options = opened.get_outputs(), session.run_options(where)
        try:
            if all(entry.type.startswith("tensor") for entry in outputs):
                feeds = {name: ort_value(array) for name, array in arrays.items()}
                results = [array_of(value) for value in opened.run_with_ort_values(None, feeds, options)]
            else:  # sequences come out of this way only
                results = opened.run(None, arrays, options)
        except Exception as error:  # the runtime has no class of its own
            raise RuntimeError(f"{self._source}: ONNX Runtime: {_first_line(error)}") from error
        return [self._result(value, entry.name, where) for value, entry in zip(results, outputs, strict=True)]

    def _result(self, value: Any, name: str, where: device) -> Any:
        if value is None:  # an optional output that isn't there
            return None
        if isinstance(value, list):
            return [self._result(item, name, where) for item in value]
        if not isinstance(value, np.ndarray):
            raise NotImplementedError(f"{self._source}: output {name} is no tensor ({type(value).__name__}).")
        return Tensor._of(value, _dtype_of(value, name, self._source), where)

    def _session(self, where: device) -> Any:
        """The session for these weights; the one before is freed before a new one is made."""
        weights = self.parameters_by_name()
        versions = tuple((p._uid, p._version) for p in weights.values())
        options = self.provider_options
        key = (where, session.get_num_threads(), versions, tuple(options.items()))
        kept = _sessions.get(self)
        if kept is not None and kept[0] == key:
            return kept[1][0]
        _sessions.pop(self, None)
        del kept
        try:
            opened = _open(self._model, weights, where, options)
        except Exception as error:
            opened = self._converted(weights, where, error)
        _sessions[self] = (key, opened)
        return opened[0]

    def _converted(self, weights: dict[str, Tensor], where: device, refusal: Exception) -> Any:
        """A session of the graph in a newer operator set, where the runtime refuses the old one."""
        label = unknown_node(str(refusal), self._model)
        if not label:
            raise RuntimeError(f"{self._source}: ONNX Runtime refuses it: {_first_line(refusal)}") from refusal
        try:
            model = onnx_inline.converted(self._loaded(), proto.OPSET)
            return _open(model, weights, where, self.provider_options)
        except Exception as error:
            raise NotImplementedError(
                f"{self._source}: {label}: ONNX Runtime has no kernel for it, nor after conversion to operator set "
                f"{proto.OPSET} ({_first_line(error)})."
            ) from refusal

    def _loaded(self) -> Loaded:
        arrays = {name: p._data() for name, p in self.parameters_by_name().items()}
        return Loaded(self._model, arrays, self._source)

    def warm(self, shape: Sequence[int], where: device) -> None:
        """Runs on zeros of `shape`, so that a provider that builds engines does so now and not at the first call."""
        if len(self._inputs) != 1:
            names = ", ".join(slot.name for slot in self._inputs)
            raise NotImplementedError(f"{self._source}: it takes {len(self._inputs)} inputs ({names}); one is warmed.")
        kind = onnx.helper.tensor_dtype_to_np_dtype(self._inputs[0].code)
        zeros = np.zeros(tuple(shape), kind)
        self(Tensor._of(zeros, dtypes.from_numpy(zeros.dtype), where))

    def extra_repr(self) -> str:
        """Source, inputs and number of nodes."""
        inputs = ", ".join(map(str, self._inputs))
        return f"{self._source}, inputs: {inputs}, {len(self._model.graph.node)} nodes"

    def __deepcopy__(self, memo: dict[int, Any]) -> OnnxModule:
        import copy

        out = type(self).__new__(type(self))
        memo[id(self)] = out
        for key, value in self.__dict__.items():
            if key == "_model":
                out.__dict__[key] = _copy(value)
            else:
                out.__dict__[key] = copy.deepcopy(value, memo)
        return out


class _Slot(Slot):
    def fitting(self, value: Any, source: str) -> Tensor:
        """The tensor, if it fits. Raises TypeError or RuntimeError saying what came and what fits."""
        if not isinstance(value, Tensor):
            if not isinstance(value, np.ndarray | np.generic):
                raise TypeError(f"{source}: input {self.name} takes a tensor, got {type(value).__name__}.")
            value = Tensor._of(np.array(value))
        self.check_type(value._dtype.onnx == self.code, value._dtype.name, source)
        self.check_sizes(list(map(int, value._shape)), source)
        return value


def _place(root: Module, name: str, parameter: Parameter) -> None:
    """Puts a parameter below `root` under its dotted name, whatever the name.

    Straight into the dictionaries: registering refuses names that aren't identifiers, or that a module has already
    for itself ("train", "/conv/weight", "a..b").
    """
    *path, last = name.split(".")
    at = root
    for part in path:
        below = at._modules.get(part)
        if below is None:
            below = at._modules[part] = Module()
        at = below
    at._parameters[last] = parameter


def _placed(root: Module, name: str) -> Tensor:
    """The parameter of a dotted name."""
    *path, last = name.split(".")
    for part in path:
        root = root._modules[part]
    found = root._parameters[last]
    if found is None:
        raise RuntimeError(f"parameter {name} was set to None, but the graph needs it.")
    return found


def _open(
    model: onnx.ModelProto, weights: dict[str, Tensor], where: device, options: dict[str, Any]
) -> tuple[Any, Any]:
    """A session, and the arrays that it reads while it lives."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    externals: dict[str, np.ndarray] = {}
    for name, parameter in weights.items():
        array = parameter._data()
        if array.nbytes >= session.EXTERNAL_BYTES:
            externals[name] = array
            whole.graph.initializer.append(proto.external_proto(name, array, parameter._dtype))
        else:
            whole.graph.initializer.append(onnx.numpy_helper.from_array(np.array(array), name))
    return session.open_session(whole, where, externals, options), externals


def unknown_node(text: str, model: onnx.ModelProto) -> str | None:
    """`node 'up' (Upsample, operator set 7)`, of the runtime's complaint about an operator; None if it's another."""
    found = ortrun.NO_KERNEL.search(text)
    if found:
        return f"node {found[3]!r} ({found[1]}, operator set {found[2]})"
    found = ortrun.NO_OPERATOR.search(text) or ortrun.NO_FUNCTION.search(text)
    if found or "opset" in text or "Opset" in text:
        kind = found[1].rpartition(":")[2].partition("(")[0] if found else ""
        node = next((node for node in model.graph.node if node.op_type == kind), None)
        versions = ", ".join(f"{entry.domain or 'ai.onnx'} {entry.version}" for entry in model.opset_import)
        return f"node {node.name if node else ''!r} ({kind or 'unknown'}, operator set {versions})"
    return None


def _dtype_of(array: np.ndarray, name: str, source: str) -> dtypes.dtype:
    try:
        return dtypes.from_numpy(array.dtype)
    except TypeError:
        raise NotImplementedError(f"{source}: output {name} has type {array.dtype}, which mcore lacks.") from None


def _copy(message: Any) -> Any:
    out = type(message)()
    out.CopyFrom(message)
    return out


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]


__all__ = ["OnnxModule"]
