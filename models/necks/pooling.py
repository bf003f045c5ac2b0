"""Necks that let the coarsest map see its surroundings, by pooling or dilated convolutions; finer ones pass.

Source: the blocks of the same names in `models.basicblocks`.
"""

from collections.abc import Sequence
from typing import Literal

from mcore import Module, Tensor
from models.basicblocks import aspp, ppm, spp
from models.basicblocks.layers import Choice
from models.necks.base import Neck


class _OnCoarsest(Neck):
    """Abstract: a block on the coarsest map. Where that map isn't returned, the block isn't built."""

    def _ends_with(self, channels: int, out_indices: Sequence[int] | None) -> bool:
        """Tells what it can return, and whether that takes the block, which gives `channels`."""
        last = len(self.in_channels) - 1
        self._gives(list(zip((*self.in_channels[:-1], channels), self.in_strides, strict=True)), out_indices)
        self.block: Module | None = None
        return last in self.out_indices

    def forward(self, features: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        *finer, coarsest = self._fed(features)
        return self._chosen([*finer, coarsest if self.block is None else self.block(coarsest)])


class SPP(_OnCoarsest):
    """The coarsest map seen through windows of several sizes; finer maps pass.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        returns: the same, the last with `channels`

    Args:
        channels: of the coarsest map returned; as many as it came with, where left out.
        sizes: of the windows in pixels, odd.
        activation: a name, one with arguments, or a constructor; YOLOv5 has "silu", Darknet leaky ReLU.
        in_channels: of every map fed; from `models.assemble`, where left out.
        in_strides: of every map fed; where left out, doubling from 4.
        out_indices: positions of the maps to return.
        dims: 1, 2 or 3.

    Names: block, of `models.basicblocks.SPP`.
    """

    def __init__(
        self,
        channels: int | None = None,
        *,
        sizes: Sequence[int] = (5, 9, 13),
        activation: Choice = "silu",
        in_channels: int | Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        out_indices: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__(in_channels, in_strides, dims=dims)
        coarsest = self.in_channels[-1]
        if self._ends_with(channels or coarsest, out_indices):
            self.block = spp.SPP(coarsest, channels or coarsest, sizes, dims, activation=activation)


class SPPF(_OnCoarsest):
    """The coarsest map seen through windows that grow, each pooled from the one before; finer maps pass.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        returns: the same, the last with `channels`

    Args:
        channels: of the coarsest map returned; as many as it came with, where left out.
        size: of the window in pixels, odd.
        count: how often it is applied.
        activation: a name, one with arguments, or a constructor.
        in_channels: of every map fed; from `models.assemble`, where left out.
        in_strides: of every map fed; where left out, doubling from 4.
        out_indices: positions of the maps to return.
        dims: 1, 2 or 3.

    Names: block, of `models.basicblocks.SPPF`.
    """

    def __init__(
        self,
        channels: int | None = None,
        *,
        size: int = 5,
        count: int = 3,
        activation: Choice = "silu",
        in_channels: int | Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        out_indices: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__(in_channels, in_strides, dims=dims)
        coarsest = self.in_channels[-1]
        if self._ends_with(channels or coarsest, out_indices):
            self.block = spp.SPPF(coarsest, channels or coarsest, size, dims, count=count, activation=activation)


class ASPP(_OnCoarsest):
    """The coarsest map seen at several distances by dilated convolutions; finer maps pass.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        returns: the same, the last with `channels`

    Args:
        channels: of the coarsest map returned.
        rates: a branch for each: the dilation of its 3x3 convolution.
        separable: splits dilated convolutions into a depthwise and a pointwise one.
        dropout: the share of the coarsest map's values that training leaves out.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        in_channels: of every map fed; from `models.assemble`, where left out.
        in_strides: of every map fed; where left out, doubling from 4.
        out_indices: positions of the maps to return.
        dims: 1, 2 or 3.

    Names: block, of `models.basicblocks.ASPP`, whose attributes are torchvision's.
    """

    def __init__(
        self,
        channels: int = 256,
        *,
        rates: Sequence[int] = (12, 24, 36),
        separable: bool = False,
        dropout: float = 0.5,
        norm: Choice = "batch",
        in_channels: int | Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        out_indices: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__(in_channels, in_strides, dims=dims)
        if self._ends_with(channels, out_indices):
            self.block = aspp.ASPP(
                self.in_channels[-1], channels, rates, separable=separable, dropout=dropout, norm=norm, dims=dims
            )


class PPM(_OnCoarsest):
    """The coarsest map joined with its own means over coarser and coarser grids; finer maps pass.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        returns: the same, the last with `channels`

    Args:
        channels: of the coarsest map returned.
        bins: cells of each grid, along every axis.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        in_channels: of every map fed; from `models.assemble`, where left out.
        in_strides: of every map fed; where left out, doubling from 4.
        out_indices: positions of the maps to return.
        dims: 1, 2 or 3.

    Names: block, of `models.basicblocks.PPM`.
    """

    def __init__(
        self,
        channels: int = 512,
        *,
        bins: Sequence[int] = (1, 2, 3, 6),
        norm: Choice = "batch",
        in_channels: int | Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        out_indices: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__(in_channels, in_strides, dims=dims)
        if self._ends_with(channels, out_indices):
            self.block = ppm.PPM(self.in_channels[-1], channels, bins=bins, norm=norm, dims=dims)
