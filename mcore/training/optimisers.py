"""Optimisers by name, with learning rates by part, and parts that aren't trained (for some epochs, or at all)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.modules.batchnorm import _NormBase

from mcore.signatures import check_arguments
from mcore.training.errors import TrainingError
from mcore.training.settings import Part, Typed
from mcore.vocabulary import OPTIMIZERS, nearest

# Of parameters that no part of the configuration names.
REST = "rest"
# What of torch.optim a step of gradients doesn't suffice for.
_UNFIT = {
    "LBFGS": "computes the loss several times a step, which training in batches doesn't",
    "SparseAdam": "takes sparse gradients alone, which no layer here gives",
}


def parts_of(net: torch.nn.Module, parts: Mapping[str, Part]) -> dict[str, list[str]]:
    """The names of parameters by part of the configuration, each with the longest path that leads to it; `REST` last.

    Raises:
        TrainingError: the network has no such part; with the nearest that it has.
    """
    paths = {path for path, _ in net.named_modules() if path}
    for part in parts:
        if part not in paths:
            likely = ", ".join(nearest(part, paths)) or ", ".join(sorted(path for path in paths if "." not in path))
            raise TrainingError(f"train.parts: the network has no part {part!r}; there are {likely}.")
    found: dict[str, list[str]] = {part: [] for part in [*parts, REST]}
    for name, _ in net.named_parameters():
        found[_part_of(name, parts)].append(name)
    return found


def _part_of(path: str, parts: Mapping[str, Part]) -> str:
    """The part with the longest path that leads to a module or a parameter."""
    return max((part for part in parts if f"{path}.".startswith(f"{part}.")), key=len, default=REST)


def optimiser_of(net: torch.nn.Module, given: Typed, parts: Mapping[str, Part]) -> torch.optim.Optimizer:
    """The optimiser, with a group of parameters for each part, named after it.

    Parts that aren't trained at first have theirs too: they join when they are.

    Raises:
        TrainingError: no such optimiser, or an argument that it doesn't take; or all is frozen.
    """
    kind = _class_of(given.type)
    problems = check_arguments(kind, {"params": [], **given.arguments}, title=given.type)
    if problems:
        raise TrainingError("train.optimiser: " + "; ".join(f"{problem.message}" for problem in problems))
    named, groups = dict(net.named_parameters()), []
    for part, names in parts_of(net, parts).items():
        settings = parts.get(part, Part())
        if not names or settings.frozen is True:
            continue
        own = {key: value for key in ("lr", "weight_decay") if (value := getattr(settings, key)) is not None}
        groups.append({"params": [named[name] for name in names], "name": part, **own})
    if not groups:
        raise TrainingError("train.parts: every part is frozen; there is nothing to train.")
    try:
        return kind(groups, **given.arguments)
    except (ValueError, TypeError) as error:
        raise TrainingError(f"train.optimiser: {given.type}: {error}") from error


def freeze(net: torch.nn.Module, parts: Mapping[str, Part], epoch: int) -> list[str]:
    """Has the parts that aren't trained in this epoch stand still, and those that later join move; the still ones.

    Norms in a still part keep their statistics: they compute as in eval mode. Call it after `net.train()`. A part
    within a still one that is named itself goes its own way, and what is frozen by no part is left as it is.
    """
    still = [part for part, settings in parts.items() if frozen(settings, epoch)]
    for part, names in parts_of(net, parts).items():
        for name in names if part in parts and parts[part].frozen is not False else ():
            net.get_parameter(name).requires_grad_(part not in still)
    for path, module in net.named_modules():
        if isinstance(module, _NormBase) and _part_of(path, parts) in still:
            module.eval()
    return still


def frozen(settings: Part, epoch: int) -> bool:
    """Whether a part stands still in an epoch."""
    # True is 1, and means always.
    return settings.frozen is True or (settings.frozen is not False and epoch < settings.frozen)


def _class_of(name: str) -> Any:
    if name not in OPTIMIZERS:
        likely = nearest(name, OPTIMIZERS, least=0.0, most=1)[0]
        raise TrainingError(f"train.optimiser: no optimiser {name!r} (did you mean {likely!r}?): {_listed()}.")
    if name in _UNFIT:
        raise TrainingError(f"train.optimiser: {name} {_UNFIT[name]}; there are {_listed()}.")
    return getattr(torch.optim, name)


def _listed() -> str:
    return ", ".join(name for name in OPTIMIZERS if name not in _UNFIT)


__all__ = ["REST", "freeze", "frozen", "optimiser_of", "parts_of"]
