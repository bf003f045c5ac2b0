"""The connectomics convnet as it was up to version 0.0.1: files of weights from then need these.

Source: the deprecated `ConvBlock` (up to 0.0.1) and `UNet` (0.0.1) of zetta_utils' convnet
(github.com/ZettaAI/zetta_utils), by what running them showed.
Names: layers are numbered as there, so its files of weights load as they are.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import mcore
from mcore import Conv2d, LeakyReLU, Tensor
from models.backbones.base import Weights
from models.basicblocks.layers import Factory
from models.networks.convnet_levels import Levels, Parts
from models.networks.convnet_program import (
    Programmed,
    Setting,
    activation_of,
    added,
    axes,
    convolutions,
    edges,
    sampler,
)
from models.utils.arguments import constructors, one_of
from models.utils.extents import extent


class ConvBlock(Programmed):
    """Convolutions in a row, each with norm and activation, and residuals between what goes into them.

    Shapes:
        x: (n, num_channels[0], *size), or without n
        returns: (n, num_channels[-1], *size), smaller where paddings are

    Args:
        num_channels: what comes, and what each convolution gives.
        kernel_sizes: in pixels: one number, or one by axis, of all convolutions, or a list with one for each.
        conv: makes a convolution: called with channels in and out, kernel, stride, padding, and `padding_mode`.
        strides: as kernel_sizes; 1, where left out.
        activation: makes an activation, from nothing.
        normalization: makes a norm, from its channels; None for none.
        skips: where residuals lead: `{"0": 2}` adds what goes into the first convolution to what goes into the
            second one; both must have one shape.
        normalize_last: whether a norm follows the last convolution too.
        activate_last: whether an activation does.
        paddings: as kernel_sizes; "same" keeps the size, "valid" adds none.
        padding_modes: "zeros", "reflect", "replicate" or "circular": of all, or one for each.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Source: zetta_utils' `ConvBlock`, up to version 0.0.1.
    Differs: residuals are added to a new tensor, where the original changes the image that it was called with. What
    leaves from where others arrive has these in it, as there. Skips that lead nowhere are told of.

    Raises:
        ValueError: a setting or a skip doesn't fit the convolutions.
        TypeError: a factory is none.
    """

    version = "0.0.1"

    def __init__(
        self,
        num_channels: Sequence[int],
        kernel_sizes: Setting = 3,
        conv: Factory = Conv2d,
        strides: Setting | None = None,
        activation: Factory = LeakyReLU,
        normalization: Factory | None = None,
        skips: Mapping[str, int] | None = None,
        normalize_last: bool = False,
        activate_last: bool = False,
        paddings: Setting = "same",
        padding_modes: str | Sequence[str] = "zeros",
        *,
        weights: Weights = None,
    ) -> None:
        title = type(self).__name__
        constructors(
            of=title, optional=("normalization",), conv=conv, activation=activation, normalization=normalization
        )
        super().__init__()
        convs = convolutions(
            title,
            num_channels,
            conv,
            kernel_sizes=kernel_sizes,
            strides=strides,
            paddings=paddings,
            padding_modes=padding_modes,
        )
        self.dims = axes(convs, kernel_sizes)  # type: ignore[assignment]  # unknown where conv is of another's making
        self.edges = edges(title, skips, len(convs))
        self._check_channels(title, num_channels)
        numbers = []
        for index, layer in enumerate(convs, start=1):
            if self.edges:
                self.mark("join", index)
            numbers.append(self.add(layer))
            final = index == len(convs)
            if normalization is not None and (not final or normalize_last):
                self.add(normalization(num_channels[index]))
            if not final or activate_last:
                self.add(activation_of(activation, pure=False))
        self.first_conv, self.classifier = (f"layers.{numbers[index]}" for index in (0, -1))
        self._complete(weights)

    def run(self, x: Tensor) -> Tensor:
        # By where they end; a residual that starts alone is the very map that goes on, so that what is added to
        # this one before it is convolved is part of the residual.
        kept: dict[int, Tensor] = {}
        ends = dict(self.edges)
        for what, number in self.steps:
            if what != "join":
                x = self.layers[number](x)
                continue
            end = ends.get(number - 1)
            alone = end is not None and end not in kept
            if end is not None:
                kept[end] = x if alone else kept[end] + x
            if number in kept:
                x = added(x, kept[number], dims=self.dims, of=type(self).__name__)
                if alone:
                    kept[end] = x  # type: ignore[index]  # alone, so it has an end
        return x

    def joined_size(self, pixels: int, kept: Mapping[int, int], number: int) -> int | None:
        return pixels

    def walked(self, pixels: int | None, axis: int, *, whole: bool = False) -> int | None:
        entering: list[int] = []
        for what, number in self.steps:
            if pixels is None:
                return None
            if what == "join":
                entering.append(pixels)
            else:
                pixels = extent(self.layers[number], pixels, axis)
        fits = all(entering[start] == entering[end - 1] for start, end in self.edges)
        return pixels if fits else None

    def _check_channels(self, title: str, num_channels: Sequence[int]) -> None:
        for start, end in self.edges:
            have, want = num_channels[start], num_channels[end - 1]
            # One channel is added to all.
            if have not in (1, want):
                raise ValueError(
                    f"{title}: the skip from {start} to {end} has {have} channels where {want} are needed."
                )


class UNet(Levels):
    """The convnet's U-Net of version 0.0.1: norm and activation follow what lowers and what raises a map.

    Shapes:
        x: (n, list_num_channels[0][0], *size), of sizes that the levels divide
        returns: (n, list_num_channels[-1][-1], *size)

    Args:
        list_num_channels: channels of each block, an odd number of them: down, the middle, and up. With "concat",
            the first channels of a block on the way up are those of the raised map alone.
        kernel_sizes: of the convolutions of every block: see `models.networks.convnet.ConvBlock`.
        conv: see there.
        strides: see there.
        downsample: makes what lowers a map, from `in_channels` and `out_channels`, or from nothing where it doesn't
            take these; means of 2 pixels along every axis, where left out.
        upsample: makes what raises a map, likewise; twice as fine, where left out.
        activation: see there.
        normalization: see there.
        paddings: see there.
        skips: inside blocks, of each that has so many convolutions: see there.
        normalize_last: whether a norm follows the very last convolution.
        activate_last: whether an activation does.
        padding_modes: see there.
        unet_skip_mode: how maps of the way down join: "sum", or "concat", in front of the raised map.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Source: zetta_utils' `UNet`, version 0.0.1.

    Raises:
        ValueError: the number of blocks is even, or channels of neighbours don't fit.
        TypeError: a factory is none.
    """

    version = "0.0.1"

    def __init__(
        self,
        list_num_channels: Sequence[Sequence[int]],
        kernel_sizes: Setting = 3,
        conv: Factory = Conv2d,
        strides: Setting | None = None,
        downsample: Factory | None = None,
        upsample: Factory | None = None,
        activation: Factory = LeakyReLU,
        normalization: Factory | None = None,
        paddings: Setting = "same",
        skips: Mapping[str, int] | None = None,
        normalize_last: bool = False,
        activate_last: bool = False,
        padding_modes: str | Sequence[str] = "zeros",
        unet_skip_mode: Literal["sum", "concat"] = "sum",
        *,
        weights: Weights = None,
    ) -> None:
        title = type(self).__name__
        one_of(("sum", "concat"), of=title, unet_skip_mode=unet_skip_mode)
        parts = Parts(
            kernel_sizes, conv, strides, activation, normalization, paddings, padding_modes, downsample, upsample
        )
        super().__init__(
            list_num_channels, parts, skips=skips, ends=(normalize_last, activate_last), mode=unet_skip_mode
        )
        self._complete(weights)

    def between(self, index: int, parts: Parts) -> None:
        lowers = index <= self.middle
        if lowers:
            self.mark("keep", index - 1)
        layer = (self.lowering if lowers else self.raising)(index, parts, sampler)
        self.add(layer, what="lower" if lowers else "run")
        if parts.normalization is not None:
            self.add(parts.normalization(self.blocks[index][0]))
        self.add(activation_of(parts.activation, pure=False))
        if not lowers:
            self._check_join(index)
            self.mark("join", len(self.blocks) - 1 - index)

    def joined(self, x: Tensor, kept: Mapping[int, Tensor], number: int) -> Tensor:
        if self.mode == "sum":
            return added(x, kept[number], dims=self.dims, of=type(self).__name__)
        return mcore.cat((kept[number], x), dim=-(self.dims or x.ndim - 2) - 1)

    def joined_size(self, pixels: int, kept: Mapping[int, int], number: int) -> int | None:
        return pixels if kept[number] == pixels else None

    def _check_join(self, index: int) -> None:
        other = len(self.blocks) - 1 - index
        have, want = self.blocks[other][-1], self.blocks[index][0]
        if have != want:
            raise ValueError(
                f"{type(self).__name__}: block {other} gives {have} channels to block {index}, which starts with "
                f"{want}; let them agree."
            )
