"""The state of a training, saved so that it goes on as if it had never stopped: one file, whole or not at all.

It holds plain data and tensors, put together where they were sharded, so that any number of processes and any strategy
goes on from it. No random numbers are kept: each step draws its own from the seed and its number.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

import torch

from mcore.exchange.atomic import atomic_file
from mcore.training.errors import StateError, listed
from mcore.training.runtime import placed_as, whole
from mcore.training.settings import Settings

FORMAT = 1
FILE = "state.pt"
# Keys of the configuration that a run may go on with after they changed: what is trained, and how, stays the same,
# though how a batch is cut shows in batch norms.
FREE = frozenset(
    {
        "accumulate", "checkpoints", "compile", "cudnn_benchmark", "device", "early_stopping", "epochs",
        "find_unused_parameters", "loader", "log", "metrics", "name", "recompute", "snapshot_every", "start", "steps",
        "strategy", "validate_every",
    }
)  # fmt: skip


def fingerprint(model: Any, settings: Settings) -> dict[str, str]:
    """What must be the same for a training to go on, by key, as text."""
    kept = {key: value for key, value in settings.model_dump(mode="json").items() if key not in FREE}
    return {key: json.dumps(value, sort_keys=True, default=str) for key, value in {"model": model, **kept}.items()}


def write(folder: Path, state: Mapping[str, Any]) -> None:
    """Writes the state, in place of the one before.

    Raises:
        StorageError: it can't be written; the one before is still there.
    """
    with atomic_file(folder / FILE) as file:
        torch.save({"format": FORMAT, **state}, file)


def read(folder: Path, expected: Mapping[str, str]) -> dict[str, Any] | None:
    """The state that a folder holds, if any.

    Raises:
        StateError: it is damaged, of a newer mcore, or of another configuration; the message tells what differs.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with open(path, "rb") as file:
            _check_bytes(file)
            state = torch.load(file, map_location="cpu", weights_only=True)
        number = state["format"]
    # torch's reader raises what it likes on damaged bytes.
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        OSError,
        BadZipFile,
    ) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise StateError(
            f"{path}: damaged, or no state of training: {line}. Start over with --fresh (fresh=True)"
        ) from error
    if number != FORMAT:
        raise StateError(f"{path}: format {number!r}; this mcore reads {FORMAT}. A newer one may read it.")
    differing = sorted(key for key in {*expected, *state["fingerprint"]} if _differ(expected, state, key))
    if differing:
        told = "; ".join(
            f"{key} was {_short(state['fingerprint'].get(key))}, is {_short(expected.get(key))}" for key in differing
        )
        raise StateError(
            f"{folder}: its training was begun with another configuration: {told}. Give another folder (--out), the "
            f"configuration that it was begun with ({folder / 'config.yaml'}), or start over with --fresh (fresh=True)."
        )
    return state


def _check_bytes(file: IO[bytes]) -> None:
    """That every byte is as it was written, which torch's reader doesn't look at."""
    with ZipFile(file) as parts:
        damaged = parts.testzip()
    if damaged is not None:
        raise ValueError(f"{damaged} isn't what was written")
    file.seek(0)


def _differ(expected: Mapping[str, str], state: Mapping[str, Any], key: str) -> bool:
    return expected.get(key) != state["fingerprint"].get(key)


def _short(text: str | None) -> str:
    return "not given" if text is None else text if len(text) < 80 else f"{text[:77]}..."


def network_state(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The network's state, whole and on the CPU; each process must ask."""
    return {name: whole(value) for name, value in net.state_dict().items()}


def set_network(net: torch.nn.Module, state: Mapping[str, torch.Tensor], where: Path) -> None:
    """Gives a network the state that `network_state` told.

    Raises:
        StateError: it is of another architecture; nothing was changed.
    """
    own = net.state_dict()
    wrong = [f"{name} is missing" for name in own if name not in state]
    wrong += [f"{name} isn't in the network" for name in state if name not in own]
    wrong += [
        f"{name} is {tuple(state[name].shape)}, the network has {tuple(value.shape)}"
        for name, value in own.items()
        if name in state and state[name].shape != value.shape
    ]
    if wrong:
        raise StateError(f"{where}: of another network: {listed(wrong, between='; ')}.")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(placed_as(state[name], value))


def optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """The optimiser's state, whole and on the CPU; each process must ask."""
    return whole(optimiser.state_dict())


def set_optimiser(optimiser: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Gives an optimiser the state that `optimiser_state` told, sharded as its parameters are."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    of = dict(zip(numbers, parameters, strict=True))
    optimiser.load_state_dict(
        {
            "param_groups": state["param_groups"],
            "state": {
                number: {key: _like(value, of[number]) for key, value in held.items()}
                for number, held in state["state"].items()
            },
        }
    )


def _like(value: Any, parameter: torch.Tensor) -> Any:
    """Numbers of each weight lie where the weight lies; counters stay as they are."""
    if isinstance(value, torch.Tensor) and value.shape == parameter.shape and value.ndim:
        return placed_as(value, parameter.detach())
    return value


__all__ = [
    "FILE",
    "fingerprint",
    "network_state",
    "optimiser_state",
    "read",
    "set_network",
    "set_optimiser",
    "write",
]
