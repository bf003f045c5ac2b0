"""Spatial pyramid pooling: one map, seen through windows of several sizes.

Source: He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks", arXiv:1406.4729, in the form of
YOLOv3-SPP (Huang et al., arXiv:1903.08589, section 3.2), where every window keeps the size; SPPF is that of
YOLOv5 (github.com/ultralytics/yolov5).
Names: attributes are YOLOv5's: cv1 and cv2, of conv and bn.
"""

from collections.abc import Sequence
from typing import Any, Literal

import mcore
from mcore import Module, ModuleList, Tensor
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.layers import Choice, layers


class SPP(Module):
    """Halves the channels, pools by each window in place, and convolves all of it together.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *size)

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        sizes: of the windows in pixels, odd; each is pooled from the same map.
        activation: a name, one with arguments, or a constructor; YOLOv5 has "silu", Darknet leaky ReLU.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        sizes: Sequence[int] = (5, 9, 13),
        dims: Literal[1, 2, 3] = 2,
        *,
        activation: Choice = "silu",
    ) -> None:
        _check("SPP", in_channels, sizes)
        super().__init__()
        kit, hidden = layers(dims, of="SPP"), in_channels // 2
        part: dict[str, Any] = {"activation": activation, "names": CONV_BN_ACT, "dims": dims}
        self.cv1 = ConvNormAct(in_channels, hidden, 1, **part)
        self.m = ModuleList(kit.max_pool(size, stride=1, padding=size // 2) for size in sizes)
        self.cv2 = ConvNormAct(hidden * (1 + len(sizes)), out_channels, 1, **part)

    def forward(self, x: Tensor) -> Tensor:
        x = self.cv1(x)
        return self.cv2(mcore.cat([x, *(pool(x) for pool in self.m)], dim=1))


class SPPF(Module):
    """SPP with windows that grow: each pools what the one before gave, which takes fewer comparisons.

    `SPPF(c, c, 5)` gives what `SPP(c, c, (5, 9, 13))` of the same weights does.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *size)

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        size: of the window in pixels, odd.
        count: how often it is applied.
        activation: a name, one with arguments, or a constructor.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int = 5,
        dims: Literal[1, 2, 3] = 2,
        *,
        count: int = 3,
        activation: Choice = "silu",
    ) -> None:
        _check("SPPF", in_channels, [size])
        if count < 1:
            raise ValueError(f"SPPF: count={count} is less than one window.")
        super().__init__()
        kit, hidden, self.count = layers(dims, of="SPPF"), in_channels // 2, count
        part: dict[str, Any] = {"activation": activation, "names": CONV_BN_ACT, "dims": dims}
        self.cv1 = ConvNormAct(in_channels, hidden, 1, **part)
        self.m = kit.max_pool(size, stride=1, padding=size // 2)
        self.cv2 = ConvNormAct(hidden * (1 + count), out_channels, 1, **part)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.cv1(x)]
        for _ in range(self.count):
            maps.append(self.m(maps[-1]))
        return self.cv2(mcore.cat(maps, dim=1))


def _check(title: str, in_channels: int, sizes: Sequence[int]) -> None:
    if in_channels < 2:
        raise ValueError(f"{title}: in_channels={in_channels} can't be halved; it needs 2 or more.")
    if not sizes or any(size < 1 or size % 2 == 0 for size in sizes):
        raise ValueError(f"{title}: sizes={list(sizes)} are not odd numbers of pixels; an even window has no middle.")
