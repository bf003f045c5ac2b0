"""Packages of the extra `tools`, asked for when they are needed."""

import importlib
from types import ModuleType


def needed(package: str) -> ModuleType:
    """The module of a package of the extra `tools`.

    Raises:
        ImportError: it isn't installed; the message has the command.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ImportError(f'{package} is not installed, which this command needs: pip install ".[tools]"') from None
