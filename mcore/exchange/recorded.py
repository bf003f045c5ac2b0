"""A finished recording with its inputs and outputs; recording a module of the platform engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from mcore.platform import dtypes
from mcore.platform.graph import Recorder
from mcore.platform.tensor import Tensor


@dataclasses.dataclass
class Recorded:
    """One recording: `inputs` and `outputs` are values of `recorder`, `names` the outputs' names."""

    recorder: Recorder
    inputs: list[int]
    outputs: list[int]
    names: list[str]

    def structure(self) -> tuple:
        """What two recordings of one source have in common where it treats sizes alike."""
        return tuple(self.recorder.nodes), tuple(self.outputs)


def leaves_of(result: Any, kind: type) -> tuple[list[Any], list[str]]:
    """Tensors of a result, with names: keys of a dict, fields of a named tuple, numbers elsewhere.

    Raises:
        TypeError: the result holds something that is neither a tensor nor a collection.
    """
    found: list[Any] = []
    names: list[str] = []
    _walk(result, kind, "", found, names)
    if len(names) == 1 and not names[0]:
        names = ["output"]
    names = [f"output_{name}" if name.isdigit() or not name else name for name in names]
    return found, names


def _walk(value: Any, kind: type, name: str, found: list, names: list) -> None:
    join = f"{name}_" if name else ""
    if isinstance(value, kind):
        found.append(value)
        names.append(name)
    elif isinstance(value, dict):
        for key, item in value.items():
            _walk(item, kind, f"{join}{key}", found, names)
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for key, item in zip(value._fields, value, strict=True):
            _walk(item, kind, f"{join}{key}", found, names)
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            _walk(item, kind, f"{join}{index}", found, names)
    elif hasattr(value, "__dataclass_fields__"):
        for key in value.__dataclass_fields__:
            _walk(getattr(value, key), kind, f"{join}{key}", found, names)
    elif value is not None:
        raise TypeError(
            f"forward returned {type(value).__name__} {f'at {name!r} ' if name else ''}where an exported graph can "
            "only give tensors (alone, or in tuples, lists, dicts)."
        )


def record_platform(net: Any, arrays: Sequence[np.ndarray], symbolic: Sequence[dict[int, str]]) -> Recorded:
    """Records a module of the platform engine: as its call does, but nothing is run.

    Raises:
        RuntimeError: forward reads a value.
    """
    recorder = Recorder(exporting=True)
    recorder.root = net
    with recorder:
        inputs = []
        for array, axes in zip(arrays, symbolic, strict=True):
            dtype = dtypes.from_numpy(array.dtype)
            value = recorder.input(array, dtype, axes)
            inputs.append(Tensor._recorded(recorder, value, dtype, recorder.shapes[value]))
        values = [t._value for t in inputs]
        outputs, names = leaves_of(net._speak(tuple(inputs), {}), Tensor)
        results = [recorder.use(t) for t in outputs]
    recorder.release()
    return Recorded(recorder, values, results, names)
