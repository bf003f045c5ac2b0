"""U-Net.

Source: Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation",
arXiv:1505.04597, figure 1.
Differs: by default convolutions keep the size and have a norm, as the common ports do;
`UNet(norm=None, padding="valid")` is the paper's.
Names: attributes are those of Pytorch-UNet (github.com/milesial), so its weights load as they are.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import mcore
from mcore import Module, Sequential, Tensor, Upsample
from models.backbones.base import Weights
from models.basicblocks.layers import Choice, activation_layer, layers, norm_layer
from models.functional.sizes import crop, crop_center, pad_to_multiple
from models.sizing import Sized
from models.utils.arguments import one_of
from models.utils.weights import load_weights


class UNet(Sized):
    """U-Net: scores of each class for every pixel.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, num_classes, *size), before softmax; smaller with `padding="valid"`, see `output_size`

    Args:
        in_channels: channels of the image.
        num_classes: how many scores for each pixel.
        channels: of each level, finest first.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        bias: of the convolutions; where left out, wherever there is no norm.
        activation: behind every convolution or its norm: a name, one with arguments, or a constructor.
        up: "transposed" convolutions, or "bilinear" interpolation (linear in 1-D, trilinear in 3-D), which
            halves the channels of the coarsest level, as the port does.
        padding: "same" keeps the size; "valid" is the paper's, whose maps are cropped to join.
        fit: what happens to sizes that don't halve evenly: "pad" adds zeros and crops the result, "refuse"
            says which sizes fit.
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "inc.double_conv.0", "outc.conv"

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        channels: Sequence[int] = (64, 128, 256, 512, 1024),
        norm: Choice = "batch",
        bias: bool | None = None,
        activation: Choice = "relu",
        up: Literal["transposed", "bilinear"] = "transposed",
        padding: Literal["same", "valid"] = "same",
        fit: Literal["pad", "refuse"] | None = None,
        dims: Literal[1, 2, 3] = 2,
        weights: Weights = None,
    ) -> None:
        _check_choices(up, padding, fit)
        if len(channels) < 2:
            raise ValueError(f"UNet: channels={tuple(channels)} is {len(channels)} level; it needs two or more.")
        super().__init__()
        self.dims, self.padding = dims, padding
        self.fit = fit or ("pad" if padding == "same" else "refuse")
        self.levels = len(channels) - 1
        widths = [*channels]
        if up == "bilinear":
            widths[-1] //= 2
        double = partial(DoubleConv, norm=norm, bias=bias, activation=activation, padding=padding, dims=dims)
        self.inc = double(in_channels, widths[0])
        for level in range(self.levels):
            self.add_module(f"down{level + 1}", Down(double(widths[level], widths[level + 1]), dims=dims))
        below = widths[-1]
        for step, level in enumerate(reversed(range(self.levels)), start=1):
            # With interpolation, each step leaves what the next one expects from below.
            width = channels[level] // 2 if up == "bilinear" and level else channels[level]
            block = Up(below, widths[level], width, up=up, double=double, padding=padding, dims=dims)
            self.add_module(f"up{step}", block)
            below = width
        self.outc = OutConv(below, num_classes, dims=dims)
        if weights is not None:
            self.weights_report = load_weights(self, weights)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        if self.fit == "pad":
            x = pad_to_multiple(x, 2**self.levels)
        else:
            self.check_size(size, ', or take fit="pad"' if self.padding == "same" else "")
        maps = [self.inc(x)]
        for level in range(self.levels):
            maps.append(getattr(self, f"down{level + 1}")(maps[-1]))
        x = maps.pop()
        for step in range(self.levels):
            x = getattr(self, f"up{step + 1}")(x, maps.pop())
        x = self.outc(x)
        return crop(x, size) if self.fit == "pad" else x

    def output_size(self, pixels: int, axis: int = 0) -> int | None:
        """Pixels of the result along an axis of `pixels`; None where such an axis is refused.

        >>> UNet(1, 2, channels=(4, 4, 4, 4, 4), norm=None, padding="valid").output_size(572)
        388
        """
        if self.fit == "pad":
            return pixels
        lost, sizes = 4 if self.padding == "valid" else 0, []
        for _ in range(self.levels):
            pixels -= lost
            sizes.append(pixels)
            if pixels <= 0 or pixels % 2:
                return None
            pixels //= 2
        pixels -= lost
        for skip in reversed(sizes):
            # A map that comes from below never exceeds the one it joins, unless nothing is left.
            pixels = 2 * pixels - lost
            if pixels <= 0 or pixels > skip:
                return None
        return pixels


class DoubleConv(Module):
    """Two 3x3 convolutions, each with norm and activation.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *size), 4 pixels less on each axis with `padding="valid"`
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        mid_channels: int | None = None,
        *,
        norm: Choice = "batch",
        bias: bool | None = None,
        activation: Choice = "relu",
        padding: str = "same",
        dims: int = 2,
    ) -> None:
        super().__init__()
        conv, make_norm = layers(dims, of="UNet").conv, norm_layer(norm, dims, of="UNet")
        middle = mid_channels or out_channels
        row: list[Module] = []
        for fed, given in ((in_channels, middle), (middle, out_channels)):
            around = 1 if padding == "same" else 0
            row.append(conv(fed, given, 3, padding=around, bias=norm is None if bias is None else bias))
            row.extend([make_norm(given)] if make_norm is not None else [])
            row.append(activation_layer(activation, of="UNet"))
        self.double_conv = Sequential(*row)

    def forward(self, x: Tensor) -> Tensor:
        return self.double_conv(x)


class Down(Module):
    """One level down: the maximum of every 2 pixels, then two convolutions."""

    def __init__(self, double: DoubleConv, *, dims: int = 2) -> None:
        super().__init__()
        self.maxpool_conv = Sequential(layers(dims, of="UNet").max_pool(2), double)

    def forward(self, x: Tensor) -> Tensor:
        return self.maxpool_conv(x)


class Up(Module):
    """One level up: doubles the size, joins the map of this level, then two convolutions.

    Shapes:
        x: (n, below, *size)
        skip: (n, in_channels, *2 * size), or larger, of which the middle is taken
        returns: (n, out_channels, *2 * size)
    """

    def __init__(
        self,
        below: int,
        in_channels: int,
        out_channels: int,
        *,
        up: str,
        double: Callable[..., DoubleConv],
        padding: str = "same",
        dims: int = 2,
    ) -> None:
        super().__init__()
        kit, self.padding = layers(dims, of="UNet"), padding
        if up == "bilinear":
            self.up: Module = Upsample(scale_factor=2, mode=kit.linear, align_corners=True)
            joined = below + in_channels
            self.conv = double(joined, out_channels, joined // 2)
        else:
            self.up = kit.conv_transpose(below, below // 2, 2, stride=2)
            self.conv = double(below // 2 + in_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        if self.padding == "valid":
            skip = crop_center(skip, x.shape[2:])
        return self.conv(mcore.cat((skip, x), dim=1))


class OutConv(Module):
    """The 1x1 convolution that scores classes."""

    def __init__(self, in_channels: int, num_classes: int, *, dims: int = 2) -> None:
        super().__init__()
        self.conv = layers(dims, of="UNet").conv(in_channels, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def _check_choices(up: str, padding: str, fit: str | None) -> None:
    one_of(("transposed", "bilinear"), of="UNet", up=up)
    one_of(("same", "valid"), of="UNet", padding=padding)
    one_of(("pad", "refuse", None), of="UNet", fit=fit)
    if padding == "valid" and fit == "pad":
        raise ValueError('UNet: fit="pad" keeps the size, which padding="valid" doesn\'t; leave fit out.')
