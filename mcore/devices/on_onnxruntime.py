"""ONNX Runtime with each of its execution providers."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mcore.backend import installed
from mcore.devices.base import Device, UnsupportedOperator, graph_of, version_of, without_driver
from mcore.ort_values import PROVIDERS, providers_for

if TYPE_CHECKING:
    import numpy as np

# Where an operator without a kernel stands in the graph's own words: ("name", Op, "domain", version).
_NODE = re.compile(r'In Node, \("[^"]*", (\w+), "([^"]*)", -?\d+\)')


# Kinds whose provider is a library of its own beside the runtime.
_LIBRARIES = ("cuda", "tensorrt", "openvino")


class OnnxRuntime(Device):
    """A graph as ONNX Runtime runs it on one execution provider.

    What the provider has no kernel for, the runtime gives to the CPU, as it does wherever it serves. A provider that
    it drops, or gives nothing at all, is an error.
    """

    kind: ClassVar[str]
    # The build that has the provider.
    package: ClassVar[str] = "onnxruntime"
    needs_driver: ClassVar[bool] = False
    # The provider's own options.
    options: ClassVar[Mapping[str, Any]] = {}

    def missing(self) -> str:
        """The runtime, the provider, or the driver that it needs; a runtime without its library isn't imported."""
        if not installed("onnxruntime"):
            return "onnxruntime is not installed: pip install ."
        if self.kind == "cpu":
            return ""
        if not _has(self.kind):
            return f"this onnxruntime has no {PROVIDERS[self.kind]}: pip install {self.package} in place of onnxruntime"
        return without_driver() if self.needs_driver else ""

    def version(self) -> str:
        """That of whichever build is installed."""
        return version_of("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")

    def prepare(self) -> None:
        """Imports the runtime."""
        import onnxruntime  # noqa: F401

    def load(self, artifact: Path) -> None:
        """A session on the provider."""
        from mcore.exchange.ortrun import Runner

        graph, provider = graph_of(artifact), PROVIDERS[self.kind]
        providers = providers_for(self.kind, options=self.options)
        try:
            self.runner = Runner(str(graph.model), providers=providers, threads=1, placed=self.kind != "cpu")
        except Exception as error:  # the runtime has no class of its own
            operators = lacking(str(error))
            if not operators:
                raise
            raise UnsupportedOperator(f"{self.name} has no kernel for {', '.join(operators)}.", operators) from error
        if self.kind != "cpu" and self.runner.nodes_on(provider) == 0:
            raise RuntimeError(f"ONNX Runtime gave no node of the graph to {provider}: all of it would run elsewhere.")

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The graph's outputs."""
        return self.runner(inputs)


def _has(kind: str) -> bool:
    """Whether the installed runtime has the provider of this kind: its library first, which needs no import."""
    found = importlib.util.find_spec("onnxruntime")
    place = Path(found.origin).parent / "capi" if found and found.origin else Path()
    if kind in _LIBRARIES and not [*place.glob(f"*onnxruntime_providers_{kind}.*")]:
        return False
    import onnxruntime

    return PROVIDERS[kind] in onnxruntime.get_available_providers()


class CPU(OnnxRuntime):
    name, title, kind = "onnxruntime-cpu", "ONNX Runtime, CPU", "cpu"


class CUDA(OnnxRuntime):
    name, title, kind = "onnxruntime-cuda", "ONNX Runtime, CUDA", "cuda"
    package, needs_driver = "onnxruntime-gpu", True
    # Ten bits of a float32 are no check of a graph.
    options: ClassVar[Mapping[str, Any]] = {"use_tf32": 0}


class TensorRT(OnnxRuntime):
    name, title, kind = "onnxruntime-tensorrt", "ONNX Runtime, TensorRT", "tensorrt"
    package, needs_driver = "onnxruntime-gpu", True


class OpenVINO(OnnxRuntime):
    name, title, kind = "onnxruntime-openvino", "ONNX Runtime, OpenVINO", "openvino"
    package = "onnxruntime-openvino"
    options: ClassVar[Mapping[str, Any]] = {"device_type": "CPU", "num_of_threads": "1", "precision": "ACCURACY"}


def lacking(text: str) -> list[str]:
    """The operator that an error of the runtime is about, if it says that it lacks one; it names one at a time."""
    from mcore.exchange import ortrun

    found = ortrun.NO_KERNEL.search(text)
    if found:
        return [found[1]]
    found = ortrun.NO_FUNCTION.search(text)
    if found:
        return [found[1].partition("(")[0]]
    found = ortrun.NO_OPERATOR.search(text)
    if not found:
        return []
    node = _NODE.search(text)
    return [f"{node[2]}:{node[1]}" if node and node[2] else found[1]]
