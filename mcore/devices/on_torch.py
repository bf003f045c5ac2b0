"""Torch: the artifact's own class with its weights, or its graph as torch's functions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mcore.backend import ENGINES, demand, installed
from mcore.devices.base import Device, graph_of, version_of, without_driver


class Torch(Device):
    """Runs what `mcore.fromplatform` makes: of an artifact whose description tells how it was made, its own class;
    of any other graph an `OnnxModule`. There on the torch engine only.
    """

    place: ClassVar[str]

    def missing(self) -> str:
        """Torch, or the torch engine."""
        if not installed("torch"):
            return f"torch is not installed: {ENGINES['torch'].install}"
        try:
            demand("torch", self.name)
        except RuntimeError as error:
            return str(error)
        return ""

    def version(self) -> str:
        """Torch's."""
        return version_of("torch")

    def prepare(self) -> None:
        """Imports torch and its engine."""
        from mcore.exchange import bridge_torch, imports  # noqa: F401

    def load(self, artifact: Path) -> None:
        """The module of the artifact, on the device."""
        demand("torch", self.name)
        self.module = _module_of(graph_of(artifact).model).to(self.place)

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Outputs in the order in which an export gives them."""
        import torch

        from mcore.exchange import bridge_torch
        from mcore.exchange.recorded import leaves_of

        # Copies: a module may write in its inputs.
        given = [bridge_torch.tensor_of(array.copy()).to(self.place) for array in inputs]
        exact = torch.backends.cudnn.flags(allow_tf32=False)  # ten bits of a float32 are no check of a graph
        with _one_thread(), torch.no_grad(), exact, bridge_torch.buffers_kept(self.module):
            found, _ = leaves_of(self.module(*given), torch.Tensor)
        return [np.array(bridge_torch.array_of(tensor)) for tensor in found]


class TorchCPU(Torch):
    name, title, place = "torch-cpu", "torch, CPU", "cpu"


class TorchCUDA(Torch):
    name, title, place = "torch-cuda", "torch, CUDA", "cuda"

    def missing(self) -> str:
        """Torch, its engine, or a GPU; torch itself is asked only where it could have one."""
        lacking = super().missing()
        if lacking:
            return lacking
        if self.version().endswith("+cpu"):
            return f"this torch ({self.version()}) was built without CUDA: install torch's build for CUDA"
        # Builds for AMD's GPUs need another driver.
        lacking = "" if "rocm" in self.version() else without_driver()
        if lacking:
            return lacking
        import torch

        return "" if torch.cuda.is_available() else f"torch {torch.__version__} finds no GPU that it can use"


def _module_of(model: Path) -> Any:
    from mcore.exchange import description
    from mcore.exchange.imports import fromplatform

    folder = model.parent
    if description.stands_in(folder) and description.read(folder)["arguments"] is None:
        # How it was made wasn't written: its class can't be had, but the graph stands for it.
        from mcore.exchange.onnx_torch import OnnxModule

        return OnnxModule(model)
    return fromplatform(folder)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """A block in which torch computes with one thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
