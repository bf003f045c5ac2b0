"""Whether a device gives what stands in an artifact's data sets: a cell of the support table."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcore.devices.base import Device, UnsupportedOperator, graph_of
from mcore.devices.finding import ask
from mcore.devices.memory import Peak
from mcore.exchange.errors import first_line

if TYPE_CHECKING:
    import numpy as np

# What a check can say, the best first: of several data sets the worst counts.
STATUSES = ("ok", "too slow", "mismatch", "unsupported", "failed")
# A run shorter than so many seconds is repeated, since the first one also prepares things: so many times, for so long.
_QUICK = 0.2
_REPEATS, _ENOUGH = 3, 0.2


def check(artifact: Path, device: Device, *, tolerance: float | None = None, slow: float = 30.0) -> dict[str, Any]:
    """Runs every data set of the artifact at `artifact` on `device`, and compares with the outputs that stand there.

    What the device does wrong is the answer; an artifact that nothing can be checked with is an error.

    Args:
        artifact: a folder with model.onnx and data sets.
        device: what runs it; of `devices()` or `find(name)`.
        tolerance: largest relative difference that passes; by default that of `compare.TOLERANCES`.
        slow: seconds that one data set may take; a slower one is the last.

    Returns:
        a cell of the table, as plain data. "status": one of STATUSES, or "not tested" where the device isn't
        available; "detail": what is wrong; "sizes": for each data set that ran its "shapes", the largest relative
        "difference" (None where it is infinite, or shapes or types differ) and the "seconds" of a sample;
        "peak_bytes": the most memory that loading and running took (None where the system doesn't tell);
        "version": the runtime's.

    Raises:
        FileNotFoundError: there is no artifact, or it has no data sets.
        ModelFileError: a file of it is damaged or unsafe.
    """
    cell: dict[str, Any] = {"status": "ok", "detail": "", "sizes": [], "peak_bytes": None, "version": ""}
    asked = ask(device)
    if not asked.available:
        return {**cell, "status": "not tested", "detail": asked.reason}
    folder = Path(artifact)
    sets = _read(folder)
    peak, at = None, ""
    try:
        cell["version"] = asked.version
        device.prepare()
        peak = Peak()
        device.load(folder)
        for data in sets:
            at = f"{data.name}: "
            if not _goes_on(device, data, cell, tolerance=tolerance, slow=slow):
                break
    except UnsupportedOperator as error:
        _note(cell, "unsupported", ", ".join(error.operators) + (f" ({error.why})" if error.why else ""))
    # Whatever a runtime raises is what this device makes of the graph.
    except Exception as error:
        _note(cell, "failed", at + _portable(_said(error), folder))
    cell["peak_bytes"] = peak.above() if peak else None
    return cell


@dataclass
class _Set:
    """A data set, and what messages call the graph's outputs."""

    name: str
    inputs: list[np.ndarray]
    outputs: list[np.ndarray]
    names: list[str]


def _read(folder: Path) -> list[_Set]:
    """The data sets of an artifact, all that a runtime will read having been looked at."""
    from mcore import verify

    names = graph_of(folder).outputs
    return [
        _Set(place.name, verify.read_arrays(place, "input"), verify.read_arrays(place, "output"), names)
        for place in verify.data_sets(folder)
    ]


def _goes_on(device: Device, data: _Set, cell: dict[str, Any], *, tolerance: float | None, slow: float) -> bool:
    """Runs one data set and notes what came; whether the next one is worth it."""
    from mcore.exchange import compare

    got, seconds = _timed(device, data.inputs)
    difference, wrong = compare.verdict(data.names, got, data.outputs, tolerance)
    batch = data.inputs[0].shape[0] if data.inputs and data.inputs[0].ndim else 1
    cell["sizes"].append({
        "shapes": [list(map(int, array.shape)) for array in data.inputs],
        "difference": difference if math.isfinite(difference) else None,
        "seconds": seconds / max(batch, 1),
    })  # fmt: skip
    if wrong:
        _note(cell, "mismatch", f"{data.name}: {'; '.join(wrong)}")
    if seconds > slow:
        _note(cell, "too slow", f"{data.name} took {seconds:.1f} s, allowed {slow:g} s")
    return seconds <= slow


def _timed(device: Device, inputs: Sequence[np.ndarray]) -> tuple[list[np.ndarray], float]:
    """Outputs, and the seconds of a run: where it is quick, the median of several after the first."""
    got, first = _once(device, inputs)
    again: list[float] = []
    while first < _QUICK and len(again) < _REPEATS and sum(again) < _ENOUGH:
        again.append(_once(device, inputs)[1])
    return got, statistics.median(again or [first])


def _once(device: Device, inputs: Sequence[np.ndarray]) -> tuple[list[np.ndarray], float]:
    start = time.perf_counter()
    got = device.run(inputs)
    seconds = time.perf_counter() - start
    # Others' devices may break this promise, too.
    odd = [value for value in got if not hasattr(value, "dtype")] if isinstance(got, list | tuple) else [got]
    if odd:
        raise TypeError(f"run of {device.name} gives {type(odd[0]).__name__} where a list of arrays is due.")
    return got, seconds


def _note(cell: dict[str, Any], status: str, detail: str) -> None:
    """Enters what is worse than what stands there."""
    if STATUSES.index(status) > STATUSES.index(cell["status"]):
        cell["status"], cell["detail"] = status, detail


def _said(error: Exception) -> str:
    """The first line of an error, with its class where that tells more."""
    line, kind = first_line(error), type(error)
    plain = kind.__module__ != "builtins" or kind is RuntimeError or line.startswith(kind.__name__)
    return line if plain else f"{kind.__name__}: {line}"


def _portable(text: str, folder: Path) -> str:
    """A message without this machine's path to the artifact: tables travel."""
    for root in {os.path.abspath(folder), os.path.realpath(folder)}:
        text = text.replace(root + os.sep, "").replace(root, folder.name)
    return text


__all__ = ["STATUSES", "check"]
