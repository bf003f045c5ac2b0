"""`torch.nn.functional` of the platform: every word that torch has there."""

from typing import Any

from mcore.platform.namespaces import words_of

globals().update(words_of("F"))
__all__ = list(words_of("F"))


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module 'mcore.platform.functional' has no word '{name}'", name=name)
