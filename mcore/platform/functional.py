"""`torch.nn.functional` of the platform: every word that torch has there, and mcore's own."""

from typing import Any

from mcore.platform.namespaces import words_of

_words = words_of("F") | words_of("own")
globals().update(_words)
__all__ = list(_words)


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module 'mcore.platform.functional' has no word '{name}'", name=name)
