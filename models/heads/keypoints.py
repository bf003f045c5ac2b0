"""Key points: a map of each, high where the point is."""

from collections.abc import Sequence
from typing import Any, Literal

from mcore import Tensor, init
from models.basicblocks.layers import layers
from models.basicblocks.upsampling import deconvolutions
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
        fed = as_channels(in_channels or ())
        self.dims, self.used = dims, (len(fed) - 1,)
        self.deconv_layers = deconvolutions(fed[-1], [channels] * depth, dims=dims, of="Keypoints")
        self.final_layer = layers(dims, of="Keypoints").conv(channels if depth else fed[-1], num_points, 1)
        convolutions: list[Any] = [*list(self.deconv_layers)[::3], self.final_layer]
        for conv in convolutions:
            init.normal_(conv.weight, std=0.001)
        init.zeros_(self.final_layer.bias)

    def forward(self, features: Tensor | Sequence[Tensor]) -> Tensor:
        return self.final_layer(self.deconv_layers(as_maps(features)[-1]))
