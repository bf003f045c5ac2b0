"""What the convnet's U-Nets of all versions share: a block for each level on both ways."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import mcore
from mcore import Module, Tensor
from models.basicblocks.layers import LAYERS, Factory
from models.networks.convnet_block import ConvBlock
from models.networks.convnet_channels import check_between, check_blocks, skips_by_block
from models.networks.convnet_program import Programmed, Setting
from models.utils.arguments import constructors


@dataclass(frozen=True)
class Parts:
    """What blocks are made of, and what lowers and raises maps between them; None stands for a half, and twice."""

    kernel_sizes: Setting
    conv: Factory
    strides: Setting | None
    activation: Factory
    normalization: Factory | None
    paddings: Setting
    padding_modes: str | Sequence[str]
    downsample: Factory | None = None
    upsample: Factory | None = None
    activation_mode: str = "post"

    def of_block(self) -> dict[str, Any]:
        """Arguments of a ConvBlock."""
        others = ("downsample", "upsample")
        return {part.name: getattr(self, part.name) for part in fields(self) if part.name not in others}


class Levels(Programmed):
    """Abstract: blocks down, in the middle and up; a version says in `between` what leads from one to the next.

    Args:
        blocks: channels of each block.
        parts: what they are made of.
        skips: inside blocks.
        ends: whether norm and activation follow the very last convolution.
        inner: whether they follow the last of every other block.
        mode: how maps join: "sum", or "concat", in front of what was raised.
    """

    # What a version advises where a result is smaller than the image.
    advice = ""

    def __init__(
        self,
        blocks: Sequence[Sequence[int]],
        parts: Parts,
        *,
        skips: Mapping[str, int] | None,
        ends: tuple[bool, bool],
        inner: bool = True,
        mode: str = "sum",
    ) -> None:
        title = type(self).__name__
        check_blocks(title, blocks)
        optional = ("normalization", "downsample", "upsample")
        factories = {name: getattr(parts, name) for name in ("conv", "activation", *optional)}
        constructors(of=title, optional=optional, **factories)
        super().__init__()
        self.blocks, self.middle, self.mode = [tuple(channels) for channels in blocks], len(blocks) // 2, mode
        inside, made = skips_by_block(title, skips, blocks), []
        for index, channels in enumerate(self.blocks):
            if index:
                self.between(index, parts)
            wide = (2 * channels[0], *channels[1:]) if mode == "concat" and index > self.middle else channels
            norm, act = ends if index == len(blocks) - 1 else (inner, inner)
            block = ConvBlock(wide, skips=inside[index], normalize_last=norm, activate_last=act, **parts.of_block())
            if index == 0:
                self.dims = block.dims
            made.append(f"layers.{self.add(block)}")
        #: Whether convolutions keep the size, so that levels alone may change it.
        self.keeping = all(layer.keeping for layer in self.layers if isinstance(layer, ConvBlock))
        self.first_conv = f"{made[0]}.{self.layers[0].first_conv}"
        self.classifier = f"{made[-1]}.{self.layers[-1].classifier}"

    def forward(self, x: Tensor) -> Tensor:
        return self.told(x, self.run(x))

    def told(self, x: Tensor, out: Tensor) -> Tensor:
        """The result, with a warning where levels made it smaller than the image."""
        axes = self.dims or x.ndim - 2
        if self.keeping and tuple(out.shape[-axes:]) != tuple(x.shape[-axes:]):
            had, got = ([int(pixels) for pixels in size[-axes:]] for size in (x.shape, out.shape))
            warnings.warn(
                f"{type(self).__name__}: {had} pixels give {got}, since its levels don't divide them, as in the "
                f"original{self.advice}.",
                stacklevel=3,
            )
        return out

    def between(self, index: int, parts: Parts) -> None:
        """Puts in what leads from the block before to the one of this number."""
        raise NotImplementedError(f"{type(self).__name__} has nothing between blocks.")

    def lowering(self, index: int, parts: Parts, make: Callable[[Factory, int, int], Module]) -> Module:
        """What lowers a map for a block."""
        halves = partial(LAYERS[self.dims or 2].avg_pool, 2)
        return self._made("downsample", parts.downsample or halves, index, make)

    def raising(self, index: int, parts: Parts, make: Callable[[Factory, int, int], Module]) -> Module:
        """What raises a map for a block."""
        return self._made("upsample", parts.upsample or partial(mcore.Upsample, scale_factor=2), index, make)

    def _made(self, name: str, factory: Factory, index: int, make: Callable[[Factory, int, int], Module]) -> Module:
        layer = make(factory, self.blocks[index - 1][-1], self.blocks[index][0])
        check_between(type(self).__name__, name, layer, index, self.blocks, dims=self.dims)
        return layer
