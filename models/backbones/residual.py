"""What ResNet and its kin have in common: a stem, four stages of residual blocks, a classifier."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

from mcore import Linear, Module, ReLU, Sequential, Tensor
from mcore import functional as F
from models.backbones.base import Backbone, Step, Weights, levels_of, row_of, steps_to
from models.basicblocks.layers import Layers, layers
from models.basicblocks.residual import Residual, Shortcut, projection
from models.utils.arguments import one_of
from models.utils.initialise import kaiming_fan_out

# Channels inside the blocks of each stage.
WIDTHS = (64, 128, 256, 512)

# Channels of a stem's convolutions: one of 7x7 pixels, or three of 3x3.
PLAIN, DEEP, TIERED, WIDE = (64,), (32, 32, 64), (24, 32, 64), (64, 64, 128)


class Row(NamedTuple):
    """One size of a family.

    Args:
        block: of all stages.
        depths: blocks in each of the four stages.
        groups: of the 3x3 convolution of a block, each of `width_per_group` channels at a width of 64.
        stem: channels of the stem's convolutions.
        shortcut: makes the shortcuts.
        parts: what else the constructor of `block` takes.
    """

    block: type[Residual]
    depths: tuple[int, int, int, int]
    groups: int = 1
    width_per_group: int = 64
    stem: tuple[int, ...] = PLAIN
    shortcut: Shortcut = projection
    parts: Mapping[str, Any] = {}


class ResidualNet(Backbone):
    """Abstract: a family has its sizes in `rows`, and says what each argument is."""

    first_conv, classifier = "conv1", "fc"
    rows: ClassVar[Mapping[str, Row]]

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
        widths: Sequence[int] = WIDTHS,
        groups: int | None = None,
        width_per_group: int | None = None,
        stem_stride: Literal[1, 2] = 2,
        shortcut_bias: bool = False,
        even_dilation: bool = False,
    ) -> None:
        row = self._row(variant, groups, width_per_group)
        _check_widths(variant, widths)
        one_of((1, 2), of=variant, stem_stride=stem_stride)
        channels = (row.stem[-1], *(width * row.block.expansion for width in widths))
        steps = steps_to(output_stride, (1, 2, 2, 2), reached=2 * stem_stride, variant=variant, even=even_dilation)
        super().__init__(
            variant,
            # A stem that doesn't stride gives the level before the first.
            levels_of(channels, first=stem_stride - 2, output_stride=output_stride),
            dims=dims,
            num_classes=num_classes,
            out_indices=out_indices,
        )
        self._depth = self.last_level + 2 - stem_stride
        self._build_stem(in_channels, row, stride=stem_stride, kit=layers(dims, of=variant))
        shortcut = partial(row.shortcut, bias=True) if shortcut_bias else row.shortcut
        for index, (step, width) in enumerate(zip(steps[: self._depth], widths, strict=False)):
            stage = _stage(row._replace(shortcut=shortcut), channels[index], index, width=width, step=step, dims=dims)
            self.add_module(f"layer{index + 1}", stage)
        if num_classes is not None:
            self.add_module(self.classifier, Linear(channels[-1], num_classes))
        kaiming_fan_out(self)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = self._run_stem(x)
        maps = [x]
        for index, (stage,) in enumerate(self.by_stage()[1:]):
            x = stage(self.maxpool(x) if index == 0 else x)
            maps.append(x)
        if self.num_classes is None:
            return self.chosen(maps, first=self.levels[0].index)
        return self._classify(x.flatten(2).mean(2))

    def by_stage(self) -> list[list[Module]]:
        return [self._stem(), *([getattr(self, f"layer{index + 1}")] for index in range(self._depth))]

    def _row(self, variant: str, groups: int | None, width_per_group: int | None) -> Row:
        row = row_of(self.rows, variant, of=type(self).__name__)
        return row._replace(
            groups=row.groups if groups is None else groups,
            width_per_group=row.width_per_group if width_per_group is None else width_per_group,
        )

    def _build_stem(self, in_channels: int, row: Row, *, stride: int, kit: Layers) -> None:
        """Sets what comes before the first stage, and `maxpool`."""
        convolutions = stem_convolutions(in_channels, row.stem, stride=stride, kit=kit)
        self.conv1 = convolutions[0] if len(convolutions) == 1 else Sequential(*convolutions)
        if len(convolutions) > 1:
            self.first_conv = "conv1.0"
        self.bn1 = kit.batch_norm(row.stem[-1])
        self.maxpool = kit.max_pool(3, stride=2, padding=1)

    def _stem(self) -> list[Module]:
        """What `_build_stem` set."""
        return [self.conv1, self.bn1]

    def _run_stem(self, x: Tensor) -> Tensor:
        """The map before the first stage is pooled."""
        return F.relu(self.bn1(self.conv1(x)))

    def _classify(self, x: Tensor) -> Tensor:
        """Scores from the mean of the last map."""
        return getattr(self, self.classifier)(x)


def stem_convolutions(in_channels: int, channels: Sequence[int], *, stride: int, kit: Layers) -> list[Module]:
    """The convolutions of a stem, with norm and activation between them: one of 7x7 pixels, else of 3x3."""
    size = 7 if len(channels) == 1 else 3
    row: list[Module] = []
    for number, out_channels in enumerate(channels):
        if number > 0:
            row += [kit.batch_norm(in_channels), ReLU()]
        step = stride if number == 0 else 1
        row.append(kit.conv(in_channels, out_channels, size, stride=step, padding=size // 2, bias=False))
        in_channels = out_channels
    return row


def _stage(row: Row, in_channels: int, index: int, *, width: int, step: Step, dims: int) -> Sequential:
    blocks = []
    for number in range(row.depths[index]):
        first = number == 0
        blocks.append(
            row.block(
                in_channels if first else width * row.block.expansion,
                width,
                stride=step.stride if first else 1,
                dilation=step.dilation,
                first_dilation=step.first_dilation if first else step.dilation,
                groups=row.groups,
                width_per_group=row.width_per_group,
                shortcut=row.shortcut,
                dims=dims,
                **row.parts,
            )
        )
    return Sequential(*blocks)


def _check_widths(variant: str, widths: Sequence[int]) -> None:
    if len(widths) != len(WIDTHS) or min(widths) < 1:
        raise ValueError(f"{variant}: widths={list(widths)} aren't the channels of four stages, like {list(WIDTHS)}.")
