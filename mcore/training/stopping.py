"""Early stopping, and whether what a training goes by will be measured at all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mcore.training.errors import TrainingError
from mcore.training.settings import EarlyStopping


class Patience:
    """Counts validations in which a metric didn't become better.

    Source: Prechelt, "Early Stopping - But When?" (1998), criterion UP, with a least difference.
    """

    def __init__(self, settings: EarlyStopping) -> None:
        self.settings, self.waited = settings, 0
        self.best: float | None = None

    def ends(self, metrics: Mapping[str, float]) -> bool:
        """Whether training is to end after a validation that gave these numbers.

        Raises:
            TrainingError: the metric isn't among them.
        """
        direction, _, name = self.settings.metric.partition(":")
        if name not in metrics:
            there = ", ".join(metrics) or "nothing"
            raise TrainingError(f"train.early_stopping goes by {name!r}, but there is {there}.")
        value = metrics[name] * (1 if direction == "max" else -1)
        # What is no number is no better than anything.
        if not math.isnan(value) and (self.best is None or value > self.best + self.settings.min_delta):
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        return self.over

    def state_dict(self) -> dict[str, Any]:
        """The best so far, by which rule, and how long ago it was."""
        return {"metric": self.settings.metric, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on counting from there; where that was by another rule, or by none, from now."""
        if state.get("metric") == self.settings.metric:
            self.best, self.waited = state["best"], state["waited"]

    @property
    def over(self) -> bool:
        """Whether nothing became better for so long that training ends."""
        return self.waited >= self.settings.patience


def check_rules(rules: Mapping[str, str | None], measured: Sequence[str] | None) -> None:
    """That what a training goes by will be measured: else one would learn it after the first epoch, or never.

    Args:
        rules: by the key of the configuration, a rule or a metric; None where nothing is gone by.
        measured: names of losses and metrics; None without validation data.

    Raises:
        TrainingError: one isn't; with those that are.
    """
    there = [f"validation.{name}" for name in dict.fromkeys(measured or ())]
    for key, rule in rules.items():
        if rule is None:
            continue
        name = rule.rpartition(":")[2]
        if measured is None:
            raise TrainingError(
                f"train.{key} goes by {name!r}, but there is no validation data: give some, or leave train.{key} out."
            )
        # A metric may give a number for each class: "validation.iou.0".
        if not any(f"{name}.".startswith(f"{known}.") for known in there):
            raise TrainingError(f"train.{key} goes by {name!r}, which isn't measured; there is {', '.join(there)}.")


__all__ = ["Patience", "check_rules"]
