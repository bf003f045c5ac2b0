"""The connectomics convnet's first U-Net, version 0.0.0: files of weights from then need it.

Source: the deprecated `UNet` (0.0.0) of zetta_utils' convnet (github.com/ZettaAI/zetta_utils), by what running it
showed.
Names: layers are numbered as there, so its files of weights load as they are.
"""

from collections.abc import Mapping, Sequence

from mcore import Conv2d, LeakyReLU, Module, Tensor
from mcore.specs import takes
from models.backbones.base import Weights
from models.basicblocks.layers import Factory
from models.networks.convnet_levels import Levels, Parts
from models.networks.convnet_program import Setting, activation_of, added


class UNet(Levels):
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
        downsample: makes what lowers a map, from nothing, or from channels in and out where it needs them; means of
            2 pixels along every axis, where left out.
        upsample: makes what raises a map, from channels in and out, or from nothing where it doesn't take these;
            twice as fine, where left out.
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
        downsample: Factory | None = None,
        upsample: Factory | None = None,
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
        parts = Parts(
            kernel_sizes, conv, strides, activation, normalization, paddings, padding_modes, downsample, upsample
        )
        super().__init__(list_num_channels, parts, skips=skips, ends=(normalize_last, activate_last))
        self._complete(weights)

    def between(self, index: int, parts: Parts) -> None:
        lowers = index <= self.middle
        if not lowers:
            self._check_join(index)
            self.mark("join", len(self.blocks) - index)
        layer = self.lowering(index, parts, _lowering) if lowers else self.raising(index, parts, _raising)
        self.add(layer, what="lower" if lowers else "run")
        if parts.normalization is not None:
            self.add(parts.normalization(self.blocks[index][0]))
        self.add(activation_of(parts.activation, pure=False))
        if lowers:
            self.mark("keep", index)

    def joined(self, x: Tensor, kept: Mapping[int, Tensor], number: int) -> Tensor:
        return added(x, kept[number], dims=self.dims, of=type(self).__name__)

    def joined_size(self, pixels: int, kept: Mapping[int, int], number: int) -> int | None:
        return pixels if kept[number] == pixels else None

    def _check_join(self, index: int) -> None:
        level = len(self.blocks) - index
        have, want = self.blocks[level][0], self.blocks[index - 1][-1]
        # One channel is added to all.
        if have not in (1, want):
            raise ValueError(
                f"{type(self).__name__}: block {level} starts with {have} channels, which are added to the {want} "
                f"that block {index - 1} ends with; let them agree."
            )


def _lowering(factory: Factory, in_channels: int, out_channels: int) -> Module:
    return factory() if takes(factory) else factory(in_channels, out_channels)


def _raising(factory: Factory, in_channels: int, out_channels: int) -> Module:
    return factory(in_channels, out_channels) if takes(factory, in_channels, out_channels) else factory()
