"""The plainest torch of EMVision's RSUNet: what ours on the torch engine is compared with.

The same layers registered in the same order, without options and without checks; skips are added, as in the original.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (16, 32, 64, 128, 256, 512)
FACTOR = (1, 2, 2)


def before(inner: int, outer: int) -> nn.Sequential:
    """Norm, ReLU, convolution."""
    return nn.Sequential(
        nn.BatchNorm3d(inner), nn.ReLU(inplace=True), nn.Conv3d(inner, outer, 3, padding=1, bias=False)
    )


class Block(nn.Module):
    """Four convolutions, the middle two beside an identity."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.pre = before(inner, outer)
        self.branch = nn.Sequential(before(outer, outer), before(outer, outer))
        self.post = before(outer, outer)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pre(x)
        return self.post(x + self.branch(x))


class Grow(nn.Module):
    """Each channel's fixed bilinear kernel, as a transposed convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor([0.25, 0.75, 0.75, 0.25])
        self.register_buffer("weight", torch.outer(taps, taps).expand(channels, 1, 1, 4, 4).clone())

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose3d(x, self.weight, stride=FACTOR, padding=(0, 1, 1), groups=x.shape[1])


class Up(nn.Module):
    """A step up: raises the map, adds the one of this level, four convolutions."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.grow = nn.Sequential(Grow(inner), nn.Conv3d(inner, outer, 1, bias=False))
        self.block = Block(outer, outer)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.block(self.grow(x) + skip)


class RSUNet(nn.Module):
    """The whole network; `widths` channels in, as many out."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(widths))
        self.first, self.pool = Block(widths[0], widths[0]), nn.MaxPool3d(FACTOR)
        self.down = nn.ModuleList(Block(inner, outer) for inner, outer in pairs)
        self.up = nn.ModuleList(Up(outer, inner) for inner, outer in reversed(pairs))
        self.last = nn.Sequential(nn.BatchNorm3d(widths[0]), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.first(x)]
        for block in self.down:
            maps.append(block(self.pool(maps[-1])))
        x = maps.pop()
        for up in self.up:
            x = up(x, maps.pop())
        return self.last(x)
