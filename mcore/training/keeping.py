"""What a training leaves beside its state: checkpoints in a repository, and pictures of predictions."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mcore.training import state
from mcore.training.runtime import Runtime
from mcore.training.settings import Settings
from mcore.training.step import first_of

# What a repository calls a precision.
_PRECISIONS = {"float32": "fp32", "bf16": "bf16", "fp16": "fp16"}


class Keeper:
    """Saves what a rule calls best, and what is last, to a checkpoint repository; draws predictions.

    Of several processes the first one writes; where the network is sharded, each takes part in putting it together.
    """

    def __init__(self, net: torch.nn.Module, settings: Settings, *, out: Path, runtime: Runtime, task: str) -> None:
        self.settings, self.out, self.runtime, self.task = settings, out, runtime, task
        # A network that will be sharded can't be saved itself.
        self.plain = copy.deepcopy(net) if runtime.strategy == "fsdp" else None
        # The id of the best checkpoint; None where none was saved, or nothing judged.
        self.best: str | None = None
        self._saver: Any = None

    def save(
        self, net: torch.nn.Module, metrics: Mapping[str, float], *, step: int, optimiser: torch.optim.Optimizer
    ) -> str | None:
        """The id of a checkpoint, where one was saved."""
        if self.plain is not None:
            held = state.network_state(net)
            state.set_network(self.plain, held, self.out)
        if not self.runtime.first:
            return None
        saver = self._opened(bool(metrics))
        training = net.training
        # As it will be used.
        plain = (net if self.plain is None else self.plain).eval()
        try:
            id: str | None = saver(plain, metrics=dict(metrics) or None, step=step, optimiser=optimiser)
        finally:
            plain.train(training)
        self.best = saver.best() if saver.rules else None
        return id

    def _opened(self, judged: bool) -> Any:
        if self._saver is None:
            from mcore.checkpoint import Repository, Saver

            given = self.settings.checkpoints
            rule = given.rule or ("min:validation.loss" if judged else ())
            self._saver = Saver(
                Repository(given.repository or str(self.out / "checkpoints")),
                rule,
                keep=given.keep,
                keep_last=True,
                run=self.settings.name or ("" if given.repository is None else _name_of(self.out)),
                task=self.task,
                tags=given.tags,
                batch_size=self.settings.batch,
                precision=_PRECISIONS[self.settings.precision],
            )
        return self._saver

    def draw(
        self,
        epoch: int,
        batch: dict[str, Any],
        *,
        outputs: Any,
        targets: Mapping[str, str],
        classes: list[str] | None,
    ) -> str | None:
        """A picture of predictions for the first samples of a batch; where it lies within the run's folder.

        Args:
            epoch: of which it is.
            batch: of the validation data.
            outputs: what the network gave.
            targets: by head, the key of the batch that it is compared with.
            classes: their names, where the data has them.
        """
        count = min(self.settings.log.pictures, len(batch["image"]))
        if not count or not self.runtime.first:
            return None
        from mcore.training.shown import pictures

        file = Path("pictures") / f"epoch-{epoch:04d}.png"
        pictures.draw(
            self.out / file, first_of(batch, count), first_of(outputs, count), classes=classes, targets=targets
        )
        return file.as_posix()


def _name_of(out: Path) -> str:
    """A name for a run, of its folder's: among runs that share a repository each keeps its own checkpoints."""
    return re.sub(r"[^A-Za-z0-9._+-]+|^[^A-Za-z0-9]+", "-", out.resolve().name).strip("-")[:50] or "run"


__all__ = ["Keeper"]
