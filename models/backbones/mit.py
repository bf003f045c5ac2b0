"""MixVision transformers, the backbones of SegFormer.

Source: Xie et al., "SegFormer", arXiv:2105.15203, section 3.1 and table 6.
Names: attributes are the authors' (and segmentation-models'), so their weights load as they are.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from mcore import GELU, Linear, Module, Sequential, Tensor
from models.attention.spatial_reduction import SpatialReductionAttention
from models.backbones.base import Backbone, Weights, levels_of, row_of
from models.basicblocks.drop import rising
from models.basicblocks.layers import layers
from models.basicblocks.mlp import pointwise
from models.basicblocks.norm import ChannelNorm
from models.basicblocks.transformer import TransformerBlock
from models.component import sized
from models.utils.initialise import normal_fan_out, truncated_normal


class Row(NamedTuple):
    """One size: channels and blocks of the four stages."""

    channels: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]


NARROW, WIDE = (32, 64, 160, 256), (64, 128, 320, 512)

SIZES = {
    "mit_b0": Row(NARROW, (2, 2, 2, 2)),
    "mit_b1": Row(WIDE, (2, 2, 2, 2)),
    "mit_b2": Row(WIDE, (3, 4, 6, 3)),
    "mit_b3": Row(WIDE, (3, 4, 18, 3)),
    "mit_b4": Row(WIDE, (3, 8, 27, 3)),
    "mit_b5": Row(WIDE, (3, 6, 40, 3)),
}

# By stage: heads, and how many pixels along every axis make one key and value.
HEADS, REDUCTIONS = (1, 2, 5, 8), (8, 4, 2, 1)
# Of the norms of patches, and of all others but those of keys: the originals differ.
PATCH_EPS, EPS = 1e-5, 1e-6


class MixVisionTransformer(Backbone):
    """A MixVision transformer: a tuple of feature maps, finest first; with `num_classes` a classifier.

    Shapes:
        x: (n, in_channels, *size), at least 29 pixels along each axis
        returns: one (n, channels, *ceil(size / stride)) for each of `features`; or (n, num_classes)

    Pixels take from keys that stand for 8x8, 4x4 or 2x2 pixels each, according to the stage; those at the end that
    fill no such patch have no key, which makes no difference for multiples of 32 pixels.

    Args:
        variant: a row of `SIZES`.
        in_channels: channels of the image.
        num_classes: makes it the classifier of the mean over the last map, as it was trained on ImageNet; None, a
            backbone without one.
        dims: 1, 2 or 3 for sequences, images or volumes.
        out_indices: levels to return, 1 at stride 4 to 4 at stride 32; those after the last aren't built.
        drop_path_rate: the share of samples that lose the last block in training, 0.1 when it was published; it
            rises from 0 at the first.
        frozen_stages: the last stage that isn't trained, from 1; 0 freezes nothing yet, for there is no stem apart;
            -1 trains all.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "patch_embed1.proj", "head"

    def __init__(
        self,
        variant: str,
        in_channels: int = 3,
        *,
        num_classes: int | None = None,
        dims: Literal[1, 2, 3] = 2,
        out_indices: Sequence[int] | None = None,
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        weights: Weights = None,
    ) -> None:
        row = row_of(SIZES, variant, of="MixVisionTransformer")
        super().__init__(
            variant, levels_of(row.channels, first=1), dims=dims, num_classes=num_classes, out_indices=out_indices
        )
        rates = rising(drop_path_rate, row.depths)
        built = range(1, self.last_level + 1)
        for number in built:
            before = in_channels if number == 1 else row.channels[number - 2]
            embed = _patch_embed(before, row.channels[number - 1], first=number == 1, dims=dims)
            self.add_module(f"patch_embed{number}", embed)
        for number in built:
            channels = row.channels[number - 1]
            blocks = (
                _block(channels, HEADS[number - 1], REDUCTIONS[number - 1], rate, dims) for rate in rates[number - 1]
            )
            self.add_module(f"block{number}", Sequential(*blocks))
            # Of a map that nobody asked for, the norm still feeds the next stage.
            self.add_module(f"norm{number}", ChannelNorm(channels, eps=EPS))
        if num_classes is not None:
            self.head = Linear(row.channels[-1], num_classes)
        truncated_normal(self)
        normal_fan_out(self)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        maps = []
        for number in range(1, self.last_level + 1):
            for part in ("patch_embed", "block", "norm"):
                x = getattr(self, f"{part}{number}")(x)
            maps.append(x)
        return self.chosen(maps, first=1) if self.num_classes is None else self.head(x.flatten(2).mean(2))

    def by_stage(self) -> list[list[Module]]:
        parts = ("patch_embed", "block", "norm")
        numbers = range(1, self.last_level + 1)
        return [[], *([getattr(self, f"{part}{number}") for part in parts] for number in numbers)]


class MixMLP(Module):
    """An MLP with a depthwise convolution in it, which tells positions apart without embeddings: Mix-FFN.

    Shapes:
        x: (n, channels, *size)
        returns: the same

    Source: section 3.1, equation 3.
    """

    def __init__(self, channels: int, hidden: int, *, dims: int = 2) -> None:
        super().__init__()
        self.fc1 = Linear(channels, hidden)
        self.dwconv = Sequential()
        conv = layers(dims, of="MixMLP").conv(hidden, hidden, 3, padding=1, groups=hidden)
        self.dwconv.add_module("dwconv", conv)
        self.act = GELU()
        self.fc2 = Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        return pointwise(self.fc2, self.act(self.dwconv(pointwise(self.fc1, x))))


def _patch_embed(in_channels: int, channels: int, *, first: bool, dims: int) -> Sequential:
    """A strided convolution whose patches overlap, and a norm."""
    embed, size, stride = Sequential(), 7 if first else 3, 4 if first else 2
    conv = layers(dims, of="MixVisionTransformer").conv(in_channels, channels, size, stride=stride, padding=size // 2)
    embed.add_module("proj", conv)
    embed.add_module("norm", ChannelNorm(channels, eps=PATCH_EPS))
    return embed


def _block(channels: int, heads: int, reduction: int, rate: float, dims: int) -> TransformerBlock:
    return TransformerBlock(
        channels,
        attention=SpatialReductionAttention(channels, heads, reduction=reduction, dims=dims),
        mlp=MixMLP(channels, 4 * channels, dims=dims),
        drop_path=rate,
        eps=EPS,
    )


mit_b0 = sized(MixVisionTransformer, "mit_b0")
mit_b1 = sized(MixVisionTransformer, "mit_b1")
mit_b2 = sized(MixVisionTransformer, "mit_b2")
mit_b3 = sized(MixVisionTransformer, "mit_b3")
mit_b4 = sized(MixVisionTransformer, "mit_b4")
mit_b5 = sized(MixVisionTransformer, "mit_b5")
