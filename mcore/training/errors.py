"""What can go wrong in training, besides a wrong configuration (`mcore.config.ConfigError`)."""

from __future__ import annotations


class TrainingError(RuntimeError):
    """Training can't go on, or can't begin; what was saved stays as it was."""


class NotFiniteError(TrainingError):
    """A loss, a gradient or an input isn't finite; the message names the batch and its files."""


class DataError(TrainingError, ValueError):
    """Data that training can't use: an empty folder, a label out of range, a file that can't be read."""


class StateError(TrainingError, ValueError):
    """A saved state of training that can't be gone on from: damaged, or of another network or configuration."""


__all__ = ["DataError", "NotFiniteError", "StateError", "TrainingError"]
