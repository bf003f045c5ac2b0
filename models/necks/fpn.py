"""Feature pyramid network.

Source: Lin et al., "Feature Pyramid Networks for Object Detection", arXiv:1612.03144, figure 3.
Names: attributes are those of torchvision's FeaturePyramidNetwork, so its weights load as they are.
"""

from collections.abc import Sequence
from typing import Any, Literal

from mcore import ModuleList, Tensor, init
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import layers
from models.component import Part, strides_from
from models.functional.maps import as_channels
from models.functional.sizes import resize


class FPN(Part):
    """Maps of all levels with the same channels, each joined with what the coarser ones saw.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        returns: maps (n, channels, *size[i]), finest first; with `extra`, one more at half the coarsest size

    Args:
        channels: of every map returned.
        in_channels: of every map fed; from `models.assemble`, where left out.
        in_strides: of every map fed; where left out, doubling from 4.
        extra: "pool" adds a level by taking every second pixel of the coarsest, as Faster R-CNN does.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        channels: int = 256,
        *,
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        extra: Literal["pool"] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        if extra not in (None, "pool"):
            raise ValueError(f"FPN: extra={extra!r} is not 'pool' or None.")
        super().__init__()
        self.dims, fed = dims, as_channels(in_channels or ())
        strides = strides_from(in_strides, len(fed), first=4)
        self.inner_blocks = ModuleList(_convolution(c, channels, 1, dims=dims) for c in fed)
        self.layer_blocks = ModuleList(_convolution(channels, channels, 3, dims=dims) for _ in fed)
        self.extra_blocks = layers(dims, of="FPN").max_pool(1, stride=2) if extra else None
        strides += (2 * strides[-1],) if extra else ()
        #: (channels, stride) of each map that it returns.
        self.features = [(channels, stride) for stride in strides]

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        _check_count(features, len(self.inner_blocks))
        inner = [block(x) for block, x in zip(self.inner_blocks, features, strict=True)]
        for level in range(len(inner) - 2, -1, -1):
            inner[level] = inner[level] + resize(inner[level + 1], inner[level].shape[2:], mode="nearest")
        maps = [block(x) for block, x in zip(self.layer_blocks, inner, strict=True)]
        if self.extra_blocks is not None:
            maps.append(self.extra_blocks(maps[-1]))
        return tuple(maps)


def _convolution(in_channels: int, out_channels: int, size: int, *, dims: int) -> ConvNormAct:
    block = ConvNormAct(in_channels, out_channels, size, norm=None, activation=None, dims=dims)
    conv: Any = block[0]
    init.kaiming_uniform_(conv.weight, a=1)
    init.zeros_(conv.bias)
    return block


def _check_count(features: Sequence[Tensor], count: int) -> None:
    if not isinstance(features, tuple | list) or len(features) != count:
        got = f"{len(features)} maps" if isinstance(features, tuple | list) else "one tensor"
        raise ValueError(f"FPN: {got} came, but it was built for in_channels of {count} maps, finest first.")
