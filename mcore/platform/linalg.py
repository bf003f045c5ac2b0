"""`torch.linalg` of the platform: every word that torch has there."""

from typing import Any

from mcore.platform.namespaces import words_of

globals().update(words_of("linalg"))
__all__ = list(words_of("linalg"))


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module 'mcore.platform.linalg' has no word '{name}'", name=name)
