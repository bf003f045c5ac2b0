"""A first convolution made fit for an image of other channels, by what each channel means.

A convolution sums over its input channels, so each of ours is given the weights that its meaning asks for: those of the
same channel where they saw it, the sum of red, green and blue for grey, zeros (or what is asked for) for what is new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcore.checkpoint.records import LETTERS, channels_of
from mcore.vocabulary import nearest

RGB = ("red", "green", "blue")
GREY = "luminance"
_SAME = {"grey": GREY, "gray": GREY, "nir": "infrared", "ir": "infrared"}
# What a channel that they never saw may be fed by, besides one of theirs.
FILLS = ("zero", "mean", "sum")

Said = str | Sequence[str] | Mapping[str, str]


@dataclass(frozen=True)
class Mixing:
    """What each of our channels is made of.

    Attributes:
        matrix: (ours, theirs), by how much each of theirs counts in each of ours.
        told: the same for people: ["R: R", "mask: zero, new"].
        dropped: those of theirs that ours has no use for.
    """

    matrix: np.ndarray
    told: tuple[str, ...]
    dropped: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether it only changes the order, so that the same image gives the same."""
        once = np.isin(self.matrix, (0.0, 1.0)).all() and self.matrix.shape[0] == self.matrix.shape[1]
        return bool(once and (self.matrix.sum(0) == 1).all() and (self.matrix.sum(1) == 1).all())

    @property
    def same(self) -> bool:
        """Whether it changes nothing."""
        return self.exact and bool((np.diag(self.matrix) == 1).all())

    def __str__(self) -> str:
        lost = f"; left out: {', '.join(self.dropped)}" if self.dropped else ""
        return ", ".join(self.told) + lost


def mixing(theirs: Sequence[str], ours: Said) -> Mixing:
    """What our channels are made of, where weights saw `theirs`.

    Args:
        theirs: what each of their channels means, as `records.channels_of` tells: ("R", "G", "B").
        ours: the same of ours: "BGR", "RGB+mask", ["em", "mask"]. Or a mapping of what new ones are fed by, behind
            theirs, or of what each is, where all are named: {"mask": "mean"}, {"em": "sum"}: one of theirs, "zero",
            "mean" or "sum".

    A letter and a word may mean the same: "R" and "red", "L" and "grey". Grey is the sum of red, green and blue, and
    each of these a third of grey: a grey image given once does what it did given thrice. What is new is zero, so that
    the network first gives what it gave without.

    >>> str(mixing(("R", "G", "B"), "RGB+mask"))
    'R: R, G: G, B: B, mask: zero, new'
    >>> mixing(("R", "G", "B"), "BGR").exact
    True

    Raises:
        ValueError: a channel is named twice, is fed by what isn't there, or none of ours has anything of theirs.
    """
    seen = [_meaning(name) for name in theirs]
    fills, names = _asked(theirs, seen, ours)
    wanted = [_meaning(name) for name in names]
    for title, list_ in (("the checkpoint's", seen), ("the network's", wanted)):
        twice = next((name for name in list_ if list_.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"channels: {twice!r} is there twice among {title} channels; give each a name of its own.")
    rows, told = [], []
    for name, meaning in zip(names, wanted, strict=True):
        row, how = _row(name, meaning, seen, theirs, fills)
        rows.append(row)
        told.append(f"{name}: {how}")
    matrix = np.array(rows, np.float64).reshape(len(names), len(theirs))
    if not matrix.any():
        raise ValueError(
            f"channels: none of {', '.join(names)} is among those that the checkpoint saw ({', '.join(theirs)}): all "
            f'would be zero. Say what they are fed by, as in channels={{"{names[0]}": "sum"}}.'
        )
    dropped = tuple(name for index, name in enumerate(theirs) if not matrix[:, index].any())
    return Mixing(matrix, tuple(told), dropped)


def by_number(theirs: int, ours: int) -> Mixing | None:
    """What is done where nobody tells what the channels mean: new ones are zero, one is the sum of all; else None.

    >>> str(by_number(3, 1))
    '0: sum of all'
    """
    if ours == 1:
        return Mixing(np.ones((1, theirs)), ("0: sum of all",))
    if ours < theirs:
        return None
    told = tuple(f"{index}: {index if index < theirs else 'zero, new'}" for index in range(ours))
    return Mixing(np.eye(ours, theirs), told)


def mixed(weight: np.ndarray, mix: Mixing) -> np.ndarray:
    """A convolution's weight (out, in, *kernel) for our channels, in its own type; a mere order is changed exactly."""
    matrix = mix.matrix
    if mix.exact:
        return np.ascontiguousarray(weight[:, matrix.argmax(1)])
    # In double precision: it is one small layer.
    wide = weight.astype(np.float64)
    out = np.moveaxis(np.tensordot(wide, matrix, axes=(1, 1)), -1, 1)
    # What is taken over as it is stays so bitwise, and what is new is zero: also where another channel has NaN.
    for ours, row in enumerate(matrix):
        if not row.any():
            out[:, ours] = 0
        elif (row != 0).sum() == 1 and row.max() == 1:
            out[:, ours] = wide[:, row.argmax()]
    return np.ascontiguousarray(out).astype(weight.dtype)


def count_of(theirs: Sequence[str], ours: Said) -> int:
    """How many channels `ours` names, as `mixing` reads it."""
    return len(_asked(theirs, [_meaning(name) for name in theirs], ours)[1])


def _asked(theirs: Sequence[str], seen: Sequence[str], ours: Any) -> tuple[dict[str, str], list[str]]:
    """What new channels are fed by, and the names of all of ours."""
    if not isinstance(ours, Mapping):
        if not isinstance(ours, str | list | tuple) or not all(isinstance(name, str) for name in ours):
            raise TypeError(f'channels: names of channels, as in "RGB+mask" or ["em", "mask"], got {ours!r:.100}.')
        return {}, list(channels_of(ours))
    fills = {str(name): str(fill) for name, fill in ours.items()}
    new = [name for name in fills if _meaning(name) not in seen]
    # All of ours, where one of theirs is named too, or none of theirs is kept.
    whole = len(new) < len(fills) or (len(fills) == 1 and fills[new[0]] == "sum")
    return fills, list(fills) if whole else [*theirs, *new]


def _row(
    name: str, meaning: str, seen: Sequence[str], theirs: Sequence[str], fills: Mapping[str, str]
) -> tuple[list[float], str]:
    """How much each of theirs counts in one of ours, and how that is said."""
    count = len(seen)
    if name in fills:
        return _filled(name, fills[name], seen, theirs)
    if meaning in seen:
        at = seen.index(meaning)
        return [float(index == at) for index in range(count)], theirs[at]
    if meaning == GREY and set(RGB) <= set(seen):
        return [float(one in RGB) for one in seen], "sum of red, green and blue"
    if meaning in RGB and GREY in seen:
        return [float(one == GREY) / 3 for one in seen], f"a third of {theirs[seen.index(GREY)]}"
    return [0.0] * count, "zero, new"


def _filled(name: str, fill: str, seen: Sequence[str], theirs: Sequence[str]) -> tuple[list[float], str]:
    count, same = len(seen), _meaning(fill)
    if same in seen:
        at = seen.index(same)
        return [float(index == at) for index in range(count)], theirs[at]
    if fill not in FILLS:
        likely = nearest(fill, [*theirs, *FILLS], least=0.0, most=1)[0]
        raise ValueError(
            f"channels: {name!r} is fed by {fill!r}, which is none of theirs ({', '.join(theirs)}) nor of "
            f"{', '.join(FILLS)}; the nearest is {likely!r}."
        )
    factor = {"zero": 0.0, "mean": 1.0 / count, "sum": 1.0}[fill]
    return [factor] * count, f"{fill} of all" if factor else "zero, new"


def _meaning(name: str) -> str:
    """One word for each meaning: a letter of an image is its colour, whatever its case."""
    upper, lower = name.upper(), name.lower()
    word = LETTERS[upper] if len(name) == 1 and upper in LETTERS else lower
    return _SAME.get(word, word)


__all__ = ["FILLS", "Mixing", "by_number", "count_of", "mixed", "mixing"]
