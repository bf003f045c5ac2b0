"""Blocks that backbones, necks, heads and networks are made of: `models.available("block")` lists them."""

from models import lazy
from models.catalog import NAMES
from models.catalog_convnet import PRIMITIVES

__getattr__, __dir__ = lazy.names(__name__, NAMES["block"] | PRIMITIVES)
__all__ = [*NAMES["block"], *PRIMITIVES]
