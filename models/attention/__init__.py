"""Attention blocks, which keep the shape of what they weigh: `models.available("attention")` lists them."""

from models import lazy
from models.catalog import NAMES

__getattr__, __dir__ = lazy.names(__name__, NAMES["attention"])
__all__ = [*NAMES["attention"]]
