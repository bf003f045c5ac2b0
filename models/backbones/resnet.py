"""ResNet backbones and classifiers, with the wide and the grouped ones.

Source: He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, table 1; Xie et al.,
"Aggregated Residual Transformations", arXiv:1611.05431; Zagoruyko and Komodakis, "Wide Residual Networks",
arXiv:1605.07146.
Differs: the 3x3 convolution of a bottleneck carries the stride, as published weights expect.
Names: attributes are torchvision's (and timm's), so published weights load as they are.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from mcore import Linear, Module, Sequential, Tensor
from mcore import functional as F
from models.backbones.base import Backbone, Step, Weights, levels_of, steps_to
from models.basicblocks.layers import layers
from models.basicblocks.residual import BasicBlock, Bottleneck
from models.component import sized
from models.utils.initialise import kaiming_fan_out


class Row(NamedTuple):
    """One size: its block, the number of blocks in each of the four stages, and groups of a bottleneck."""

    block: type[BasicBlock] | type[Bottleneck]
    depths: tuple[int, int, int, int]
    groups: int = 1
    width_per_group: int = 64


DEPTHS = {
    "resnet18": Row(BasicBlock, (2, 2, 2, 2)),
    "resnet34": Row(BasicBlock, (3, 4, 6, 3)),
    "resnet50": Row(Bottleneck, (3, 4, 6, 3)),
    "resnet101": Row(Bottleneck, (3, 4, 23, 3)),
    "resnet152": Row(Bottleneck, (3, 8, 36, 3)),
    "resnext50_32x4d": Row(Bottleneck, (3, 4, 6, 3), groups=32, width_per_group=4),
    "resnext101_32x8d": Row(Bottleneck, (3, 4, 23, 3), groups=32, width_per_group=8),
    "wide_resnet50_2": Row(Bottleneck, (3, 4, 6, 3), width_per_group=128),
    "wide_resnet101_2": Row(Bottleneck, (3, 4, 23, 3), width_per_group=128),
}

# Channels inside the blocks of each stage.
WIDTHS = (64, 128, 256, 512)


class ResNet(Backbone):
    """ResNet: a tuple of feature maps, finest first; with `num_classes` the published classifier.

    Shapes:
        x: (n, in_channels, *size)
        returns: one (n, channels, *ceil(size / stride)) for each of `features`; or (n, num_classes)

    Args:
        variant: a row of `DEPTHS`.
        in_channels: channels of the image.
        num_classes: makes it the classifier; None, a backbone without one.
        dims: 1, 2 or 3 for sequences, images or volumes.
        out_indices: levels to return, 0 at stride 2 to 4 at stride 32; those after the last aren't built.
        output_stride: 8 or 16 keeps the resolution of later stages and dilates them.
        frozen_stages: the last stage that isn't trained, 0 being the stem; -1 trains all. Frozen norms stay
            in eval mode.
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
        output_stride: Literal[8, 16, 32] = 32,
        frozen_stages: int = -1,
        weights: Weights = None,
    ) -> None:
        row = _row(variant)
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
        self.conv1 = kit.conv(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = kit.batch_norm(64)
        self.maxpool = kit.max_pool(3, stride=2, padding=1)
        for index in range(self.last_level):
            stage = _stage(row, channels[index], index, step=steps[index], dims=dims)
            self.add_module(f"layer{index + 1}", stage)
        if num_classes is not None:
            self.fc = Linear(channels[-1], num_classes)
        kaiming_fan_out(self)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = F.relu(self.bn1(self.conv1(x)))
        maps = [x]
        for index in range(self.last_level):
            x = getattr(self, f"layer{index + 1}")(self.maxpool(x) if index == 0 else x)
            maps.append(x)
        return self.chosen(maps) if self.num_classes is None else self.fc(x.flatten(2).mean(2))

    def stages(self) -> list[list[Module]]:
        layers = [getattr(self, f"layer{index + 1}") for index in range(self.last_level)]
        return [[self.conv1, self.bn1], *([layer] for layer in layers)]


def _row(variant: str) -> Row:
    if variant not in DEPTHS:
        raise ValueError(f"ResNet: variant {variant!r} is none of {', '.join(DEPTHS)}.")
    return DEPTHS[variant]


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
                groups=row.groups,
                width_per_group=row.width_per_group,
                dims=dims,
            )
        )
    return Sequential(*blocks)


resnet18 = sized(ResNet, "resnet18")
resnet34 = sized(ResNet, "resnet34")
resnet50 = sized(ResNet, "resnet50")
resnet101 = sized(ResNet, "resnet101")
resnet152 = sized(ResNet, "resnet152")
resnext50_32x4d = sized(ResNet, "resnext50_32x4d")
resnext101_32x8d = sized(ResNet, "resnext101_32x8d")
wide_resnet50_2 = sized(ResNet, "wide_resnet50_2")
wide_resnet101_2 = sized(ResNet, "wide_resnet101_2")
