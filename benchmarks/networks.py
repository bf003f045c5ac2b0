"""Networks that the benchmarks run, in plain torch vocabulary, so that both engines build them from one source.

`vocabulary` is `torch.nn`, or `mcore` of either engine.
"""

from __future__ import annotations

from typing import Any


def unet(nn: Any, *, dims: int = 2, widths: tuple[int, ...] = (32, 64, 128, 256), activation: str = "ReLU") -> Any:
    """A U-Net with two convolutions a level, batch norms, and nearest upsampling."""
    conv = getattr(nn, f"Conv{dims}d")
    norm, pool = getattr(nn, f"BatchNorm{dims}d"), getattr(nn, f"MaxPool{dims}d")

    def double(inner: int, outer: int) -> Any:
        act = getattr(nn, activation)
        return nn.Sequential(
            conv(inner, outer, 3, padding=1, bias=False),
            norm(outer),
            act(),
            conv(outer, outer, 3, padding=1, bias=False),
            norm(outer),
            act(),
        )

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            inner = [3 if dims == 2 else 1, *widths]
            self.down = nn.ModuleList([double(inner[k], inner[k + 1]) for k in range(len(widths))])
            self.pool, self.grow = pool(2), nn.Upsample(scale_factor=2, mode="nearest")
            self.up = nn.ModuleList(
                [double(widths[k] + widths[k + 1], widths[k]) for k in reversed(range(len(widths) - 1))]
            )
            self.head = conv(widths[0], 2, 1)
            self.cat = vocabulary_cat(nn)

        def forward(self, x: Any) -> Any:
            skips = []
            for k, block in enumerate(self.down):
                x = block(x if k == 0 else self.pool(x))
                skips.append(x)
            for k, block in enumerate(self.up):
                x = block(self.cat([self.grow(x), skips[-2 - k]], 1))
            return self.head(x)

    return UNet().eval()


def strided_unet_3d(nn: Any, widths: tuple[int, ...] = (16, 32, 64, 128, 256)) -> Any:
    """A residual 3-D U-Net as is common in medicine: strided convolutions down, transposed up, PReLU, InstanceNorm."""

    def unit(inner: int, outer: int, stride: int = 1) -> Any:
        return nn.Sequential(nn.Conv3d(inner, outer, 3, stride, 1), nn.InstanceNorm3d(outer), nn.PReLU())

    class Residual(nn.Module):
        def __init__(self, inner: int, outer: int, stride: int) -> None:
            super().__init__()
            self.units = nn.Sequential(unit(inner, outer, stride), unit(outer, outer))
            self.short = nn.Conv3d(inner, outer, 3, stride, 1)

        def forward(self, x: Any) -> Any:
            return self.units(x) + self.short(x)

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            pairs = list(zip((1, *widths), widths, strict=False))
            self.down = nn.ModuleList([Residual(a, b, 2) for a, b in pairs[:-1]] + [Residual(*pairs[-1], 1)])
            inner = [widths[-1] + widths[-2], *(2 * w for w in reversed(widths[:-2]))]
            outer = [*reversed(widths[:-2]), 2]
            self.up = nn.ModuleList(
                [nn.ConvTranspose3d(a, b, 3, 2, 1, output_padding=1) for a, b in zip(inner, outer, strict=True)]
            )
            self.act = nn.ModuleList([nn.Sequential(nn.InstanceNorm3d(b), nn.PReLU()) for b in outer[:-1]])
            self.cat = vocabulary_cat(nn)

        def forward(self, x: Any) -> Any:
            skips = []
            for block in self.down:
                x = block(x)
                skips.append(x)
            skips.pop()
            for k, up in enumerate(self.up):
                x = up(self.cat([x, skips[-1 - k]], 1))
                if k < len(self.act):
                    x = self.act[k](x)
            return x

    return UNet().eval()


def vocabulary_cat(nn: Any) -> Any:
    """`cat` of the vocabulary that has these layers."""
    if nn.__name__ == "torch.nn":
        import torch

        return torch.cat
    return nn.cat


def yolo_like(nn: Any) -> Any:
    """A backbone of strided convolutions with SiLU, a path-aggregating neck and three heads, as YOLOs have."""

    def conv(inner: int, outer: int, kernel: int = 3, stride: int = 1) -> Any:
        return nn.Sequential(
            nn.Conv2d(inner, outer, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outer), nn.SiLU()
        )

    class Cross(nn.Module):  # a cross-stage-partial block
        def __init__(self, width: int, depth: int) -> None:
            super().__init__()
            self.left, self.right = conv(width, width // 2, 1), conv(width, width // 2, 1)
            self.blocks = nn.ModuleList(
                [nn.Sequential(conv(width // 2, width // 2, 1), conv(width // 2, width // 2)) for _ in range(depth)]
            )
            self.join, self.cat = conv(width, width, 1), vocabulary_cat(nn)

        def forward(self, x: Any) -> Any:
            y = self.left(x)
            for block in self.blocks:
                y = y + block(y)
            return self.join(self.cat([y, self.right(x)], 1))

    class Yolo(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = conv(3, 32, 6 + 1, 2)
            widths = (64, 128, 256, 512)
            inner = (32, *widths)
            self.stages = nn.ModuleList(
                [
                    nn.Sequential(conv(inner[k], w, 3, 2), Cross(w, d))
                    for k, (w, d) in enumerate(zip(widths, (1, 2, 3, 1), strict=True))
                ]
            )
            self.lateral = nn.ModuleList([conv(512, 256, 1), conv(256, 128, 1)])
            self.merge = nn.ModuleList([Cross(512, 1), Cross(256, 1)])
            self.narrow = nn.ModuleList([conv(512, 256, 1), conv(256, 128, 1)])
            self.grow, self.cat = nn.Upsample(scale_factor=2, mode="nearest"), vocabulary_cat(nn)
            self.heads = nn.ModuleList([nn.Conv2d(w, 255, 1) for w in (128, 256, 512)])

        def forward(self, x: Any) -> Any:
            x = self.stages[0](self.stem(x))
            c3 = self.stages[1](x)
            c4 = self.stages[2](c3)
            c5 = self.stages[3](c4)
            p4 = self.narrow[0](self.merge[0](self.cat([self.grow(self.lateral[0](c5)), c4], 1)))
            p3 = self.narrow[1](self.merge[1](self.cat([self.grow(self.lateral[1](p4)), c3], 1)))
            return self.heads[0](p3), self.heads[1](p4), self.heads[2](c5)

    return Yolo().eval()


def small(nn: Any) -> Any:
    """A network of about one millisecond."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    ).eval()
