"""Upsampling of the coarsest map by transposed convolutions.

Source: Xiao et al., "Simple Baselines for Human Pose Estimation and Tracking", arXiv:1804.06208, section 2, as in
Zhou et al., "Objects as Points", arXiv:1904.07850, section 5 (ResNet).
Names: attributes are those of CenterNet's code, so its weights load as they are.
"""

from collections.abc import Sequence
from typing import Literal

from mcore import Tensor
from models.basicblocks.upsampling import deconvolutions
from models.functional.sizes import crop
from models.necks.base import Neck


class Deconvolution(Neck):
    """The coarsest map, doubled in size by each of several transposed convolutions, with norm and ReLU.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first, or one
        returns: one map (n, channels[-1], *size), of the size of the map fed at its stride; where none is fed, of
            `2 ** len(channels)` times the coarsest's

    Args:
        channels: after each step.
        in_channels: of every map fed; from `models.assemble`, where left out.
        in_strides: of every map fed; where left out, doubling from 4.
        dims: 1, 2 or 3.

    Raises:
        ValueError: more steps than doublings from the coarsest stride to 1.
    """

    def __init__(
        self,
        channels: Sequence[int] = (256, 256, 256),
        *,
        in_channels: int | Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__(in_channels, in_strides, dims=dims)
        stride = self.in_strides[-1] >> len(channels)
        if not channels or not stride:
            raise ValueError(
                f"Deconvolution: channels={list(channels)}, but from stride {self.in_strides[-1]} there are 1 to "
                f"{self.in_strides[-1].bit_length() - 1} steps."
            )
        self.deconv_layers = deconvolutions(self.in_channels[-1], channels, dims=dims, of="Deconvolution")
        #: The map fed whose size the result gets; None where there is none.
        self.fits = self.in_strides.index(stride) if stride in self.in_strides else None
        last = len(self.in_strides) - 1
        self.used = [last] if self.fits is None else [self.fits, last]
        self._gives([(channels[-1], stride)], None)

    def forward(self, features: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        maps = self._fed(features)
        x = self.deconv_layers(maps[-1])
        return (x if self.fits is None else crop(x, maps[self.fits].shape[2:]),)
