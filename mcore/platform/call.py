"""The outermost call of a module: record, find the session, run.

Sizes: the first call records plain numbers, so only sizes that a word used as a number are in the key. When a
later call brings other sizes, the axes that changed are recorded as symbolic from then on: alternating shapes
share one session instead of building one each.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from contextlib import nullcontext
from typing import Any

from mcore.platform import session
from mcore.platform.graph import Recorder
from mcore.platform.tensor import Tensor

# Sessions that one module may build with symbolic sizes before a warning says which axis keeps changing.
THRASHING = 8


class Memory:
    """What calls of one module have seen: sizes by kind of input, and the axes that changed."""

    def __init__(self) -> None:
        self.shapes: dict[tuple, list[tuple]] = {}
        self.open: dict[tuple, set[tuple[int, int]]] = {}
        self.misses: dict[tuple, int] = {}  # since all sessions were dropped last
        self.cleared = session.graphs.cleared
        self.writes: dict[bool, bool] = {}  # by mode: whether forward writes state, as far as seen
        # While forward writes a buffer, the buffer belongs to one recording: such calls go one after the other.
        self.writing = threading.RLock()


_memories: weakref.WeakKeyDictionary[Any, Memory] = weakref.WeakKeyDictionary()


def call(module: Any, args: tuple, kwargs: dict) -> Any:
    """Runs `module` on data: what `module(...)` does when no recording is under way."""
    found: list[Tensor] = []
    _find(args, found)
    _find(kwargs, found)
    memory = _memories.get(module)
    if memory is None:
        memory = _memories.setdefault(module, Memory())
    with memory.writing if memory.writes.get(module.training, True) else nullcontext():
        return _call(module, args, kwargs, memory, found)


def _call(module: Any, args: tuple, kwargs: dict, memory: Memory, found: list[Tensor]) -> Any:
    kind = tuple([(t._dtype.name, len(t._shape)) for t in found])
    shapes = [t._data().shape for t in found]
    opened = _changed_axes(memory, kind, shapes)
    with Recorder() as recorder:
        recorder.root = module
        lifted = {id(t): _lift(recorder, t, k, opened) for k, t in enumerate(found)}
        args, kwargs = _replace(args, lifted), _replace(kwargs, lifted)
        result = module._speak(args, kwargs)
        memory.writes[module.training] = bool(recorder.mutated)
        before = session.graphs.built
        result = session.deliver(recorder, result)
    if opened and session.graphs.built != before:
        _warn_of_thrashing(memory, kind, opened, module)
    return result


def _lift(recorder: Recorder, tensor: Tensor, index: int, opened: set[tuple[int, int]]) -> Tensor:
    """A recorded twin of an argument, so that in-place words in forward leave the caller's tensor alone."""
    if tensor._is_state:
        return tensor
    array = tensor._data()
    if recorder.where is None:
        recorder.where = tensor._device
    symbolic = {axis: f"i{index}_{axis}" for i, axis in opened if i == index} if opened else None
    value = recorder.input(array, tensor._dtype, symbolic)
    return Tensor._recorded(recorder, value, tensor._dtype, recorder.shapes[value])


def _changed_axes(memory: Memory, kind: tuple, shapes: list[tuple]) -> set[tuple[int, int]]:
    last = memory.shapes.get(kind)
    if last is None:
        memory.shapes[kind] = shapes
        memory.open[kind] = set()
    elif last != shapes:
        memory.shapes[kind] = shapes
        memory.open[kind] |= {
            (i, axis)
            for i, (old, new) in enumerate(zip(last, shapes, strict=True))
            for axis, (a, b) in enumerate(zip(old, new, strict=True))
            if a != b
        }
    return memory.open[kind]


def _warn_of_thrashing(memory: Memory, kind: tuple, opened: set, module: Any) -> None:
    if memory.cleared != session.graphs.cleared:  # what was dropped on purpose is built again once
        memory.misses, memory.cleared = {}, session.graphs.cleared
    count = memory.misses[kind] = memory.misses.get(kind, 0) + 1
    if count == THRASHING:
        axes = ", ".join(f"axis {axis} of input {i}" for i, axis in sorted(opened))
        warnings.warn(
            f"{type(module).__name__}: {count} sessions were built because sizes change ({axes}) and forward uses "
            "them as plain Python numbers (range, len, int): each new size builds another. Pad to few sizes, or "
            "see `to_onnx`'s report for the line.",
            RuntimeWarning,
            stacklevel=4,
        )


def _find(value: Any, found: list[Tensor]) -> None:
    if isinstance(value, Tensor):
        if all(t is not value for t in found):
            found.append(value)
    elif isinstance(value, tuple | list):
        for item in value:
            _find(item, found)
    elif isinstance(value, dict):
        for item in value.values():
            _find(item, found)


def _replace(value: Any, lifted: dict[int, Tensor]) -> Any:
    if isinstance(value, Tensor):
        return lifted.get(id(value), value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_replace(item, lifted) for item in value))
    if isinstance(value, tuple | list):
        return type(value)(_replace(item, lifted) for item in value)
    if isinstance(value, dict):
        return {key: _replace(item, lifted) for key, item in value.items()}
    return value
