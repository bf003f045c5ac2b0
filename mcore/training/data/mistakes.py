"""Mistakes in the section `train.data`, told with where they stand in the configuration."""

from __future__ import annotations

from typing import NoReturn

from mcore.config import Config, ConfigError, Mistake

# Keys, and places in lists.
Where = tuple[str | int, ...]


class Fail:
    """Raises mistakes below a path of the configuration."""

    def __init__(self, config: Config | None, where: Where) -> None:
        self.config, self.where = config, where

    def __call__(self, key: Where, told: str) -> NoReturn:
        """One, at a key below the path."""
        self.all([(key, told)])

    def all(self, mistakes: list[tuple[Where, str]]) -> NoReturn:
        """Several at once."""
        raise ConfigError([self._mistake((*self.where, *key), told) for key, told in mistakes])

    def _mistake(self, path: Where, told: str) -> Mistake:
        return Mistake(None, path, told) if self.config is None else self.config.mistake(path, told)


__all__ = ["Fail", "Where"]
