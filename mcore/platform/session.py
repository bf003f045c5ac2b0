"""From recordings to ONNX Runtime sessions: the cache, devices, and element types that the runtime lacks.

A session is kept under its recording's own structure. Parameters are told apart by identity and version: a
changed weight replaces the session of that structure, so no call ever runs with old weights, and the old copy
is freed before the new one is made.
"""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mcore import ort_values
from mcore.ort_values import array_of, ort_value, session_options
from mcore.platform import dtypes, graph
from mcore.platform.borrowed import own
from mcore.platform.devices import providers_of
from mcore.platform.errors import located
from mcore.platform.graph import Place, Recorder
from mcore.platform.tensor import CPU, Tensor, device
from mcore.platform.tensor import _uids as _fresh

# Constants and weights from this many bytes on go to the session directly, not through the protobuf.
EXTERNAL_BYTES = 1024

_threads = 0
_strict_dtypes = False


def set_num_threads(count: int) -> None:
    """Threads that each session computes with; sessions made before are dropped. 0: the runtime decides."""
    global _threads
    if count < 0:
        raise RuntimeError(f"set_num_threads expects a positive integer, got {count}.")
    _threads = count
    clear()


def get_num_threads() -> int:
    """Threads that a session computes with."""
    import os

    return _threads or os.cpu_count() or 1


def set_strict_dtypes(strict: bool) -> None:
    """With True, an element type without a kernel is an error instead of a detour through float32."""
    global _strict_dtypes
    _strict_dtypes = strict
    clear()


# --- kernels that are missing


# Operators of the CPU provider without a float64 kernel, found by probing (tests/platform/test_dtype_holes.py).
NO_FLOAT64 = frozenset(
    "Conv ConvTranspose Resize Gelu Erf Det InstanceNormalization HardSigmoid HardSwish Elu Selu Celu LeakyRelu "
    "ThresholdedRelu Softplus Softsign Mish PRelu LpPool LRN GridSample GroupNormalization GRU RNN LSTM "
    "Col2Im LpNormalization AffineGrid Sin Cos Round Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh".split()
)  # fmt: skip
# Operators of the CPU provider that do take bfloat16: they only move data.
MOVES_BFLOAT16 = frozenset("Cast Reshape Transpose Squeeze Unsqueeze Identity Shape Gather Concat Split Slice".split())
_warned: set[tuple] = set()


def lacking(op: str, dtype: dtypes.dtype) -> dtypes.dtype | None:
    """The type to compute `op` in where the CPU provider has no kernel for `dtype`; None where it has one."""
    if dtype is dtypes.float32:
        return None
    if dtype is dtypes.bfloat16 and op not in MOVES_BFLOAT16:
        return dtypes.float32
    return dtypes.float32 if dtype is dtypes.float64 and op in NO_FLOAT64 else None


def probe(op: str, dtype: dtypes.dtype) -> dtypes.dtype | None:
    """As `lacking`, with one warning for each detour. Raises NotImplementedError in strict mode."""
    wide = lacking(op, dtype)
    if wide is not None and (op, dtype.name) not in _warned:
        text = f"{op} has no {dtype.name} kernel on CPU"
        if _strict_dtypes:
            raise NotImplementedError(f"{text}; strict dtypes are on (mcore.platform.set_strict_dtypes).")
        _warned.add((op, dtype.name))
        warnings.warn(f"{text}: computed in {wide.name} and cast back.", RuntimeWarning, stacklevel=2)
    return wide


# --- sessions


def open_session(
    model: Any, where: device, externals: dict[str, np.ndarray], provider_options: dict[str, Any] | None = None
) -> Any:
    """An ONNX Runtime session; raises where the runtime silently dropped the provider."""
    options = session_options(_threads)
    if externals:
        names = list(externals)
        values = [ort_value(array) for array in externals.values()]
        options.add_external_initializers(names, values)
    providers = providers_of(where, provider_options)
    content = model if isinstance(model, bytes) else model.SerializeToString()
    return ort_values.open_session(content, options, providers)


_shrinks = False


def shrink() -> None:
    """Has the next run give back the memory that its session holds beyond what it then uses."""
    global _shrinks
    _shrinks = True


def run_options(where: device) -> Any | None:
    """Options of the run that is about to start; None stands for the usual ones."""
    global _shrinks
    if not _shrinks:
        return None
    import onnxruntime

    _shrinks = False
    options = onnxruntime.RunOptions()
    arena = f"{'cpu' if where.type == 'cpu' else 'gpu'}:{where.index or 0}"
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", arena)
    return options


# --- the cache


class Session:
    """One compiled recording: run it with the feeds of any recording of the same structure."""

    def __init__(self, recorder: Recorder, outputs: Sequence[int], where: device) -> None:
        self.versions = [t._version for t in recorder.states.values()]
        self.used = 0  # when it was last asked for, by the cache's clock
        from mcore.platform import proto  # onnx takes long to import, and building a module doesn't need it

        model = proto.new_model()
        writer = proto.Writer(
            recorder, graph=model.graph, name_of=lambda v: f"v{v}", node_name=lambda n: f"n{n}",
            detour=probe if where.type == "cpu" else None,
        )  # fmt: skip
        self.names = [f"o{k}" for k in range(len(outputs))]
        body = writer.write(outputs, self.names)
        used = {recorder.producer[v] for v in outputs} | set(proto.used_nodes(recorder, outputs))
        self.inputs = [v for v in recorder.feeds if recorder.producer[v] in used]
        for value in self.inputs:
            shape = [f"v{value}_{axis}" for axis in range(len(recorder.shapes[value]))]
            proto.declare(body.input.add(), f"v{value}", recorder.types[value], shape)
        for info in body.output:  # sizes are what comes out
            info.type.tensor_type.ClearField("shape")
        externals = {}
        for value, array in proto.initializers(recorder, used):
            name, dtype = f"v{value}", recorder.types[value]
            if array.nbytes >= EXTERNAL_BYTES:
                externals[name] = array
                body.initializer.append(proto.external_proto(name, array, dtype))
            else:
                proto.fill_tensor(body.initializer.add(), name, array, dtype)
        self.where = where
        self.kept = externals  # the runtime reads these arrays while the session lives
        self.ort = open_session(model, where, externals)
        self.simple = all(recorder.types[v] is not dtypes.bfloat16 for v in [*self.inputs, *outputs])

    def run(self, feeds: dict[int, np.ndarray]) -> list[np.ndarray]:
        """Arrays of the outputs."""
        if self.simple:
            return self.ort.run(self.names, {f"v{v}": feeds[v] for v in self.inputs}, run_options(self.where))
        return self._run_with_bfloat16(feeds)

    def _run_with_bfloat16(self, feeds: dict[int, np.ndarray]) -> list[np.ndarray]:
        """numpy has no bfloat16 of its own: such arrays travel as the runtime's own values."""
        given = {f"v{v}": ort_value(feeds[v]) for v in self.inputs}
        results = self.ort.run_with_ort_values(self.names, given, run_options(self.where))
        return [array_of(result) for result in results]


class Cache:
    """Sessions by structure, the least recently used dropped first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.sessions: dict[tuple, Session] = {}
        self.built = 0
        self.cleared = 0
        self._clock = itertools.count()

    def get(self, recorder: Recorder, outputs: Sequence[int], where: device) -> Session:
        """The session for this recording, made if there is none with these weights."""
        key = (tuple(recorder.nodes), tuple(outputs), where)
        sessions = self.sessions  # the same to the end, where another thread clears meanwhile
        session = sessions.get(key)
        if session is not None:
            if not recorder.states or session.versions == [t._version for t in recorder.states.values()]:
                session.used = next(self._clock)
                return session
            del sessions[key], session  # freed before its successor is made
        self.built += 1
        session = sessions[key] = _build(recorder, outputs, where)
        # A clock instead of an ordered dictionary: moving a key to its end would hash the whole recording again.
        session.used = next(self._clock)
        while len(sessions) > self.limit:
            del sessions[min(sessions, key=lambda k: sessions[k].used)]
        return session

    def clear(self) -> None:
        """Drops every session."""
        self.sessions = {}
        self.cleared += 1


# Whole graphs hold a copy of their weights each; sessions of single words are small.
graphs, words = Cache(16), Cache(512)


def clear() -> None:
    """Drops every session, and with them their copies of the weights."""
    graphs.clear()
    words.clear()


def _build(recorder: Recorder, outputs: Sequence[int], where: device) -> Session:
    try:
        return Session(recorder, outputs, where)
    except Exception as error:
        raise _explained(error, recorder) from error


def run(recorder: Recorder, values: Sequence[int]) -> list[np.ndarray]:
    """Arrays of values of a recording; inputs and constants among them need no session."""
    known = {**recorder.feeds, **recorder.constants}
    asked = [v for v in dict.fromkeys(values) if v not in known and v not in recorder.states]
    # Of an empty batch nothing need be computed; several of the runtime's kernels and fusions fail on it, or abort.
    found = {v: _empty(recorder, v) for v in asked if 0 in (shape := recorder.shapes[v]) and None not in shape}
    if found:
        asked = [v for v in asked if v not in found]
    if asked:
        cache = graphs if recorder.bake_state else words
        session = cache.get(recorder, asked, recorder.where or CPU)
        try:
            results = session.run(recorder.feeds)
        except Exception as error:
            raise _explained(error, recorder) from error
        found.update(zip(asked, results, strict=True))
    return [found[v] if v in found else own(known[v]) if v in known else recorder.state_array(v) for v in values]


def _empty(recorder: Recorder, value: int) -> np.ndarray:
    return np.empty(tuple(map(int, recorder.shapes[value])), recorder.types[value].numpy)


graph.runner = run


def _explained(error: Exception, recorder: Recorder) -> Exception:
    """The runtime's error, told by the line that spoke the word."""
    if isinstance(error, NotImplementedError) or getattr(error, "_located", False):
        return error
    text = str(error)
    found = re.search(r"'n(\d+)(?:/\w+)?'|\(n(\d+)(?:/\w+)?\)|\bn(\d+)\b", text)
    index = next((int(g) for g in found.groups() if g), None) if found else None
    if index is None or index >= len(recorder.nodes):
        return RuntimeError(f"ONNX Runtime: {text}")
    place = Place(*recorder.places[index])
    return RuntimeError(located(f"ONNX Runtime: {recorder.nodes[index][0]}: {text.rstrip('.')}", place, recorder))


# --- results


def deliver(recorder: Recorder, result: Any) -> Any:
    """Runs a finished recording: every recorded tensor in `result` becomes data, written state is written back."""
    found: list[Tensor] = []
    _collect(result, recorder, found)
    written = [t for t in recorder.mutated.values() if t._recorder is recorder]
    arrays = run(recorder, [t._value for t in found] + [t._value for t in written])
    where = recorder.where or CPU
    for tensor, array in zip([*found, *written], arrays, strict=True):
        tensor._array, tensor._recorder, tensor._device = array, None, where
        tensor._shape = array.shape
        tensor._uid = tensor._uid if tensor._uid >= 0 else next(_fresh)
    for tensor in written:
        if tensor._is_state == graph.BAKED:
            tensor._is_state = graph.FED
    for tensor in found:  # a view of what the recording alone knew would keep all of it alive
        view = tensor._view
        if view is not None and (view.base._recorder is recorder or recorder.sources):
            tensor._view = None
    recorder.mutated, recorder.undo = {}, []
    return result


def _collect(result: Any, recorder: Recorder, found: list[Tensor]) -> None:
    if isinstance(result, Tensor):
        if result._view is not None:
            result._refresh()
        if result._recorder is recorder:
            found.append(result)
    elif isinstance(result, tuple | list):
        for item in result:
            _collect(item, recorder, found)
    elif isinstance(result, dict):
        for item in result.values():
            _collect(item, recorder, found)
    elif hasattr(result, "__dataclass_fields__"):
        for name in result.__dataclass_fields__:
            _collect(getattr(result, name), recorder, found)


__all__ = ["CPU", "clear", "deliver", "get_num_threads", "run", "set_num_threads", "set_strict_dtypes"]
