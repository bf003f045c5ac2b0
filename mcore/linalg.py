"""Linear algebra of the chosen engine: `torch.linalg`'s names."""

from typing import TYPE_CHECKING

from mcore.backend import speak

if TYPE_CHECKING:
    from torch.linalg import *

__all__, __getattr__ = speak(__name__, "linalg")
