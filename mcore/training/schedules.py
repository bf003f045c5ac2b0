"""Learning rates from step to step.

The named ones multiply each group's own learning rate, so that parts keep their proportions.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.optim import lr_scheduler

from mcore.training.errors import TrainingError
from mcore.training.settings import Schedule
from mcore.vocabulary import nearest


def constant(done: float) -> float:
    """The same from the first step to the last."""
    return 1.0


def cosine(done: float, *, end: float = 0.0) -> float:
    """Falls along half a cosine to the share `end`.

    Source: Loshchilov and Hutter, arXiv:1608.03983, without restarts.
    """
    return end + (1.0 - end) * 0.5 * (1.0 + math.cos(math.pi * done))


def linear(done: float, *, end: float = 0.0) -> float:
    """Falls along a line to the share `end`."""
    return 1.0 + (end - 1.0) * done


def polynomial(done: float, *, power: float = 0.9, end: float = 0.0) -> float:
    """Falls as `(1 - done) ** power`. Source: Chen et al. (DeepLab), arXiv:1606.00915, section 4.1."""
    return end + (1.0 - end) * (1.0 - done) ** power


def onecycle(done: float, *, rise: float = 0.3, begin: float = 0.04, end: float = 4e-6) -> float:
    """Rises along a cosine from the share `begin` in the part `rise` of all steps, and falls to the share `end`.

    Source: Smith and Topin, "Super-Convergence", arXiv:1708.07120; the shares are torch's OneCycleLR's.
    """
    if done < rise:
        return 1.0 + (begin - 1.0) * 0.5 * (1.0 + math.cos(math.pi * done / rise))
    return cosine((done - rise) / (1.0 - rise), end=end)


NAMED: dict[str, Callable[..., float]] = {
    "constant": constant,
    "cosine": cosine,
    "linear": linear,
    "onecycle": onecycle,
    "polynomial": polynomial,
}


class Plan:
    """The schedule of a training: `step()` after each step of the optimiser, `judge(metrics)` after each validation.

    Attributes:
        metric: what it goes by in validations; None where it goes by steps. ReduceLROnPlateau has an argument of this
            name, a rule as "max:validation.iou".
    """

    def __init__(self, optimiser: torch.optim.Optimizer, given: Schedule, total: int) -> None:
        if given.warmup >= total:
            raise TrainingError(f"train.schedule: warmup={given.warmup} steps, but training has {total} in all.")
        arguments = given.arguments
        self.metric: str | None = None
        if given.type == "ReduceLROnPlateau":
            direction, _, self.metric = str(arguments.pop("metric", "min:validation.loss")).rpartition(":")
            if direction:
                arguments.setdefault("mode", direction)
        if given.type in NAMED:
            factor = _checked(given.type, NAMED[given.type], arguments)
            self.scheduler: Any = lr_scheduler.LambdaLR(
                optimiser, partial(_factor, shape=factor, warmup=given.warmup, total=total)
            )
            return
        self.scheduler = _torchs(optimiser, given, arguments)

    def step(self) -> None:
        """One step of the optimiser was made."""
        if self.metric is None:
            self.scheduler.step()

    def judge(self, metrics: dict[str, float]) -> None:
        """A validation was made, whose numbers some schedules go by.

        Raises:
            TrainingError: the schedule's metric isn't among them.
        """
        if self.metric is None:
            return
        if self.metric not in metrics:
            there = ", ".join(metrics) or "none, without validation data"
            raise TrainingError(f"train.schedule goes by {self.metric!r}, which isn't measured; there is {there}.")
        self.scheduler.step(metrics[self.metric])

    def state_dict(self) -> dict[str, Any]:
        """Where it stands."""
        return {key: value for key, value in self.scheduler.state_dict().items() if key != "lr_lambdas"}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there."""
        held = self.scheduler.state_dict()
        self.scheduler.load_state_dict({**held, **state})


def _factor(step: int, *, shape: Callable[[float], float], warmup: int, total: int) -> float:
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return shape(min((step - warmup) / max(total - warmup, 1), 1.0))


def _torchs(optimiser: torch.optim.Optimizer, given: Schedule, arguments: dict[str, Any]) -> Any:
    known = [
        name
        for name, kind in vars(lr_scheduler).items()
        if inspect.isclass(kind) and name[0] != "_" and name.endswith(("LR", "Plateau", "Restarts"))
    ]
    if given.type not in known:
        likely = nearest(given.type, [*NAMED, *known], least=0.0, most=1)[0]
        raise TrainingError(
            f"train.schedule: no schedule {given.type!r} (did you mean {likely!r}?): {', '.join([*NAMED, *known])}."
        )
    plateau = given.type == "ReduceLROnPlateau"
    if plateau and given.warmup:
        raise TrainingError("train.schedule: ReduceLROnPlateau goes by validations and takes no warmup.")
    try:
        scheduler = getattr(lr_scheduler, given.type)(optimiser, **arguments)
        if not given.warmup:
            return scheduler
        rise = lr_scheduler.LinearLR(optimiser, 1 / (given.warmup + 1), total_iters=given.warmup)
        return lr_scheduler.SequentialLR(optimiser, [rise, scheduler], milestones=[given.warmup])
    except (TypeError, ValueError, AttributeError) as error:
        raise TrainingError(f"train.schedule: {given.type}: {error}") from error


def _checked(name: str, function: Callable[..., float], arguments: dict[str, Any]) -> Callable[[float], float]:
    known = [key for key in inspect.signature(function).parameters if key != "done"]
    for key in arguments:
        if key not in known:
            fits = ", ".join(known) or "none"
            raise TrainingError(f"train.schedule: {name} takes no {key!r}; its arguments are {fits}.")
    return partial(function, **arguments)


__all__ = ["NAMED", "Plan"]
