"""`torch.nn.functional`, word for word, and mcore's own; what is beyond the vocabulary is given through."""

from typing import Any

from torch.nn import functional as _words

from mcore.torch import own
from mcore.vocabulary import FUNCTIONAL, OWN

# A torch older than the pinned one may lack a word.
_torchs = [word for word in FUNCTIONAL if hasattr(_words, word)]
__all__ = [*_torchs, *OWN]
globals().update({word: getattr(_words, word) for word in _torchs})
globals().update({word: getattr(own, word) for word in OWN})


def __getattr__(name: str) -> Any:
    return getattr(_words, name)
