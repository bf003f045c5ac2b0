"""Objectives, batches and networks that tests share."""

from typing import Any

import torch
from torch import nn

from mcore.training.objectives.objective import Objective
from mcore.training.settings import Settings


def settings(**train: Any) -> Settings:
    return Settings.model_validate({"epochs": 1, "batch": 2, "losses": "l1", **train})


def objective(losses: Any, net: nn.Module | None = None) -> Objective:
    return Objective(settings(losses=losses).losses, net if net is not None else nn.Identity())


class Heads(nn.Module):
    """Two heads on an encoder: a mask, and a label of the whole image."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
        self.heads = nn.ModuleDict({"mask": nn.Conv2d(4, classes, 1), "label": nn.Linear(4, 5)})

    def forward(self, x: Any) -> dict[str, Any]:
        y = self.encoder(x)
        return {"mask": self.heads["mask"](y), "label": self.heads["label"](y.mean((2, 3)))}


def batch(count: int = 2, classes: int = 3, size: int = 6) -> dict[str, Any]:
    return {
        "image": torch.rand(count, 1, size, size),
        "mask": torch.randint(0, classes, (count, size, size)),
        "label": torch.randint(0, 5, (count,)),
        "name": [f"file-{index}.png" for index in range(count)],
    }
