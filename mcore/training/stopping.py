"""Early stopping."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
        return self.waited >= self.settings.patience

    def state_dict(self) -> dict[str, Any]:
        """The best so far and how long ago it was."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on counting from there."""
        self.best, self.waited = state.get("best"), state.get("waited", 0)


__all__ = ["Patience"]
