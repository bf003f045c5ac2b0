"""Functional words of the chosen engine: `torch.nn.functional`'s names."""

from typing import TYPE_CHECKING

from mcore.backend import speak

if TYPE_CHECKING:
    from torch.nn.functional import *

__all__, __getattr__ = speak(__name__, "functional")
