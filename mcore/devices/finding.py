"""Which devices there are: the project's own, and those that other packages announce."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mcore.devices.base import Device
from mcore.exchange.errors import first_line
from mcore.vocabulary import nearest

GROUP = "mcore.devices"
# In the order of tables. A clone that isn't installed has no entry points; these are found all the same.
OWN = {
    "torch-cpu": "mcore.devices.on_torch:TorchCPU",
    "torch-cuda": "mcore.devices.on_torch:TorchCUDA",
    "onnxruntime-cpu": "mcore.devices.on_onnxruntime:CPU",
    "onnxruntime-cuda": "mcore.devices.on_onnxruntime:CUDA",
    "onnxruntime-tensorrt": "mcore.devices.on_onnxruntime:TensorRT",
    "onnxruntime-openvino": "mcore.devices.on_onnxruntime:OpenVINO",
    "openvino-cpu": "mcore.devices.on_openvino:OpenVINOCPU",
    "reference": "mcore.devices.on_reference:Reference",
}


class Asked(NamedTuple):
    """What a device says of itself: whether it can be used here, else why not, and the version of its runtime."""

    available: bool
    reason: str
    version: str


class UnknownDevice(LookupError):
    """No device of this name."""


class Unusable(Device):
    """Stands for an announced device that cannot be had: never available, with the reason."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = self.title = name  # type: ignore[misc]  # the one class whose name is its instance's
        self.why = reason

    def missing(self) -> str:
        """The reason."""
        return self.why

    def load(self, artifact: Path) -> None:
        """Raises RuntimeError with the reason."""
        raise RuntimeError(f"{self.name}: {self.why}")

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Raises RuntimeError with the reason."""
        raise RuntimeError(f"{self.name}: {self.why}")


def devices() -> dict[str, Device]:
    """A new instance of every device that is announced, by name; those that can't be imported say why."""
    return {name: _made(name, places) for name, places in _announced().items()}


def find(name: str) -> Device:
    """A new instance of the device of this name; no other is imported.

    Raises:
        UnknownDevice: there is none; the message lists the nearest.
    """
    found = _announced()
    if name not in found:
        likely = nearest(str(name), found)
        said = f"the nearest names are {', '.join(likely)}" if likely else f"there are {', '.join(found)}"
        raise UnknownDevice(f"no device {name!r}; {said}.")
    return _made(name, found[name])


def ask(device: Device) -> Asked:
    """Asks a device, which may be somebody else's and break its promise not to raise: then it isn't available."""
    try:
        available = device.available()
        reason = "" if available else device.reason or f"{device.name} is not available"
        return Asked(bool(available), reason, device.version())
    except Exception as error:
        said = f"{type(error).__name__}: {first_line(error)}"
        return Asked(False, f"{device.name} cannot tell whether it is available: {said}", "")


def _announced() -> dict[str, dict[str, Callable[[], Any]]]:
    """Names of devices, each with the places that it was announced at and how to load them."""
    found: dict[str, dict[str, Callable[[], Any]]] = {
        name: {place: functools.partial(_attribute, place)} for name, place in OWN.items()
    }
    points = importlib.metadata.entry_points(group=GROUP)
    for point in sorted(points, key=lambda point: (point.name, point.value)):
        found.setdefault(point.name, {}).setdefault(point.value, point.load)
    return found


def _attribute(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _made(name: str, places: dict[str, Callable[[], Any]]) -> Device:
    """The device, or an unusable one where the package that announced it is at fault: the others go on."""
    if len(places) > 1:
        return Unusable(name, f"announced more than once, as {' and '.join(places)}; uninstall one of them")
    (place, load), *_ = places.items()
    try:
        made = load()
        if not (inspect.isclass(made) and issubclass(made, Device)):
            return Unusable(name, f"{place} is no class of mcore.devices.Device")
        device = made()
    # Whatever a package raises while it is imported; some end the process.
    except (Exception, SystemExit) as error:
        return Unusable(name, f"{place} cannot be imported: {type(error).__name__}: {first_line(error)}")
    if device.name != name:
        return Unusable(name, f"{place} calls itself {device.name!r}; its entry point must have that name")
    return device


__all__ = ["GROUP", "OWN", "Asked", "UnknownDevice", "ask", "devices", "find"]
