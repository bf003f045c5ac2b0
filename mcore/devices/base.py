"""What a device is: a runtime on a processor that loads an artifact and runs it on arrays."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mcore.exchange.errors import UnsupportedOperator, first_line

if TYPE_CHECKING:
    import numpy as np

    from mcore.verify import Graph


class Device(ABC):
    """A runtime on a processor. Other packages announce theirs by the entry point group `mcore.devices`.

    An instance holds one artifact at a time, and computes with one thread.

    Attributes:
        name: what commands and tables call it: "onnxruntime-cpu".
        title: what a reader sees: "ONNX Runtime, CPU".
        reason: why it can't be used here and what to do, after `available`; "" where it can.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    reason: str = ""

    def available(self) -> bool:
        """Whether it can be used here, which costs little to ask; `reason` says why not. Never raises."""
        try:
            self.reason = self.missing()
        # A runtime that is there and broken raises whatever it likes.
        except Exception as error:
            self.reason = f"{type(error).__name__}: {first_line(error)}"
        return not self.reason

    def missing(self) -> str:
        """What it needs and doesn't find here, with what to do; "" where it can be used."""
        return ""

    def version(self) -> str:
        """The version of the runtime; "" where it isn't there."""
        return ""

    def prepare(self) -> None:  # noqa: B027  # one may have nothing to import
        """Imports the runtime, so that no artifact's memory counts its libraries."""

    @abstractmethod
    def load(self, artifact: Path) -> None:
        """Makes the artifact in the folder `artifact` ready to run.

        Raises:
            UnsupportedOperator: the runtime lacks operators, and says which.
        """

    @abstractmethod
    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The graph's outputs in its order, for inputs in its order; computed when this returns."""


def graph_of(artifact: Path) -> Graph:
    """The graph of an artifact, which was looked over before any runtime may read it.

    Raises:
        FileNotFoundError: there is no artifact.
        ModelFileError: a file of it is damaged or unsafe.
    """
    from mcore import verify

    # An artifact is checked on one device after another: as long as no file of it changes, it is looked over once.
    key = str(artifact), _stamps(Path(artifact))
    if key not in _looked_over:
        _looked_over.clear()
        _looked_over[key] = verify.look_over(artifact)
    return _looked_over[key]


_looked_over: dict[tuple, Graph] = {}


def _stamps(folder: Path) -> tuple[tuple[str | int, ...], ...]:
    """What tells apart two states of a folder's files, without reading them."""
    try:
        found = [(entry.name, entry.stat()) for entry in os.scandir(folder)]
    except OSError:  # `look_over` says what is wrong with it
        return ()
    return tuple(sorted((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found))


def version_of(*packages: str) -> str:
    """The version of the first of `packages` that is installed; "" where none is. Imports none of them."""
    for package in packages:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def without_driver() -> str:
    """What to say where this machine has no driver of NVIDIA, without which every CUDA runtime fails; else ""."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(library)
    except OSError:
        return f"there is no NVIDIA driver on this machine ({library} cannot be loaded)"
    return ""


__all__ = ["Device", "UnsupportedOperator", "graph_of", "version_of", "without_driver"]
