"""What `models.utils.weights` asks of a network made of Darknet's layers, whose files have no names."""

import os

import numpy as np

from models.darknet.cfg import Cfg
from models.darknet.plan import Plan, plan_of, scoring
from models.darknet.weights import read_weights


def state_of(path: str | os.PathLike[str], plan: Plan, published: Cfg) -> dict[str, np.ndarray]:
    """The arrays of a `.weights` file by our names.

    It is read by the layers of `plan`, or if it doesn't fit them, by those of the description as published: other
    input channels are adapted then, and layers of other classes are left out. Files that stop early, such as
    `.conv.137`, give what they have.

    Raises:
        ValueError: the file fits neither.
    """
    try:
        return read_weights(path, plan).state
    except ValueError as error:
        if published.rows() == plan.cfg.rows():
            raise
        try:
            return read_weights(path, plan_of(published)).state
        except ValueError:
            raise error from None


def scorers_of(published: Cfg) -> tuple[str, ...]:
    """The layers that score classes, by our names."""
    return tuple(f"layers.{index}.{part}" for index in scoring(published) for part in ("conv", "fc"))
