"""What happened in a run, in order: a JSON object a line in log.jsonl, and TensorBoard's event files beside it."""

from __future__ import annotations

import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from mcore.checkpoint.extras import needed
from mcore.exchange.atomic import atomic_file

NAME = "log.jsonl"
BOARD = "tensorboard"
# Events whose numbers become curves on a board: what their names stand below there.
_CURVES = {"step": "train", "validation": "validation"}
# What tells where an event stands, and is no curve.
_PLACES = ("event", "step", "epoch", "not_finite")


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


class Log:
    """The log of a run; of several processes only one has it.

    Every line is there as soon as `write` returns, so that a kill loses none, and tears at most the last.

    Args:
        folder: the run's; it's made.
        tensorboard: whether event files are written, too, below `tensorboard`: "train/loss", "validation/iou".
        resume_step: a run goes on behind this step: what the log tells of later ones is cut off. None: a run from the
            start, whose log takes the place of one that's there.
        say: is called with what was cut off because it can't be read.

    Raises:
        ImportError: `tensorboard` is asked for and isn't installed.
        StorageError: the log can't be written.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        tensorboard: bool = False,
        resume_step: int | None = None,
        say: Callable[[str], None] = _to_stderr,
    ) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._board = _board(self._folder / BOARD, resume_step) if tensorboard else None
        _cut(self._folder / NAME, resume_step, say)
        # Without a buffer a line is one call of the system: whole, or not there.
        self._file = io.FileIO(self._folder / NAME, "ab")

    def write(self, **event: Any) -> None:
        """Adds an event: `event`, its name, comes first; numbers may be tensors or of NumPy.

        JSON has no NaN and no infinity: such a number is null, and "not_finite" has its name.

        Raises:
            TypeError: a value isn't data.
        """
        wrong: list[str] = []
        line = {name: _data(value, name, wrong) for name, value in event.items()}
        if wrong:
            line["not_finite"] = wrong
        self._file.write(json.dumps(line, allow_nan=False, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        if self._board is not None:
            self._draw(self._board, line)

    def close(self) -> None:
        """Ends it; may be called twice."""
        self._file.close()
        if self._board is not None:
            self._board.close()
            self._board = None

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _draw(self, board: Any, line: Mapping[str, Any]) -> None:
        """An event on the board: its numbers as points of curves, its picture as it is."""
        step = line.get("step")
        if line["event"] == "pictures":
            board.add_image("pictures", _pixels(self._folder / line["file"]), step, dataformats="HWC")
        group = _CURVES.get(line["event"])
        if group is not None:
            # The metrics of a validation stand below it directly, as in rules: "validation.iou".
            numbers = line["metrics"] if group == "validation" else line
            for name, value in _numbers(numbers):
                board.add_scalar(f"{group}/{name}", value, step)


def events(folder: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """The events of a run's folder, in order, without lines that can't be read.

    Raises:
        FileNotFoundError: there is no log.
    """
    with open(Path(folder) / NAME, "rb") as file:
        for line in file:
            event = _parsed(line)
            if event is not None:
                yield event


def _cut(path: Path, resume_step: int | None, say: Callable[[str], None]) -> None:
    """Has the log end behind a step, or makes it anew."""
    kept, unread = [], []
    if resume_step is not None and path.exists():
        with path.open("rb") as old:
            for number, line in enumerate(old, 1):
                event = _parsed(line)
                if event is None:
                    unread.append(number)
                elif event.get("step", 0) <= resume_step:
                    kept.append(line)
    with atomic_file(path) as file:
        file.writelines(kept)
    if unread:
        lines = f"line {unread[0]}" if len(unread) == 1 else f"{len(unread)} lines, the first of them {unread[0]},"
        say(f"{path}: {lines} can't be read, as after a kill or a power cut, and was cut off.")


def _parsed(line: bytes) -> dict[str, Any] | None:
    """An event, or None where a line is torn, or none of this log's."""
    if not line.endswith(b"\n"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    fits = isinstance(event, dict) and isinstance(event.get("event"), str) and isinstance(event.get("step", 0), int)
    return event if fits else None


def _data(value: Any, name: str, wrong: list[str]) -> Any:
    """A value as JSON has it; names of numbers that aren't finite go to `wrong`."""
    if isinstance(value, Mapping):
        return {str(key): _data(inner, f"{name}.{key}", wrong) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_data(inner, f"{name}.{position}", wrong) for position, inner in enumerate(value)]
    if isinstance(value, os.PathLike):
        return Path(value).as_posix()
    if value is None or isinstance(value, str | bool | int):
        return value
    if not isinstance(value, float):
        # Tensors and NumPy's numbers, which hold one each.
        if getattr(value, "ndim", None) != 0:
            raise TypeError(f"Log: {name} is a {type(value).__name__}; an event takes numbers, texts, lists, mappings.")
        return _data(value.item(), name, wrong)
    if math.isfinite(value):
        return value
    wrong.append(name)
    return None


def _numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Names and numbers, those of inner mappings below their names."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and (prefix or name not in _PLACES):
            yield f"{prefix}{name}", value


def _board(folder: Path, resume_step: int | None) -> Any:
    needed("tensorboard", "train", what="a log for TensorBoard")
    if resume_step is None:
        # Curves of an earlier run would be drawn into this one's.
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
    writer = needed("torch.utils.tensorboard", "train", what="a log for TensorBoard").SummaryWriter
    # Points of steps that come again are taken off the board when it's read.
    purge = None if resume_step is None else resume_step + 1
    return writer(str(folder), purge_step=purge, flush_secs=10)


def _pixels(path: Path) -> Any:
    """A picture as an array (h, w, c)."""
    import numpy as np

    with needed("PIL.Image", "train", what="a picture on a board").open(path) as image:
        return np.asarray(image.convert("RGB"))


__all__ = ["BOARD", "NAME", "Log", "events"]
