"""Depth from one image."""

from collections.abc import Sequence
from typing import Literal

from mcore import Tensor
from models.functional.maps import Merge
from models.heads.dense import DenseHead


class Depth(DenseHead):
    """How far every pixel is away: its inverse, disparity, spans the range between `low` and `high` evenly.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), or one
        size: of the image, in pixels, to which the result is resized; None leaves it at the map's size
        returns: (n, 1, *size), low to high, in the unit that these are given in

    Args:
        low: the least distance, greater than 0.
        high: the greatest.
        channels: between the two convolutions; where left out, a quarter of what comes.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        dropout: the share of the channels that training leaves out.
        merge: which maps: "coarsest", "finest", "sum" or "concat" of all; where left out, "sum" for maps of
            the same channels, as a pyramid's are, else "coarsest".
        dims: 1, 2 or 3.

    Source: Godard et al., "Digging Into Self-Supervised Monocular Depth Estimation", arXiv:1806.01260, section 4.
    """

    def __init__(
        self,
        low: float = 0.1,
        high: float = 100.0,
        *,
        channels: int | None = None,
        in_channels: int | Sequence[int] | None = None,
        dropout: float = 0.0,
        merge: Merge | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        if not 0.0 < low < high:
            raise ValueError(f"Depth: low={low} and high={high} are not 0 < low < high.")
        super().__init__(1, channels, in_channels=in_channels, dropout=dropout, merge=merge, dims=dims)
        self.low, self.high = low, high

    def finished(self, x: Tensor) -> Tensor:
        """Distances of the numbers at the size of the image."""
        near, far = 1.0 / self.low, 1.0 / self.high
        return 1.0 / (far + (near - far) * x.sigmoid())
