"""RegNet backbones and classifiers.

Source: Radosavovic et al., "Designing Network Design Spaces", arXiv:2003.13678, section 5 and tables 2 to 4;
RegNetY has squeeze and excitation in its blocks.
Differs: widths are rounded to whole groups as timm does; the few sizes that torchvision rounds to others are rows of
their own, under torchvision's names ("regnet_x_400mf").
Names: attributes are timm's; torchvision's by the table "torchvision_regnet".
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from mcore import Module, Sequential, Tensor
from models.backbones.base import Backbone, Step, Weights, levels_of, row_of, steps_to
from models.basicblocks.classifier import fc_head
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.grouped import GroupedBottleneck
from models.component import sized
from models.utils.initialise import kaiming_fan_out


class Row(NamedTuple):
    """One size: blocks and channels of the four stages, and channels of each group of a 3x3 convolution.

    The paper gives the line near which blocks' widths lie; this is what comes of it.
    """

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    group_width: int
    squeezes: bool = False


DEPTHS = {
    "regnetx_002": Row((1, 1, 4, 7), (24, 56, 152, 368), 8),
    "regnetx_004": Row((1, 2, 7, 12), (32, 64, 160, 384), 16),
    "regnetx_006": Row((1, 3, 5, 7), (48, 96, 240, 528), 24),
    "regnetx_008": Row((1, 3, 7, 5), (64, 128, 288, 672), 16),
    "regnetx_016": Row((2, 4, 10, 2), (72, 168, 408, 912), 24),
    "regnetx_032": Row((2, 6, 15, 2), (96, 192, 432, 1008), 48),
    "regnetx_040": Row((2, 5, 14, 2), (80, 240, 560, 1360), 40),
    "regnetx_064": Row((2, 4, 10, 1), (168, 392, 784, 1624), 56),
    "regnetx_080": Row((2, 5, 15, 1), (80, 240, 720, 1920), 120),
    "regnetx_120": Row((2, 5, 11, 1), (224, 448, 896, 2240), 112),
    "regnetx_160": Row((2, 6, 13, 1), (256, 512, 896, 2048), 128),
    "regnetx_320": Row((2, 7, 13, 1), (336, 672, 1344, 2520), 168),
    "regnety_002": Row((1, 1, 4, 7), (24, 56, 152, 368), 8, squeezes=True),
    "regnety_004": Row((1, 3, 6, 6), (48, 104, 208, 440), 8, squeezes=True),
    "regnety_006": Row((1, 3, 7, 4), (48, 112, 256, 608), 16, squeezes=True),
    "regnety_008": Row((1, 3, 8, 2), (64, 128, 320, 768), 16, squeezes=True),
    "regnety_016": Row((2, 6, 17, 2), (48, 120, 336, 888), 24, squeezes=True),
    "regnety_032": Row((2, 5, 13, 1), (72, 216, 576, 1512), 24, squeezes=True),
    "regnety_040": Row((2, 6, 12, 2), (128, 192, 512, 1088), 64, squeezes=True),
    "regnety_064": Row((2, 7, 14, 2), (144, 288, 576, 1296), 72, squeezes=True),
    "regnety_080": Row((2, 4, 10, 1), (168, 448, 896, 2016), 56, squeezes=True),
    "regnety_120": Row((2, 5, 11, 1), (224, 448, 896, 2240), 112, squeezes=True),
    "regnety_160": Row((2, 4, 11, 1), (224, 448, 1232, 3024), 112, squeezes=True),
    "regnety_320": Row((2, 5, 12, 1), (232, 696, 1392, 3712), 232, squeezes=True),
    # torchvision's that are wider than timm's.
    "regnet_x_400mf": Row((1, 2, 7, 12), (32, 64, 160, 400), 16),
    "regnet_y_800mf": Row((1, 3, 8, 2), (64, 144, 320, 784), 16, squeezes=True),
    "regnet_y_8gf": Row((2, 4, 10, 1), (224, 448, 896, 2016), 56, squeezes=True),
}

STEM = 32


class RegNet(Backbone):
    """RegNet: a tuple of feature maps, finest first; with `num_classes` the published classifier.

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
        frozen_stages: the last stage that isn't trained, 0 being the stem; -1 trains all.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "stem.conv", "head.fc"

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
        row = row_of(DEPTHS, variant, of="RegNet")
        channels = (STEM, *row.widths)
        steps = steps_to(output_stride, (2, 2, 2, 2), reached=2, variant=variant)
        super().__init__(
            variant,
            levels_of(channels, output_stride=output_stride),
            dims=dims,
            num_classes=num_classes,
            out_indices=out_indices,
        )
        self.stem = ConvNormAct(in_channels, STEM, 3, stride=2, names=CONV_BN_ACT, dims=dims)
        for index in range(self.last_level):
            stage = _stage(row, channels[index], index, step=steps[index], dims=dims)
            self.add_module(f"s{index + 1}", stage)
        if num_classes is not None:
            self.head = fc_head(channels[-1], num_classes)
        kaiming_fan_out(self)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        maps = []
        for (stage,) in self.by_stage():
            x = stage(x)
            maps.append(x)
        return self.chosen(maps) if self.num_classes is None else self.head(x.flatten(2).mean(2))

    def by_stage(self) -> list[list[Module]]:
        return [[self.stem], *([getattr(self, f"s{index + 1}")] for index in range(self.last_level))]


def _stage(row: Row, in_channels: int, index: int, *, step: Step, dims: int) -> Sequential:
    stage = Sequential()
    for number in range(row.depths[index]):
        block = GroupedBottleneck(
            in_channels,
            row.widths[index],
            group_width=min(row.group_width, row.widths[index]),
            # A quarter of what comes to the block, not of what is squeezed.
            squeezed=round(in_channels / 4) if row.squeezes else None,
            stride=1 if number else step.stride,
            dilation=step.dilation,
            first_dilation=step.dilation if number else step.first_dilation,
            dims=dims,
        )
        stage.add_module(f"b{number + 1}", block)
        in_channels = row.widths[index]
    return stage


regnetx_002 = sized(RegNet, "regnetx_002")
regnetx_004 = sized(RegNet, "regnetx_004")
regnetx_006 = sized(RegNet, "regnetx_006")
regnetx_008 = sized(RegNet, "regnetx_008")
regnetx_016 = sized(RegNet, "regnetx_016")
regnetx_032 = sized(RegNet, "regnetx_032")
regnetx_040 = sized(RegNet, "regnetx_040")
regnetx_064 = sized(RegNet, "regnetx_064")
regnetx_080 = sized(RegNet, "regnetx_080")
regnetx_120 = sized(RegNet, "regnetx_120")
regnetx_160 = sized(RegNet, "regnetx_160")
regnetx_320 = sized(RegNet, "regnetx_320")
regnety_002 = sized(RegNet, "regnety_002")
regnety_004 = sized(RegNet, "regnety_004")
regnety_006 = sized(RegNet, "regnety_006")
regnety_008 = sized(RegNet, "regnety_008")
regnety_016 = sized(RegNet, "regnety_016")
regnety_032 = sized(RegNet, "regnety_032")
regnety_040 = sized(RegNet, "regnety_040")
regnety_064 = sized(RegNet, "regnety_064")
regnety_080 = sized(RegNet, "regnety_080")
regnety_120 = sized(RegNet, "regnety_120")
regnety_160 = sized(RegNet, "regnety_160")
regnety_320 = sized(RegNet, "regnety_320")
regnet_x_400mf = sized(RegNet, "regnet_x_400mf")
regnet_y_800mf = sized(RegNet, "regnet_y_800mf")
regnet_y_8gf = sized(RegNet, "regnet_y_8gf")
