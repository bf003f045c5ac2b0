"""`torch.nn.functional`, word for word; what is beyond the vocabulary is given through."""

from typing import Any

from torch.nn import functional as _words

from mcore.vocabulary import FUNCTIONAL

# A torch older than the pinned one may lack a word.
__all__ = [word for word in FUNCTIONAL if hasattr(_words, word)]
globals().update({word: getattr(_words, word) for word in __all__})


def __getattr__(name: str) -> Any:
    return getattr(_words, name)
