"""The plainest torch of the zoo's arithmetic: what our networks on the torch engine are compared with.

Layers in `nn.Sequential` wherever they stand in a row, no options, no names; the same convolutions in the same
order as ours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.plain_resnet import resnet50


class Add(nn.Module):
    """A branch and what came, added."""

    def __init__(self, *branch: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class Squeeze(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, width: int, reduced: int) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(width, reduced, 1), nn.Conv2d(reduced, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.expand(F.silu(self.reduce(x.mean((2, 3), keepdim=True)))))


def unit(inner: int, outer: int, kernel: int, stride: int = 1, groups: int = 1, act: type | None = None) -> list:
    """Convolution, norm and activation."""
    conv = nn.Conv2d(inner, outer, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outer), *([act(inplace=True)] if act else [])]


def mobilenetv2() -> nn.Module:
    """MobileNetV2 of width 1."""
    layers = [*unit(3, 32, 3, 2, act=nn.ReLU6)]
    inner = 32
    for expansion, outer, depth, stride in (
        *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
        *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
    ):
        for block in range(depth):
            wide, step = inner * expansion, stride if block == 0 else 1
            row = unit(inner, wide, 1, act=nn.ReLU6) if expansion > 1 else []
            row += unit(wide, wide, 3, step, wide, nn.ReLU6) + unit(wide, outer, 1)
            layers += [Add(*row)] if step == 1 and inner == outer else row
            inner = outer
    layers += [*unit(320, 1280, 1, act=nn.ReLU6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers)


def efficientnet_b0() -> nn.Module:
    """EfficientNet-b0, without stochastic depth."""
    layers = [*unit(3, 32, 3, 2, act=nn.SiLU)]
    inner = 32
    for expansion, outer, depth, stride, kernel in (
        *((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3)),
        *((6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)),
    ):
        for block in range(depth):
            wide, step = inner * expansion, stride if block == 0 else 1
            row = unit(inner, wide, 1, act=nn.SiLU) if expansion > 1 else []
            row += [*unit(wide, wide, kernel, step, wide, nn.SiLU), Squeeze(wide, inner // 4), *unit(wide, outer, 1)]
            layers += [Add(*row)] if step == 1 and inner == outer else row
            inner = outer
    layers += [*unit(320, 1280, 1, act=nn.SiLU), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers)


class Basic(nn.Module):
    """The residual block of ResNet-34."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.row = nn.Sequential(*unit(inner, outer, 3, stride, act=nn.ReLU), *unit(outer, outer, 3))
        self.short = nn.Sequential(*unit(inner, outer, 1, stride)) if stride > 1 or inner != outer else None

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.row(x) + (x if self.short is None else self.short(x)))


class UNetResNet34(nn.Module):
    """A U-Net decoder on ResNet-34, from stride 4 up as ours, one class."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*unit(3, 64, 7, 2, act=nn.ReLU), nn.MaxPool2d(3, 2, 1))
        self.stages, inner = nn.ModuleList(), 64
        for outer, depth, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            blocks = [Basic(inner if k == 0 else outer, outer, stride if k == 0 else 1) for k in range(depth)]
            self.stages.append(nn.Sequential(*blocks))
            inner = outer
        self.ups = nn.ModuleList()
        for skip, outer in ((256, 256), (128, 128), (64, 64), (0, 32), (0, 16)):
            self.ups.append(
                nn.Sequential(*unit(inner + skip, outer, 3, act=nn.ReLU), *unit(outer, outer, 3, act=nn.ReLU))
            )
            inner = outer
        self.head = nn.Conv2d(16, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x, maps = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        maps.pop()
        for up in self.ups:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = up(torch.cat((x, maps.pop()), 1) if maps else x)
        return self.head(x)


class Cross(nn.Module):
    """The cross-stage-partial stage of CSPDarknet-53."""

    def __init__(self, inner: int, outer: int, depth: int) -> None:
        super().__init__()
        mish = nn.Mish
        half = outer if depth == 1 else outer // 2
        self.down = nn.Sequential(*unit(inner, outer, 3, 2, act=mish))
        self.side, self.main = (
            nn.Sequential(*unit(outer, half, 1, act=mish)),
            nn.Sequential(*unit(outer, half, 1, act=mish)),
        )
        middle = inner if depth == 1 else half
        self.blocks = nn.Sequential(
            *(Add(*unit(half, middle, 1, act=mish), *unit(middle, half, 3, act=mish)) for _ in range(depth))
        )
        self.end, self.join = (
            nn.Sequential(*unit(half, half, 1, act=mish)),
            nn.Sequential(*unit(2 * half, outer, 1, act=mish)),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return self.join(torch.cat((self.end(self.blocks(self.main(x))), self.side(x)), 1))


def leaky(inner: int, outer: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, norm and leaky ReLU."""
    row = unit(inner, outer, kernel, stride)
    return nn.Sequential(*row, nn.LeakyReLU(0.1, inplace=True))


def alternating(inner: int, outer: int, count: int) -> nn.Sequential:
    """1x1 to `outer` and 3x3 to twice of it in turns."""
    widths = [(inner if k == 0 else 2 * outer, outer, 1) if k % 2 == 0 else (outer, 2 * outer, 3) for k in range(count)]
    return nn.Sequential(*(leaky(*width) for width in widths))


class YOLOv4(nn.Module):
    """YOLOv4 for 80 classes: raw maps at strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*unit(3, 32, 3, act=nn.Mish))
        widths = ((32, 64, 1), (64, 128, 2), (128, 256, 8), (256, 512, 8), (512, 1024, 4))
        self.stages = nn.ModuleList(Cross(*width) for width in widths)
        self.before, self.pools = (
            alternating(1024, 512, 3),
            nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in (13, 9, 5)),
        )
        self.after = alternating(2048, 512, 3)
        self.lift = nn.ModuleList([leaky(512, 256, 1), leaky(256, 128, 1)])
        self.side = nn.ModuleList([leaky(512, 256, 1), leaky(256, 128, 1)])
        self.top = nn.ModuleList([alternating(512, 256, 5), alternating(256, 128, 5)])
        self.sink = nn.ModuleList([leaky(128, 256, 3, 2), leaky(256, 512, 3, 2)])
        self.bottom = nn.ModuleList([alternating(512, 256, 5), alternating(1024, 512, 5)])
        self.heads = nn.ModuleList(nn.Sequential(leaky(w, 2 * w, 3), nn.Conv2d(2 * w, 255, 1)) for w in (128, 256, 512))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x, maps = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        x = self.before(x)
        p5 = self.after(torch.cat((*(pool(x) for pool in self.pools), x), 1))
        p4 = self.top[0](torch.cat((self.side[0](maps[3]), F.interpolate(self.lift[0](p5), scale_factor=2.0)), 1))
        p3 = self.top[1](torch.cat((self.side[1](maps[2]), F.interpolate(self.lift[1](p4), scale_factor=2.0)), 1))
        n4 = self.bottom[0](torch.cat((self.sink[0](p3), p4), 1))
        n5 = self.bottom[1](torch.cat((self.sink[1](n4), p5), 1))
        return tuple(head(x) for head, x in zip(self.heads, (p3, n4, n5), strict=True))


NETWORKS = {
    "ResNet-50": resnet50,
    "MobileNetV2": mobilenetv2,
    "EfficientNet-b0": efficientnet_b0,
    "UNet on ResNet-34": UNetResNet34,
    "YOLOv4": YOLOv4,
}
