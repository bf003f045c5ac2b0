"""Training on the torch engine: a few minutes' worth, with a progress bar and a loss curve."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tools.demo.data import Data


@dataclass(frozen=True)
class Train:
    """The section `train` of a configuration.

    `data` is a name of `tools.demo.data`; there are `steps` of `batch` images; the learning rate rises to
    `learning_rate` and falls to nothing.
    """

    data: str
    steps: int
    batch: int
    learning_rate: float
    seed: int = 0


def train(net: Any, data: Data, settings: Train, *, title: str) -> list[float]:
    """Trains `net` in place; the loss after each step."""
    import torch
    from tqdm import tqdm

    random = np.random.default_rng(settings.seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=settings.learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.steps, pct_start=0.2
    )
    losses: list[float] = []
    net.train()
    with tqdm(range(settings.steps), desc=f"training {title}", unit="step", smoothing=0.1) as steps:
        for _ in steps:
            images, truth = map(torch.from_numpy, data.draw(random, settings.batch))
            loss = torch.nn.functional.cross_entropy(net(images), truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            steps.set_postfix(loss=f"{np.mean(losses[-10:]):.3f}")
    net.eval()
    return losses
