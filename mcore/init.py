"""Initialisations of the chosen engine: `torch.nn.init`'s names."""

from typing import TYPE_CHECKING

from mcore.backend import speak

if TYPE_CHECKING:
    from torch.nn.init import *

__all__, __getattr__ = speak(__name__, "init")
