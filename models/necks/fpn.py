"""Feature pyramid network.

Source: Lin et al., "Feature Pyramid Networks for Object Detection", arXiv:1612.03144, figure 3; the levels
beyond it, Lin et al., "Focal Loss for Dense Object Detection", arXiv:1708.02002, section 4.
Names: attributes are those of torchvision's FeaturePyramidNetwork, so its weights load as they are.
"""

from collections.abc import Sequence
from typing import Literal

from mcore import Module, ModuleDict, Tensor
from mcore import functional as F
from models.basicblocks.layers import Choice, layers
from models.functional.sizes import resize
from models.necks.base import Neck, convolution
from models.utils.arguments import one_of

# How many levels each kind of extra adds.
EXTRA = {"pool": 1, "conv": 2, "conv_on_input": 2}


class FPN(Neck):
    """Maps of all levels with the same channels, each joined with what the coarser ones saw.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        returns: maps (n, channels, *size[i]), finest first; with `extra`, one or two more, each half the size
            of the one before

    Args:
        channels: of every map returned.
        in_channels: of every map fed; from `models.assemble`, where left out.
        in_strides: of every map fed; where left out, doubling from 4.
        out_indices: positions of the maps to return, among all of them; layers that none of them needs aren't
            built.
        extra: adds coarser levels: "pool", one, with every second pixel of the coarsest, as Faster R-CNN does;
            "conv", two, by strided convolutions of the coarsest, as FCOS and torchvision's RetinaNet do;
            "conv_on_input", of the coarsest map fed, as the paper of RetinaNet does.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        activation: behind every convolution but the extra ones; None for none.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        channels: int = 256,
        *,
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        out_indices: Sequence[int] | None = None,
        extra: Literal["pool", "conv", "conv_on_input"] | None = None,
        norm: Choice = None,
        activation: Choice = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        one_of((*EXTRA, None), of="FPN", extra=extra)
        super().__init__(in_channels, in_strides, dims=dims)
        count, more = len(self.in_channels), 0 if extra is None else EXTRA[extra]
        beyond = [self.in_strides[-1] << level for level in range(1, more + 1)]
        self._gives([(channels, stride) for stride in (*self.in_strides, *beyond)], out_indices)
        missing = self.out_indices[-1] - count + 1
        wanted = {index for index in self.out_indices if index < count}
        if missing > 0 and extra != "conv_on_input":
            wanted.add(count - 1)
        # Levels are joined from the coarsest to the finest wanted one; names are numbers of levels.
        joined = range(min(wanted, default=count), count)
        self.inner_blocks = ModuleDict(
            {
                str(i): convolution(self.in_channels[i], channels, 1, norm=norm, activation=activation, dims=dims)
                for i in joined
            }
        )
        self.layer_blocks = ModuleDict(
            {
                str(i): convolution(channels, channels, 3, norm=norm, activation=activation, dims=dims)
                for i in sorted(wanted)
            }
        )
        self.extra, self.extra_blocks = extra, None
        if missing > 0 and extra == "pool":
            self.extra_blocks = layers(dims, of="FPN").max_pool(1, stride=2)
        elif missing > 0:
            source = self.in_channels[-1] if extra == "conv_on_input" else channels
            self.extra_blocks = P6P7(source, channels, count=missing, dims=dims)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        fed = self._fed(features)
        maps, x = {}, None
        for level in reversed(range(len(fed))):
            if str(level) not in self.inner_blocks:
                break
            inner = self.inner_blocks[str(level)](fed[level])
            x = inner if x is None else inner + resize(x, inner.shape[2:], mode="nearest")
            if str(level) in self.layer_blocks:
                maps[level] = self.layer_blocks[str(level)](x)
        last = len(fed) - 1
        if self.extra == "pool" and self.extra_blocks is not None:
            maps[last + 1] = self.extra_blocks(maps[last])
        elif self.extra_blocks is not None:
            source = fed[last] if self.extra == "conv_on_input" else maps[last]
            maps |= dict(enumerate(self.extra_blocks(source), start=last + 1))
        return self._chosen(maps)


class P6P7(Module):
    """One or two levels more, each by a convolution with stride 2; ReLU between them.

    Shapes:
        x: (n, in_channels, *size)
        returns: `count` maps (n, channels, *size), each half the size of the one before, rounded up

    Names: p6 and p7, as in torchvision's LastLevelP6P7.
    """

    def __init__(self, in_channels: int, channels: int, *, count: int = 2, dims: int = 2) -> None:
        super().__init__()
        self.p6 = convolution(in_channels, channels, 3, stride=2, dims=dims)[0]
        self.p7 = convolution(channels, channels, 3, stride=2, dims=dims)[0] if count > 1 else None

    def forward(self, x: Tensor) -> list[Tensor]:
        p6 = self.p6(x)
        return [p6] if self.p7 is None else [p6, self.p7(F.relu(p6))]
