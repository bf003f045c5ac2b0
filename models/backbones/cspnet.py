"""Darknet and cross-stage partial backbones and classifiers.

Source: Redmon and Farhadi, "YOLOv3", arXiv:1804.02767, table 1 (darknet53); Wang et al., "CSPNet",
arXiv:1911.11929, section 4; cs3darknet is the backbone of ultralytics' YOLOv5, with a stem of two convolutions.
Differs: in a cross-stage partial stage one convolution expands for both halves, see `CSPStage`; leaky ReLUs have
slope 0.01, as timm's weights expect, where Darknet's have 0.1 (`negative_slope`), or are Mish (`activation`).
Names: attributes are timm's, so its weights load as they are. Darknet's files load into darknet53 and cspdarknet53,
which then need its activation: `darknet53(negative_slope=0.1, weights="darknet53.conv.74")` and
`cspdarknet53(activation="mish", weights="yolov4.conv.137")` give what Darknet does.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from mcore import Module, Sequential, Tensor
from models.backbones.base import Backbone, Step, Weights, levels_of, row_of, steps_to
from models.basicblocks.classifier import fc_head
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.csp import CSPStage, DarknetStage
from models.basicblocks.layers import Choice, layers
from models.component import sized
from models.utils.initialise import kaiming_fan_out


class Split(NamedTuple):
    """How a cross-stage partial stage splits.

    Args:
        expansion: channels before the split, as a multiple of those after the stage.
        narrowing: the half that goes through blocks, as a multiple of the channels inside them.
        grows: whether the strided convolution already gives the channels after the stage.
        options: of `CSPStage`.
    """

    expansion: int = 1
    narrowing: int = 1
    grows: bool = False
    options: Mapping[str, Any] = {}


class Row(NamedTuple):
    """One size.

    Args:
        depths: blocks of each stage.
        widths: channels of each stage.
        splits: of each stage, the last serving all that follow; none for plain Darknet.
        stem: channels of its convolutions; the first has `stem_kernel` and `stem_stride`.
        stem_pool: the stem ends with a max-pool, after which the first stage doesn't stride.
        pooled: plain stages take means where others stride.
        leaky: activations are leaky ReLUs, else SiLU.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    splits: tuple[Split, ...] = ()
    stem: tuple[int, ...] = (32,)
    stem_kernel: int = 3
    stem_stride: Literal[1, 2] = 1
    stem_pool: bool = False
    pooled: bool = False
    leaky: bool = True


WIDTHS = (64, 128, 256, 512, 1024)
BOTTLENECKS = {"block": "bottleneck", "linear": True}
CS3 = (Split(options={"transitions": 1}),)

DEPTHS = {
    "darknet17": Row((1, 1, 1, 1, 1), WIDTHS),
    "darknet21": Row((1, 1, 1, 2, 2), WIDTHS),
    "darknet53": Row((1, 2, 8, 8, 4), WIDTHS),
    "darknetaa53": Row((1, 2, 8, 8, 4), WIDTHS, pooled=True),
    "cspdarknet53": Row((1, 2, 8, 8, 4), WIDTHS, (Split(expansion=2, narrowing=2, grows=True), Split(grows=True))),
    "cspresnet50": Row(
        (3, 3, 5, 2),
        (128, 256, 512, 1024),
        (Split(expansion=2, narrowing=2, options=BOTTLENECKS),),
        stem=(64,),
        stem_kernel=7,
        stem_stride=2,
        stem_pool=True,
    ),
    "cspresnext50": Row(
        (3, 3, 5, 2),
        (256, 512, 1024, 2048),
        (Split(options={**BOTTLENECKS, "groups": 32}),),
        stem=(64,),
        stem_kernel=7,
        stem_stride=2,
        stem_pool=True,
    ),
    "cs3darknet_s": Row((1, 3, 4, 1), (64, 128, 256, 512), CS3, stem=(16, 32), stem_stride=2, leaky=False),
    "cs3darknet_m": Row((2, 4, 6, 2), (96, 192, 384, 768), CS3, stem=(24, 48), stem_stride=2, leaky=False),
    "cs3darknet_l": Row((3, 6, 9, 3), (128, 256, 512, 1024), CS3, stem=(32, 64), stem_stride=2, leaky=False),
}


class CSPNet(Backbone):
    """Darknet or a CSPNet: a tuple of feature maps, finest first; with `num_classes` the published classifier.

    Where the stem keeps the resolution, as in Darknet, it is level -1.

    Shapes:
        x: (n, in_channels, *size)
        returns: one (n, channels, *ceil(size / stride)) for each of `features`, rounded down in "darknetaa53";
            or (n, num_classes)

    Args:
        variant: a row of `DEPTHS`.
        in_channels: channels of the image.
        num_classes: makes it the classifier; None, a backbone without one.
        dims: 1, 2 or 3 for sequences, images or volumes.
        out_indices: levels to return, -1 or 0 for the stem to 4 at stride 32; those after the last aren't built.
        output_stride: 8 or 16 keeps the resolution of later stages and dilates them.
        activation: by name, as in "mish", or a constructor; where left out, leaky ReLU, SiLU in cs3darknet.
        negative_slope: of leaky ReLUs; 0.01 where left out, 0.1 in Darknet's own networks.
        frozen_stages: the last stage that isn't trained, 0 being the stem; -1 trains all.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "stem.conv1.conv", "head.fc"

    def __init__(
        self,
        variant: str,
        in_channels: int = 3,
        *,
        num_classes: int | None = None,
        dims: Literal[1, 2, 3] = 2,
        out_indices: Sequence[int] | None = None,
        output_stride: Literal[8, 16, 32] = 32,
        activation: Choice = None,
        negative_slope: float | None = None,
        frozen_stages: int = -1,
        weights: Weights = None,
    ) -> None:
        row = row_of(DEPTHS, variant, of="CSPNet")
        activation = _activation(row, activation, negative_slope, variant)
        strides = (1 if row.stem_pool else 2, *(2 for _ in row.widths[1:]))
        steps = steps_to(output_stride, strides, reached=row.stem_stride * (1 + row.stem_pool), variant=variant)
        # The level of the stem.
        first = row.stem_stride - 2
        super().__init__(
            variant,
            levels_of((row.stem[-1], *row.widths), first=first, output_stride=output_stride),
            dims=dims,
            num_classes=num_classes,
            out_indices=out_indices,
        )
        self._first, self.rounds_up = first, not row.pooled
        self.stem = _stem(row, in_channels, activation=activation, dims=dims)
        stages = Sequential()
        given = row.stem[-1]
        for index in range(self.last_level - self._first):
            stage = _stage(row, given, index, step=steps[index], activation=activation, dims=dims)
            stages.add_module(str(index), stage)
            given = row.widths[index]
        self.stages = stages
        if num_classes is not None:
            self.head = fc_head(given, num_classes)
        kaiming_fan_out(self)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        stem = dict(self.stem.named_children())
        pool = stem.pop("pool", None)
        for layer in stem.values():
            x = layer(x)
        maps = [x]
        for index, stage in enumerate(self.stages):
            x = stage(pool(x) if pool is not None and index == 0 else x)
            maps.append(x)
        if self.num_classes is not None:
            return self.head(x.flatten(2).mean(2))
        return self.chosen(maps, first=self._first)

    def by_stage(self) -> list[list[Module]]:
        return [[self.stem], *([stage] for stage in self.stages)]


def _activation(row: Row, chosen: Choice, negative_slope: float | None, variant: str) -> Choice:
    activation = chosen or ("leaky_relu" if row.leaky else "silu")
    if negative_slope is None:
        return activation
    if activation != "leaky_relu":
        raise ValueError(
            f"{variant}: negative_slope={negative_slope}, but its activation is {activation!r}; leave one of them out."
        )
    return {"name": "leaky_relu", "negative_slope": negative_slope}


def _stem(row: Row, in_channels: int, *, activation: Choice, dims: int) -> Sequential:
    stem = Sequential()
    for number, channels in enumerate(row.stem):
        conv = ConvNormAct(
            in_channels,
            channels,
            3 if number else row.stem_kernel,
            stride=1 if number else row.stem_stride,
            activation=activation,
            names=CONV_BN_ACT,
            dims=dims,
        )
        stem.add_module(f"conv{number + 1}", conv)
        in_channels = channels
    if row.stem_pool:
        stem.add_module("pool", layers(dims, of="CSPNet").max_pool(3, stride=2, padding=1))
    return stem


def _stage(
    row: Row, in_channels: int, index: int, *, step: Step, activation: Choice, dims: int
) -> CSPStage | DarknetStage:
    channels = row.widths[index]
    common: dict[str, Any] = {
        "depth": row.depths[index],
        "stride": step.stride,
        "dilation": step.dilation,
        "first_dilation": step.first_dilation,
        "activation": activation,
        "dims": dims,
    }
    if not row.splits:
        return DarknetStage(in_channels, channels, pooled=row.pooled, **common)
    split = row.splits[min(index, len(row.splits) - 1)]
    expanded = split.expansion * channels
    return CSPStage(
        in_channels,
        channels,
        down_channels=channels if split.grows else in_channels,
        expanded=expanded,
        width=expanded // 2 // split.narrowing,
        **split.options,
        **common,
    )


darknet17 = sized(CSPNet, "darknet17")
darknet21 = sized(CSPNet, "darknet21")
darknet53 = sized(CSPNet, "darknet53")
darknetaa53 = sized(CSPNet, "darknetaa53")
cspdarknet53 = sized(CSPNet, "cspdarknet53")
cspresnet50 = sized(CSPNet, "cspresnet50")
cspresnext50 = sized(CSPNet, "cspresnext50")
cs3darknet_s = sized(CSPNet, "cs3darknet_s")
cs3darknet_m = sized(CSPNet, "cs3darknet_m")
cs3darknet_l = sized(CSPNet, "cs3darknet_l")
