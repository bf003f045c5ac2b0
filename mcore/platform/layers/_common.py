"""What layer files share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from mcore.platform import init
from mcore.platform.tensor import Tensor

Size = int | tuple[int, ...]


def repeated(value: Any, count: int) -> tuple:
    """A number as often as there are axes; a sequence as a tuple."""
    return tuple(value) if isinstance(value, Iterable) else (value,) * count


def inverse_root(fan_in: float) -> float:
    """`1 / sqrt(fan_in)`: the bound of many default initialisations; 0 where nothing comes in."""
    return 1 / math.sqrt(fan_in) if fan_in > 0 else 0


def reset_linear(weight: Tensor, bias: Tensor | None) -> None:
    """The default of linear and convolution layers: uniform within one over the root of the fan-in."""
    init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        bound = inverse_root(init._calculate_fan_in_and_fan_out(weight)[0])
        init.uniform_(bias, -bound, bound)
