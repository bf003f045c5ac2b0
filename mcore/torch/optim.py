"""torch's optimizers that specs may name."""

from torch import optim as _words

from mcore.vocabulary import OPTIMIZERS

# A torch older than the pinned one may lack one.
__all__ = [name for name in OPTIMIZERS if hasattr(_words, name)]
globals().update({name: getattr(_words, name) for name in __all__})
