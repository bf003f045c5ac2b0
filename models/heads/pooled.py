"""What heads of whole images have in common: one vector for each image, the mean over its pixels."""

from collections.abc import Sequence

import mcore
from mcore import Dropout, Tensor
from models.component import Part
from models.functional.maps import Merge, as_channels, as_maps, merge_rule, merged_channels, used_by


class PooledHead(Part):
    """Maps, averaged over their pixels, as one vector (n, wide) for each image. Abstract.

    Args:
        in_channels: of the maps fed, finest first, or of the one.
        dropout: the share of the averaged channels that training leaves out.
        merge: which maps: "coarsest", "finest", "sum" or "concat" of all; where left out, "sum" for maps of
            the same channels, as a pyramid's are, else "coarsest".
    """

    def __init__(self, in_channels: int | Sequence[int] | None, *, dropout: float, merge: Merge | None) -> None:
        super().__init__()
        channels, title = as_channels(in_channels or ()), type(self).__name__
        self.merge = merge_rule(title, channels, merge)
        self.used = used_by(self.merge, len(channels))
        #: Channels of the vector.
        self.wide = merged_channels(channels, self.merge)
        self.dropout = Dropout(dropout)

    def pooled(self, features: Tensor | Sequence[Tensor]) -> Tensor:
        """The vector of each image, after dropout. Means of sums are sums of means, so no map has to be resized."""
        maps = as_maps(features)
        if self.merge in ("coarsest", "finest"):
            maps = (maps[-1 if self.merge == "coarsest" else 0],)
        means = [self.mean(x) for x in maps]
        return self.dropout(mcore.cat(means, dim=1) if self.merge == "concat" else sum(means[1:], start=means[0]))

    def mean(self, x: Tensor) -> Tensor:
        """(n, channels, *size) to (n, channels): the mean over pixels, where a head takes no other."""
        return x.flatten(2).mean(2)
