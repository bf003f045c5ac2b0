"""Weights in the order of a state, whatever their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcore.exchange import bridge


def load_by_position(net: Any, arrays: Sequence[Any]) -> Any:
    """Loads arrays in the order of `net.state_dict()`; names play no part.

    It serves weights of the same network written elsewhere, whose layers were registered in the same order.

    Args:
        net: the module to load into, on either engine.
        arrays: one array or tensor for each entry of the state, parameters and buffers in its order; each is taken
            in the type of the entry.

    Returns:
        `net`.

    Raises:
        TypeError: what came is no list of arrays, or `net` no module.
        ValueError: their number or a shape differs; all that differ are listed, and nothing was changed.
    """
    tensor_of, state = bridge.of_module(net).tensor_of, net.state_dict()
    if isinstance(arrays, str | bytes | dict) or not isinstance(arrays, Sequence):
        raise TypeError(f"load_by_position: arrays is a {type(arrays).__name__}; give a list in the state's order.")
    found = [bridge.array_of(array) for array in arrays]
    wrong = [
        f"{position} ({name}) has shape {tuple(array.shape)}, the network's is {tuple(map(int, value.shape))}"
        for position, ((name, value), array) in enumerate(zip(state.items(), found, strict=False))
        if tuple(array.shape) != tuple(map(int, value.shape))
    ]
    if len(found) != len(state):
        first = f"; the first that differs: {wrong[0]}" if wrong else ""
        raise ValueError(
            f"load_by_position: {len(found)} arrays came, but the state of {type(net).__name__} has "
            f"{len(state)} entries{first}."
        )
    if wrong:
        raise ValueError(f"load_by_position: {len(wrong)} shapes differ: {'; '.join(wrong)}.")
    net.load_state_dict({name: tensor_of(array) for name, array in zip(state, found, strict=True)})
    return net


__all__ = ["load_by_position"]
