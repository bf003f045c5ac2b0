"""ResNet backbones and classifiers of pre-activation blocks.

Source: He et al., "Identity Mappings in Deep Residual Networks", arXiv:1603.05027; the D networks' deep stem and
pooled shortcuts: He et al., "Bag of Tricks", arXiv:1812.01187.
Names: attributes are timm's, so its weights load as they are.
"""

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple

from mcore import Module, ReLU, Sequential, Tensor
from mcore import functional as F
from models.backbones.base import Backbone, Step, Weights, levels_of, row_of, steps_to
from models.basicblocks.layers import layers
from models.basicblocks.preactivation import PreActivationBlock, PreActivationBottleneck, bare_projection
from models.component import sized
from models.utils.initialise import kaiming_fan_out


class Row(NamedTuple):
    """One size: its block, blocks in each of the four stages, and whether its stem is deep and shortcuts pool."""

    block: type[PreActivationBlock] | type[PreActivationBottleneck]
    depths: tuple[int, int, int, int]
    deep: bool = False


DEPTHS = {
    "resnetv2_18": Row(PreActivationBlock, (2, 2, 2, 2)),
    "resnetv2_34": Row(PreActivationBlock, (3, 4, 6, 3)),
    "resnetv2_50": Row(PreActivationBottleneck, (3, 4, 6, 3)),
    "resnetv2_101": Row(PreActivationBottleneck, (3, 4, 23, 3)),
    "resnetv2_152": Row(PreActivationBottleneck, (3, 8, 36, 3)),
    "resnetv2_18d": Row(PreActivationBlock, (2, 2, 2, 2), deep=True),
    "resnetv2_34d": Row(PreActivationBlock, (3, 4, 6, 3), deep=True),
    "resnetv2_50d": Row(PreActivationBottleneck, (3, 4, 6, 3), deep=True),
    "resnetv2_101d": Row(PreActivationBottleneck, (3, 4, 23, 3), deep=True),
    "resnetv2_152d": Row(PreActivationBottleneck, (3, 8, 36, 3), deep=True),
}

# Channels inside the blocks of each stage.
WIDTHS = (64, 128, 256, 512)


class ResNetV2(Backbone):
    """ResNet v2: a tuple of feature maps, finest first; with `num_classes` the published classifier.

    Shapes:
        x: (n, in_channels, *size)
        returns: one (n, channels, *ceil(size / stride)) for each of `features`; or (n, num_classes). Maps are
            what blocks give, before the next norm and ReLU

    Args:
        variant: a row of `DEPTHS`.
        in_channels: channels of the image.
        num_classes: makes it the classifier; None, a backbone without one.
        dims: 1, 2 or 3 for sequences, images or volumes.
        out_indices: levels to return, 0 at stride 2 to 4 at stride 32; those after the last aren't built.
        output_stride: 8 or 16 keeps the resolution of later stages and dilates them.
        frozen_stages: the last stage that isn't trained, 0 being the stem; -1 trains all.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    classifier = "head.fc"

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
        row = row_of(DEPTHS, variant, of="ResNetV2")
        channels = (64, *(width * row.block.expansion for width in WIDTHS))
        steps = steps_to(output_stride, (1, 2, 2, 2), reached=4, variant=variant)
        super().__init__(
            variant,
            levels_of(channels, output_stride=output_stride),
            dims=dims,
            num_classes=num_classes,
            out_indices=out_indices,
        )
        kit = layers(dims, of=variant)
        self.stem = _stem(in_channels, row, dims=dims)
        self.first_conv = "stem.conv1" if row.deep else "stem.conv"
        self.maxpool = kit.max_pool(3, stride=2, padding=1)
        numbers = range(self.last_level)
        self.stages = Sequential(*(_stage(row, channels[n], n, step=steps[n], dims=dims) for n in numbers))
        if num_classes is not None:
            self.norm = kit.batch_norm(channels[-1])
            self.head = Sequential(OrderedDict(fc=kit.conv(channels[-1], num_classes, 1)))
        kaiming_fan_out(self)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = self.stem(x)
        maps = [x]
        for index, stage in enumerate(self.stages):
            x = stage(self.maxpool(x) if index == 0 else x)
            maps.append(x)
        if self.num_classes is None:
            return self.chosen(maps)
        mean = F.relu(self.norm(x)).mean(tuple(range(2, x.ndim)), keepdim=True)
        return self.head(mean).flatten(1)

    def by_stage(self) -> list[list[Module]]:
        return [[self.stem], *([stage] for stage in self.stages)]


def _stem(in_channels: int, row: Row, *, dims: int) -> Sequential:
    """One convolution of 7x7 pixels, or three of 3x3; the first block brings the norm after it."""
    kit = layers(dims, of="ResNetV2")
    if not row.deep:
        return Sequential(OrderedDict(conv=kit.conv(in_channels, 64, 7, stride=2, padding=3, bias=False)))
    conv = partial(kit.conv, kernel_size=3, padding=1, bias=False)
    return Sequential(
        OrderedDict(
            conv1=conv(in_channels, 32, stride=2),
            norm1=kit.batch_norm(32),
            act1=ReLU(),
            conv2=conv(32, 32),
            norm2=kit.batch_norm(32),
            act2=ReLU(),
            conv3=conv(32, 64),
        )
    )


def _stage(row: Row, in_channels: int, index: int, *, step: Step, dims: int) -> Sequential:
    blocks = []
    for number in range(row.depths[index]):
        first = number == 0
        blocks.append(
            row.block(
                in_channels if first else WIDTHS[index] * row.block.expansion,
                WIDTHS[index],
                stride=step.stride if first else 1,
                dilation=step.dilation,
                first_dilation=step.first_dilation if first else step.dilation,
                shortcut=partial(bare_projection, pooled=row.deep),
                dims=dims,
            )
        )
    return Sequential(OrderedDict(blocks=Sequential(*blocks)))


resnetv2_18 = sized(ResNetV2, "resnetv2_18")
resnetv2_34 = sized(ResNetV2, "resnetv2_34")
resnetv2_50 = sized(ResNetV2, "resnetv2_50")
resnetv2_101 = sized(ResNetV2, "resnetv2_101")
resnetv2_152 = sized(ResNetV2, "resnetv2_152")
resnetv2_18d = sized(ResNetV2, "resnetv2_18d")
resnetv2_34d = sized(ResNetV2, "resnetv2_34d")
resnetv2_50d = sized(ResNetV2, "resnetv2_50d")
resnetv2_101d = sized(ResNetV2, "resnetv2_101d")
resnetv2_152d = sized(ResNetV2, "resnetv2_152d")
