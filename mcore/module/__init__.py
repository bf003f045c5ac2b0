"""Containers and base classes of the chosen engine."""

from typing import TYPE_CHECKING

from mcore.backend import speak

if TYPE_CHECKING:
    from mcore.torch.module import *

__all__, __getattr__ = speak(__name__, "module")
