"""Stages of Darknet and of cross-stage partial networks.

Source: Redmon and Farhadi, "YOLOv3", arXiv:1804.02767, table 1; Wang et al., "CSPNet", arXiv:1911.11929,
figures 2 and 3.
Differs: in a cross-stage partial stage one convolution expands, and what it gives is split in two; the authors' files
have one convolution for each half.
Names: attributes are timm's.
"""

from typing import Any, Literal

import mcore
from mcore import Module, Sequential, Tensor
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.grouped import GroupedBottleneck
from models.basicblocks.layers import Choice, layers
from models.utils.arguments import one_of


class DarknetResidual(Module):
    """Residual block of a 1x1 and a 3x3 convolution: `conv2(conv1(x)) + x`, with nothing after the sum.

    Shapes:
        x: (n, channels, *size)
        returns: the same

    Args:
        channels: of what comes and goes.
        width: channels between the two; half of `channels`, where left out.
        dilation: of the 3x3 convolution.
        activation: after both convolutions.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        channels: int,
        *,
        width: int | None = None,
        dilation: int = 1,
        activation: Choice = "leaky_relu",
        dims: int = 2,
    ) -> None:
        super().__init__()
        inner = width or channels // 2
        part: dict[str, Any] = {"activation": activation, "names": CONV_BN_ACT, "dims": dims}
        self.conv1 = ConvNormAct(channels, inner, 1, **part)
        self.conv2 = ConvNormAct(inner, channels, 3, dilation=dilation, **part)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x)) + x


class DarknetStage(Module):
    """A convolution that halves the size, and residual blocks.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride)); with `pooled`, rounded down

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        depth: how many blocks.
        stride: of the first convolution.
        dilation: of the 3x3 convolutions.
        first_dilation: of the convolution before the blocks, where it isn't `dilation`.
        pooled: means of 2 pixels and a 1x1 convolution take the place of the strided one.
        activation: after every convolution.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        depth: int = 1,
        stride: int = 2,
        dilation: int = 1,
        first_dilation: int | None = None,
        pooled: bool = False,
        activation: Choice = "leaky_relu",
        dims: int = 2,
    ) -> None:
        super().__init__()
        part: dict[str, Any] = {"activation": activation, "names": CONV_BN_ACT, "dims": dims}
        first = dilation if first_dilation is None else first_dilation
        if pooled:
            pool = layers(dims, of="DarknetStage").avg_pool(stride)
            self.conv_down = Sequential(pool, ConvNormAct(in_channels, out_channels, 1, **part))
        else:
            self.conv_down = ConvNormAct(in_channels, out_channels, 3, stride=stride, dilation=first, **part)
        self.blocks = Sequential(
            *(DarknetResidual(out_channels, dilation=dilation, activation=activation, dims=dims) for _ in range(depth))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.conv_down(x))


class CSPStage(Module):
    """A cross-stage partial stage: half of the channels goes through residual blocks, half goes by.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride))

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        depth: how many blocks.
        stride: of the 3x3 convolution before the split, which is there where it strides or is dilated otherwise
            than the blocks.
        dilation: of the 3x3 convolutions.
        first_dilation: of that convolution, where it isn't `dilation`.
        down_channels: that it gives; `in_channels`, where left out.
        expanded: channels that are split in two; `out_channels`, where left out.
        width: channels inside a block; those of its half, where left out.
        block: "darknet" or "bottleneck".
        groups: of the 3x3 convolutions of bottlenecks and of the one before the split.
        transitions: 2, one after the blocks and one after both halves are joined; or 1, the latter alone,
            where the first half takes the blocks and not the second.
        linear: no activation before the split.
        activation: after every convolution.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        depth: int = 1,
        stride: int = 1,
        dilation: int = 1,
        first_dilation: int | None = None,
        down_channels: int | None = None,
        expanded: int | None = None,
        width: int | None = None,
        block: Literal["darknet", "bottleneck"] = "darknet",
        groups: int = 1,
        transitions: Literal[1, 2] = 2,
        linear: bool = False,
        activation: Choice = "leaky_relu",
        dims: int = 2,
    ) -> None:
        _check(expanded or out_channels, block, groups, transitions)
        super().__init__()
        part: dict[str, Any] = {"activation": activation, "names": CONV_BN_ACT, "dims": dims}
        first, given = dilation if first_dilation is None else first_dilation, in_channels
        self.conv_down: Module | None = None
        if stride != 1 or first != dilation:
            given = down_channels or in_channels
            self.conv_down = ConvNormAct(in_channels, given, 3, stride=stride, dilation=first, groups=groups, **part)
        whole = expanded or out_channels
        half = whole // 2
        self.conv_exp = ConvNormAct(given, whole, 1, **{**part, "activation": None if linear else activation})
        inner = width or half
        self.blocks = Sequential()
        for number in range(depth):
            if block == "darknet":
                made: Module = DarknetResidual(half, width=inner, dilation=dilation, activation=activation, dims=dims)
            else:
                made = GroupedBottleneck(
                    half,
                    half,
                    width=inner,
                    group_width=inner // groups,
                    dilation=dilation,
                    activation=activation,
                    dims=dims,
                )
            self.blocks.add_module(str(number), made)
        self.conv_transition_b = ConvNormAct(half, half, 1, **part) if transitions == 2 else None
        self.conv_transition = ConvNormAct(whole, out_channels, 1, **part)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_exp(x if self.conv_down is None else self.conv_down(x))
        first, second = mcore.chunk(x, 2, dim=1)
        if self.conv_transition_b is None:
            first = self.blocks(first)
        else:
            second = self.conv_transition_b(self.blocks(second))
        return self.conv_transition(mcore.cat((first, second), dim=1))


def _check(expanded: int, block: str, groups: int, transitions: int) -> None:
    if expanded % 2:
        raise ValueError(f"CSPStage: expanded={expanded} channels can't be split in two halves; take an even number.")
    one_of(("darknet", "bottleneck"), of="CSPStage", block=block)
    if block == "darknet" and groups != 1:
        raise ValueError(f"CSPStage: groups={groups}, but only block='bottleneck' has groups.")
    one_of((1, 2), of="CSPStage", transitions=transitions)
