"""Whole networks: `models.available("network")` lists them."""

from models import lazy
from models.catalog import NAMES

# What goes with networks, and no configuration builds by name.
_OTHERS = {
    "Architecture": "models.networks.architecture:Architecture",
    "ArchitectureConfig": "models.networks.architecture:ArchitectureConfig",
    "DummyArchitectureConfig": "models.networks.architecture:DummyArchitectureConfig",
    "CNNectomeUNetConfig": "models.networks.cnnectome:CNNectomeUNetConfig",
    "Coordinate": "models.utils.coordinate:Coordinate",
}

__getattr__, __dir__ = lazy.names(__name__, NAMES["network"] | _OTHERS)
__all__ = [*NAMES["network"], *_OTHERS]
