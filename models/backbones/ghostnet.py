"""GhostNet backbones and classifiers.

Source: Han et al., "GhostNet: More Features from Cheap Operations", arXiv:1911.11907, table 1.
Names: attributes are timm's, so its weights load as they are.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Literal, NamedTuple

from mcore import Dropout, Linear, Module, Sequential, Tensor
from mcore import functional as F
from models.attention.squeeze_excite import SE
from models.backbones.base import Backbone, Step, Weights, levels_of, row_of, steps_to
from models.basicblocks.ghost import GhostBottleneck
from models.basicblocks.layers import layers
from models.basicblocks.mobile import ResidualConv
from models.component import sized
from models.functional.channels import divisible
from models.utils.initialise import normal_fan_out

WIDTHS = {"ghostnet_050": 0.5, "ghostnet_100": 1.0, "ghostnet_130": 1.3}


class Ghost(NamedTuple):
    """A bottleneck of the table: its kernel, channels inside and outside, its stride, and whether it has SE."""

    kernel_size: int
    inner: int
    channels: int
    stride: int = 1
    se: bool = False


STAGES = (
    (Ghost(3, 16, 16),),
    (Ghost(3, 48, 24, 2),),
    (Ghost(3, 72, 24),),
    (Ghost(5, 72, 40, 2, se=True),),
    (Ghost(5, 120, 40, se=True),),
    (Ghost(3, 240, 80, 2),),
    (
        Ghost(3, 200, 80),
        Ghost(3, 184, 80),
        Ghost(3, 184, 80),
        Ghost(3, 480, 112, se=True),
        Ghost(3, 672, 112, se=True),
    ),
    (Ghost(5, 672, 160, 2, se=True),),
    (Ghost(5, 960, 160), Ghost(5, 960, 160, se=True), Ghost(5, 960, 160), Ghost(5, 960, 160, se=True)),
)

# After how many stages a level is reached; 0 is the stem.
TAPS = {"timm": (0, 2, 4, 6, 8), "last": (1, 3, 5, 7, 9)}


class GhostNet(Backbone):
    """GhostNet: a tuple of feature maps, finest first; with `num_classes` the published classifier.

    Shapes:
        x: (n, in_channels, *size)
        returns: one (n, channels, *ceil(size / stride)) for each of `features`; or (n, num_classes)

    Args:
        variant: a row of `WIDTHS`.
        in_channels: channels of the image.
        num_classes: makes it the classifier; None, a backbone without one.
        dims: 1, 2 or 3 for sequences, images or volumes.
        out_indices: levels to return, 0 at stride 2 to 4 at stride 32; those after the last aren't built.
        output_stride: 8 or 16 keeps the resolution of later stages and dilates them.
        frozen_stages: the last level up to which nothing is trained, 0 being stride 2; -1 trains all. Frozen
            norms stay in eval mode.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
        taps: a level is what the first bottleneck at its stride gives, as timm's features are, level 0 what the
            first convolution gives before its norm; "last", what the last bottleneck at its stride gives: the
            same strides, more layers, more channels at stride 16.
        dropout: the share of channels that the classifier loses in training, 0.2 when it was published.
    """

    first_conv, classifier = "conv_stem", "classifier"

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
        taps: Literal["timm", "last"] = "timm",
        dropout: float = 0.0,
    ) -> None:
        width = row_of(WIDTHS, variant, of="GhostNet")
        if taps not in TAPS:
            raise ValueError(f"{variant}: taps={taps!r} is none of {', '.join(TAPS)}.")
        stem, *channels = (_round(count, width) for count in (16, *(stage[-1].channels for stage in STAGES)))
        steps = steps_to(output_stride, [stage[0].stride for stage in STAGES], reached=2, variant=variant)
        super().__init__(
            variant,
            levels_of([(stem, *channels)[tap] for tap in TAPS[taps]], output_stride=output_stride),
            dims=dims,
            num_classes=num_classes,
            out_indices=out_indices,
        )
        self._taps = TAPS[taps]
        kit = layers(dims, of=variant)
        self.conv_stem = kit.conv(in_channels, stem, 3, stride=2, padding=1, bias=False)
        # Where the raw stem is all that is asked for, no norm follows it.
        self._stem_norm = num_classes is not None or self._taps[self.last_level] > 0
        if self._stem_norm:
            self.bn1 = kit.batch_norm(stem)
        count = len(STAGES) if num_classes is not None else self._taps[self.last_level]
        inputs = (stem, *channels)
        stages = [_stage(index, inputs[index], width, steps[index], dims) for index in range(count)]
        if num_classes is not None:
            inner = _round(STAGES[-1][-1].inner, width)
            stages.append(Sequential(ResidualConv(channels[-1], inner, 1, shortcut=False, dims=dims)))
        self.blocks = Sequential(*stages)
        if num_classes is not None:
            self.conv_head = kit.conv(inner, 1280, 1)
            self.dropout = Dropout(dropout)
            self._put("classifier", Linear(1280, num_classes))
        normal_fan_out(self)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = self.conv_stem(x)
        maps = [x]
        if self._stem_norm:
            x = F.relu(self.bn1(x))
        for stage in self.blocks:
            x = stage(x)
            maps.append(x)
        if self.num_classes is None:
            return tuple(maps[self._taps[index]] for index in self.out_indices)
        x = F.relu(self.conv_head(x.mean(tuple(range(2, x.ndim)), keepdim=True)))
        return self._layer("classifier")(self.dropout(x.flatten(1)))

    def by_stage(self) -> list[list[Module]]:
        stem = [self.conv_stem, self.bn1] if self._stem_norm else [self.conv_stem]
        parts = [stem, *([stage] for stage in self.blocks)]
        ends = [tap + 1 for tap in self._taps[: self.last_level + 1]]
        return [[part for group in parts[start:end] for part in group] for start, end in pairwise([0, *ends])]


def _round(channels: int, width: float) -> int:
    return divisible(channels * width, 4)


def _stage(index: int, in_channels: int, width: float, step: Step, dims: int) -> Sequential:
    made = []
    for number, ghost in enumerate(STAGES[index]):
        inner, channels = _round(ghost.inner, width), _round(ghost.channels, width)
        squeeze = partial(
            SE,
            reduced=divisible(inner / 4, 4),
            gate="hardsigmoid",
            names=("conv_reduce", "conv_expand"),
            dims=dims,
        )
        first = number == 0
        made.append(
            GhostBottleneck(
                in_channels,
                inner,
                channels,
                kernel_size=ghost.kernel_size,
                stride=step.stride if first else 1,
                dilation=step.dilation,
                first_dilation=step.first_dilation if first else step.dilation,
                depthwise=ghost.stride > 1,
                se=squeeze if ghost.se else None,
                dims=dims,
            )
        )
        in_channels = channels
    return Sequential(*made)


ghostnet_050 = sized(GhostNet, "ghostnet_050")
ghostnet_100 = sized(GhostNet, "ghostnet_100")
ghostnet_130 = sized(GhostNet, "ghostnet_130")
