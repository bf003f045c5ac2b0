"""Backbones: `models.available("backbone")` lists them."""

from models import lazy
from models.catalog import NAMES

__getattr__, __dir__ = lazy.names(__name__, NAMES["backbone"])
__all__ = [*NAMES["backbone"]]
