"""Darknet's own formats: networks described by `.cfg` files, and their `.weights`.

- `cfg` reads a description, `published` holds those that everybody uses;
- `plan` says what each section computes, from which layers, with how many channels;
- `graph` is the module that does it, made of `trained`, `joining` and other `layers`;
- `weights` reads and writes the numbers, `loading` puts them into a network, `names` into timm's backbones.
"""

from models.darknet.cfg import read_cfg
from models.darknet.plan import plan_of
from models.darknet.weights import Header, read_state, read_weights, write_weights

__all__ = ["Header", "plan_of", "read_cfg", "read_state", "read_weights", "write_weights"]
