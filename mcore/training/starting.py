"""Weights to start from: of a file or of a checkpoint, whole or some parts; told what was loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mcore.training.errors import TrainingError, listed
from mcore.training.settings import Start


def begin(net: torch.nn.Module, start: Start, base: Path) -> str:
    """Loads what a training starts from into a network; a sentence that tells what was loaded.

    Args:
        net: what is loaded into: all or nothing.
        start: which weights, and which parts of them.
        base: the folder that relative paths start from.

    Raises:
        TrainingError: the file doesn't hold what is asked for, or what doesn't fit; nothing was loaded.
        NotFound, Incompatible: the checkpoint isn't there, or doesn't fit.
    """
    if start.file is not None:
        return _from_file(net, base / start.file, start)
    from mcore.checkpoint import Repository

    where = str(start.repository)
    repo = Repository(where if "://" in where else str(base / where), create=False)
    return str(repo.load_into(net, str(start.checkpoint), parts=start.parts, strict=start.strict))


def _from_file(net: torch.nn.Module, file: Path, start: Start) -> str:
    from mcore.checkpoint.states import state_of

    there: dict[str, Any] = state_of(file)
    own = {name: value for name, value in net.state_dict().items() if _within(name, start.parts)}
    given = {name: array for name, array in there.items() if _within(name, start.parts)}
    fitting = {name for name in own if name in given and tuple(given[name].shape) == tuple(own[name].shape)}
    wrong = [
        f"{name} is missing" if name not in given else f"{name} is {given[name].shape}, not {tuple(own[name].shape)}"
        for name in own
        if name not in fitting and not name.endswith("num_batches_tracked")
    ]
    wrong += [f"{name} isn't in the network" for name in given if name not in own]
    of = f" of {', '.join(start.parts)}" if start.parts else ""
    if not fitting:
        raise TrainingError(f"train.start: {file} has nothing{of} that the network has; {listed(wrong, between='; ')}.")
    if wrong and start.strict:
        raise TrainingError(
            f"train.start: {file} isn't of this network{of}: {listed(wrong, between='; ')}. "
            "With strict: false, what fits is loaded."
        )
    from mcore.exchange.bridge_torch import tensor_of

    with torch.no_grad():
        for name in fitting:
            own[name].copy_(tensor_of(given[name]))
    left = f"; left: {listed(wrong, between='; ')}" if wrong else ""
    return f"{file}: {len(fitting)} of {len(own)} entries{of} loaded{left}"


def _within(name: str, parts: list[str] | None) -> bool:
    return parts is None or any(name.startswith(f"{part}.") for part in parts)


__all__ = ["begin"]
