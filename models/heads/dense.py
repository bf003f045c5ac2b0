"""What heads with an answer for every pixel have in common: two convolutions on one map, resized to the image."""

from collections.abc import Sequence

from mcore import Dropout, Tensor
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import layers
from models.component import Part
from models.functional.maps import Merge, as_channels, as_maps, merge_rule, merged, merged_channels, used_by
from models.functional.sizes import resize


class DenseHead(Part):
    """Numbers for every pixel: 3x3 convolution, norm, ReLU, dropout and a 1x1 convolution. Abstract.

    Args:
        out_channels: how many numbers for each pixel.
        channels: between the two convolutions; where left out, a quarter of what comes.
        in_channels: of the maps fed, finest first, or of the one.
        dropout: the share of the channels that training leaves out.
        merge: which maps: "coarsest", "finest", "sum" or "concat" of all; where left out, "sum" for maps of
            the same channels, as a pyramid's are, else "coarsest".
        dims: 1, 2 or 3.
    """

    dense = True

    def __init__(
        self,
        out_channels: int,
        channels: int | None,
        *,
        in_channels: int | Sequence[int] | None,
        dropout: float,
        merge: Merge | None,
        dims: int,
    ) -> None:
        super().__init__()
        fed, title = as_channels(in_channels or ()), type(self).__name__
        self.dims, self.merge = dims, merge_rule(title, fed, merge)
        self.used = used_by(self.merge, len(fed))
        wide = merged_channels(fed, self.merge)
        narrow = channels or max(1, wide // 4)
        self.conv = ConvNormAct(wide, narrow, dims=dims)
        self.dropout = Dropout(dropout)
        self.classifier = layers(dims, of=title).conv(narrow, out_channels, 1)

    def forward(self, features: Tensor | Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
        x = self.classifier(self.dropout(self.conv(merged(as_maps(features), self.merge))))
        return self.finished(x if size is None else resize(x, size))

    def finished(self, x: Tensor) -> Tensor:
        """What is returned of the numbers at the size of the image."""
        return x
