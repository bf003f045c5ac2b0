"""Inception blocks: branches of different sizes side by side, whose channels are joined.

Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", arXiv:1512.00567, figures 4 to 7
and 10; the numbers of channels are those of the authors' published network.
Differs: in 1-D and 3-D, what is "1x7" in 2-D runs along the last axis, and "7x1" along all others.
Names: attributes of the five are torchvision's (and timm's).
"""

from functools import partial
from typing import Any, Literal

import mcore
from mcore import Module, ModuleList, Sequential, Tensor
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.layers import Choice, layers
from models.basicblocks.pooling import mean_of_three
from models.utils.arguments import one_of

EPS = 1e-3
Padding = Literal["valid", "same"]


class InceptionBlock(Module):
    """Four branches of equal widths: 1x1; 1x1 and 3x3; 1x1 and twice 3x3; a pooling and 1x1.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride))

    Args:
        in_channels: of what comes.
        out_channels: of all branches together; what four doesn't divide goes to the first ones.
        reduced: channels between the convolutions of a branch; a quarter of `out_channels`, where left out.
        stride: of the last layer of every branch that sees neighbours; the first branch skips pixels.
        pool: "avg" or "max".
        norm: "batch", "instance", "group", "channel", one with arguments, a constructor, or None.
        activation: after every convolution.
        dims: 1, 2 or 3.

    Source: figure 5.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        reduced: int | None = None,
        stride: int = 1,
        pool: Literal["avg", "max"] = "avg",
        norm: Choice = "batch",
        activation: Choice = "relu",
        dims: int = 2,
    ) -> None:
        if out_channels < 4:
            raise ValueError(f"InceptionBlock: out_channels={out_channels} is too few for four branches.")
        one_of(("avg", "max"), of="InceptionBlock", pool=pool)
        super().__init__()
        kit, between = layers(dims, of="InceptionBlock"), reduced or out_channels // 4
        make = partial(ConvNormAct, norm=norm, activation=activation, dims=dims)
        widths = [out_channels // 4 + (branch < out_channels % 4) for branch in range(4)]
        pooling = mean_of_three(stride, dims=dims) if pool == "avg" else kit.max_pool(3, stride=stride, padding=1)
        self.branches = ModuleList(
            [
                make(in_channels, widths[0], 1, stride=stride),
                Sequential(make(in_channels, between, 1), make(between, widths[1], 3, stride=stride)),
                Sequential(
                    make(in_channels, between, 1), make(between, between, 3), make(between, widths[2], 3, stride=stride)
                ),
                Sequential(pooling, make(in_channels, widths[3], 1)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return mcore.cat([branch(x) for branch in self.branches], dim=1)


class InceptionA(Module):
    """Branches of 1x1, 5x5, twice 3x3 and a mean, at full size.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, 224 + pool_features, *size)

    Args:
        in_channels: of what comes.
        pool_features: channels of the branch that averages.
        dims: 1, 2 or 3.

    Source: figure 5.
    """

    def __init__(self, in_channels: int, pool_features: int, *, dims: int = 2) -> None:
        super().__init__()
        conv = conv_maker(dims)
        self.branch1x1 = conv(in_channels, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = conv(in_channels, 48, 1), conv(48, 64, 5)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = conv(in_channels, 64, 1), conv(64, 96, 3)
        self.branch3x3dbl_3 = conv(96, 96, 3)
        self.branch_pool, self.pool = conv(in_channels, pool_features, 1), mean_of_three(1, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        large, mean = self.branch5x5_2(self.branch5x5_1(x)), self.branch_pool(self.pool(x))
        return mcore.cat((self.branch1x1(x), large, double, mean), dim=1)


class InceptionB(Module):
    """Halves the size: branches of 3x3, twice 3x3 and a maximum.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, 480 + in_channels, *floor((size - 1) / 2)); *ceil(size / 2) with padding="same"

    Args:
        in_channels: of what comes.
        padding: "valid" is the original's; "same" rounds sizes up.
        dims: 1, 2 or 3.

    Source: figure 10.
    """

    def __init__(self, in_channels: int, *, padding: Padding = "valid", dims: int = 2) -> None:
        super().__init__()
        conv, around = conv_maker(dims), margin(padding, of="InceptionB")
        self.branch3x3 = conv(in_channels, 384, 3, stride=2, padding=around)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = conv(in_channels, 64, 1), conv(64, 96, 3)
        self.branch3x3dbl_3 = conv(96, 96, 3, stride=2, padding=around)
        self.pool = layers(dims, of="InceptionB").max_pool(3, stride=2, padding=around)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return mcore.cat((self.branch3x3(x), double, self.pool(x)), dim=1)


class InceptionC(Module):
    """Branches of 1x1, 7x7, twice 7x7 and a mean, at full size; a 7x7 is a 1x7 and a 7x1.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, 768, *size)

    Args:
        in_channels: of what comes.
        width: channels between the convolutions of the larger branches.
        dims: 1, 2 or 3.

    Source: figure 6.
    """

    def __init__(self, in_channels: int, width: int, *, dims: int = 2) -> None:
        super().__init__()
        conv, (row, column) = conv_maker(dims), factors(7, dims)
        self.branch1x1 = conv(in_channels, 192, 1)
        self.branch7x7_1, self.branch7x7_2 = conv(in_channels, width, 1), conv(width, width, row)
        self.branch7x7_3 = conv(width, 192, column)
        self.branch7x7dbl_1, self.branch7x7dbl_2 = conv(in_channels, width, 1), conv(width, width, column)
        self.branch7x7dbl_3, self.branch7x7dbl_4 = conv(width, width, row), conv(width, width, column)
        self.branch7x7dbl_5 = conv(width, 192, row)
        self.branch_pool, self.pool = conv(in_channels, 192, 1), mean_of_three(1, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return mcore.cat((self.branch1x1(x), single, double, self.branch_pool(self.pool(x))), dim=1)


class InceptionD(Module):
    """Halves the size: branches of 3x3, of 7x7 and 3x3, and a maximum.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, 512 + in_channels, *floor((size - 1) / 2)); *ceil(size / 2) with padding="same"

    Args:
        in_channels: of what comes.
        padding: "valid" is the original's; "same" rounds sizes up.
        dims: 1, 2 or 3.
    """

    def __init__(self, in_channels: int, *, padding: Padding = "valid", dims: int = 2) -> None:
        super().__init__()
        conv, (row, column) = conv_maker(dims), factors(7, dims)
        around = margin(padding, of="InceptionD")
        self.branch3x3_1 = conv(in_channels, 192, 1)
        self.branch3x3_2 = conv(192, 320, 3, stride=2, padding=around)
        self.branch7x7x3_1, self.branch7x7x3_2 = conv(in_channels, 192, 1), conv(192, 192, row)
        self.branch7x7x3_3 = conv(192, 192, column)
        self.branch7x7x3_4 = conv(192, 192, 3, stride=2, padding=around)
        self.pool = layers(dims, of="InceptionD").max_pool(3, stride=2, padding=around)

    def forward(self, x: Tensor) -> Tensor:
        large = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        return mcore.cat((self.branch3x3_2(self.branch3x3_1(x)), self.branch7x7x3_4(large), self.pool(x)), dim=1)


class InceptionE(Module):
    """Branches of 1x1, 3x3, twice 3x3 and a mean, at full size; 1x3 and 3x1 stand side by side.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, 2048, *size)

    Args:
        in_channels: of what comes.
        dims: 1, 2 or 3.

    Source: figure 7.
    """

    def __init__(self, in_channels: int, *, dims: int = 2) -> None:
        super().__init__()
        conv, (row, column) = conv_maker(dims), factors(3, dims)
        self.branch1x1 = conv(in_channels, 320, 1)
        self.branch3x3_1 = conv(in_channels, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = conv(384, 384, row), conv(384, 384, column)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = conv(in_channels, 448, 1), conv(448, 384, 3)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = conv(384, 384, row), conv(384, 384, column)
        self.branch_pool, self.pool = conv(in_channels, 192, 1), mean_of_three(1, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        single, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        maps = [
            self.branch1x1(x),
            self.branch3x3_2a(single),
            self.branch3x3_2b(single),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(self.pool(x)),
        ]
        return mcore.cat(maps, dim=1)


def conv_maker(dims: int) -> Any:
    """Makes a convolution with norm and ReLU as these networks have it, from channels and kernel size."""
    norm = partial(layers(dims, of="Inception").batch_norm, eps=EPS)
    return partial(ConvNormAct, norm=norm, names=CONV_BN_ACT, dims=dims)


def factors(pixels: int, dims: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Kernels that see a window together: one along the last axis, one along all others.

    >>> factors(7, 2)
    ((1, 7), (7, 1))
    """
    others = dims - 1
    return (1,) * others + (pixels,), (pixels,) * others + (1,)


def margin(padding: str, *, of: str) -> int:
    """Pixels around a map that a 3x3 window is padded with.

    Raises:
        ValueError: `padding` is neither "valid" nor "same".
    """
    one_of(("valid", "same"), of=of, padding=padding)
    return 1 if padding == "same" else 0
