"""Devices: which execution provider of ONNX Runtime each name stands for, and whether this machine has it."""

from __future__ import annotations

from typing import Any

from mcore.ort_values import PROVIDERS, providers_for
from mcore.platform.tensor import CPU, device


def providers_of(where: device, options: dict[str, Any] | None = None) -> list:
    """Execution providers for a device, the first with `options`, by the runtime's own names, besides its number.

    Raises:
        RuntimeError: it has none; those available are listed.
    """
    import onnxruntime

    available = onnxruntime.get_available_providers()
    name = PROVIDERS.get(where.type)
    if name is None or name not in available:
        usable = [kind for kind, provider in PROVIDERS.items() if provider in available]
        raise RuntimeError(
            f"device '{where}' is not available: it needs ONNX Runtime's {name or 'provider of that name'}; "
            f"this onnxruntime has {', '.join(available)} (devices: {', '.join(usable)})."
        )
    return providers_for(where.type, where.index or 0, options)


def available(where: device) -> device:
    """The device itself. Raises RuntimeError, here and not at the first use, where this machine lacks it."""
    if where != CPU:
        providers_of(where)
    return where
