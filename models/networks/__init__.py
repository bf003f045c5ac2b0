"""Whole networks: `models.available("network")` lists them."""

from models import lazy
from models.catalog import NAMES

__getattr__, __dir__ = lazy.names(__name__, NAMES["network"])
__all__ = [*NAMES["network"]]
