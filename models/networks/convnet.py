"""The connectomics convnet's U-Net.

Source: `UNet` of zetta_utils' convnet (github.com/ZettaAI/zetta_utils), versions from 0.0.2 on, by what running it
showed; earlier versions are in `convnet_v1.py` and `convnet_v0.py`.
Names: layers are numbered as there, so its files of weights load as they are.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import mcore
from mcore import Conv2d, LeakyReLU, Tensor
from mcore import functional as F
from models.backbones.base import Weights
from models.basicblocks.layers import Factory
from models.functional.sizes import crop
from models.networks.convnet_block import ConvBlock
from models.networks.convnet_channels import block_channels, join_mode
from models.networks.convnet_levels import Levels, Parts
from models.networks.convnet_program import Setting, activation_of, fitted, sampler
from models.utils.arguments import one_of

# The largest strides of all levels together that padding is looked for.
_COARSEST = 1024


class UNet(Levels):
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
    advice = '; fit="pad" keeps them, fit="refuse" says which sizes fit'

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
        blocks = block_channels(title, list_num_channels, layers_enc, layers_dec, in_channels)
        post = activation_mode == "post"
        super().__init__(
            blocks,
            Parts(
                kernel_sizes,
                conv,
                strides,
                activation,
                normalization,
                paddings,
                padding_modes,
                downsample,
                upsample,
                activation_mode,
            ),
            skips=skips,
            ends=(normalize_last, activate_last),
            inner=post,
            mode=join_mode(title, unet_skip_mode, skip_mode),
        )
        self.fit = fit
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
        return self.told(x, self.run(x))

    def output_size(self, pixels: int, axis: int = 0) -> int | None:
        """Pixels of the result along an axis of `pixels`; None where such an axis doesn't go through.

        Raises:
            TypeError: a layer is not one whose arithmetic is known.
        """
        if self.fit == "pad":
            filled = -(-pixels // self.multiples[axis]) * self.multiples[axis]
            return pixels if self.walked(filled, axis) == filled else None
        return self.walked(pixels, axis, whole=self.fit == "refuse")

    def between(self, index: int, parts: Parts) -> None:
        channels, post = self.blocks[index][0], parts.activation_mode == "post"
        if index <= self.middle:
            self.mark("keep", index - 1)
            self.add(self.lowering(index, parts, sampler), what="lower")
            return
        self._check_join(index)
        self.add(self.raising(index, parts, sampler))
        if post and parts.normalization is not None:
            self.add(parts.normalization(channels))
        self.mark("join", index)
        if post:
            self.add(activation_of(parts.activation, pure=False))

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

    def _check_join(self, number: int) -> None:
        (have, want), other = self._channels(number), len(self.blocks) - 1 - number
        if have < want:
            raise ValueError(
                f"{type(self).__name__}: block {other} gives {have} channels to block {number}, which starts with "
                f"{want}; it must give as many, or more, of which the middle is taken."
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


__all__ = ["ConvBlock", "UNet"]
