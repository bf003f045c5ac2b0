"""Feature maps of several resolutions, finest first, made one."""

from collections.abc import Sequence
from typing import Literal

import mcore
from mcore import Tensor
from models.functional.sizes import resize

Merge = Literal["coarsest", "finest", "sum", "concat"]


def as_maps(features: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Several maps, also where one came alone."""
    # Not by its class: a tensor counts as a sequence too.
    return tuple(features) if isinstance(features, tuple | list) else (features,)  # type: ignore[return-value]


def as_channels(in_channels: int | Sequence[int]) -> tuple[int, ...]:
    """The channels of several maps, also where those of one came alone."""
    return (in_channels,) if isinstance(in_channels, int) else tuple(in_channels)


def merge_rule(title: str, channels: Sequence[int], merge: Merge | None) -> Merge:
    """How to merge maps of these channels: `merge`, or what suits them.

    A pyramid's maps have the same channels and are summed; else the coarsest is taken, which a backbone's
    whole depth has made. `title` names the class in messages.
    """
    alike = len(set(channels)) == 1
    if merge == "sum" and not alike:
        given = ", ".join(map(str, channels))
        raise ValueError(f'{title}: merge="sum" needs maps of the same channels, got {given}; take "concat".')
    return merge or ("sum" if alike else "coarsest")


def merged_channels(channels: Sequence[int], merge: Merge) -> int:
    """Channels of `merged` maps."""
    return sum(channels) if merge == "concat" else channels[0 if merge in ("finest", "sum") else -1]


def used_by(merge: Merge, count: int) -> tuple[int, ...]:
    """Which of `count` maps, finest first, a merging looks at.

    >>> used_by("coarsest", 4)
    (3,)
    """
    if merge in ("coarsest", "finest"):
        return (count - 1 if merge == "coarsest" else 0,)
    return tuple(range(count))


def merged(maps: Sequence[Tensor], merge: Merge) -> Tensor:
    """One map out of several; sums and concatenations are at the size of the finest."""
    if merge == "coarsest" or len(maps) == 1:
        return maps[-1]
    finest, *coarser = maps
    if merge == "finest":
        return finest
    raised = [finest, *(resize(x, finest.shape[2:]) for x in coarser)]
    return mcore.cat(raised, dim=1) if merge == "concat" else sum(raised[1:], start=finest)
