"""Losses that aren't finite, and signals to stop: what ends a training early, told by the step it happened in."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

import torch
from torch.distributed.tensor import DTensor

from mcore.training.data.samples import finite
from mcore.training.errors import NotFiniteError, listed


class Watch:
    """Looks whether losses are finite.

    On a CPU at once, so that no weight moves by a loss that isn't. On an accelerator asking would wait for it each
    time: `check`, which is called before anything is saved, asks for all steps since the last time.
    """

    def __init__(self, device: torch.device) -> None:
        self._at_once = device.type == "cpu"
        self._waiting: list[tuple[int, torch.Tensor, list[str]]] = []
        self.step = 0

    def note(self, loss: torch.Tensor, batch: dict[str, Any]) -> None:
        """The loss of a batch, given as it was before it was moved to the device.

        Raises:
            NotFiniteError: it isn't finite.
        """
        if not self._at_once:
            self._waiting.append((self.step, loss.detach(), list(map(str, batch.get("name", ())))))
        elif not torch.isfinite(loss):
            self._refuse(self.step, loss, list(map(str, batch.get("name", ()))), wrong=finite(batch))

    def judge(self, loss: torch.Tensor, batch: dict[str, Any]) -> None:
        """The loss of a batch of validation data: one that isn't finite is a bad number, unless the data are bad.

        Raises:
            NotFiniteError: a sample of the batch isn't finite.
        """
        if not torch.isfinite(loss) and (wrong := finite(batch)):
            raise NotFiniteError(
                f"validation after step {self.step}: the loss is {loss.item()}; a NaN or an infinity stands in "
                f"{listed(wrong)}: mend the file, or leave it out."
            )

    def check(self) -> None:
        """Raises NotFiniteError for the first loss since the last check that isn't finite."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        good = torch.isfinite(torch.stack([loss for _, loss, _ in waiting])).tolist()
        for fine, (step, loss, names) in zip(good, waiting, strict=True):
            if not fine:
                self._refuse(step, loss, names, wrong=None)

    def _refuse(self, step: int, loss: torch.Tensor, names: list[str], *, wrong: list[str] | None) -> NoReturn:
        files = listed(names) or "without names"
        why = "look at these files, and at the learning rate"
        if wrong:
            why = f"a NaN or an infinity stands in {listed(wrong)}"
        elif wrong is not None:
            why = "its samples are finite: try a smaller learning rate, a warmup, or train.clip"
        raise NotFiniteError(f"step {step}: the loss is {loss.item()}, of a batch of {files}; {why}.")


def check_weights(net: torch.nn.Module, step: int) -> None:
    """That all weights are finite, before they are saved: a gradient may be no number where the loss is one.

    Each process must ask.

    Raises:
        NotFiniteError: one isn't.
    """
    total = torch.nn.utils.get_total_norm([parameter.detach() for parameter in net.parameters()])
    if not math.isfinite(total.full_tensor() if isinstance(total, DTensor) else total):
        raise NotFiniteError(
            f"step {step}: a weight isn't finite, though the losses were: a gradient wasn't. The last saved state is "
            "as it was. Look at the losses for what has no gradient, as a root of 0, or try a smaller learning rate."
        )


class Signals:
    """SIGINT and SIGTERM, while `heard`: the first one is noted, so that a step can end; a second one isn't waited for.

    Attributes:
        number: of the signal that came, or None.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """A block in which signals are noted; in a thread other than the main one they go their usual way."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                # What is ignored, as in the background of a script, or is another program's, stays so.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._note)
        try:
            yield
        finally:
            self._forget()

    def pass_on(self) -> None:
        """Has the signal that came do what it would have done."""
        if self.number is None:
            return
        number, before = self.number, self._before.get(self.number)
        self._forget()
        if callable(before):
            before(number, None)
        raise SystemExit(128 + number)

    def _note(self, number: int, frame: Any) -> None:
        if self.number is not None:
            self.number = number
            self.pass_on()
        self.number = number

    def _forget(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()


__all__ = ["Signals", "Watch", "check_weights"]
