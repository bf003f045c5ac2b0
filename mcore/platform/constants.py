"""Names at torch's top that are neither words nor types: numbers, memory layouts, printing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

e, pi, inf, nan = math.e, math.pi, math.inf, math.nan
newaxis = None


class layout:
    """How elements lie in memory: this engine has `strided` only."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"mcore.{self._name}"

    def __reduce__(self) -> str:
        return self._name


class memory_format(layout):
    """The order of axes in memory. ONNX Runtime chooses its own: a format given to a word changes nothing."""


strided = layout("strided")
contiguous_format, preserve_format = memory_format("contiguous_format"), memory_format("preserve_format")
channels_last, channels_last_3d = memory_format("channels_last"), memory_format("channels_last_3d")

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """How tensors print from now on, numpy's arrays with them."""
    options = dict(_PROFILES[profile]) if profile is not None else {}
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    options |= {name: value for name, value in given.items() if value is not None}
    if sci_mode is not None:
        options["suppress"] = not sci_mode
    np.set_printoptions(**options)
