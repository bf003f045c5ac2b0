"""Swin transformers: attention within windows that move, on maps of four resolutions.

Source: Liu et al., "Swin Transformer", arXiv:2103.14030, figure 3 and section 3.3.
Differs: the authors fix the size of the image; here any size does, padded for patches, windows and mergings as their
code for detection and torchvision do. (timm shifts before it pads windows, which differs where it pads.)
Names: attributes are timm's, so its weights load as they are; `rename: torchvision_swin` takes torchvision's,
`rename: microsoft_swin` the authors'.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from mcore import LayerNorm, Linear, Module, Sequential, Tensor
from models.attention.window import WindowAttention
from models.backbones.base import Backbone, Weights, levels_of, row_of
from models.basicblocks.classifier import fc_head
from models.basicblocks.drop import rising
from models.basicblocks.layers import layers
from models.basicblocks.norm import ChannelNorm
from models.basicblocks.transformer import TransformerBlock
from models.component import sized
from models.functional.sizes import pad_to_multiple
from models.utils.initialise import truncated_normal


class Row(NamedTuple):
    """One size: channels of the first stage, doubled in each next; blocks and heads of the four stages."""

    width: int
    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]


SIZES = {
    "swin_tiny_patch4_window7_224": Row(96, (2, 2, 6, 2), (3, 6, 12, 24)),
    "swin_small_patch4_window7_224": Row(96, (2, 2, 18, 2), (3, 6, 12, 24)),
    "swin_base_patch4_window7_224": Row(128, (2, 2, 18, 2), (4, 8, 16, 32)),
    "swin_large_patch4_window7_224": Row(192, (2, 2, 18, 2), (6, 12, 24, 48)),
}

PATCH, WINDOW, EPS = 4, 7, 1e-5


class SwinTransformer(Backbone):
    """A Swin transformer: a tuple of feature maps, finest first; with `num_classes` the published classifier.

    Shapes:
        x: (n, in_channels, *size), of any size
        returns: one (n, channels, *ceil(size / stride)) for each of `features`; or (n, num_classes)

    Args:
        variant: a row of `SIZES`.
        in_channels: channels of the image.
        num_classes: makes it the classifier; None, a backbone without one.
        dims: 1, 2 or 3 for sequences, images or volumes; windows have as many axes.
        out_indices: levels to return, 1 at stride 4 to 4 at stride 32; those after the last aren't built.
        window: pixels along every axis of a window.
        drop_path_rate: the share of samples that lose the last block in training; it rises from 0 at the first.
        frozen_stages: the last stage that isn't trained, 0 being what embeds patches; -1 trains all.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "patch_embed.proj", "head.fc"

    def __init__(
        self,
        variant: str,
        in_channels: int = 3,
        *,
        num_classes: int | None = None,
        dims: Literal[1, 2, 3] = 2,
        out_indices: Sequence[int] | None = None,
        window: int = WINDOW,
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        weights: Weights = None,
    ) -> None:
        row = row_of(SIZES, variant, of="SwinTransformer")
        channels = [row.width << stage for stage in range(4)]
        super().__init__(
            variant, levels_of(channels, first=1), dims=dims, num_classes=num_classes, out_indices=out_indices
        )
        rates = rising(drop_path_rate, row.depths)
        self.patch_embed = Sequential()
        proj = layers(dims, of=variant).conv(in_channels, row.width, PATCH, stride=PATCH)
        self.patch_embed.add_module("proj", proj)
        self.patch_embed.add_module("norm", ChannelNorm(row.width, eps=EPS))
        self.layers = Sequential(
            *(
                _stage(channels[stage], row.heads[stage], rates[stage], first=stage == 0, window=window, dims=dims)
                for stage in range(self.last_level)
            )
        )
        if num_classes is not None:
            self.norm = ChannelNorm(channels[-1], eps=EPS)
            self.head = fc_head(channels[-1], num_classes)
        truncated_normal(self)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = self.patch_embed(pad_to_multiple(x, PATCH))
        maps = []
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return self.chosen(maps, first=1) if self.num_classes is None else self.head(self.norm(x).flatten(2).mean(2))

    def by_stage(self) -> list[list[Module]]:
        return [[self.patch_embed], *([layer] for layer in self.layers)]


class PatchMerging(Module):
    """Halves the resolution: the channels of each two pixels along every axis, normed, mapped to twice as many.

    Shapes:
        x: (n, channels, *size), of any size: zeros are put behind an odd one
        returns: (n, 2 * channels, *ceil(size / 2))
    """

    def __init__(self, channels: int, *, dims: int = 2) -> None:
        super().__init__()
        self.dims = dims
        self.norm = LayerNorm(2**dims * channels, eps=EPS)
        self.reduction = Linear(2**dims * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = pad_to_multiple(x, 2).movedim(1, -1)
        n, *size, channels = x.shape
        x = x.reshape(n, *(length for pixels in size for length in (pixels // 2, 2)), channels)
        # The last axis turns slowest, as published weights expect.
        within = range(2 * self.dims, 0, -2)
        x = x.permute(0, *range(1, 2 * self.dims, 2), *within, 2 * self.dims + 1)
        return self.reduction(self.norm(x.flatten(self.dims + 1))).movedim(-1, 1)


def _stage(
    channels: int, heads: int, rates: Sequence[float], *, first: bool, window: int, dims: Literal[1, 2, 3]
) -> Sequential:
    """Merging, which the first stage hasn't, and blocks, every second of which has its windows shifted."""
    stage = Sequential()
    if not first:
        stage.add_module("downsample", PatchMerging(channels // 2, dims=dims))
    blocks = Sequential(
        *(
            TransformerBlock(
                channels,
                attention=WindowAttention(channels, heads, window=window, shifted=number % 2 == 1, dims=dims),
                drop_path=rate,
                eps=EPS,
            )
            for number, rate in enumerate(rates)
        )
    )
    stage.add_module("blocks", blocks)
    return stage


swin_tiny_patch4_window7_224 = sized(SwinTransformer, "swin_tiny_patch4_window7_224")
swin_small_patch4_window7_224 = sized(SwinTransformer, "swin_small_patch4_window7_224")
swin_base_patch4_window7_224 = sized(SwinTransformer, "swin_base_patch4_window7_224")
swin_large_patch4_window7_224 = sized(SwinTransformer, "swin_large_patch4_window7_224")
