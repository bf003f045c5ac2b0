"""Which entries of a checkpoint go where in a network, as `parts` asks for them by name or role."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcore.checkpoint.errors import NotFound
from mcore.checkpoint.parts.composition import Part
from mcore.checkpoint.records import Component, Record
from mcore.vocabulary import nearest


@dataclass(frozen=True)
class Move:
    """Entries that begin with `theirs` in the checkpoint, and with `ours` in the network.

    Attributes:
        components: of the checkpoint, that have them.
        theirs, ours: prefixes, "" or with a dot at the end.
        own: the entries of ours that are meant, where the prefix alone doesn't tell; else None.
    """

    components: tuple[Component, ...]
    theirs: str
    ours: str
    own: tuple[str, ...] | None = None

    @property
    def is_below(self) -> bool:
        """Whether it is a piece of a component."""
        names = [component.name for component in self.components]
        return bool(self.theirs) and self.theirs.rstrip(".") not in names

    def takes(self, name: str) -> bool:
        """Whether an entry of the checkpoint is meant."""
        return name.startswith(self.theirs)

    def entries(self, names: Iterable[str]) -> list[str]:
        """Those of the network's entries that are meant."""
        return [name for name in names if name.startswith(self.ours) and (self.own is None or name in self.own)]


def moves_of(
    record: Record,
    own: Sequence[Part],
    names: Mapping[str, Any],
    parts: Sequence[str] | Mapping[str, str] | str | None,
    into: str | None = None,
) -> list[Move]:
    """What `parts` asks for; without it, everything.

    Raises:
        NotFound: the checkpoint has no such part, or the network no place for it.
        ValueError: `into` without a single part; a part twice.
        TypeError: `parts` are no names.
    """
    if parts is None:
        if into is not None:
            raise ValueError(f"load_into: into={into!r} says where one part goes; name it by parts=.")
        return [Move(record.components, "", "")]
    pairs = _pairs(parts, into)
    moves = [
        _move(record, own, names, theirs, ours)
        for theirs, ours in pairs
        for theirs, ours in _each(record, theirs, ours)
    ]
    places = [move.ours for move in moves]
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice is not None:
        raise ValueError(f"load_into: two parts of the checkpoint would go to {twice.rstrip('.') or 'the network'!r}.")
    return moves


def theirs_of(
    record: Record,
    components: Sequence[Component],
    arrays_of: Callable[[Component], Mapping[str, np.ndarray]],
    *,
    shared: bool = True,
) -> dict[str, np.ndarray]:
    """The arrays of components by their names in the whole network that was saved.

    With `shared`, also those that were one tensor with an entry of another component, which is read for it.
    """
    found = {
        f"{component.name}.{key}" if component.name else key: array
        for component in components
        for key, array in arrays_of(component).items()
    }
    if shared:
        names = {component.name for component in components}
        for second, first in record.shared.items():
            if _holder(record, second) not in names:
                continue
            if first not in found:
                holder = next(one for one in record.components if one.name == _holder(record, first))
                found[second] = arrays_of(holder)[first.removeprefix(f"{holder.name}." if holder.name else "")]
            else:
                found[second] = found[first]
    return found


def _holder(record: Record, name: str) -> str:
    """The name of the component that an entry belongs to: the longest that it begins with."""
    holders = [one.name for one in record.components if not one.name or name.startswith(f"{one.name}.")]
    if not holders:
        raise NotFound(f"checkpoint {record.id} has no component for the entry {name!r}.")
    return max(holders, key=len)


def _pairs(parts: Any, into: str | None) -> list[tuple[str, str | None]]:
    if isinstance(parts, Mapping):
        pairs = list(parts.items())
    else:
        pairs = [(parts, None)] if isinstance(parts, str) else [(part, None) for part in parts]
    if not pairs or not all(isinstance(name, str) for pair in pairs for name in pair if name is not None):
        raise TypeError(f'load_into: parts are names, as in ["backbone", "neck"], got {parts!r:.100}.')
    if into is None:
        return pairs
    if len(pairs) != 1 or pairs[0][1] is not None:
        raise ValueError(f"load_into: into={into!r} says where one part goes, but parts={parts!r}.")
    return [(pairs[0][0], into)]


def _each(record: Record, theirs: str, ours: str | None) -> list[tuple[str, str | None]]:
    """One pair for each component that is meant: a role may be that of several heads."""
    if any(component.name == theirs for component in record.components):
        return [(theirs, ours)]
    several = [one for one in record.components if one.role == theirs or one.name.startswith(f"{theirs}.")]
    if len(several) < 2:
        return [(several[0].name or theirs if several else theirs, ours)]
    if ours is not None:
        raise ValueError(
            f"load_into: {theirs!r} are {', '.join(one.name for one in several)} of the checkpoint, and can't all go "
            f"to {ours!r}; say where each goes."
        )
    return [(one.name, None) for one in several]


def _move(record: Record, own: Sequence[Part], names: Mapping[str, Any], theirs: str, ours: str | None) -> Move:
    components, front = _theirs(record, theirs)
    # A part saved under another name is looked for under what it was asked by, then by its role.
    asked = [ours] if ours is not None else list(dict.fromkeys([theirs, components[0].role]))
    for name in asked:
        found = _ours(own, names, name, whole=ours is not None)
        if found is not None:
            return Move(tuple(components), front, *found)
    raise NotFound(_no_place(own, names, asked[0]))


def _theirs(record: Record, asked: str) -> tuple[list[Component], str]:
    """The component that is asked for by name, by role, or by something below it; and what its names begin with."""
    by_name = [one for one in record.components if one.name == asked]
    by_role = [one for one in record.components if one.role == asked]
    for component in [*by_name, *by_role][:1]:
        return [component], f"{component.name}." if component.name else ""
    above = [one for one in record.components if not one.name or asked.startswith(f"{one.name}.")]
    if above:
        holder = max(above, key=lambda one: len(one.name))
        return [holder], f"{asked}."
    there = list(dict.fromkeys(name for one in record.components for name in (one.name or one.role, one.role)))
    likely = nearest(asked, there, most=1)
    meant = f" (did you mean {likely[0]!r}?)" if likely else ""
    raise NotFound(f"checkpoint {record.id} has no part {asked!r}{meant}; it has {', '.join(there)}.")


def _ours(
    own: Sequence[Part], names: Mapping[str, Any], asked: str, *, whole: bool
) -> tuple[str, tuple[str, ...] | None] | None:
    """The prefix of a place in the network, and its entries where the prefix doesn't tell them; None: no such place."""
    by_name = [part for part in own if part.name == asked and (part.name or part.role == "part" or whole)]
    by_role = [part for part in own if part.role == asked]
    found = by_name or (by_role if len(by_role) == 1 else [])
    if found:
        part = found[0]
        return part.prefix, (part.entries if not part.prefix and part.role == "part" and not whole else None)
    if asked == "" or any(name.startswith(f"{asked}.") for name in names):
        return (f"{asked}." if asked else ""), None
    return None


def _no_place(own: Sequence[Part], names: Mapping[str, Any], asked: str) -> str:
    there = [part.name or part.role for part in own]
    several = [part.name for part in own if part.role == asked]
    if len(several) > 1:
        return (
            f"load_into: {asked!r} may be {' or '.join(several)} of the network; say which: "
            f"parts={{{asked!r}: {several[0]!r}}}."
        )
    children = list(dict.fromkeys(name.partition(".")[0] for name in names))
    likely = nearest(asked, [*there, *children], most=1)
    meant = f" (did you mean {likely[0]!r}?)" if likely else ""
    return (
        f"load_into: the network has no part {asked!r}{meant}; it has {', '.join(there)}. A mapping says where a part "
        f"goes: parts={{{asked!r}: {(likely or children or ['encoder'])[0]!r}}}."
    )


__all__ = ["Move", "moves_of", "theirs_of"]
