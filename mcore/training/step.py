"""One step of the optimiser: its share of the batch forward and backward, piece by piece, then the weights moved."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from mcore.training.objectives.ranges import check_targets
from mcore.training.runtime import Runtime
from mcore.training.settings import Settings
from mcore.training.unrolled import result, rollout
from mcore.training.watching import Watch

# What torch calls the memory format of images and of volumes, by the number of axes.
_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}

Batch = dict[str, Any]


@dataclass
class Done:
    """What a step gave: the loss, its parts by name, and the norm of all gradients where they are clipped."""

    loss: torch.Tensor
    parts: dict[str, torch.Tensor]
    norm: torch.Tensor | None


class Stepper:
    """Makes steps: of a network, an objective and an optimiser.

    Args:
        net: in training mode while steps are made.
        objective: gives a loss and its parts for outputs and a batch.
        optimiser: of the network's parameters.
        settings: precision, accumulation, clipping, the memory format.
        runtime: where, and among which processes.
    """

    def __init__(
        self,
        net: torch.nn.Module,
        objective: Any,
        *,
        optimiser: torch.optim.Optimizer,
        settings: Settings,
        runtime: Runtime,
    ) -> None:
        self.net, self.objective, self.optimiser = net, objective, optimiser
        self.settings, self.runtime = settings, runtime
        self.scaler = torch.amp.GradScaler(runtime.device.type, enabled=settings.precision == "fp16")
        self.wrap_again()

    def wrap_again(self) -> None:
        """Has the parameters exchanged between processes that are trained now."""
        self.call = self.runtime.wrapped(
            self.net,
            find_unused_parameters=self.settings.find_unused_parameters,
            # Sent before each forward pass, in place: of several before one backward, that would change what the
            # first ones computed with. Validation levels buffers itself.
            broadcast_buffers=self.settings.unrolled is None,
        )

    def __call__(self, batches: Iterable[Batch], watch: Watch) -> Done:
        """A step with micro batches, each a tensor of the same number of samples, `accumulate` of them.

        Raises:
            NotFiniteError: the loss isn't; no weight has moved by it.
        """
        count, losses, parts = self.settings.accumulate, [], []
        self.optimiser.zero_grad(set_to_none=True)
        for number, batch in enumerate(batches, 1):
            with self.runtime.gathering(self.call, last=number == count):
                loss, named = self.forward(batch)
                watch.note(loss, batch)
                self.scaler.scale(loss / count if count > 1 else loss).backward()
            losses.append(loss.detach())
            parts.append(named)
        return Done(_mean(losses), {name: _mean([one[name] for one in parts]) for name in parts[0]}, self._move())

    def forward(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss of a batch as the loader gives it, and its parts.

        Raises:
            DataError: a target is missing, or no class has one of its labels.
        """
        moved = self.moved(batch)

        def loss(outputs: Any, moved: Mapping[str, Any]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
            # By the batch as it was: on an accelerator, looking at labels would wait for it.
            check_targets(outputs, batch, self.objective)
            found: tuple[torch.Tensor, dict[str, torch.Tensor]] = self.objective(outputs, moved)
            return found

        with self.autocast():
            if self.settings.unrolled is not None:
                return rollout(self.call, moved, self.settings.unrolled, loss=loss)
            outputs = self.call(moved["image"])
        return loss(outputs, moved)

    def judged(self, image: torch.Tensor) -> Any:
        """What the network itself gives, whatever wraps it in training; one that is unrolled, at last."""
        unrolled = self.settings.unrolled
        with self.autocast():
            return self.net(image) if unrolled is None else result(self.net, image, unrolled)

    def autocast(self) -> Any:
        """A block in which torch computes in the numbers of the configuration."""
        if self.settings.precision not in _TYPES:
            return contextlib.nullcontext()
        return torch.amp.autocast(self.runtime.device.type, dtype=_TYPES[self.settings.precision])

    def moved(self, batch: Batch) -> Batch:
        """A batch on the device, images as the network's memory format has them."""
        device, found = self.runtime.device, dict(batch)
        for key, value in batch.items():
            if not isinstance(value, torch.Tensor):
                continue
            pinned = device.type != "cpu" and value.is_pinned()
            found[key] = value.to(device, non_blocking=pinned)
            if self.settings.channels_last and key == "image" and value.ndim in _LAST:
                found[key] = found[key].contiguous(memory_format=_LAST[value.ndim])
        return found

    def _move(self) -> torch.Tensor | None:
        norm = None
        if self.settings.clip is not None:
            self.scaler.unscale_(self.optimiser)
            norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.settings.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return norm


def to_memory_format(net: torch.nn.Module, settings: Settings, *, sharded: bool) -> None:
    """Lays weights of convolutions out as `channels_last` says; those to be sharded stay, as FSDP takes no other."""
    if not settings.channels_last or sharded:
        return
    for parameter in net.parameters():
        if parameter.ndim in _LAST:
            parameter.data = parameter.data.contiguous(memory_format=_LAST[parameter.ndim])


def first_of(value: Any, count: int) -> Any:
    """The first `count` samples of outputs or of a batch."""
    if isinstance(value, Mapping):
        return {key: first_of(inner, count) for key, inner in value.items()}
    if isinstance(value, list | tuple) and value and isinstance(value[0], torch.Tensor):
        return type(value)(first_of(inner, count) for inner in value)
    return value[:count] if isinstance(value, torch.Tensor | list | tuple) else value


def _mean(values: list[torch.Tensor]) -> torch.Tensor:
    return values[0] if len(values) == 1 else torch.stack(values).mean()


__all__ = ["Batch", "Done", "Stepper", "first_of", "to_memory_format"]
