"""Weights of a checkpoint into a network: all of them, or of some parts; and the network itself, built anew.

Nothing changes before all that was asked for is there, was hashed, and fits. What doesn't fit as it is, is refused, or
made fit where that was asked for; the report tells each case.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mcore.checkpoint.errors import Incompatible, NotFound, SchemaError
from mcore.checkpoint.parts.builders import Builder, built
from mcore.checkpoint.parts.channels import Said
from mcore.checkpoint.parts.composition import components_of, named_state, state_of, unwrapped
from mcore.checkpoint.parts.fitting import Fitting, LoadReport
from mcore.checkpoint.parts.moves import Move, moves_of, theirs_of
from mcore.checkpoint.records import Component, Record
from mcore.exchange import bridge

Arrays = Callable[[Component], Mapping[str, np.ndarray]]


def load_into(
    net: Any,
    record: Record,
    arrays_of: Arrays,
    *,
    parts: Sequence[str] | Mapping[str, str] | str | None = None,
    strict: bool = True,
    resize: bool = False,
    channels: Said | None = None,
    into: str | None = None,
) -> LoadReport:
    """Takes the weights of a checkpoint into `net`, all that is asked for or none; tells what became of each entry.

    Args:
        net: the network, on either engine; names may begin as data parallelism and torch.compile have them. Types of
            its entries stay what they are.
        record: what the checkpoint carries.
        arrays_of: gives the arrays of a component. They are used up: afterwards they may hold the old numbers.
        parts: names or roles of parts: ["backbone", "neck"], "heads.mask", or what is below one: "backbone.layer1".
            Each goes to ours of the same name or role; a mapping says to which: {"backbone": "encoder"}. A backbone
            saved alone is the part "backbone", and a network that is one takes it. Without it, all goes to all.
        strict: within what is asked for, every entry of either has its place in the other. The layer that scores
            classes may be missing in ours.
        resize: keep our fresh values of layers that score another number of classes, and take a first convolution for
            another number of channels also where nobody says what these mean: new ones are zero, a single one is the
            sum of all.
        channels: what each channel of our image means ("BGR", "RGB+mask"), so that the first convolution is made of
            the checkpoint's by meaning; or what is new, and fed by what: {"mask": "mean"}. See
            `mcore.checkpoint.parts.channels.mixing`.
        into: where the only one of `parts` goes, as in a mapping.

    Raises:
        Incompatible: something doesn't fit; every entry that doesn't is named with both shapes; nothing was changed.
        NotFound: the checkpoint has no such part, or the network no place of this name.
        CorruptCheckpoint: bytes aren't those that were saved; nothing was changed.
        ValueError: options that contradict each other; `channels` that can't be read.
        TypeError: `net` is no module.
    """
    hands = _hands(bridge.of_module(net))
    net = unwrapped(net)
    named = {name: pair for name, pair in named_state(net).items() if bridge.is_tensor(pair[1])}
    own = components_of(net)
    moves = moves_of(record, own, {name: value for name, (_, value) in named.items()}, parts, into)
    fitting = Fitting(record, own, hands, strict=strict, resize=resize, channels=channels)
    for move in moves:
        ours = {name: named[name][1] for name in move.entries(named)}
        theirs = _moved(record, arrays_of, move)
        if not theirs and (ours or move.is_below):
            raise NotFound(
                f"checkpoint {record.id} has nothing below {move.theirs.rstrip('.')!r}; "
                f"{_tops(record, move, arrays_of)}."
            )
        fitting.add(move, theirs, ours)
    fitting.judge(net, parts)
    for name in fitting.taken:
        hands.check_holds(name, named[name][1])
    hands.take(net, {named[name][0]: (named[name][1], array) for name, array in _apart(fitting.taken).items()})
    return fitting.report


def rebuilt(
    record: Record, arrays_of: Arrays, *, strict: bool = True, builders: Mapping[str, Builder] | None = None
) -> Any:
    """The network of a checkpoint, built by the builder that it names, with its weights, in the mode it was saved in.

    Components are read one after the other, and their arrays become the network's own memory: there is no second copy.
    Entries have the types in which they were saved.

    Args:
        record: what the checkpoint carries.
        arrays_of: gives the arrays of a component, which belong to the network afterwards.
        strict: every entry of either has its place in the other; otherwise entries that the checkpoint lacks are drawn.
        builders: others than the installed ones, by name.

    Raises:
        SchemaError: the record names no builder, or one that isn't installed; or the builder refuses its configuration.
        Incompatible: what is built has other entries, or other shapes; every one is named.
        CorruptCheckpoint: bytes aren't those that were saved.
    """
    if not record.structure.builder:
        raise SchemaError(
            f"checkpoint {record.id} ({record.address}) was saved of {record.structure.title or 'a class'}, which no "
            f"builder makes: make the network yourself, then call repo.load_into(net, {record.id!r}), or "
            f"net.load_from(repo, {record.id!r})."
        )
    hands = _hands(bridge.this())
    # Entries that nothing is loaded into have to be drawn.
    with hands.building() if strict else contextlib.nullcontext():
        net = built(record.structure.builder, record.structure.config, builders)
    if not hasattr(net, "load_state_dict"):
        raise SchemaError(f"checkpoint {record.id}: builder {record.structure.builder!r} made a {type(net).__name__}.")
    state = state_of(net)
    wrong, given = [], set()
    for component in record.components:
        for name, array in theirs_of(record, [component], arrays_of, shared=False).items():
            given.add(name)
            problem = _put(name, state.get(name), array, hands, strict)
            wrong += [problem] if problem else []
    wrong += _tied(record, state, given, hands, strict)
    lacking = [name for name in state if name not in given]
    wrong += [f"{name}: the checkpoint has none, the network {_shape(state[name])}" for name in lacking if strict]
    if wrong:
        code = record.code
        listed = "\n  ".join(wrong)
        raise Incompatible(
            f"checkpoint {record.id} ({record.address}): what its configuration builds now isn't what was saved by "
            f"{code.package} {code.version}{f' at {code.commit[:12]}' if code.commit else ''}:\n  {listed}"
        )
    return net.train(record.training)


def _moved(record: Record, arrays_of: Arrays, move: Move) -> dict[str, tuple[str, np.ndarray]]:
    """Arrays of a move under our names, each with its own name in the checkpoint."""
    found = theirs_of(record, move.components, arrays_of)
    return {move.ours + name.removeprefix(move.theirs): (name, a) for name, a in found.items() if move.takes(name)}


def _tops(record: Record, move: Move, arrays_of: Arrays) -> str:
    """What there is beside a name that nothing is below of."""
    there = theirs_of(record, move.components, arrays_of)
    front = move.theirs.rstrip(".").rpartition(".")[0]
    steps = [name.removeprefix(f"{front}.") if front else name for name in there]
    return f"there are {', '.join(list(dict.fromkeys(step.partition('.')[0] for step in steps))[:20]) or 'no entries'}"


def _put(name: str, tensor: Any, array: np.ndarray, hands: Any, strict: bool) -> str:
    """Gives an entry its array; what is wrong with it, or ""."""
    if tensor is None:
        return f"{name}: the checkpoint has {tuple(array.shape)}, the network none" if strict else ""
    if _shape(tensor) != tuple(array.shape):
        return f"{name}: the checkpoint has {tuple(array.shape)}, the network {_shape(tensor)}"
    hands.assign(tensor, array)
    return ""


def _tied(record: Record, state: Mapping[str, Any], given: set[str], hands: Any, strict: bool) -> list[str]:
    """Fills in entries that were one tensor with another one, and are two in what was built."""
    wrong = []
    for second, first in record.shared.items():
        if first not in given or second in given:
            continue
        given.add(second)
        if state.get(second) is not state.get(first) and first in state:
            copied = np.array(bridge.array_of(state[first]))
            problem = _put(second, state.get(second), copied, hands, strict)
            wrong += [problem] if problem else []
    return wrong


def _apart(taken: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays that are used once each: one that two entries get is copied."""
    seen: set[int] = set()
    out = {}
    for name, array in taken.items():
        out[name] = array.copy() if id(array) in seen else array
        seen.add(id(array))
    return out


def _hands(engine: Any) -> Any:
    """What puts weights in place on an engine."""
    return importlib.import_module(f"mcore.checkpoint.parts.on_{engine.NAME}")


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(map(int, tensor.shape))


__all__ = ["LoadReport", "load_into", "rebuilt"]
