"""Packages of the extras `checkpoints`, `s3` and `postgres`, asked for when they are needed."""

from __future__ import annotations

import importlib
from typing import Any


def needed(package: str, extra: str = "checkpoints", *, what: str = "searching a checkpoint repository") -> Any:
    """The module of a package of an extra.

    Raises:
        ImportError: it isn't installed; the message has the command.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.partition(".")[0]:
            raise
        raise ImportError(f'{package} is not installed, which {what} needs: pip install ".[{extra}]"') from None


__all__ = ["needed"]
