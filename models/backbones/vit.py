"""Vision transformers.

Source: Dosovitskiy et al., "An Image is Worth 16x16 Words", arXiv:2010.11929, table 1; the tiny and small sizes from
Touvron et al., "Training data-efficient image transformers", arXiv:2012.12877, table 1, whose networks without the
distillation token are the same.
Names: attributes are timm's, so its weights load as they are; `rename: torchvision_vit` takes torchvision's.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import mcore
from mcore import Linear, Module, Parameter, Sequential, Tensor, init, zeros
from mcore import functional as F
from models.backbones.base import Backbone, Level, Weights, row_of
from models.basicblocks.drop import rising
from models.basicblocks.layers import layers
from models.basicblocks.norm import ChannelNorm
from models.basicblocks.transformer import TransformerBlock
from models.component import sized
from models.functional.sizes import pad_to_multiple, resize
from models.utils.initialise import truncated_normal


class Row(NamedTuple):
    """One size: channels, blocks, heads, and pixels along every axis of a patch."""

    width: int
    depth: int
    heads: int
    patch: int = 16


SIZES = {
    "vit_tiny_patch16_224": Row(192, 12, 3),
    "vit_small_patch16_224": Row(384, 12, 6),
    "vit_base_patch16_224": Row(768, 12, 12),
    "vit_large_patch16_224": Row(1024, 24, 16),
    "vit_small_patch32_224": Row(384, 12, 6, patch=32),
    "vit_base_patch32_224": Row(768, 12, 12, patch=32),
    "vit_large_patch32_224": Row(1024, 24, 16, patch=32),
    "deit_tiny_patch16_224": Row(192, 12, 3),
    "deit_small_patch16_224": Row(384, 12, 6),
    "deit_base_patch16_224": Row(768, 12, 12),
}


class VisionTransformer(Backbone):
    """A vision transformer: maps after some of its blocks, all of one size; with `num_classes` the classifier.

    Shapes:
        x: (n, in_channels, *size), of any size: zeros are put behind the last pixels to fill patches
        returns: one (n, channels, *ceil(size / patch)) for each of `features`; or (n, num_classes)

    Every level has the stride of a patch, 16 or 32; a neck or head that wants a pyramid resizes some.

    Args:
        variant: a row of `SIZES`.
        in_channels: channels of the image.
        num_classes: makes it the classifier, which reads the class token; None, a backbone without one.
        dims: 1, 2 or 3 for sequences, images or volumes; patches have as many axes.
        out_indices: blocks after which to return a map, from 0; those after the last aren't built. By default
            four, evenly: 2, 5, 8 and 11 of twelve.
        image_size: pixels along every axis for which embeddings of positions are learnt; for other sizes they are
            interpolated, for images as timm does (cubic, smoothed where they shrink), else linearly. Published
            weights need the size in their name, which images needn't have.
        drop_path_rate: the share of samples that lose the last block in training; it rises from 0 at the first.
        frozen_stages: 0 freezes what embeds patches and positions, k also the first k blocks; -1 trains all.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Raises:
        ValueError: `image_size` is no multiple of a patch.
    """

    first_conv, classifier = "patch_embed.proj", "head"

    def __init__(
        self,
        variant: str,
        in_channels: int = 3,
        *,
        num_classes: int | None = None,
        dims: Literal[1, 2, 3] = 2,
        out_indices: Sequence[int] | None = None,
        image_size: int = 224,
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        weights: Weights = None,
    ) -> None:
        row = row_of(SIZES, variant, of="VisionTransformer")
        if image_size < 1 or image_size % row.patch:
            raise ValueError(f"{variant}: image_size={image_size} is no multiple of the patch's {row.patch} pixels.")
        super().__init__(
            variant,
            [Level(block, row.width, row.patch) for block in range(row.depth)],
            dims=dims,
            num_classes=num_classes,
            out_indices=[row.depth * k // 4 - 1 for k in (1, 2, 3, 4)] if out_indices is None else out_indices,
        )
        self.patch, self.grid = row.patch, image_size // row.patch
        self.cls_token = Parameter(zeros(1, 1, row.width))
        # The first is the class token's.
        self.pos_embed = Parameter(zeros(1, 1 + self.grid**dims, row.width))
        self.patch_embed = Sequential()
        proj = layers(dims, of=variant).conv(in_channels, row.width, row.patch, stride=row.patch)
        self.patch_embed.add_module("proj", proj)
        rates = rising(drop_path_rate, [row.depth])[0]
        self.blocks = Sequential(
            *(TransformerBlock(row.width, row.heads, drop_path=rate) for rate in rates[: self.last_level + 1])
        )
        if num_classes is not None:
            self.norm = ChannelNorm(row.width)
            self.head = Linear(row.width, num_classes)
        truncated_normal(self)
        init.normal_(self.cls_token, std=1e-6)
        init.trunc_normal_(self.pos_embed, std=0.02)
        self._complete(frozen_stages, weights)
        if frozen_stages >= 0:
            self.cls_token.requires_grad_(False)
            self.pos_embed.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        patches = self.patch_embed(pad_to_multiple(x, self.patch))
        n, channels, *grid = patches.shape
        tokens = mcore.cat([self.cls_token.expand(n, 1, channels), patches.flatten(2).transpose(1, 2)], dim=1)
        # Blocks take maps: channels second, though they stay last in memory.
        x = (tokens + self._positions(grid)).transpose(1, 2)
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.out_indices:
                maps.append(x[:, :, 1:].reshape(n, channels, *grid))
        return tuple(maps) if self.num_classes is None else self.head(self.norm(x[:, :, 0]))

    def by_stage(self) -> list[list[Module]]:
        return [[self.patch_embed], *([block] for block in self.blocks)]

    def _positions(self, grid: Sequence[int]) -> Tensor:
        """The embeddings of positions for a grid of patches, the class token's first: (1, 1 + patches, channels)."""
        learnt = self.pos_embed[:, 1:].transpose(1, 2).unflatten(2, (self.grid,) * self.dims)
        if self.dims == 2:
            there = F.interpolate(learnt, size=tuple(grid), mode="bicubic", align_corners=False, antialias=True)
        else:
            there = resize(learnt, grid)
        return mcore.cat([self.pos_embed[:, :1], there.flatten(2).transpose(1, 2)], dim=1)


vit_tiny_patch16_224 = sized(VisionTransformer, "vit_tiny_patch16_224")
vit_small_patch16_224 = sized(VisionTransformer, "vit_small_patch16_224")
vit_base_patch16_224 = sized(VisionTransformer, "vit_base_patch16_224")
vit_large_patch16_224 = sized(VisionTransformer, "vit_large_patch16_224")
vit_small_patch32_224 = sized(VisionTransformer, "vit_small_patch32_224")
vit_base_patch32_224 = sized(VisionTransformer, "vit_base_patch32_224")
vit_large_patch32_224 = sized(VisionTransformer, "vit_large_patch32_224")
deit_tiny_patch16_224 = sized(VisionTransformer, "deit_tiny_patch16_224")
deit_small_patch16_224 = sized(VisionTransformer, "deit_small_patch16_224")
deit_base_patch16_224 = sized(VisionTransformer, "deit_base_patch16_224")
