"""What can go wrong in training, besides a wrong configuration (`mcore.config.ConfigError`)."""

from __future__ import annotations

from collections.abc import Sequence


class TrainingError(RuntimeError):
    """Training can't go on, or can't begin; what was saved stays as it was."""


class NotFiniteError(TrainingError):
    """A loss, a gradient or an input isn't finite; the message names the batch and its files."""


class DataError(TrainingError, ValueError):
    """Data that training can't use: an empty folder, a label out of range, a file that can't be read."""


class StateError(TrainingError, ValueError):
    """A saved state of training that can't be gone on from: damaged, or of another network or configuration."""


def listed(texts: Sequence[str], *, between: str = ", ", most: int = 5) -> str:
    """The first texts of a list, and how many more there are.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = len(texts) - most
    return between.join(texts[:most]) + (f" and {more} more" if more > 0 else "")


__all__ = ["DataError", "NotFiniteError", "StateError", "TrainingError", "listed"]
