"""Whole networks: `models.available("network")` lists them."""

from models import lazy
from models.catalog import NAMES
from models.catalog_convnet import PRIMITIVES

# What goes with networks, and no configuration builds by name.
_OTHERS = {
    "Architecture": "models.networks.architecture:Architecture",
    "ArchitectureConfig": "models.networks.architecture:ArchitectureConfig",
    "DummyArchitectureConfig": "models.networks.architecture:DummyArchitectureConfig",
    "CNNectomeUNetConfig": "models.networks.cnnectome:CNNectomeUNetConfig",
    "Coordinate": "models.utils.coordinate:Coordinate",
    # The convnet's, which specs of its namespace name; its UNet has another name here.
    "ConvnetUNet": "models.networks.convnet:UNet",
    "ConvBlock": "models.networks.convnet_block:ConvBlock",
    **PRIMITIVES,
    "load_model": "mcore.checkpoint:load_model",
    "load_weights_file": "mcore.checkpoint:load_weights_file",
    "save_model": "mcore.checkpoint:save_model",
    "SimpleInferenceRunner": "mcore.volumes:SimpleInferenceRunner",
    "load_and_run_model": "mcore.volumes:load_and_run_model",
}

__getattr__, __dir__ = lazy.names(__name__, NAMES["network"] | _OTHERS)
__all__ = [*NAMES["network"], *_OTHERS]
