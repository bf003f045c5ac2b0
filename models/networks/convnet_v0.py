"""The connectomics convnet's first U-Net, version 0.0.0: files of weights from then need it.

Source: the deprecated `UNet` (0.0.0) of zetta_utils' convnet (github.com/ZettaAI/zetta_utils), by what running it
showed.
Names: layers are numbered as there, so its files of weights load as they are.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import mcore
from mcore import AvgPool2d, Conv2d, LeakyReLU, Module, Tensor
from mcore.specs import takes
from models.backbones.base import Weights
from models.basicblocks.layers import Factory
from models.networks import convnet
from models.networks.convnet_program import Programmed, Setting, activation_of, check_factory


class UNet(Programmed):
    """The convnet's U-Net of version 0.0.0: lowered maps join before a map is raised.

    Shapes:
        x: (n, list_num_channels[0][0], *size), of sizes that the levels divide
        returns: (n, list_num_channels[-1][-1], *size)

    Args:
        list_num_channels: channels of each block, an odd number of them: down, the middle, and up. What a block on
            the way up, or the middle one, ends with is added to what its level started with.
        kernel_sizes: of the convolutions of every block: see `models.networks.convnet.ConvBlock`.
        conv: see there.
        strides: see there.
        downsample: makes what lowers a map, from nothing, or from channels in and out where it needs them.
        upsample: makes what raises a map, from channels in and out, or from nothing where it doesn't take these.
        activation: see there.
        normalization: see there.
        paddings: see there.
        skips: inside blocks, of each that has so many convolutions: see there.
        normalize_last: whether a norm follows the very last convolution.
        activate_last: whether an activation does.
        padding_modes: see there.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Source: zetta_utils' `UNet`, version 0.0.0.

    Raises:
        ValueError: the number of blocks is even, or channels of neighbours don't fit.
        TypeError: a factory is none.
    """

    version = "0.0.0"

    def __init__(
        self,
        list_num_channels: Sequence[Sequence[int]],
        kernel_sizes: Setting = 3,
        conv: Factory = Conv2d,
        strides: Setting | None = None,
        downsample: Factory = partial(AvgPool2d, kernel_size=2),
        upsample: Factory = partial(mcore.Upsample, scale_factor=2),
        activation: Factory = LeakyReLU,
        normalization: Factory | None = None,
        paddings: Setting = "same",
        skips: Mapping[str, int] | None = None,
        normalize_last: bool = False,
        activate_last: bool = False,
        padding_modes: str | Sequence[str] = "zeros",
        *,
        weights: Weights = None,
    ) -> None:
        title = type(self).__name__
        convnet.check_blocks(title, list_num_channels)
        check_factory(title, conv=conv, activation=activation, downsample=downsample, upsample=upsample)
        if normalization is not None:
            check_factory(title, normalization=normalization)
        super().__init__()
        blocks, half = [tuple(channels) for channels in list_num_channels], len(list_num_channels) // 2
        inside = convnet.skips_by_block(title, skips, blocks)
        same: dict[str, Any] = {
            "kernel_sizes": kernel_sizes,
            "conv": conv,
            "strides": strides,
            "activation": activation,
            "normalization": normalization,
            "paddings": paddings,
            "padding_modes": padding_modes,
        }
        numbers = []
        for index, channels in enumerate(blocks):
            if index:
                self._add_between(
                    title, index, blocks, downsample if index <= half else upsample, normalization, activation
                )
            final = index == len(blocks) - 1
            ends = (normalize_last, activate_last) if final else (True, True)
            block = convnet.ConvBlock(
                channels, skips=inside[index], normalize_last=ends[0], activate_last=ends[1], **same
            )
            if index == 0:
                self.dims = block.dims
            numbers.append((self.add(block), block))
        self.first_conv = f"layers.{numbers[0][0]}.{numbers[0][1].first_conv}"
        self.classifier = f"layers.{numbers[-1][0]}.{numbers[-1][1].classifier}"
        self._complete(weights)

    def joined(self, x: Tensor, kept: Mapping[int, Tensor], number: int) -> Tensor:
        return x + kept[number]

    def joined_size(self, pixels: int, kept: Mapping[int, int], number: int) -> int | None:
        return pixels if kept[number] == pixels else None

    def _add_between(
        self,
        title: str,
        index: int,
        blocks: Sequence[Sequence[int]],
        factory: Factory,
        normalization: Factory | None,
        activation: Factory,
    ) -> None:
        """What leads from the block before to this one."""
        lowers = index <= len(blocks) // 2
        comes, wanted = blocks[index - 1][-1], blocks[index][0]
        if not lowers:
            self._check_join(title, index, blocks)
            self.mark("join", len(blocks) - index)
        layer = _lowering(factory, comes, wanted) if lowers else _raising(factory, comes, wanted)
        way = "downsample" if lowers else "upsample"
        convnet.check_between(title, way, layer, index, blocks, dims=self.dims)
        self.add(layer, what="lower" if lowers else "run")
        if normalization is not None:
            self.add(normalization(wanted))
        self.add(activation_of(activation, pure=False))
        if lowers:
            self.mark("keep", index)

    def _check_join(self, title: str, index: int, blocks: Sequence[Sequence[int]]) -> None:
        level = len(blocks) - index
        have, want = blocks[level][0], blocks[index - 1][-1]
        # One channel is added to all.
        if have not in (1, want):
            raise ValueError(
                f"{title}: block {level} starts with {have} channels, which are added to the {want} that block "
                f"{index - 1} ends with; let them agree."
            )


def _lowering(factory: Factory, in_channels: int, out_channels: int) -> Module:
    return factory() if takes(factory) else factory(in_channels, out_channels)


def _raising(factory: Factory, in_channels: int, out_channels: int) -> Module:
    return factory(in_channels, out_channels) if takes(factory, in_channels, out_channels) else factory()
