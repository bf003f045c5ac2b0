"""OpenVINO itself, on the CPU."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from mcore.backend import installed
from mcore.devices.base import Device, UnsupportedOperator, graph_of, version_of
from mcore.exchange.errors import first_line

# One thread; no pinning, or processes beside each other would share one core; and the graph's own precision:
# processors with bfloat16 units would else compute float32 in it.
_SETTINGS = {
    "EXECUTION_MODE_HINT": "ACCURACY",
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    "ENABLE_CPU_PINNING": False,
}
# What its errors begin with: the places in its own source where they were raised.
_WHERE = re.compile(r"^(Exception from|Check .* failed at) ")
_LACKING = re.compile(r"No conversion rule found for operations: (.*)")
_FAILING = re.compile(r"Conversion is failed for: (.*)")
# What its log says of each of these, up to an empty line or the next one.
_LOGGED = re.compile(r"^-- \S+ with a message:\n(.*?)(?=\n\n|\n-- |\Z)", re.MULTILINE | re.DOTALL)
# "my.ops.Fold-3": domain, name, operator set.
_OPERATOR = re.compile(r"^(?:(.*)\.)?([^.]+?)(?:-\d+)?$")


class OpenVINOCPU(Device):
    """A graph as OpenVINO converts and runs it, in the precision that it is written in."""

    name, title = "openvino-cpu", "OpenVINO, CPU"

    def missing(self) -> str:
        """OpenVINO."""
        return "" if installed("openvino") else 'openvino is not installed: pip install ".[openvino]"'

    def version(self) -> str:
        """OpenVINO's."""
        return version_of("openvino")

    def prepare(self) -> None:
        """Imports OpenVINO, and has it load what it has for CPUs."""
        import openvino

        openvino.Core().get_versions("CPU")

    def load(self, artifact: Path) -> None:
        """The graph, compiled."""
        import openvino

        graph, core = graph_of(artifact), openvino.Core()
        try:
            compiled = core.compile_model(core.read_model(str(graph.model)), "CPU", _SETTINGS)
        except RuntimeError as error:
            raise self._refusal(error) from error
        self.request, self.names = compiled.create_infer_request(), graph.inputs
        texts = [p.any_name for p in [*compiled.inputs, *compiled.outputs] if p.element_type == openvino.Type.string]
        if texts:
            # Version 2026.4 frees what they hold twice, which ends the process.
            raise NotImplementedError(f"{self.name}: {texts[0]} is of strings; only numbers are run.")
        # An input that no node reads is left out.
        self.taken = {name for port in compiled.inputs for name in port.get_names()}
        self.outputs = len(compiled.outputs)

    def _refusal(self, error: RuntimeError) -> RuntimeError:
        operators = lacking(str(error))
        if operators:
            why = "; ".join(text.splitlines()[-1].strip() for text in _LOGGED.findall(str(error)))
            return UnsupportedOperator(
                f"{self.name} has no conversion for {', '.join(operators)}{f': {why}' if why else '.'}", operators, why
            )
        return RuntimeError(f"OpenVINO: {_said(error)}")

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The graph's outputs."""
        given = dict(zip(self.names, inputs, strict=True))
        try:
            self.request.infer({name: _tensor(array) for name, array in given.items() if name in self.taken})
        except RuntimeError as error:
            raise RuntimeError(f"OpenVINO: {_said(error)}") from error
        return [_array(self.request.get_output_tensor(k)) for k in range(self.outputs)]


def lacking(text: str) -> list[str]:
    """The operators that an error of OpenVINO is about, if it says that it can't convert some.

    >>> lacking("-- No conversion rule found for operations: Optional-18, my.ops.Fold-1")
    ['Optional', 'my.ops:Fold']
    """
    rows = _LACKING.findall(text) + _FAILING.findall(text)
    listed = [name for row in rows for name in row.split(",")]
    found = [match for name in listed if (match := _OPERATOR.match(name.strip()))]
    return list(dict.fromkeys(f"{match[1]}:{match[2]}" if match[1] else match[2] for match in found))


def _said(error: Exception) -> str:
    """The first line that tells something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not _WHERE.match(line)), first_line(error))


def _tensor(array: np.ndarray) -> Any:
    """An array as OpenVINO's own value, of the same type to the bit."""
    import openvino

    array = np.ascontiguousarray(array).reshape(array.shape)  # the former makes scalars rows
    if array.dtype == ml_dtypes.bfloat16:
        return openvino.Tensor(array.view(np.uint16), openvino.Shape(array.shape), openvino.Type.bf16)
    return openvino.Tensor(array)


def _array(tensor: Any) -> np.ndarray:
    """A copy of a value: the request writes its next results in the same place."""
    import openvino

    data = np.array(tensor.data)
    # Its arrays of bfloat16 call themselves float16.
    return data.view(ml_dtypes.bfloat16) if tensor.element_type == openvino.Type.bf16 else data
