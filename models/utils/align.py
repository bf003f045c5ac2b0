"""Names of a file and names of a network laid side by side: writes the table for a layout not yet known.

Layers with state are listed in the order in which they run, and paired where their entries have the same leaf
names and as many numbers. With the foreign network at hand both run on one input; with its file alone, the
order in the file stands for the order in which it runs.

Source: measured on 16 pairs of torchvision's and timm's networks, 15 of which this pairs completely; the other
projects its shortcuts first where ours does so last.
"""

import math
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import mcore
from mcore import Module


class Layer(NamedTuple):
    """A layer with state: its name, and the leaf names and numbers of its entries."""

    name: str
    entries: tuple[tuple[str, int], ...]


class Alignment(NamedTuple):
    """`table` maps their layers to ours, for `rename=`; what found no partner stands by its name."""

    table: dict[str, str]
    ours: list[str]
    theirs: list[str]

    def __str__(self) -> str:
        return f"{len(self.table)} layers paired, {len(self.ours)} of ours and {len(self.theirs)} of theirs are left"


def align(net: Module, foreign: Module | Mapping[str, Any], size: Sequence[int] | None = None) -> Alignment:
    """Pairs the layers of `net` with those of a foreign network, or of its state in a file.

    Args:
        net: a network of ours.
        foreign: a module, run beside ours; or what its file holds.
        size: of an image that both take, (n, channels, *size); without it, both are read in the order of
            their states.

    Raises:
        ValueError: no layer has a partner.
    """
    ours = _layers(net.state_dict(), None if size is None else _order(net, size))
    if isinstance(foreign, Mapping):
        theirs = _layers(foreign, None)
    else:
        theirs = _layers(foreign.state_dict(), None if size is None else _order(foreign, size))
    pairs = _paired([layer.entries for layer in theirs], [layer.entries for layer in ours])
    if not pairs:
        raise ValueError(
            f"align: no layer of the {len(theirs)} there fits one of the {len(ours)} of {type(net).__name__}: "
            "another network, or another size of it."
        )
    left_theirs, left_ours = {a for a, _ in pairs}, {b for _, b in pairs}
    return Alignment(
        {f"{theirs[a].name}.": f"{ours[b].name}." for a, b in pairs},
        [layer.name for index, layer in enumerate(ours) if index not in left_ours],
        [layer.name for index, layer in enumerate(theirs) if index not in left_theirs],
    )


def _layers(state: Mapping[str, Any], order: Sequence[str] | None) -> list[Layer]:
    entries: dict[str, list[tuple[str, int]]] = {}
    for key, value in state.items():
        name, _, leaf = key.rpartition(".")
        if leaf != "num_batches_tracked":
            entries.setdefault(name, []).append((leaf, math.prod(map(int, value.shape))))
    # What a hook doesn't see, parameters used without a call, comes last in the order of the state.
    named = [name for name in order or () if name in entries]
    return [Layer(name, tuple(sorted(entries[name]))) for name in dict.fromkeys([*named, *entries])]


def _order(net: Module, size: Sequence[int]) -> list[str]:
    """Names of modules in the order in which they are first called on an image."""
    called: list[str] = []
    hooks = [module.register_forward_hook(_noting(called, name)) for name, module in net.named_modules() if name]
    training = net.training
    try:
        with mcore.no_grad():
            net.eval()(mcore.zeros(*size))
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    return called


def _noting(called: list[str], name: str) -> Any:
    def note(module: Module, args: tuple[Any, ...], result: Any) -> None:
        if name not in called:
            called.append(name)

    return note


def _paired(theirs: Sequence[Any], ours: Sequence[Any]) -> list[tuple[int, int]]:
    """Places of equal items in both, in order, as many as fit."""
    matcher = SequenceMatcher(None, theirs, ours, autojunk=False)
    return [(a + i, b + i) for a, b, count in matcher.get_matching_blocks() for i in range(count)]
