"""Key points: a map of each, high where the point is."""

from collections.abc import Sequence
from typing import Literal

from mcore import ReLU, Sequential, Tensor, init
from models.basicblocks.layers import layers
from models.component import Part
from models.functional.maps import as_channels, as_maps


class Keypoints(Part):
    """A map for each key point, from the coarsest map up by transposed convolutions.

    `models.functional.points` makes coordinates of the maps.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), or one, of which the coarsest is taken
        returns: (n, num_points, *2 ** depth * size), for a backbone's stride of 32 a quarter of the image

    Args:
        num_points: how many maps.
        channels: of the transposed convolutions.
        depth: how many there are; each doubles the size.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        dims: 1, 2 or 3.

    Source: Xiao et al., "Simple Baselines for Human Pose Estimation and Tracking", arXiv:1804.06208, section 2.
    Names: deconv_layers and final_layer, as there.
    """

    def __init__(
        self,
        num_points: int,
        channels: int = 256,
        *,
        depth: int = 3,
        in_channels: int | Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__()
        fed, kit = as_channels(in_channels or ()), layers(dims, of="Keypoints")
        self.dims, self.used = dims, (len(fed) - 1,)
        row, wide = [], fed[-1]
        for _ in range(depth):
            up = kit.conv_transpose(wide, channels, 4, stride=2, padding=1, bias=False)
            init.normal_(up.weight, std=0.001)
            row += [up, kit.batch_norm(channels), ReLU()]
            wide = channels
        self.deconv_layers = Sequential(*row)
        self.final_layer = kit.conv(wide, num_points, 1)
        init.normal_(self.final_layer.weight, std=0.001)
        init.zeros_(self.final_layer.bias)

    def forward(self, features: Tensor | Sequence[Tensor]) -> Tensor:
        return self.final_layer(self.deconv_layers(as_maps(features)[-1]))
