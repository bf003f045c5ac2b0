"""Heads: `models.available("head")` lists them."""

from models import lazy
from models.catalog import NAMES

__getattr__, __dir__ = lazy.names(__name__, NAMES["head"])
__all__ = [*NAMES["head"]]
