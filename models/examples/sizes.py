"""The shapes that a part is checked at: of all its inputs, at three sizes."""

from typing import Any

from mcore import Module
from mcore.signatures import signature
from models.examples.arguments import arguments, constructor
from models.examples.building import levels
from models.examples.pixels import CHANNELS, wanted
from models.sizing import Sized, valid_sizes
from models.utils.maps import OfMaps

# Of a part that takes any.
ANY_CHANNELS = 8


def sizes_of(kind: str, name: str, net: Module) -> list[list[tuple[int, ...]]]:
    """Three data sets at least, each the shapes of all inputs of `net`, which `built` made.

    Raises:
        KeyError: no sizes are known for as many axes as it has.
    """
    sets = []
    for batch, *pixels in wanted(kind, name)[_dims(kind, name, net)]:
        if isinstance(net, OfMaps):
            first = levels(kind, name)[0][1]
            sets.append([(batch, c, *(-(-p * first // stride) for p in pixels)) for c, stride in levels(kind, name)])
        else:
            if isinstance(net, Sized):
                pixels = _fitting(net, pixels)
            sets.append([(batch, _channels(kind, name, net), *pixels)])
    return sets


def _fitting(net: Sized, pixels: list[int]) -> list[int]:
    """The sizes nearest to these that a network takes."""
    return [next(iter(fitting)) for fitting in valid_sizes(net, pixels, count=1)]


def _dims(kind: str, name: str, net: Any) -> int:
    """Axes of what a part takes, behind batch and channels."""
    known = signature(constructor(kind, name)).parameters
    of_part = getattr(net.part if isinstance(net, OfMaps) else net, "dims", None)
    return of_part or (known["dims"].default if "dims" in known else None) or 2


def _channels(kind: str, name: str, net: Any) -> int:
    """Channels of what a part takes."""
    if (kind, name) in CHANNELS:
        return CHANNELS[kind, name]
    known = signature(constructor(kind, name)).parameters
    given = {key: value.default for key, value in known.items() if value.default is not value.empty}
    given |= arguments(kind, name)
    if kind in ("network", "backbone"):
        # Without a first convolution, the image has the channels of the finest level.
        widest = given.get("width") or [3]
        return getattr(net, "num_in_channels", None) or given.get("in_channels", 3) or widest[0]
    return given.get("in_channels") or given.get("channels") or ANY_CHANNELS


__all__ = ["sizes_of"]
