"""Validation: losses and metrics of data that aren't trained with, over all processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from mcore.training.data.loading import validation_batches
from mcore.training.objectives.metrics import Metrics
from mcore.training.objectives.ranges import check_targets
from mcore.training.settings import Settings
from mcore.training.step import Batch, Stepper, first_of
from mcore.training.watching import Watch


class Validator:
    """Judges the network of a stepper, which is in evaluation mode meanwhile.

    Args:
        samples: to judge by; None where there are none, and nothing is ever judged.
        stepper: has the network, its objective, and where it runs.
        metrics: beside the objective's losses.
        settings: the size of a batch, and how it is read.
        watch: is told of losses that aren't finite.

    Attributes:
        names: of what it gives; None where there are no samples.
    """

    def __init__(self, samples: Any, stepper: Stepper, metrics: Metrics, *, settings: Settings, watch: Watch) -> None:
        self.stepper, self.metrics, self.watch = stepper, metrics, watch
        self.objective, self.runtime = stepper.objective, stepper.runtime
        self.names = None if samples is None else ["loss", *self.objective.names, *metrics.names]
        if samples is not None:
            self._batches = validation_batches(
                samples,
                batch=settings.batch // (settings.accumulate * self.runtime.world),
                rank=self.runtime.rank,
                world=self.runtime.world,
                loader=settings.loader,
            )

    @torch.no_grad()
    def __call__(self, shown: Callable[[Batch, Any], None]) -> dict[str, float]:
        """The loss, its parts and the metrics by name; each process must take part.

        Args:
            shown: is given the first batch and what the network gave for it.

        Raises:
            DataError: a target is missing, or no class has one of its labels.
            NotFiniteError: a loss isn't finite.
        """
        sums: dict[str, torch.Tensor] = {}
        seen = 0
        self.metrics.reset()
        self.runtime.level(self.stepper.net)
        for batch, count in self._batches:
            moved = self.stepper.moved(batch)
            outputs = self.stepper.judged(moved["image"])
            if not count:
                continue  # a shard of the network had to be there; the batch is another process's
            batch = first_of(batch, count)
            check_targets(first_of(outputs, count), batch, self.objective)
            # Whole, with the number that counts: what losses `of` a part are computed of is as long as the batch.
            loss, parts = self.objective(outputs, moved, count=count)
            self.watch.judge(loss, batch)
            for name, value in {"loss": loss, **parts}.items():
                sums[name] = sums.get(name, 0.0) + value.detach().to(self.runtime.exact) * count
            self.metrics.update(outputs, moved, count)
            if not seen:
                shown(batch, first_of(outputs, count))
            seen += count
        # A process that saw none still takes part in the mean.
        names = self.runtime.agree(sorted(sums))
        zero = torch.zeros(())
        found = self.runtime.mean({name: sums.get(name, zero) / max(seen, 1) for name in names}, float(seen))
        # What is decided by these numbers is decided alike, whatever was rounded otherwise elsewhere.
        judged: dict[str, float] = self.runtime.agree({**found, **self.metrics.compute()})
        return judged


__all__ = ["Validator"]
