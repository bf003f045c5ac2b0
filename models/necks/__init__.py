"""Necks: `models.available("neck")` lists them."""

from models import lazy
from models.catalog import NAMES

__getattr__, __dir__ = lazy.names(__name__, NAMES["neck"])
__all__ = [*NAMES["neck"]]
