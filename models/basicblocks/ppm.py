"""Pyramid pooling.

Source: Zhao et al., "Pyramid Scene Parsing Network", arXiv:1612.01105, figure 3.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import mcore
from mcore import Module, ModuleList, Sequential, Tensor
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import Choice, layers
from models.functional.sizes import resize


class PPM(Module):
    """A map beside its own means over coarser and coarser grids.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *size); without `out_channels`, all side by side, which are
            in_channels + len(bins) * channels

    Args:
        in_channels: of what comes.
        out_channels: of a convolution that joins map and means; None leaves them side by side.
        bins: cells of each grid, along every axis.
        channels: of the means of each grid; where left out, in_channels // len(bins), as in the paper.
        kernel_size: of the joining convolution.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        norm_of_one: whether the grid of one cell has the norm too; else its convolution has a bias.
        map_first: whether the map stands before the means, or after them.
        align_corners: how grids are brought to the map's size.
        dims: 1, 2 or 3.

    Differs: of the grid of one cell, the norm comes after its repetition over all pixels, which gives the same
    values, and works for a batch of one in training.
    Names: blocks and out_conv, as in segmentation-models' UPerNet.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        *,
        bins: Sequence[int] = (1, 2, 3, 6),
        channels: int | None = None,
        kernel_size: int = 3,
        norm: Choice = "batch",
        norm_of_one: bool = True,
        map_first: bool = True,
        align_corners: bool = False,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        if not bins or min(bins) < 1:
            raise ValueError(f"PPM: bins={list(bins)} aren't numbers of cells, 1 or more.")
        super().__init__()
        self.map_first = map_first
        each = max(1, in_channels // len(bins)) if channels is None else channels
        self.blocks = ModuleList(
            Grid(
                cells,
                in_channels,
                each,
                norm=norm if cells > 1 or norm_of_one else None,
                align_corners=align_corners,
                dims=dims,
            )
            for cells in bins
        )
        joined = in_channels + len(bins) * each
        #: Channels of what it returns.
        self.out_channels = joined if out_channels is None else out_channels
        self.out_conv = None
        if out_channels is not None:
            self.out_conv = ConvNormAct(joined, out_channels, kernel_size, norm=norm, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        means = [block(x) for block in self.blocks]
        joined = mcore.cat([x, *means] if self.map_first else [*means, x], dim=1)
        return joined if self.out_conv is None else self.out_conv(joined)


class Grid(Sequential):
    """Means over a grid of cells, a 1x1 convolution, norm and ReLU, brought back to the map's size.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *size)
    """

    def __init__(
        self,
        cells: int,
        in_channels: int,
        out_channels: int,
        *,
        norm: Choice = "batch",
        align_corners: bool = False,
        dims: int = 2,
    ) -> None:
        pool = layers(dims, of="PPM").adaptive_avg_pool(cells)
        super().__init__(pool, ConvNormAct(in_channels, out_channels, 1, norm=norm, dims=dims))
        self.cells, self.align_corners = cells, align_corners

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        pool, block = list(self)
        convolve: Any = block
        if self.cells == 1:
            return repeated(pool(x), convolve, size)
        return resize(block(pool(x)), size, align_corners=self.align_corners)


def repeated(mean: Tensor, layers: Iterable[Module], size: Sequence[int]) -> Tensor:
    """A convolution and what follows it, of one pixel, at each pixel of `size`.

    All but the convolution come after the repetition: a norm in training needs more than one value of a
    channel, and a batch of one would have one pixel here.
    """
    conv, *rest = layers
    x = conv(mean).expand(-1, -1, *size)
    for layer in rest:
        x = layer(x)
    return x
