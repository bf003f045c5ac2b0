"""Path aggregation network.

Source: Liu et al., "Path Aggregation Network for Instance Segmentation", arXiv:1803.01534, section 3.1.
Names: attributes are those of mmdetection's PAFPN, so its weights load as they are.
"""

from collections.abc import Sequence
from typing import Literal

from mcore import ModuleDict, Tensor
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.layers import Choice
from models.functional.sizes import resize
from models.necks.base import Neck, convolution, step


class PAN(Neck):
    """A feature pyramid, and a second path from its finest map back to the coarsest.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        returns: maps (n, channels, *size[i]), finest first

    Args:
        channels: of every map returned.
        in_channels: of every map fed; from `models.assemble`, where left out.
        in_strides: of every map fed; where left out, doubling from 4.
        out_indices: positions of the maps to return; layers that none of them needs aren't built.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        activation: behind every convolution; None for none.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        channels: int = 256,
        *,
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        out_indices: Sequence[int] | None = None,
        norm: Choice = None,
        activation: Choice = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__(in_channels, in_strides, dims=dims)
        self._gives([(channels, stride) for stride in self.in_strides], out_indices)

        def conv(comes: int, size: int, stride: int = 1) -> ConvNormAct:
            return convolution(
                comes, channels, size, stride=stride, norm=norm, activation=activation, names=CONV_BN_ACT, dims=dims
            )

        # The second path goes up to the coarsest map wanted. Names are numbers of levels.
        last = self.out_indices[-1]
        self.lateral_convs = ModuleDict({str(i): conv(count, 1) for i, count in enumerate(self.in_channels)})
        self.fpn_convs = ModuleDict({str(i): conv(channels, 3) for i in range(last + 1)})
        self.downsample_convs = ModuleDict(
            {str(i): conv(channels, 3, step(self.in_strides, i + 1)) for i in range(last)}
        )
        self.pafpn_convs = ModuleDict({str(i - 1): conv(channels, 3) for i in self.out_indices if i > 0})

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        inner = [self.lateral_convs[str(i)](x) for i, x in enumerate(self._fed(features))]
        for level in range(len(inner) - 2, -1, -1):
            inner[level] = inner[level] + resize(inner[level + 1], inner[level].shape[2:], mode="nearest")
        x = self.fpn_convs["0"](inner[0])
        maps = {0: x}
        for level in range(1, self.out_indices[-1] + 1):
            own = self.fpn_convs[str(level)](inner[level])
            # Of the same size already, unless maps were padded otherwise than by rounding up.
            x = own + resize(self.downsample_convs[str(level - 1)](x), own.shape[2:], mode="nearest")
            if str(level - 1) in self.pafpn_convs:
                maps[level] = self.pafpn_convs[str(level - 1)](x)
        return self._chosen(maps)
