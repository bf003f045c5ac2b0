"""Layers without weights that move or bound values.

Source: the primitives of zetta_utils' convnet (github.com/ZettaAI/zetta_utils), by what running them showed.
"""

from collections.abc import Sequence

from mcore import Module, Tensor


class RescaleValues(Module):
    """Moves values of one range to another along a line; what lies outside isn't cut off.

    Shapes:
        x: any; whole numbers become floats
        returns: as x

    Args:
        in_range: what comes: its least and greatest value.
        out_range: what these become.

    Source: zetta_utils' `RescaleValues`.

    Raises:
        ValueError: a range has other than two numbers, or what comes has no width.
    """

    def __init__(self, in_range: Sequence[float], out_range: Sequence[float]) -> None:
        super().__init__()
        for name, given in (("in_range", in_range), ("out_range", out_range)):
            if len(given) != 2:
                raise ValueError(f"RescaleValues: {name}={list(given)} is not two numbers, the least and the greatest.")
        if in_range[0] == in_range[1]:
            raise ValueError(f"RescaleValues: in_range={list(in_range)} has no width; its numbers must differ.")
        self.in_range, self.out_range = tuple(in_range), tuple(out_range)

    def forward(self, x: Tensor) -> Tensor:
        (low, high), (lowest, highest) = self.in_range, self.out_range
        return (x - low) / (high - low) * (highest - lowest) + lowest


class Clamp(Module):
    """Values no less than `min` and no more than `max`.

    Shapes:
        x: any
        returns: as x

    Args:
        min: the least; None for no bound.
        max: the greatest; None for no bound.

    Source: zetta_utils' `Clamp`.

    Raises:
        ValueError: neither is given.
    """

    def __init__(self, min: float | None = None, max: float | None = None) -> None:
        if min is None and max is None:
            raise ValueError("Clamp: neither min nor max is given; give one or both.")
        super().__init__()
        self.min, self.max = min, max

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(self.min, self.max)
