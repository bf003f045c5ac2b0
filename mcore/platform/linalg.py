"""`torch.linalg` of the platform: every word that torch has there."""

from mcore.platform.namespaces import words_of

globals().update(words_of("linalg"))
__all__ = list(words_of("linalg"))
