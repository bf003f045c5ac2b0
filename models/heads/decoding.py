"""What decoders have in common: which maps they take, and how they come up to the image."""

from collections.abc import Sequence
from typing import Any, Literal

from mcore import Dropout1d, Dropout2d, Dropout3d, Module, Tensor
from mcore import functional as F
from mcore.registry import UnknownComponent, lookup
from mcore.signatures import signature
from models.basicblocks.layers import Factory
from models.functional.maps import as_maps
from models.functional.sizes import resize

# How maps come up.
Mode = Literal["nearest", "linear"]
MODES = ("nearest", "linear")

DROPOUTS: dict[int, Any] = {1: Dropout1d, 2: Dropout2d, 3: Dropout3d}


def from_stride(strides: Sequence[int], least: int) -> list[int]:
    """Positions of the maps at stride `least` or coarser; the coarsest alone where all are finer.

    >>> from_stride((2, 4, 8, 16), 4)
    [1, 2, 3]
    """
    return [place for place, stride in enumerate(strides) if stride >= least] or [len(strides) - 1]


def taken(features: Tensor | Sequence[Tensor], used: Sequence[int], *, of: int, title: str) -> list[Tensor]:
    """The maps that a head uses, out of the `of` that it is fed.

    Raises:
        ValueError: another number of maps came.
    """
    maps = as_maps(features)
    if len(maps) != of:
        raise ValueError(f"{title}: {len(maps)} maps came, but it was built for in_channels of {of}, finest first.")
    return [maps[place] for place in used]


def doubled(x: Tensor, mode: Mode) -> Tensor:
    """`x` at twice its size."""
    if mode == "nearest":
        return F.interpolate(x, scale_factor=2.0, mode="nearest")
    return resize(x, [2 * pixels for pixels in x.shape[2:]], mode=mode)


def up_to_image(x: Tensor, blocks: Sequence[Module], size: Sequence[int] | None, *, mode: Mode) -> list[Tensor]:
    """The map after each of `blocks`, before which it is doubled, or before the last brought to the image's `size`."""
    maps = [x]
    for left in range(len(blocks) - 1, -1, -1):
        meets = left == 0 and size is not None
        raised = resize(maps[-1], size or (), mode=mode) if meets else doubled(maps[-1], mode)
        maps.append(blocks[len(blocks) - 1 - left](raised))
    return maps[1:]


def to_image(scores: Tensor, size: Sequence[int] | None, *, align_corners: bool) -> Tensor:
    """Scores at the size of the image; None leaves them at theirs."""
    return scores if size is None else resize(scores, size, align_corners=align_corners)


def attention_part(attention: str | Factory | None, channels: int, *, dims: int, title: str) -> Module | None:
    """A part of kind attention for `channels`: by name, or what the constructor makes of them.

    Raises:
        ValueError: no attention of this name, or one that takes more than channels.
    """
    if attention is None or callable(attention):
        return attention(channels) if attention is not None else None
    try:
        constructor = lookup(attention, "attention").load()
    except UnknownComponent as error:
        raise ValueError(f"{title}: attention={attention!r}: {error}") from None
    known = signature(constructor).parameters
    needed = [name for name, one in known.items() if one.default is one.empty][1:]
    if needed:
        raise ValueError(f"{title}: {attention} needs {', '.join(needed)} too; give a constructor from channels.")
    part: Module = constructor(channels, **({"dims": dims} if "dims" in known else {}))
    return part


def channel_dropout(rate: float, *, dims: int) -> Module:
    """Dropout of whole channels."""
    drop: Module = DROPOUTS[dims](rate)
    return drop
