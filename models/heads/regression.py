"""Numbers for whole images."""

from collections.abc import Sequence

from mcore import Linear, Tensor
from models.functional.maps import Merge
from models.heads.pooled import PooledHead


class Regression(PooledHead):
    """Numbers for each image: the mean over all pixels, dropout and a linear map; within bounds, where given.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), or one
        returns: (n, num_values), in the units of the targets

    Args:
        num_values: how many numbers.
        low: the least that a number can be; with `high`, a sigmoid spans the range between them.
        high: the greatest.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        dropout: the share of the averaged channels that training leaves out.
        merge: which maps: "coarsest", "finest", "sum" or "concat" of all; where left out, "sum" for maps of
            the same channels, as a pyramid's are, else "coarsest".
    """

    def __init__(
        self,
        num_values: int = 1,
        *,
        low: float | None = None,
        high: float | None = None,
        in_channels: int | Sequence[int] | None = None,
        dropout: float = 0.0,
        merge: Merge | None = None,
    ) -> None:
        if (low is None) != (high is None) or (low is not None and high is not None and low >= high):
            raise ValueError(f"Regression: low={low} and high={high}; give both, low below high, or neither.")
        super().__init__(in_channels, dropout=dropout, merge=merge)
        self.low, self.high = low, high
        self.fc = Linear(self.wide, num_values)

    def forward(self, features: Tensor | Sequence[Tensor]) -> Tensor:
        x = self.fc(self.pooled(features))
        if self.low is None or self.high is None:
            return x
        return self.low + (self.high - self.low) * x.sigmoid()
