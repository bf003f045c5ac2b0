"""Functional words of the chosen engine: `torch.nn.functional`'s names, and mcore's own."""

from typing import TYPE_CHECKING

from mcore.backend import speak

if TYPE_CHECKING:
    from torch.nn.functional import *

    from mcore.torch.own import nms_mask as nms_mask

__all__, __getattr__ = speak(__name__, "functional")
