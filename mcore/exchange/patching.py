"""Other people's packages, imported so that their modules are mcore's: a last resort.

with mcore.patched_torch():
    import their_package
their_package.Net().toplatform("exports/net", sizes=[(1, 3, 64, 64)])
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from types import ModuleType

from mcore.backend import demand

# What classes are derived from; the layers stay torch's own, which export as they are.
_NAMES = ("Module", "Sequential", "ModuleList", "ModuleDict")
_lock = threading.RLock()
_depth = 0
_originals: list[tuple[ModuleType, str, type]] = []


@contextlib.contextmanager
def patched_torch() -> Iterator[None]:
    """Inside the block `torch.nn.Module` and its containers are mcore's, for every thread; afterwards torch's again.

    Classes that are made inside keep mcore's base. Blocks may be nested.

    Raises:
        RuntimeError: on the platform engine, which has no torch to patch.
    """
    demand("torch", "patched_torch")
    import torch

    from mcore.torch import module as ours

    global _depth
    with _lock:
        if _depth == 0:
            # Where packages import them from. In the files that define them torch's own code means torch's own.
            for place in (torch.nn, torch.nn.modules):
                for name in _NAMES:
                    _originals.append((place, name, vars(place)[name]))
                    setattr(place, name, getattr(ours, name))
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            while _depth == 0 and _originals:
                place, name, original = _originals.pop()
                setattr(place, name, original)
