"""Classification of whole images."""

from collections.abc import Sequence

import mcore
from mcore import Dropout, Linear, Tensor
from models.component import Part
from models.functional.maps import Merge, as_channels, as_maps, merge_rule, merged_channels, used_by


class Classification(Part):
    """One score for each class: the mean over all pixels, dropout and a linear map.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), or one
        returns: (n, num_classes), before softmax

    Args:
        num_classes: how many scores.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        dropout: part of the averaged channels that training leaves out.
        merge: which maps: "coarsest", "finest", "sum" or "concat" of all; where left out, "sum" for maps of
            the same channels, as a pyramid's are, else "coarsest".

    Names: fc, as torchvision's ResNet has.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int | Sequence[int] | None = None,
        dropout: float = 0.0,
        merge: Merge | None = None,
    ) -> None:
        super().__init__()
        channels = as_channels(in_channels or ())
        self.merge = merge_rule("Classification", channels, merge)
        self.used = used_by(self.merge, len(channels))
        self.dropout = Dropout(dropout)
        self.fc = Linear(merged_channels(channels, self.merge), num_classes)

    def forward(self, features: Tensor | Sequence[Tensor]) -> Tensor:
        return self.fc(self.dropout(self._pooled(as_maps(features))))

    def _pooled(self, maps: Sequence[Tensor]) -> Tensor:
        """Means over pixels. Means of sums are sums of means, so no map has to be resized."""
        if self.merge in ("coarsest", "finest"):
            maps = [maps[-1 if self.merge == "coarsest" else 0]]
        means = [x.flatten(2).mean(2) for x in maps]
        return mcore.cat(means, dim=1) if self.merge == "concat" else sum(means[1:], start=means[0])
