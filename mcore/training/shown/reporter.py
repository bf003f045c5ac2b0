"""How far a run is, on the standard error: a bar on a terminal, plain lines elsewhere, JSON lines for programs.

Nothing is coloured, whatever NO_COLOR says.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, TextIO

from mcore.checkpoint.extras import needed
from mcore.checkpoint.shown.texts import plain

MODES = ("auto", "bar", "plain", "json", "quiet")


class Progress(NamedTuple):
    """How far a run is: steps done and of how many, steps a second lately, seconds left (None: not known yet)."""

    done: int
    total: int
    rate: float
    eta: float | None
    numbers: Mapping[str, float]


class Face(ABC):
    """Abstract: how progress is shown.

    Attributes:
        seconds: how often, at most.
        share: of all steps, after which it's shown whatever the time.
    """

    seconds: float
    share: float = 1.0

    @abstractmethod
    def show(self, progress: Progress) -> None:
        """Shows how far the run is."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Shows a message of one or more lines."""

    @abstractmethod
    def close(self) -> None:
        """Frees what it holds."""


class Bar(Face):
    """A bar that is drawn over itself; for terminals."""

    seconds = 0.1

    def __init__(self, total: int, title: str, *, file: TextIO, first_step: int) -> None:
        tqdm = needed("tqdm", "train", what="the progress bar").tqdm
        # Its watching thread would be there when the loader's workers are forked; this class needs none.
        bar = type("bar", (tqdm,), {"monitor_interval": 0})
        # How often is the reporter's choice.
        always = {"mininterval": 0, "miniters": 0}
        self._bar = bar(
            total=total, initial=first_step, desc=title, unit="step", file=file, dynamic_ncols=True, **always
        )

    def show(self, progress: Progress) -> None:
        self._bar.set_postfix_str(", ".join(_words(progress.numbers)), refresh=False)
        self._bar.update(progress.done - self._bar.n)

    def say(self, text: str) -> None:
        self._bar.write(text, file=self._bar.fp)

    def close(self) -> None:
        self._bar.close()


class Plain(Face):
    """A line every half a minute or 20th of the way: for files, where a bar would be thousands of lines."""

    seconds, share = 30.0, 0.05

    def __init__(self, title: str, *, file: TextIO) -> None:
        self._title, self._file = f"{title}: " if title else "", file

    def show(self, progress: Progress) -> None:
        done = f"step {progress.done}/{progress.total} ({100 * progress.done // max(progress.total, 1)} %)"
        left = [] if progress.eta is None else [f"{_clock(progress.eta)} left"]
        words = [done, *_words(progress.numbers), f"{progress.rate:.3g} steps/s", *left]
        self.say(self._title + ", ".join(words))

    def say(self, text: str) -> None:
        print(text, file=self._file, flush=True)

    def close(self) -> None:
        pass


class Json(Face):
    """A JSON object a line: progress has "done", "total", "rate" and "eta", a message has "text"."""

    seconds = 1.0

    def __init__(self, title: str, *, file: TextIO) -> None:
        self._title, self._file = title, file

    def show(self, progress: Progress) -> None:
        numbers = {name: value if math.isfinite(value) else None for name, value in progress.numbers.items()}
        eta = None if progress.eta is None else round(progress.eta, 1)
        known = {"done": progress.done, "total": progress.total, "rate": round(progress.rate, 4), "eta": eta}
        self._write({"title": self._title, **known, **numbers})

    def say(self, text: str) -> None:
        self._write({"title": self._title, "text": text})

    def close(self) -> None:
        pass

    def _write(self, value: dict[str, Any]) -> None:
        print(json.dumps(value, allow_nan=False), file=self._file, flush=True)


class Reporter:
    """Tells how far a run is, seldom enough to cost nothing; only one process of several should have one that tells.

    Args:
        total_steps: of the whole run.
        title: the run's name.
        mode: "bar", "plain", "json", "quiet"; "auto" is a bar on a terminal, where tqdm is installed, else plain.
        first_step: steps that were done before, where a run goes on.
        file: where to write; the standard error, where left out.
        clock: seconds that never go back.

    Raises:
        ValueError: another mode.
        ImportError: a bar is asked for and tqdm isn't installed.
    """

    def __init__(
        self,
        total_steps: int,
        *,
        title: str = "",
        mode: str = "auto",
        first_step: int = 0,
        file: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"Reporter: no mode {mode!r}; there are {', '.join(MODES)}.")
        self._total, self._clock = total_steps, clock
        self._face = _face(total_steps, plain(title), mode=mode, first_step=first_step, file=file or sys.stderr)
        self._first = self._shown = self._step = first_step
        self._began = self._last = clock()
        self._numbers: Mapping[str, Any] = {}
        self._due, self._mark = self._next()

    def update(self, step: int, **numbers: Any) -> None:
        """`step` steps of the whole run are done.

        Args:
            step: how many.
            numbers: what else to show: loss, lr, samples_per_second, epoch; where there are none, those of before.
                Tensors of one number are read only when they are shown: a device isn't waited for otherwise.
        """
        if self._face is None:
            return
        self._step, self._numbers = step, numbers or self._numbers
        now = self._clock()
        if now >= self._due or step >= self._mark:
            self._show(now)

    def say(self, text: str) -> None:
        """Shows a message above the bar, or on lines of its own."""
        self._try(lambda face: face.say("\n".join(map(plain, text.splitlines()))))

    def close(self) -> None:
        """Shows how far it came, and ends; may be called twice."""
        if self._step > self._shown:
            self._show(self._clock())
        self._try(lambda face: face.close())
        self._face = None

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _show(self, now: float) -> None:
        rate = (self._step - self._shown) / max(now - self._last, 1e-9)
        done = self._step - self._first
        # By the whole way so far: validations and snapshots will come again, too.
        eta = (now - self._began) / done * max(self._total - self._step, 0) if done else None
        numbers = {name: value if isinstance(value, int) else float(value) for name, value in self._numbers.items()}
        self._shown, self._last = self._step, now
        self._due, self._mark = self._next()
        self._try(lambda face: face.show(Progress(self._step, self._total, rate, eta, numbers)))

    def _next(self) -> tuple[float, float]:
        """The time and the step from which it's shown again; the last step always is."""
        if self._face is None:
            return math.inf, math.inf
        mark = self._shown + self._face.share * self._total
        return self._last + self._face.seconds, max(min(mark, self._total), self._shown + 1)

    def _try(self, show: Callable[[Face], None]) -> None:
        if self._face is None:
            return
        try:
            show(self._face)
        except BrokenPipeError:
            # Whoever read it has gone, and can't be told; the run and its log go on.
            self._face = None


def _face(total: int, title: str, *, mode: str, first_step: int, file: TextIO) -> Face | None:
    if mode == "auto":
        terminal = file.isatty() and os.environ.get("TERM") != "dumb"
        mode = "bar" if terminal and importlib.util.find_spec("tqdm") else "plain"
    if mode == "bar":
        return Bar(total, title, file=file, first_step=first_step)
    if mode == "quiet":
        return None
    return Plain(title, file=file) if mode == "plain" else Json(title, file=file)


def _words(numbers: Mapping[str, float]) -> list[str]:
    """Numbers as they are read: "loss 0.512", "83.1 samples/s"."""
    return [
        f"{value:.3g} {name.removesuffix('_per_second')}/s" if name.endswith("_per_second") else f"{name} {value:.4g}"
        for name, value in numbers.items()
    ]


def _clock(seconds: float) -> str:
    """A duration as a clock shows it.

    >>> _clock(75), _clock(36_061)
    ('1:15', '10:01:01')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


__all__ = ["MODES", "Reporter"]
