"""Evaluation mode for the length of a block, whoever else uses the same network meanwhile."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

_lock = threading.Lock()
# Networks inside a block, by identity: how many blocks there are, and the mode of each part before the first.
_inside: dict[int, list[Any]] = {}


@contextlib.contextmanager
def evaluating(network: Any) -> Iterator[None]:
    """A block in which `network` is in evaluation mode; afterwards every part of it is in the mode it was in.

    Where several threads are in such a block with one network, the last to leave puts the modes back.
    """
    with _lock:
        held = _inside.setdefault(id(network), [0, None])
        if not held[0]:
            held[1] = [(part, part.training) for part in network.modules()]
            if any(mode for _, mode in held[1]):
                network.eval()
        held[0] += 1
    try:
        yield
    finally:
        with _lock:
            held[0] -= 1
            if not held[0]:
                del _inside[id(network)]
                for part, mode in held[1]:
                    if part.training != mode:
                        part.training = mode


__all__ = ["evaluating"]
