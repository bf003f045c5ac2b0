"""ResNet backbones and classifiers, with the wide and the grouped ones.

Source: He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, table 1; Xie et al.,
"Aggregated Residual Transformations", arXiv:1611.05431; Zagoruyko and Komodakis, "Wide Residual Networks",
arXiv:1605.07146.
Differs: the 3x3 convolution of a bottleneck carries the stride, as published weights expect.
Names: attributes are torchvision's (and timm's), so published weights load as they are.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from mcore import Linear, Module, Sequential, Tensor, init
from mcore import functional as F
from models.basicblocks.layers import layers
from models.basicblocks.residual import BasicBlock, Bottleneck
from models.component import Component, sized
from models.utils.weights import load_weights


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

# Channels inside the blocks of each stage, and the stride at which level 0 and each stage work.
WIDTHS = (64, 128, 256, 512)
STRIDES = (2, 4, 8, 16, 32)


class ResNet(Component):
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
        out_indices: Sequence[int] = (1, 2, 3, 4),
        output_stride: Literal[8, 16, 32] = 32,
        frozen_stages: Literal[-1, 0, 1, 2, 3, 4] = -1,
        weights: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    ) -> None:
        row = _row(variant)
        levels = _levels(variant, out_indices)
        if output_stride not in (8, 16, 32):
            raise ValueError(f"{variant}: output_stride={output_stride} is not 8, 16 or 32.")
        super().__init__()
        self.dims, self.num_classes = dims, num_classes
        self.out_indices = levels if num_classes is None else ()
        depth = 4 if num_classes is not None else levels[-1]
        kit = layers(dims, of=variant)
        self.conv1 = kit.conv(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = kit.batch_norm(64)
        self.maxpool = kit.max_pool(3, stride=2, padding=1)
        for index, stage in enumerate(_stages(row, output_stride, dims=dims)[:depth]):
            self.add_module(f"layer{index + 1}", stage)
        if num_classes is not None:
            self.fc = Linear(WIDTHS[3] * row.block.expansion, num_classes)
        _initialise(self)
        channels = (64, *(width * row.block.expansion for width in WIDTHS))
        #: (channels, stride) of each map that it returns.
        self.features = [(channels[i], min(STRIDES[i], output_stride)) for i in self.out_indices]
        self.frozen_stages = _freeze(self, frozen_stages, depth)
        if weights is not None:
            self.weights_report = load_weights(self, weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = F.relu(self.bn1(self.conv1(x)))
        maps = [x]
        for index, stage in enumerate(self.stages()):
            x = stage(self.maxpool(x) if index == 0 else x)
            maps.append(x)
        if self.num_classes is not None:
            return self.fc(x.flatten(2).mean(2))
        return tuple(maps[level] for level in self.out_indices)

    def stages(self) -> list[Module]:
        """The stages that are built, `layer1` first."""
        return [stage for name in _STAGE_NAMES if (stage := getattr(self, name, None)) is not None]

    def train(self, mode: bool = True) -> "ResNet":
        super().train(mode)
        for part in _first_parts(self, self.frozen_stages):
            part.eval()
        return self


_STAGE_NAMES = ("layer1", "layer2", "layer3", "layer4")


def _row(variant: str) -> Row:
    if variant not in DEPTHS:
        raise ValueError(f"ResNet: variant {variant!r} is none of {', '.join(DEPTHS)}.")
    return DEPTHS[variant]


def _levels(variant: str, out_indices: Sequence[int]) -> tuple[int, ...]:
    levels = tuple(out_indices)
    if not levels or sorted(set(levels)) != list(levels) or not set(levels) <= set(range(len(STRIDES))):
        raise ValueError(f"{variant}: out_indices={list(levels)} don't ascend from 0 (stride 2) to 4 (stride 32).")
    return levels


def _stages(row: Row, output_stride: int, *, dims: int) -> list[Sequential]:
    """The four stages; beyond `output_stride`, dilation grows where the stride would."""
    stages, in_channels, reached, dilation = [], 64, 4, 1
    for index, (width, depth) in enumerate(zip(WIDTHS, row.depths, strict=True)):
        before, stride = dilation, 1 if index == 0 else 2
        if reached * stride > output_stride:
            dilation, stride = dilation * stride, 1
        reached *= stride
        blocks = []
        for number in range(depth):
            blocks.append(
                row.block(
                    in_channels,
                    width,
                    stride=stride if number == 0 else 1,
                    dilation=dilation,
                    first_dilation=before if number == 0 else dilation,
                    groups=row.groups,
                    width_per_group=row.width_per_group,
                    dims=dims,
                )
            )
            in_channels = width * row.block.expansion
        stages.append(Sequential(*blocks))
    return stages


def _initialise(net: ResNet) -> None:
    """Source: He et al., arXiv:1502.01852, by the fan out, as torchvision does."""
    convolution = layers(net.dims, of="ResNet").conv
    for module in net.modules():
        if isinstance(module, convolution):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _first_parts(net: ResNet, last: int) -> list[Module]:
    """The stem and the stages up to `last`; none for -1."""
    return [] if last < 0 else [net.conv1, net.bn1, *net.stages()[:last]]


def _freeze(net: ResNet, last: int, depth: int) -> int:
    if not -1 <= last <= depth:
        raise ValueError(f"frozen_stages={last} is not -1 (none), 0 (the stem) or a stage up to {depth}.")
    for part in _first_parts(net, last):
        part.eval()
        for parameter in part.parameters():
            parameter.requires_grad_(False)
    return last


resnet18 = sized(ResNet, "resnet18")
resnet34 = sized(ResNet, "resnet34")
resnet50 = sized(ResNet, "resnet50")
resnet101 = sized(ResNet, "resnet101")
resnet152 = sized(ResNet, "resnet152")
resnext50_32x4d = sized(ResNet, "resnext50_32x4d")
resnext101_32x8d = sized(ResNet, "resnext101_32x8d")
wide_resnet50_2 = sized(ResNet, "wide_resnet50_2")
wide_resnet101_2 = sized(ResNet, "wide_resnet101_2")
