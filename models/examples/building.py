"""Parts whole, with random weights that all count."""

import math
import zlib
from typing import Any

import numpy as np

import mcore
from mcore import Module
from models.component import Feeds, Unbuilt
from models.examples.arguments import (
    CALM,
    CONVNET,
    FEATURES,
    LEVELS,
    NAMESPACE,
    ON_PYRAMID,
    VERSION,
    arguments,
    constructor,
)
from models.utils.maps import OfMaps

Range = tuple[float, float]
_WIDE: Range = (0.5, 1.5)


def built(kind: str, name: str) -> Module:
    """A public part as published, in eval mode, with the same random weights each time, ready for `toplatform`.

    A neck or head has one argument for each map, as `OfMaps` gives it; a result for every pixel is that of the image.

    Raises:
        ValueError: it needs an argument that has no example; or no such kind.
        AttributeError: no such name.
    """
    mcore.manual_seed(0)
    given = arguments(kind, name)
    if name in CONVNET:
        spec = {"@type": CONVNET[name], **given}
        net: Any = mcore.build(spec, namespace=NAMESPACE, default_version=VERSION)
    elif kind in ("neck", "head"):
        net = _of_maps(Unbuilt(constructor(kind, name), given).build(_feeds(kind, name)), levels(kind, name)[0][1])
    else:
        net = constructor(kind, name)(**given)
    stir(net, most=CALM.get((kind, name)))
    return net.eval()


def levels(kind: str, name: str) -> tuple[tuple[int, int], ...]:
    """(channels, stride) of the maps that a neck or head is fed, finest first."""
    return LEVELS if kind == "head" and name in ON_PYRAMID else FEATURES


def _feeds(kind: str, name: str) -> Feeds:
    channels, strides = zip(*levels(kind, name), strict=True)
    return Feeds(channels, strides, dims=2)


def _of_maps(part: Any, stride: int) -> OfMaps:
    return OfMaps(part, stride if part.dense else None)


def stir(net: Module, *, most: float | None = None) -> None:
    """Draws what a constructor leaves at one value, by its name and shape: norms, biases, scales, empty embeddings.

    With zeros and ones, a norm whose bias was lost, or a branch that is scaled by 1e-6, would give the right result.

    Args:
        net: whose state changes.
        most: that norms scale by, with variances near 1; where left out, 1.5, and variances from 0.5 to 1.5.
    """
    ranges = (_WIDE, _WIDE) if most is None else ((0.6, most), (0.75, 1.25))
    state = net.state_dict()
    parameters = {name for name, _ in net.named_parameters()}
    drawn = {
        key: mcore.from_numpy(_draw(key, value.shape, ranges))
        for key, value in ((key, value.detach().numpy()) for key, value in state.items())
        if (key in parameters or key.endswith(("running_mean", "running_var"))) and _is_one_value(value)
    }
    net.load_state_dict({**state, **drawn})


def _is_one_value(value: np.ndarray) -> bool:
    return value.dtype == np.float32 and value.size > 0 and bool((value == value.flat[0]).all())


def _draw(key: str, shape: tuple[int, ...], ranges: tuple[Range, Range]) -> np.ndarray:
    """Numbers for an entry of the state: around 1 for what multiplies, around 0 for what is added.

    `ranges` are those of factors and of variances.
    """
    random, leaf = np.random.RandomState(zlib.crc32(key.encode())), key.rpartition(".")[2]
    if len(shape) > 1 and min(shape[:2]) > 1:
        value = random.standard_normal(shape) / math.sqrt(math.prod(shape[1:]))
    elif leaf in ("weight", "gamma", "scale", "running_var"):
        low, high = ranges[leaf == "running_var"]
        value = low + (high - low) * random.uniform(size=shape)
    else:
        value = 0.1 * random.standard_normal(shape)
    return np.asarray(value, np.float32)


__all__ = ["built", "levels", "stir"]
