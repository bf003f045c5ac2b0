"""What the table tells of a network besides what devices make of it: its layers, and how large it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import mcore
from models.utils.maps import OfMaps
from models.utils.summary import parameters, rows_of

# What only holds others.
_HOLDERS = ("Sequential", "ModuleList", "ModuleDict")


def facts_of(net: Any, inputs: Sequence[Any]) -> dict[str, Any]:
    """Layers by class, the number of parameters, and the multiply-adds for these arrays, as plain data."""
    rows = rows_of(net, [mcore.from_numpy(array) for array in inputs])
    return {
        "layers": dict(sorted(layers_of(net).items())),
        "parameters": parameters(net),
        "multiply_adds": sum(row.multiply_adds or 0 for row in rows),
    }


def layers_of(net: Any) -> Counter[str]:
    """How many modules of which class are inside a network, itself and mere containers left out."""
    whole = net.part if isinstance(net, OfMaps) else net
    inside = (type(module).__name__ for module in whole.modules() if module is not whole)
    return Counter(name for name in inside if name not in _HOLDERS)


__all__ = ["facts_of", "layers_of"]
