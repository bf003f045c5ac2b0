"""Blocks that make a map finer, by a whole number of times along every axis.

All take `(in_channels, out_channels, scale)`, and give (n, out_channels, *scale * size).
"""

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import mcore
from mcore import Module, ReLU, Sequential, Tensor, init
from mcore import functional as F
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import Choice, layers
from models.functional.shuffle import depth_to_space
from models.functional.sizes import LINEAR
from models.utils.arguments import odd, one_of


class UpsampleInterpolate(Module):
    """Interpolation, then a convolution, norm and activation.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *scale * size)

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        scale: how many times finer, 2 or more.
        mode: "nearest" or "linear" (bilinear in 2-D, trilinear in 3-D).
        kernel_size: of the convolution, odd.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        activation: a name, one with arguments, or a constructor; None for none.
        dims: 1, 2 or 3.

    Source: Odena et al., "Deconvolution and Checkerboard Artifacts", 2016, doi:10.23915/distill.00003.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 2,
        *,
        mode: Literal["nearest", "linear"] = "nearest",
        kernel_size: int = 3,
        norm: Choice = None,
        activation: Choice = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        one_of(("nearest", "linear"), of="UpsampleInterpolate", mode=mode)
        _check("UpsampleInterpolate", scale=scale, kernel_size=kernel_size)
        super().__init__()
        self.scale, self.mode = scale, mode
        self.conv = ConvNormAct(in_channels, out_channels, kernel_size, norm=norm, activation=activation, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        if self.mode == "linear":
            x = F.interpolate(x, scale_factor=float(self.scale), mode=LINEAR[x.ndim], align_corners=False)
        else:
            x = F.interpolate(x, scale_factor=float(self.scale), mode="nearest")
        return self.conv(x)

    def extra_repr(self) -> str:
        return f"scale={self.scale}, mode={self.mode!r}"


class UpsampleTransposed(Sequential):
    """A transposed convolution, norm and activation.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *scale * size)

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        scale: how many times finer, 2 or more.
        kernel_size: as large as `scale` or larger, which it is where left out; a multiple of it keeps clear of
            checkerboards.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        activation: a name, one with arguments, or a constructor; None for none.
        dims: 1, 2 or 3.

    Names: 0, 1, 2 in order.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 2,
        *,
        kernel_size: int | None = None,
        norm: Choice = None,
        activation: Choice = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        name, size = "UpsampleTransposed", kernel_size or scale
        _check(name, scale=scale)
        if size < scale:
            raise ValueError(f"{name}: kernel_size={size} leaves gaps at scale={scale}; take {scale} or more.")
        row = ConvNormAct(
            in_channels,
            out_channels,
            size,
            stride=scale,
            # The result has exactly `scale * size` pixels; of an odd margin, the larger half is cut off in front.
            padding=-(-(size - scale) // 2),
            norm=norm,
            activation=activation,
            transposed=True,
            dims=dims,
        )
        super().__init__(*row)


class UpsampleShuffle(Module):
    """A convolution to more channels, which are then spread out as pixels: sub-pixel convolution.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *scale * size)

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        scale: how many times finer, 2 or more.
        kernel_size: of the convolution, odd.
        norm: behind the convolution: "batch", "instance", "group", one with arguments, a constructor, or None.
        activation: behind that: a name, one with arguments, or a constructor; None for none.
        dims: 1, 2 or 3.

    Source: Shi et al., arXiv:1609.05158, section 2.2; Aitken et al., "Checkerboard artifact free sub-pixel
    convolution", arXiv:1707.02937, section 3.2, for initial weights, under which it starts as an upsampling
    to nearest pixels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 2,
        *,
        kernel_size: int = 3,
        norm: Choice = None,
        activation: Choice = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        _check("UpsampleShuffle", scale=scale, kernel_size=kernel_size)
        super().__init__()
        self.scale, block = scale, scale**dims
        self.conv = ConvNormAct(
            in_channels, out_channels * block, kernel_size, norm=norm, activation=activation, dims=dims
        )
        conv: Any = self.conv[0]
        # All pixels of a block start with the same weights.
        with mcore.no_grad():
            conv.weight.copy_(conv.weight[::block].repeat_interleave(block, dim=0))
            if conv.bias is not None:
                conv.bias.copy_(conv.bias[::block].repeat_interleave(block, dim=0))

    def forward(self, x: Tensor) -> Tensor:
        return depth_to_space(self.conv(x), self.scale)

    def extra_repr(self) -> str:
        return f"scale={self.scale}"


class CARAFE(Module):
    """Every new pixel is a mean of the old ones around it, with weights that are made from what lies there.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *scale * size)

    Args:
        in_channels: of what comes.
        out_channels: as `in_channels`, where left out; others are made by a 1x1 convolution before.
        scale: how many times finer, 2 or more.
        kernel_size: of the means, odd.
        encoder_size: of the convolution that makes weights, odd.
        compressed: channels that weights are made from.
        dims: 1, 2 or 3; in volumes, a kernel of 5 has 125 pixels: take 3.

    Source: Wang et al., "CARAFE: Content-Aware ReAssembly of FEatures", arXiv:1905.02188, section 3.
    Names: channel_compressor and content_encoder, as mmcv's CARAFEPack has.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        scale: int = 2,
        *,
        kernel_size: int = 5,
        encoder_size: int = 3,
        compressed: int = 64,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        _check("CARAFE", scale=scale, kernel_size=kernel_size, encoder_size=encoder_size)
        conv = layers(dims, of="CARAFE").conv
        super().__init__()
        self.scale, self.kernel_size, self.dims = scale, kernel_size, dims
        self.project = None if out_channels in (None, in_channels) else conv(in_channels, out_channels, 1)
        self.channel_compressor = conv(in_channels, compressed, 1)
        self.content_encoder = conv(compressed, (kernel_size * scale) ** dims, encoder_size, padding=encoder_size // 2)
        for layer in (self.channel_compressor, self.content_encoder):
            init.zeros_(layer.bias)
        init.xavier_uniform_(self.channel_compressor.weight)
        init.normal_(self.content_encoder.weight, std=0.001)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.content_encoder(self.channel_compressor(x))
        # (n, pixels of the kernel, pixels of a block, *size): one softmax for each new pixel.
        weights = weights.unflatten(1, (self.kernel_size**self.dims, -1)).softmax(1)
        x = x if self.project is None else self.project(x)
        # Term by term, so that the map isn't held once for every pixel of the kernel.
        shifted = enumerate(self._shifted(x))
        terms = (around.unsqueeze(2) * weights[:, index].unsqueeze(1) for index, around in shifted)
        total = next(terms)
        for term in terms:
            total = total + term
        return depth_to_space(total.flatten(1, 2), self.scale)

    def _shifted(self, x: Tensor) -> list[Tensor]:
        """The map as seen from each place of the kernel; beyond its borders lie zeros."""
        size, reach = x.shape[2:], self.kernel_size // 2
        padded = F.pad(x, [reach] * (2 * self.dims))
        found = []
        for offsets in itertools.product(range(self.kernel_size), repeat=self.dims):
            window: Any = tuple(slice(o, o + pixels) for o, pixels in zip(offsets, size, strict=True))
            found.append(padded[(slice(None), slice(None), *window)])
        return found

    def extra_repr(self) -> str:
        return f"scale={self.scale}, kernel_size={self.kernel_size}"


def deconvolutions(in_channels: int, channels: Sequence[int], *, dims: int, of: str) -> Sequential:
    """Transposed convolutions, each of which doubles the size, with norm and ReLU: all layers in one row.

    Source: Xiao et al., "Simple Baselines for Human Pose Estimation and Tracking", arXiv:1804.06208, section 2.
    """
    kit, row = layers(dims, of=of), list[Module]()
    for out_channels in channels:
        row.append(kit.conv_transpose(in_channels, out_channels, 4, stride=2, padding=1, bias=False))
        row += [kit.batch_norm(out_channels), ReLU()]
        in_channels = out_channels
    return Sequential(*row)


def _check(title: str, *, scale: int, **kernels: int) -> None:
    if scale < 2:
        raise ValueError(f"{title}: scale={scale} is not 2 or more.")
    odd(of=title, **kernels)
