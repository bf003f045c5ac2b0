"""Channels and skips of the convnet's U-Nets, block by block: read, mirrored and checked."""

from collections.abc import Mapping, Sequence
from typing import Any

from mcore import Module
from models.networks.convnet_program import edges
from models.utils.arguments import one_of
from models.utils.extents import axes_of, keeps_channels


def join_mode(title: str, unet_skip_mode: str, skip_mode: str | None) -> str:
    """How maps join, from the original's name and the other.

    Raises:
        ValueError: it is neither "sum" nor "concat".
        TypeError: the two differ.
    """
    one_of(("sum", "concat"), of=title, unet_skip_mode=unet_skip_mode)
    one_of(("sum", "concat", None), of=title, skip_mode=skip_mode)
    if skip_mode is not None and unet_skip_mode not in ("sum", skip_mode):
        raise TypeError(f"{title}: unet_skip_mode={unet_skip_mode!r} and skip_mode={skip_mode!r} are one; give one.")
    return skip_mode or unet_skip_mode


def block_channels(
    title: str,
    list_num_channels: Sequence[Sequence[int]] | None,
    layers_enc: Sequence[Any] | None,
    layers_dec: Sequence[Any] | None,
    in_channels: int | None,
) -> Sequence[Sequence[int]]:
    """Channels of each block, from the original's list, or from the two ways apart.

    >>> block_channels("UNet", None, [32, 64, 128], [128, 64, 32], None)
    [[1, 32, 32], [32, 64, 64], [64, 128, 64], [64, 64, 32], [32, 32, 32]]

    Raises:
        TypeError: both are given, or only a part.
        ValueError: the two ways don't fit.
    """
    if list_num_channels is not None:
        if layers_enc is not None or layers_dec is not None or in_channels is not None:
            raise TypeError(
                f"{title}: list_num_channels says it all; leave layers_enc, layers_dec and in_channels out."
            )
        return list_num_channels
    if layers_enc is None or layers_dec is None:
        raise TypeError(f"{title} needs list_num_channels, or layers_enc and layers_dec.")
    down, up = [*layers_enc], [*layers_dec]
    plain = [isinstance(entry, int) for entry in (*down, *up)]
    if any(plain) and not all(plain):
        raise TypeError(
            f"{title}: layers_enc={down} and layers_dec={up} are plain channels, or lists of them, not both."
        )
    if not any(plain):
        if in_channels is not None:
            raise TypeError(f"{title}: in_channels={in_channels} stands in the first list of layers_enc already.")
        return [*down, *up]
    if not down or len(down) != len(up) or down[-1] != up[0]:
        raise ValueError(
            f"{title}: layers_enc={down} and layers_dec={up} must be as many levels, of which the coarsest, the last "
            "of the one and the first of the other, is the same."
        )
    before = [1 if in_channels is None else in_channels, *down[:-1]]
    if len(down) == 1:
        return [[before[0], down[0], down[0]]]
    blocks = [[come, width, width] for come, width in zip(before[:-1], down[:-1], strict=True)]
    # Each block on the way up ends with the channels of the map that joins next.
    blocks.append([before[-1], down[-1], down[-2]])
    joining = down[-2::-1]
    for index, (skip, width) in enumerate(zip(joining, up[1:], strict=True)):
        blocks.append([skip, width, joining[index + 1] if index + 1 < len(joining) else width])
    return blocks


def check_blocks(title: str, blocks: Sequence[Sequence[int]]) -> None:
    """Refuses what is no list of lists, and an even number of blocks.

    Raises:
        ValueError: it is.
    """
    if not _is_list(blocks) or not all(map(_is_list, blocks)):
        raise ValueError(
            f"{title}: list_num_channels={blocks!r} is no list of lists; give the channels of each block, such as "
            "[[1, 32], [32, 64, 32], [32, 1]]."
        )
    if len(blocks) % 2 == 0:
        raise ValueError(
            f"{title}: list_num_channels has {len(blocks)} blocks; it needs an odd number: as many up as down, and "
            "the middle one."
        )


def check_between(
    title: str, name: str, layer: Module, number: int, blocks: Sequence[Sequence[int]], *, dims: int | None
) -> None:
    """Refuses what lies between a block and the one before it, where it can't give what the block takes.

    Raises:
        ValueError: it keeps channels that the block doesn't take, or has other axes than the convolutions.
    """
    comes, wanted = blocks[number - 1][-1], blocks[number][0]
    if keeps_channels(layer) and comes != wanted:
        raise ValueError(
            f"{title}: block {number - 1} gives {comes} channels, which {type(layer).__name__} keeps, but block "
            f"{number} starts with {wanted}; let them agree, or let {name} change them."
        )
    count = axes_of(layer)
    if count is not None and dims is not None and count != dims:
        raise ValueError(
            f"{title}: {name} makes a {type(layer).__name__} of {count} axes, but convolutions have {dims}."
        )


def skips_by_block(
    title: str, skips: Mapping[str, int] | None, blocks: Sequence[Sequence[int]]
) -> list[dict[str, int]]:
    """The skips that each block has enough convolutions for; the longest block must take all.

    Raises:
        ValueError: one fits no block.
    """
    counts = [len(channels) - 1 for channels in blocks]
    pairs = edges(title, skips, max(counts))
    return [{str(start): end for start, end in pairs if end <= count} for count in counts]


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
