"""Focus: the first layer of YOLOv5.

Source: github.com/ultralytics/yolov5, models/common.py.
"""

import itertools
from typing import Any, Literal

import mcore
from mcore import Module, Tensor
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.layers import Choice
from models.functional.sizes import pad_to_multiple
from models.utils.arguments import odd


class Focus(Module):
    """Blocks of 2 pixels along every axis become channels, which one convolution mixes: a stem without loss.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / 2)); odd sizes are padded with zeros behind

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        kernel_size: of the convolution, odd.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        activation: a name, one with arguments, or a constructor; None for none.
        dims: 1, 2 or 3.

    Names: conv.conv and conv.bn; channels stand in YOLOv5's order: pixels of a block column by column, each
    with all channels of the image.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        norm: Choice = "batch",
        activation: Choice = "silu",
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        odd(of="Focus", kernel_size=kernel_size)
        super().__init__()
        self.conv = ConvNormAct(
            in_channels * 2**dims,
            out_channels,
            kernel_size,
            norm=norm,
            activation=activation,
            names=CONV_BN_ACT,
            dims=dims,
        )

    def forward(self, x: Tensor) -> Tensor:
        x = pad_to_multiple(x, 2)
        parts = []
        # The first axis goes fastest.
        for offsets in itertools.product((0, 1), repeat=x.ndim - 2):
            places: Any = tuple(slice(offset, None, 2) for offset in reversed(offsets))
            parts.append(x[(slice(None), slice(None), *places)])
        return self.conv(mcore.cat(parts, dim=1))
