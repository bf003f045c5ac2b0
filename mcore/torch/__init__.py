"""The torch engine: mcore's words are torch's own; only the containers are more.

A name that isn't in the vocabulary but that torch has, at its top or in torch.nn, is given through.
"""

from typing import Any

import torch

from mcore import vocabulary
from mcore.torch import functional, init, linalg, module
from mcore.torch.module import *

# The submodules are left out: a name `functional` in mcore means the package that asks for the engine.
__all__ = [*vocabulary.CONTAINERS]


def _speak(source: Any, words: tuple[str, ...]) -> None:
    # A torch older than the pinned one may lack a word.
    found = {word: getattr(source, word) for word in words if hasattr(source, word)}
    globals().update(found)
    __all__.extend(found)


_speak(torch.nn, vocabulary.LAYERS)
_speak(torch, (*vocabulary.TOP, *vocabulary.DTYPES))


def __getattr__(name: str) -> Any:
    return getattr(torch, name) if hasattr(torch, name) else getattr(torch.nn, name)
