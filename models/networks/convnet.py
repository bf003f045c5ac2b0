"""The connectomics convnet: a block of convolutions with residuals, and the U-Net that is made of it.

Source: `ConvBlock` and `UNet` of zetta_utils' convnet (github.com/ZettaAI/zetta_utils), versions from 0.0.2 on, by
what running them showed; earlier versions are in `convnet_v1.py` and `convnet_v0.py`.
Names: layers are numbered as there, so its files of weights load as they are.
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import mcore
from mcore import Conv2d, LeakyReLU, Tensor
from mcore import functional as F
from models.backbones.base import Weights
from models.basicblocks.layers import LAYERS, Factory
from models.functional.sizes import crop
from models.networks.convnet_program import (
    Programmed,
    Setting,
    activation_of,
    axes,
    check_factory,
    convolutions,
    edges,
    fitted,
    sampler,
)
from models.utils.arguments import one_of
from models.utils.extents import axes_of, keeps_channels

# The largest strides of all levels together that padding is looked for.
_COARSEST = 1024


class ConvBlock(Programmed):
    """Convolutions in a row, with norms, activations and residuals between any two of them.

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
        skips: where residuals lead: `{"0": 2}` adds what comes in to what the second convolution gives. "post" takes
            a convolution's result behind its activation, and adds before that of the other; "pre" takes and adds
            what convolutions give by themselves. The middle is taken where a residual is larger or has more channels.
        normalize_last: whether a norm follows the last convolution too.
        activate_last: whether an activation does.
        paddings: as kernel_sizes; "same" keeps the size, "valid" adds none.
        padding_modes: "zeros", "reflect", "replicate" or "circular": of all, or one for each.
        activation_mode: "post": norm and activation follow a convolution; "pre": they come before it.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Source: zetta_utils' `ConvBlock`, from version 0.0.2 on.
    Differs: residuals are added to a new tensor, where the original changes the image that it was called with, and
    can't learn where two of them end alike; each of these is cut to where it ends. Skips that lead nowhere are
    refused, which the original passes over, and those with too few channels at once, not when called.

    Raises:
        ValueError: a setting or a skip doesn't fit the convolutions.
        TypeError: a factory is none.
    """

    version = "0.0.2"

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
        activation_mode: Literal["pre", "post"] = "post",
        *,
        weights: Weights = None,
    ) -> None:
        title = type(self).__name__
        one_of(("pre", "post"), of=title, activation_mode=activation_mode)
        check_factory(title, conv=conv, activation=activation, **_given(normalization=normalization))
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
        self.num_channels, self.dims = tuple(num_channels), axes(convs, kernel_sizes)  # type: ignore[assignment]
        self.edges = edges(title, skips, len(convs))
        self._check_channels(title)
        last, pre = len(convs), activation_mode == "pre"

        def act() -> None:
            # Before a convolution, a residual may still need what the activation is given.
            self.add(activation_of(activation, pure=pre))

        def norm(channels: int) -> None:
            if normalization is not None:
                self.add(normalization(channels))

        self.mark("keep", 0)
        numbers = []
        for index, layer in enumerate(convs, start=1):
            if pre:
                norm(num_channels[index - 1])
                act()
            numbers.append(self.add(layer))
            if not pre and (index < last or normalize_last):
                norm(num_channels[index])
            self.mark("join", index)
            if not pre and (index < last or activate_last):
                act()
            self.mark("keep", index)
        if pre and normalize_last:
            norm(num_channels[-1])
        if pre and activate_last:
            act()
        # Steps that no residual needs are left out.
        starts, ends = ({edge[side] for edge in self.edges} for side in (0, 1))
        used = {"keep": starts, "join": ends}
        self.steps = [step for step in self.steps if step.number in used.get(step.what, (step.number,))]
        self.first_conv, self.classifier = (f"layers.{numbers[index]}" for index in (0, -1))
        self._complete(weights)

    def joined(self, x: Tensor, kept: Mapping[int, Tensor], number: int) -> Tensor:
        for start, end in self.edges:
            if end == number:
                have, want = (self.num_channels[index] for index in (start, end))
                x = x + fitted(x, kept[start], have=have, want=want, dims=self.dims, of=type(self).__name__)
        return x

    def joined_size(self, pixels: int, kept: Mapping[int, int], number: int) -> int | None:
        sizes = [kept[start] for start, end in self.edges if end == number]
        return pixels if all(size >= pixels for size in sizes) else None

    def _check_channels(self, title: str) -> None:
        for start, end in self.edges:
            have, want = (self.num_channels[index] for index in (start, end))
            if have < want:
                raise ValueError(
                    f"{title}: the skip from {start} to {end} has {have} channels where {want} are needed; it must "
                    "have as many, or more, of which the middle is taken."
                )


class UNet(Programmed):
    """The convnet's U-Net: a ConvBlock at each level on both ways, and what lowers and raises maps between them.

    Shapes:
        x: (n, list_num_channels[0][0], *size), or without n
        returns: (n, list_num_channels[-1][-1], *size), smaller with valid padding, and where `fit` says so

    Args:
        list_num_channels: channels of each block, an odd number of them: down, the middle, and up. With "concat",
            the first channels of a block on the way up are those of the raised map alone.
        kernel_sizes: of the convolutions of every block: see `ConvBlock`.
        conv: see `ConvBlock`.
        strides: see `ConvBlock`.
        downsample: makes what lowers a map, from `in_channels` and `out_channels`, or from nothing where it doesn't
            take these; means of 2 pixels along every axis, where left out.
        upsample: makes what raises a map, likewise; twice as fine, where left out.
        activation: see `ConvBlock`.
        normalization: see `ConvBlock`; with "post", one follows what raises a map too.
        paddings: see `ConvBlock`.
        skips: inside blocks, of each that has so many convolutions: see `ConvBlock`.
        normalize_last: whether a norm follows the very last convolution.
        activate_last: whether an activation does.
        padding_modes: see `ConvBlock`.
        unet_skip_mode: how maps of the way down join: "sum", or "concat", in front of the raised map.
        activation_mode: see `ConvBlock`; with "post", one follows where maps join.
        layers_enc: blocks of the way down and the middle one, in place of list_num_channels: lists of channels, or
            the channels of each level, for blocks of two convolutions: [32, 64, 128].
        layers_dec: blocks of the way up, likewise; of plain channels, the first are the middle one's: [128, 64, 32].
        skip_mode: another name for unet_skip_mode.
        in_channels: of the image, where `layers_enc` are plain channels; 1, where left out.
        fit: sizes that the levels don't divide: "crop" gives a smaller result, as the original does, with a warning;
            "pad" adds zeros behind and gives the image's own size; "refuse" says which sizes fit.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Source: zetta_utils' `UNet`, from version 0.0.2 on.
    Differs: what lowers and raises maps follows the number of axes of `conv`, where the original's is for images
    alone; channels that don't fit are refused at once. Exact sizes for any image are `fit="pad"`.

    Raises:
        ValueError: the number of blocks is even, or channels of neighbours don't fit.
        TypeError: a factory is none, or something is given twice.
        SizeError: when called with `fit="refuse"`, a size doesn't fit.
    """

    version = "0.0.2"

    def __init__(
        self,
        list_num_channels: Sequence[Sequence[int]] | None = None,
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
        activation_mode: Literal["pre", "post"] = "post",
        *,
        layers_enc: Sequence[int] | Sequence[Sequence[int]] | None = None,
        layers_dec: Sequence[int] | Sequence[Sequence[int]] | None = None,
        skip_mode: Literal["sum", "concat"] | None = None,
        in_channels: int | None = None,
        fit: Literal["crop", "pad", "refuse"] = "crop",
        weights: Weights = None,
    ) -> None:
        title = type(self).__name__
        one_of(("pre", "post"), of=title, activation_mode=activation_mode)
        one_of(("crop", "pad", "refuse"), of=title, fit=fit)
        mode = join_mode(title, unet_skip_mode, skip_mode)
        blocks = block_channels(title, list_num_channels, layers_enc, layers_dec, in_channels)
        check_blocks(title, blocks)
        given = _given(downsample=downsample, upsample=upsample, normalization=normalization)
        check_factory(title, conv=conv, activation=activation, **given)
        super().__init__()
        self.fit, self.mode, self.blocks = fit, mode, [tuple(channels) for channels in blocks]
        post = activation_mode == "post"
        half = len(blocks) // 2
        inside = skips_by_block(title, skips, blocks)
        same: dict[str, Any] = {
            "kernel_sizes": kernel_sizes,
            "conv": conv,
            "strides": strides,
            "activation": activation,
            "normalization": normalization,
            "paddings": paddings,
            "padding_modes": padding_modes,
            "activation_mode": activation_mode,
        }
        numbers = []
        for index, channels in enumerate(blocks):
            if index > half:
                raised = sampler(upsample or _finer(), blocks[index - 1][-1], channels[0])
                check_between(title, "upsample", raised, index, blocks, dims=self.dims)
                self._check_join(title, index)
                self.add(raised)
                if post and normalization is not None:
                    self.add(normalization(channels[0]))
                self.mark("join", index)
                if post:
                    self.add(activation_of(activation, pure=False))
            doubled = [2 * channels[0], *channels[1:]] if index > half and mode == "concat" else channels
            final = index == len(blocks) - 1
            ends = (normalize_last, activate_last) if final else (post, post)
            block = ConvBlock(doubled, skips=inside[index], normalize_last=ends[0], activate_last=ends[1], **same)
            if index == 0:
                self.dims = block.dims
            numbers.append((self.add(block), block))
            if index < half:
                self.mark("keep", index)
                lowered = sampler(downsample or _coarser(self.dims), channels[-1], blocks[index + 1][0])
                check_between(title, "downsample", lowered, index + 1, blocks, dims=self.dims)
                self.add(lowered, what="lower")
        self.first_conv = f"layers.{numbers[0][0]}.{numbers[0][1].first_conv}"
        self.classifier = f"layers.{numbers[-1][0]}.{numbers[-1][1].classifier}"
        # Whether convolutions keep the size, so that levels alone may change it.
        self.keeping = strides is None and (paddings == "same" or set(paddings if _words(paddings) else ()) == {"same"})
        self.multiples = self._multiples(title) if fit == "pad" else ()
        self._complete(weights)

    def forward(self, x: Tensor) -> Tensor:
        axes = self.dims or x.ndim - 2
        size = x.shape[-axes:]
        if self.fit == "pad":
            missing = [-pixels % step for pixels, step in zip(size, self.multiples, strict=True)]
            return crop(self.run(F.pad(x, [amount for after in reversed(missing) for amount in (0, after)])), size)
        if self.fit == "refuse":
            self.check_size(size, ', or take fit="pad"')
        out = self.run(x)
        if self.keeping and tuple(out.shape[-axes:]) != tuple(size):
            had, got = ([int(pixels) for pixels in pair] for pair in (size, out.shape[-axes:]))
            warnings.warn(
                f"{type(self).__name__}: {had} pixels give {got}, since its levels don't divide them, as in the "
                'original; fit="pad" keeps them, fit="refuse" says which sizes fit.',
                stacklevel=2,
            )
        return out

    def output_size(self, pixels: int, axis: int = 0) -> int | None:
        """Pixels of the result along an axis of `pixels`; None where such an axis doesn't go through.

        Raises:
            TypeError: a layer is not one whose arithmetic is known.
        """
        if self.fit == "pad":
            filled = -(-pixels // self.multiples[axis]) * self.multiples[axis]
            return pixels if self.walked(filled, axis) == filled else None
        return self.walked(pixels, axis, whole=self.fit == "refuse")

    def joined(self, x: Tensor, kept: Mapping[int, Tensor], number: int) -> Tensor:
        have, want = self._channels(number)
        below = kept[len(self.blocks) - 1 - number]
        skip = fitted(x, below, have=have, want=want, dims=self.dims, of=type(self).__name__)
        return x + skip if self.mode == "sum" else mcore.cat((skip, x), dim=-(self.dims or x.ndim - 2) - 1)

    def joined_size(self, pixels: int, kept: Mapping[int, int], number: int) -> int | None:
        return pixels if kept[len(self.blocks) - 1 - number] >= pixels else None

    def _channels(self, number: int) -> tuple[int, int]:
        """Channels that the skip to a block has, and that it needs."""
        return self.blocks[len(self.blocks) - 1 - number][-1], self.blocks[number][0]

    def _check_join(self, title: str, number: int) -> None:
        have, want = self._channels(number)
        if have < want:
            raise ValueError(
                f"{title}: block {len(self.blocks) - 1 - number} gives {have} channels to block {number}, which "
                f"starts with {want}; it must give as many, or more, of which the middle is taken."
            )

    def _multiples(self, title: str) -> tuple[int, ...]:
        """Pixels of which sizes are multiples that come out as they went in, by axis."""
        if self.dims is None:
            raise ValueError(f'{title}: fit="pad" needs the number of axes; give kernel_sizes by axis.')
        found = []
        for axis in range(self.dims):
            # Several sizes of each, so that none fits by chance; large ones, so that none is too small.
            fits = (
                step
                for step in range(1, _COARSEST + 1)
                if all(self.walked(step * many, axis) == step * many for many in (8, 9, 11))
            )
            found.append(next(fits, 0))
        if 0 in found:
            raise ValueError(f'{title}: fit="pad" keeps the size, which these paddings, strides or samplers don\'t.')
        return tuple(found)


def join_mode(title: str, unet_skip_mode: str, skip_mode: str | None) -> str:
    """How maps join, from the original's name and the other.

    Raises:
        ValueError: it is neither "sum" nor "concat".
        TypeError: the two differ.
    """
    one_of(("sum", "concat"), of=title, unet_skip_mode=unet_skip_mode)
    one_of(("sum", "concat", None), of=title, skip_mode=skip_mode)
    if skip_mode is not None and unet_skip_mode not in ("sum", skip_mode):
        raise TypeError(f"{title}: unet_skip_mode={unet_skip_mode!r} and skip_mode={skip_mode!r} are one; give one.")
    return skip_mode or unet_skip_mode


def block_channels(
    title: str,
    list_num_channels: Sequence[Sequence[int]] | None,
    layers_enc: Sequence[Any] | None,
    layers_dec: Sequence[Any] | None,
    in_channels: int | None,
) -> list[list[int]]:
    """Channels of each block, from the original's list, or from the two ways apart.

    >>> block_channels("UNet", None, [32, 64, 128], [128, 64, 32], None)
    [[1, 32, 32], [32, 64, 64], [64, 128, 64], [64, 64, 32], [32, 32, 32]]

    Raises:
        TypeError: both are given, or only a part.
        ValueError: the two ways don't fit.
    """
    if list_num_channels is not None:
        if layers_enc is not None or layers_dec is not None or in_channels is not None:
            raise TypeError(
                f"{title}: list_num_channels says it all; leave layers_enc, layers_dec and in_channels out."
            )
        return [[*channels] for channels in list_num_channels]
    if layers_enc is None or layers_dec is None:
        raise TypeError(f"{title} needs list_num_channels, or layers_enc and layers_dec.")
    down, up = [*layers_enc], [*layers_dec]
    plain = [isinstance(entry, int) for entry in (*down, *up)]
    if any(plain) and not all(plain):
        raise TypeError(
            f"{title}: layers_enc={down} and layers_dec={up} are plain channels, or lists of them, not both."
        )
    if not any(plain):
        if in_channels is not None:
            raise TypeError(f"{title}: in_channels={in_channels} stands in the first list of layers_enc already.")
        return [[*channels] for channels in (*down, *up)]
    if not down or len(down) != len(up) or down[-1] != up[0]:
        raise ValueError(
            f"{title}: layers_enc={down} and layers_dec={up} must be as many levels, of which the coarsest, the last of "
            "the one and the first of the other, is the same."
        )
    before = [1 if in_channels is None else in_channels, *down[:-1]]
    if len(down) == 1:
        return [[before[0], down[0], down[0]]]
    blocks = [[come, width, width] for come, width in zip(before[:-1], down[:-1], strict=True)]
    # Each block on the way up ends with the channels of the map that joins next.
    blocks.append([before[-1], down[-1], down[-2]])
    joining = down[-2::-1]
    for index, (skip, width) in enumerate(zip(joining, up[1:], strict=True)):
        blocks.append([skip, width, joining[index + 1] if index + 1 < len(joining) else width])
    return blocks


def check_blocks(title: str, blocks: Sequence[Sequence[int]]) -> None:
    """Refuses an even number of blocks.

    Raises:
        ValueError: it is even.
    """
    if len(blocks) % 2 == 0:
        raise ValueError(
            f"{title}: list_num_channels has {len(blocks)} blocks; it needs an odd number: as many up as down, and "
            "the middle one."
        )


def check_between(
    title: str, name: str, layer: Any, number: int, blocks: Sequence[Sequence[int]], *, dims: int | None
) -> None:
    """Refuses what lies between a block and the one before it, where it can't give what the block takes.

    Raises:
        ValueError: it keeps channels that the block doesn't take, or has other axes than the convolutions.
    """
    comes, wanted = blocks[number - 1][-1], blocks[number][0]
    if keeps_channels(layer) and comes != wanted:
        raise ValueError(
            f"{title}: block {number - 1} gives {comes} channels, which {type(layer).__name__} keeps, but block "
            f"{number} starts with {wanted}; let them agree, or let {name} change them."
        )
    count = axes_of(layer)
    if count is not None and dims is not None and count != dims:
        raise ValueError(
            f"{title}: {name} makes a {type(layer).__name__} of {count} axes, but convolutions have {dims}."
        )


def skips_by_block(
    title: str, skips: Mapping[str, int] | None, blocks: Sequence[Sequence[int]]
) -> list[dict[str, int]]:
    """The skips that each block has enough convolutions for; the longest block must take all.

    Raises:
        ValueError: one fits no block.
    """
    counts = [len(channels) - 1 for channels in blocks]
    pairs = edges(title, skips, max(counts))
    return [{str(start): end for start, end in pairs if end <= count} for count in counts]


def _given(**factories: Any) -> dict[str, Any]:
    return {name: value for name, value in factories.items() if value is not None}


def _words(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _coarser(dims: int | None) -> Factory:
    return partial(LAYERS[2 if dims is None else dims].avg_pool, 2)


def _finer() -> Factory:
    return partial(mcore.Upsample, scale_factor=2)
