"""`torch.nn.functional` of the platform: every word that torch has there."""

from mcore.platform.namespaces import words_of

globals().update(words_of("F"))
__all__ = list(words_of("F"))
