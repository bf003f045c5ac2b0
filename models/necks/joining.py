"""Necks without a pyramid: they pass maps on, choose among them, or make one out of several."""

from collections.abc import Sequence
from typing import Literal

import mcore
from mcore import ModuleDict, ModuleList, Tensor
from models.basicblocks.conv import CONV_BN_ACT
from models.basicblocks.layers import Choice
from models.functional.sizes import resize
from models.necks.base import Neck, convolution
from models.utils.arguments import odd


class Identity(Neck):
    """Passes maps on as they are, or some of them.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        returns: those at `out_indices`, all where left out

    Args:
        in_channels: of every map fed; from `models.assemble`, where left out.
        in_strides: of every map fed; where left out, doubling from 4.
        out_indices: positions of the maps to return.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        *,
        in_channels: int | Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        out_indices: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__(in_channels, in_strides, dims=dims)
        self._gives(list(zip(self.in_channels, self.in_strides, strict=True)), out_indices)

    def forward(self, features: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        return self._chosen(self._fed(features))


class Concat(Neck):
    """Maps side by side: all as one at the finest one's size, or one for each stride.

    It joins what several backbones saw: fed by two of them, `Concat(per_stride=True)` gives the maps of one
    backbone with the channels of both.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        returns: one map (n, sum of in_channels, *size of the finest); with `per_stride`, one for each stride

    Args:
        per_stride: joins only maps of the same stride.
        in_channels: of every map fed; from `models.assemble`, where left out.
        in_strides: of every map fed; where left out, doubling from 4.
        out_indices: positions of the maps to return.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        per_stride: bool = False,
        *,
        in_channels: int | Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        out_indices: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__(in_channels, in_strides, dims=dims)
        places, strides = range(len(self.in_channels)), self.in_strides
        # Positions of the maps that are joined.
        self.groups = [list(places)]
        if per_stride:
            self.groups = [[i for i in places if strides[i] == stride] for stride in sorted(set(strides))]
        joined = [(sum(self.in_channels[i] for i in group), strides[group[0]]) for group in self.groups]
        self._gives(joined, out_indices)

    def forward(self, features: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        maps = self._fed(features)
        return tuple(side_by_side([maps[i] for i in self.groups[index]]) for index in self.out_indices)


class ChannelMapper(Neck):
    """Brings every map to the same channels, each by a convolution of its own, without joining them.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        returns: maps (n, channels, *size[i]), finest first; with `extra`, so many more, each half the size of
            the one before

    Args:
        channels: of every map returned.
        kernel_size: of the convolutions, odd.
        extra: coarser levels, by strided convolutions: the first of the coarsest map fed, others of the one
            before.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        activation: behind every convolution; None for none.
        in_channels: of every map fed; from `models.assemble`, where left out.
        in_strides: of every map fed; where left out, doubling from 4.
        out_indices: positions of the maps to return, among all of them; layers that none of them needs aren't
            built.
        dims: 1, 2 or 3.

    Names: convs and extra_convs, as mmdetection's ChannelMapper has.
    """

    def __init__(
        self,
        channels: int = 256,
        *,
        kernel_size: int = 3,
        extra: int = 0,
        norm: Choice = None,
        activation: Choice = "relu",
        in_channels: int | Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        out_indices: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        odd(of="ChannelMapper", kernel_size=kernel_size)
        if extra < 0:
            raise ValueError(f"ChannelMapper: extra={extra} is not 0 or more.")
        super().__init__(in_channels, in_strides, dims=dims)
        strides, fed = self.in_strides, len(self.in_channels)
        beyond = [strides[-1] << more for more in range(1, extra + 1)]
        self._gives([(channels, stride) for stride in (*strides, *beyond)], out_indices)
        # Names are numbers of levels; those of extra ones count from 0.
        self.convs, self.extra_convs = ModuleDict(), ModuleList()
        for level in self.out_indices:
            if level < fed:
                self.convs[str(level)] = convolution(
                    self.in_channels[level],
                    channels,
                    kernel_size,
                    norm=norm,
                    activation=activation,
                    names=CONV_BN_ACT,
                    dims=dims,
                )
        for number in range(self.out_indices[-1] - fed + 1):
            source = channels if number else self.in_channels[-1]
            self.extra_convs.append(
                convolution(
                    source, channels, 3, stride=2, norm=norm, activation=activation, names=CONV_BN_ACT, dims=dims
                )
            )

    def forward(self, features: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        fed = self._fed(features)
        maps, x = {int(level): conv(fed[int(level)]) for level, conv in self.convs.items()}, fed[-1]
        for level, conv in enumerate(self.extra_convs, start=len(fed)):
            maps[level] = x = conv(x)
        return self._chosen(maps)


def side_by_side(maps: Sequence[Tensor]) -> Tensor:
    """Channels of all maps at the size of the first."""
    first, *others = maps
    return mcore.cat([first, *(resize(x, first.shape[2:]) for x in others)], dim=1) if others else first
