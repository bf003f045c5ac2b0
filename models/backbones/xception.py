"""Xception backbones and classifiers: aligned, as in segmentation, and as it was first published.

Source: Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", arXiv:1610.02357, figure 5;
aligned: Chen et al., "Encoder-Decoder with Atrous Separable Convolution", arXiv:1802.02611, figure 4.
Names: attributes are timm's, so its weights load as they are; Cadene's by {"last_linear.": "fc."}.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from mcore import Linear, Module, Sequential, Tensor
from mcore import functional as F
from models.backbones.base import Backbone, Weights, levels_of, row_of, steps_to
from models.basicblocks.classifier import fc_head
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.inception import Padding, margin
from models.basicblocks.layers import layers
from models.basicblocks.xception import AlignedXceptionBlock, XceptionBlock, depthwise_pointwise
from models.component import sized
from models.utils.initialise import kaiming_fan_out

EPS = 1e-3


class Row(NamedTuple):
    """One size: channels and strides of the entry flow's blocks, and how many the middle flow has."""

    entry: tuple[tuple[int, int], ...]
    middle: int


SHALLOW = ((128, 2), (256, 2), (728, 2))
DEPTHS = {
    "xception41": Row(SHALLOW, 8),
    "xception65": Row(SHALLOW, 16),
    "xception71": Row(((128, 2), (256, 1), (256, 2), (728, 1), (728, 2)), 16),
}

# Of the first Xception, the blocks between one map and the next: channels before and after, and options.
FLOWS: tuple[dict[int, tuple[int, int, dict[str, Any]]], ...] = (
    {1: (64, 128, {"stride": 2, "first_relu": False})},
    {2: (128, 256, {"stride": 2})},
    {3: (256, 728, {"stride": 2}), **{number: (728, 728, {"depth": 3}) for number in range(4, 12)}},
    {12: (728, 1024, {"stride": 2, "grows_first": False})},
)

# Channels of aligned Xception's maps: those inside blocks that stride, and of the last block.
CHANNELS = (128, 256, 728, 1024, 2048)


class AlignedXception(Backbone):
    """Aligned Xception: a tuple of feature maps, finest first; with `num_classes` the published classifier.

    The maps are what the striding convolutions of the four blocks that stride see, and the result.

    Shapes:
        x: (n, in_channels, *size)
        returns: one (n, channels, *ceil(size / stride)) for each of `features`; or (n, num_classes)

    Args:
        variant: a row of `DEPTHS`.
        in_channels: channels of the image.
        num_classes: makes it the classifier; None, a backbone without one.
        dims: 1, 2 or 3 for sequences, images or volumes.
        out_indices: levels to return, 0 at stride 2 to 4 at stride 32; what they don't need isn't built.
        output_stride: 8 or 16 keeps the resolution of later blocks and dilates those after them.
        frozen_stages: the last stage that isn't trained, 0 being the stem and the first block; -1
            trains all.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "stem.0.conv", "head.fc"

    def __init__(
        self,
        variant: str,
        in_channels: int = 3,
        *,
        num_classes: int | None = None,
        dims: Literal[1, 2, 3] = 2,
        out_indices: Sequence[int] | None = None,
        output_stride: Literal[8, 16, 32] = 32,
        frozen_stages: int = -1,
        weights: Weights = None,
    ) -> None:
        row = row_of(DEPTHS, variant, of="AlignedXception")
        levels = levels_of(CHANNELS, output_stride=output_stride)
        super().__init__(variant, levels, dims=dims, num_classes=num_classes, out_indices=out_indices)
        norm = partial(layers(dims, of=variant).batch_norm, eps=EPS)
        conv = partial(ConvNormAct, norm=norm, names=CONV_BN_ACT, dims=dims)
        self.stem = Sequential(conv(in_channels, 32, 3, stride=2), conv(32, 64, 3))
        plan = _plan(row, output_stride, variant)
        #: Where maps come out of: blocks that stride, before they do.
        self._taps = [number for number, block in enumerate(plan) if block.strides]
        end = len(plan) if self.last_level == len(self._taps) else self._taps[self.last_level] + 1
        self.blocks, given = Sequential(), 64
        for number, block in enumerate(plan[:end]):
            made = AlignedXceptionBlock(
                given,
                block.channels,
                stride=block.stride,
                dilation=block.dilation,
                residual=block.residual,
                # Of the last block that gives a map, what comes after it isn't needed.
                whole=number + 1 < end or end == len(plan),
                eps=EPS,
                dims=dims,
            )
            self.blocks.add_module(str(number), made)
            given = block.channels[-1]
        if num_classes is not None:
            self.head = fc_head(given, num_classes)
        kaiming_fan_out(self)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x, maps = self.stem(x), []
        blocks: Any = self.blocks
        for number, block in enumerate(blocks):
            before = block.before_last(x)
            if number in self._taps:
                maps.append(before)
            if len(maps) <= self.last_level:
                x = block.last(before, x)
        if self.num_classes is not None:
            return self.head(x.flatten(2).mean(2))
        return self.chosen([*maps, x])

    def by_stage(self) -> list[list[Module]]:
        blocks, starts = list(self.blocks), [0, *(number + 1 for number in self._taps)]
        stages = [blocks[start:end] for start, end in zip(starts, [*starts[1:], len(blocks)], strict=True)]
        return [[self.stem, *stages[0]], *(stage for stage in stages[1:] if stage)]


class _Block(NamedTuple):
    """How a block is made; `strides` also where it is dilated instead."""

    channels: tuple[int, int, int]
    stride: int
    dilation: int
    strides: bool = False
    residual: bool = True


def _plan(row: Row, output_stride: int, variant: str) -> list[_Block]:
    """Entry flow, middle flow, exit flow."""
    flow = [((width,) * 3, stride, True) for width, stride in row.entry]
    flow += [((728,) * 3, 1, True)] * row.middle
    flow += [((728, 1024, 1024), 2, True), ((1536, 1536, 2048), 1, False)]
    steps = iter(steps_to(output_stride, (2, 2, 2, 2), reached=2, variant=variant))
    plan, dilation = [], 1
    for channels, stride, residual in flow:
        if stride == 1:
            plan.append(_Block(channels, 1, dilation, residual=residual))
            continue
        step = next(steps)
        # A block that would stride still sees what came before it; those after it are dilated.
        plan.append(_Block(channels, step.stride, step.first_dilation, strides=True))
        dilation = step.dilation
    return plan


class Xception(Backbone):
    """Xception as first published: a tuple of feature maps, finest first; with `num_classes` the classifier.

    The maps are after the ReLU that the next block starts with; see `raw_levels`.

    Shapes:
        x: (n, in_channels, *size)
        returns: one (n, channels, *pixels) for each of `features`; or (n, num_classes). The original doesn't
            pad the first two convolutions: the first map has floor((size - 1) / 2) - 2 pixels, later ones half
            of it, rounded up, and so on; with padding="same", pixels are ceil(size / stride)

    Args:
        variant: "legacy_xception".
        in_channels: channels of the image.
        num_classes: makes it the classifier; None, a backbone without one.
        dims: 1, 2 or 3 for sequences, images or volumes.
        out_indices: levels to return, 0 at stride 2 to 4 at stride 32; those after the last aren't built.
        padding: "valid" is the original's; "same" suits decoders, and the weights serve it too.
        raw_levels: levels 1 to 4 are what blocks give, before that ReLU: as segmentation-models taps Xception, which
            has padding="same".
        frozen_stages: the last stage that isn't trained, 0 being the stem; -1 trains all.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "conv1", "fc"

    def __init__(
        self,
        variant: str,
        in_channels: int = 3,
        *,
        num_classes: int | None = None,
        dims: Literal[1, 2, 3] = 2,
        out_indices: Sequence[int] | None = None,
        padding: Padding = "valid",
        raw_levels: bool = False,
        frozen_stages: int = -1,
        weights: Weights = None,
    ) -> None:
        if variant != "legacy_xception":
            raise ValueError(f"Xception: variant {variant!r} is not legacy_xception.")
        levels = levels_of((64, 128, 256, 728, 2048))
        super().__init__(variant, levels, dims=dims, num_classes=num_classes, out_indices=out_indices)
        kit, around = layers(dims, of=variant), margin(padding, of=variant)
        self.rounds_up, self.raw_levels = padding == "same", raw_levels
        self.conv1 = kit.conv(in_channels, 32, 3, stride=2, padding=around, bias=False)
        self.bn1 = kit.batch_norm(32)
        self.conv2, self.bn2 = kit.conv(32, 64, 3, padding=around, bias=False), kit.batch_norm(64)
        for level, flow in enumerate(FLOWS[: self.last_level], start=1):
            for number, (given, channels, options) in flow.items():
                self.add_module(f"block{number}", XceptionBlock(given, channels, **options, dims=dims))
            if level == len(FLOWS):
                self.conv3, self.bn3 = depthwise_pointwise(1024, 1536, dims=dims), kit.batch_norm(1536)
                self.conv4, self.bn4 = depthwise_pointwise(1536, 2048, dims=dims), kit.batch_norm(2048)
        if num_classes is not None:
            self.fc = Linear(2048, num_classes)
        kaiming_fan_out(self)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        maps = [x]
        for level, flow in enumerate(FLOWS[: self.last_level], start=1):
            for number in flow:
                x = getattr(self, f"block{number}")(x)
            if level == len(FLOWS):
                x = F.relu(self.bn3(self.conv3(x)))
                x = self.bn4(self.conv4(x))
            maps.append(x if self.raw_levels else F.relu(x))
        return self.chosen(maps) if self.num_classes is None else self.fc(F.relu(x).flatten(2).mean(2))

    def by_stage(self) -> list[list[Module]]:
        stages = [[self.conv1, self.bn1, self.conv2, self.bn2]]
        for flow in FLOWS[: self.last_level]:
            stages.append([getattr(self, f"block{number}") for number in flow])
        if self.last_level == len(FLOWS):
            stages[-1] += [self.conv3, self.bn3, self.conv4, self.bn4]
        return stages


xception41 = sized(AlignedXception, "xception41")
xception65 = sized(AlignedXception, "xception65")
xception71 = sized(AlignedXception, "xception71")
legacy_xception = sized(Xception, "legacy_xception")
