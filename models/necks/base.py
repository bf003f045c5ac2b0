"""What necks have in common: maps that come and go, finest first, and those that are chosen to go."""

from collections.abc import Mapping, Sequence
from typing import Any

from mcore import Tensor, init
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import Choice, layers
from models.component import Part, strides_from
from models.functional.maps import as_channels, as_maps


class Neck(Part):
    """A tuple of feature maps, finest first, made of another.

    A family calls `super().__init__`, then `_gives` with what it can return, and builds only what the maps at
    `out_indices` need. Its `forward` takes its maps from `_fed` and ends with `_chosen`.

    Args:
        in_channels: of every map fed.
        in_strides: of every map fed; where left out, doubling from 4.
        dims: 1, 2 or 3.
    """

    def __init__(self, in_channels: int | Sequence[int] | None, in_strides: Sequence[int] | None, *, dims: int) -> None:
        super().__init__()
        name, self.dims = type(self).__name__, dims
        layers(dims, of=name)
        #: Channels and strides of the maps fed.
        self.in_channels = as_channels(in_channels or ())
        self.in_strides = strides_from(in_strides, len(self.in_channels), first=4)
        if not self.in_channels or len(self.in_strides) != len(self.in_channels):
            raise ValueError(
                f"{name}: in_channels={list(self.in_channels)} and in_strides={list(self.in_strides)} don't give "
                "channels and stride of one map or more."
            )
        if list(self.in_strides) != sorted(self.in_strides):
            raise ValueError(f"{name}: in_strides={list(self.in_strides)} don't ascend; give the finest map first.")
        #: Positions of the maps that it returns, among all that it can.
        self.out_indices: tuple[int, ...] = ()
        #: (channels, stride) of each map that it returns.
        self.features: list[tuple[int, int]] = []

    def _gives(self, features: Sequence[tuple[int, int]], out_indices: Sequence[int] | None) -> None:
        """Chooses from (channels, stride) of all maps that it can return."""
        chosen = tuple(range(len(features)) if out_indices is None else out_indices)
        if not chosen or sorted(set(chosen)) != list(chosen) or not 0 <= chosen[0] <= chosen[-1] < len(features):
            known = ", ".join(f"{index} (stride {stride})" for index, (_, stride) in enumerate(features))
            raise ValueError(f"{type(self).__name__}: out_indices={list(chosen)} aren't some of {known}, ascending.")
        self.out_indices, self.features = chosen, [features[index] for index in chosen]

    def _fed(self, features: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The maps that came, as many as it was built for."""
        maps = as_maps(features)
        if len(maps) != len(self.in_channels):
            raise ValueError(
                f"{type(self).__name__}: {len(maps)} maps came, but it was built for in_channels of "
                f"{len(self.in_channels)}, finest first."
            )
        return maps

    def _chosen(self, maps: Sequence[Tensor] | Mapping[int, Tensor]) -> tuple[Tensor, ...]:
        """The maps to return, out of those made, by position."""
        return tuple(maps[index] for index in self.out_indices)


def convolution(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    stride: int = 1,
    norm: Choice = None,
    activation: Choice = None,
    names: tuple[str, str, str] | None = None,
    dims: int,
) -> ConvNormAct:
    """A convolution as pyramids have it: with weights that keep the variance of what comes, and a zero bias."""
    block = ConvNormAct(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        norm=norm,
        activation=activation,
        names=names,
        dims=dims,
    )
    conv: Any = next(iter(block))
    init.kaiming_uniform_(conv.weight, a=1)
    if conv.bias is not None:
        init.zeros_(conv.bias)
    return block


def step(strides: Sequence[int], level: int) -> int:
    """How many pixels of level `level - 1` make one of `level`, along an axis.

    >>> step((4, 8, 8), 1), step((4, 8, 8), 2)
    (2, 1)
    """
    return max(1, strides[level] // strides[level - 1])
