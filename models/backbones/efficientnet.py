"""EfficientNet, and the networks before it that are made of the same blocks: MobileNet v2 and v3, MnasNet.

One builder reads the tables of `models.backbones.efficientnet_rows`, which name their sources.
Names: attributes are timm's, so its weights load as they are; torchvision's, EfficientNet-PyTorch's (which
segmentation-models has) and MONAI's through `models.utils.renames`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Literal

from mcore import Dropout, Linear, Module, Sequential, Tensor
from models.attention.squeeze_excite import SE
from models.backbones.base import Backbone, Step, Weights, levels_of, row_of, steps_to
from models.backbones.efficientnet_rows import ROWS, Blocks, Row
from models.basicblocks.drop import rising
from models.basicblocks.layers import Factory, activation_layer, layers
from models.basicblocks.mobile import (
    DepthwiseSeparable,
    FusedMBConv,
    InvertedResidual,
    ResidualConv,
)
from models.basicblocks.same import Padding, after, check_padding, padding_of
from models.component import sized
from models.functional.channels import divisible
from models.utils.initialise import normal_fan_out


class EfficientNet(Backbone):
    """EfficientNet, MobileNet or MnasNet: a tuple of feature maps, finest first; with `num_classes` the classifier.

    Shapes:
        x: (n, in_channels, *size)
        returns: one (n, channels, *ceil(size / stride)) for each of `features`; or (n, num_classes)

    Args:
        variant: a row of `ROWS`.
        in_channels: channels of the image.
        num_classes: makes it the classifier; None, a backbone without one.
        dims: 1, 2 or 3 for sequences, images or volumes.
        out_indices: levels to return, 0 at stride 2 to 4 at stride 32; those after the last aren't built.
        output_stride: 8 or 16 keeps the resolution of later stages and dilates them.
        frozen_stages: the last level up to which nothing is trained, 0 being stride 2; -1 trains all. Frozen
            norms stay in eval mode.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
        stem_level: level 0 is what the stem gives, not the first stage: as segmentation-models taps EfficientNet.
        head_level: the last level is what the head's convolution gives, not the last stage: as
            segmentation-models taps MobileNetV2.
        early_level: level 3 is what the first block of its last stage gives, and what follows belongs to level 4: as
            segmentation-models taps efficientnet-b0, and only that one.
        even_dilation: dilates the first block of a stage like its others, as segmentation-models and torchvision do;
            else it still sees what the stage before left, as in timm.
        padding: of convolutions that stride: "even", both sides alike; "same", as TensorFlow does for the size that
            comes, which timm's networks called tf_ have; or pixels, as TensorFlow would for images of that size,
            whichever comes: EfficientNet-PyTorch, segmentation-models and MONAI have 224, 240, 260, 300, 380, 456, 528
            and 600 for b0 to b7. Maps then have fewer pixels where a size isn't a multiple of the stride.
        norm_eps: of all batch norms. State files don't hold it: 1e-5 in timm's networks, and in torchvision's but
            MobileNetV3, EfficientNet b5 to b7 and EfficientNetV2, which have 1e-3; 1e-3 in timm's tf_ networks,
            EfficientNet-PyTorch and MONAI.
        drop_path_rate: the share of samples that lose the branch of the last block in training; it rises from 0.
        dropout: the share of channels that the classifier loses in training, 0.2 to 0.5 when it was published.

    Source: Sandler et al., arXiv:1801.04381; Howard et al., arXiv:1905.02244; Tan et al., arXiv:1807.11626; Tan
    and Le, arXiv:1905.11946 and arXiv:2104.00298.
    Differs: convolutions that stride pad both sides alike, as in timm and torchvision, not as TensorFlow does: see
    `padding`.
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
        stem_level: bool = False,
        head_level: bool = False,
        early_level: bool = False,
        even_dilation: bool = False,
        padding: Padding = "even",
        norm_eps: float = 1e-5,
        drop_path_rate: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        row = row_of(ROWS, variant, of="EfficientNet")
        _check(variant, row, norm_eps=norm_eps, drop_path_rate=drop_path_rate, head_level=head_level)
        check_padding(padding, of=variant)
        stages = _stages(row)
        channels = [row.stem, *(stage[-1].channels for stage in stages), row.head]
        strides = [stage[0].stride for stage in stages]
        taps = _taps(strides, stem_level=stem_level, head_level=head_level)
        steps = steps_to(output_stride, strides, reached=2, variant=variant, even=even_dilation)
        super().__init__(
            variant,
            levels_of([channels[tap] for tap in taps], output_stride=output_stride),
            dims=dims,
            num_classes=num_classes,
            out_indices=out_indices,
        )
        self.rounds_up = not isinstance(padding, int)
        depths = [sum(blocks.depth for blocks in stage) for stage in stages]
        #: How many blocks are done where each level is reached; one more after the head.
        self._taps = [sum(depths[:tap]) + (tap > len(stages)) for tap in taps]
        if early_level:
            self._taps[3] -= depths[taps[3] - 1] - 1
        last = sum(depths) + 1 if num_classes is not None else self._taps[self.last_level]
        kit = layers(dims, of=variant)
        norm = partial(kit.batch_norm, eps=norm_eps)
        self.pad, around = padding_of(padding, 3, stride=2, dilation=1, of=variant)
        self.conv_stem = kit.conv(in_channels, row.stem, 3, stride=2, padding=around, bias=False)
        self.bn1 = norm(row.stem)
        padding = after(padding, 2)
        rates = rising(drop_path_rate, depths)
        self.blocks = Sequential()
        for index, stage in enumerate(stages):
            built = min(depths[index], last - sum(depths[:index]))
            if built <= 0:
                break
            plan = [steps[index], *[Step(1, *[steps[index].dilation] * 2)] * (built - 1)]
            if early_level and index == taps[3] - 1:
                # What follows the level is dilated as the next one is.
                plan[1:] = [Step(1, *[steps[index + 1].first_dilation] * 2)] * (built - 1)
            made = _stage(row, stage, channels[index], plan, rates[index], norm, padding, dims)
            self.blocks.add_module(str(index), made)
            padding = after(padding, steps[index].stride)
        self.act1 = activation_layer(row.design.activation, of=variant)
        self._head = last > sum(depths)
        self._pooled_head = row.design.pooled_head
        if self._head:
            self.conv_head = kit.conv(channels[-2], row.head, 1, bias=self._pooled_head)
            if not self._pooled_head:
                self.bn2 = norm(row.head)
            self.act2 = activation_layer(row.design.activation, of=variant)
        if num_classes is not None:
            self.dropout = Dropout(dropout)
            self._put("classifier", Linear(row.head, num_classes))
        normal_fan_out(self)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = self.act1(self.bn1(self.conv_stem(self.pad(x))))
        maps, wanted = {0: x}, {self._taps[index] for index in self.out_indices}
        for done, block in enumerate(self._built(), start=1):
            x = block(x)
            if done in wanted:
                maps[done] = x
        if self._head:
            x = self._pooled(x) if self._pooled_head else self.act2(self.bn2(self.conv_head(x)))
            maps[self._taps[-1]] = x
        if self.num_classes is None:
            return tuple(maps[self._taps[index]] for index in self.out_indices)
        return self._layer("classifier")(self.dropout(x.flatten(2).mean(2)))

    def by_stage(self) -> list[list[Module]]:
        parts: list[list[Module]] = [[self.conv_stem, self.bn1], *([block] for block in self._built())]
        if self._head and not self._pooled_head:
            parts.append([self.conv_head, self.bn2])
        ends = [tap + 1 for tap in self._taps[: self.last_level + 1]]
        return [[part for group in parts[start:end] for part in group] for start, end in pairwise([0, *ends])]

    def _built(self) -> list[Module]:
        """All blocks in a row."""
        stages: Any = self.blocks
        return [block for stage in stages for block in stage]

    def _pooled(self, x: Tensor) -> Tensor:
        return self.act2(self.conv_head(x.mean(tuple(range(2, x.ndim)), keepdim=True)))


def _check(variant: str, row: Row, *, norm_eps: float, drop_path_rate: float, head_level: bool) -> None:
    if not norm_eps > 0:
        raise ValueError(f"{variant}: norm_eps={norm_eps} is not above 0.")
    if not 0 <= drop_path_rate < 1:
        raise ValueError(f"{variant}: drop_path_rate={drop_path_rate} is not in 0 <= rate < 1.")
    if head_level and row.design.pooled_head:
        raise ValueError(f"{variant}: head_level=True, but its head convolves what was averaged and gives no map.")


def _stages(row: Row) -> list[list[Blocks]]:
    """The stages of a size, its channels rounded and its depths rounded up."""
    stages = []
    for index, stage in enumerate(row.design.stages):
        fixed = row.fixed_ends and index in (0, len(row.design.stages) - 1)
        depth = 1.0 if fixed else row.depth
        stages.append(
            [
                blocks._replace(depth=math.ceil(blocks.depth * depth), channels=divisible(blocks.channels * row.width))
                for blocks in stage
            ]
        )
    return stages


def _taps(strides: Sequence[int], *, stem_level: bool, head_level: bool) -> list[int]:
    """How many stages are done where each level is reached: as many as come before the next stride.

    >>> _taps((1, 2, 2, 2, 1, 2, 1), stem_level=False, head_level=False)
    [1, 2, 3, 5, 7]
    """
    taps = [done for done, stride in enumerate(strides) if stride == 2]
    return [0 if stem_level else taps[0], *taps[1:], len(strides) + head_level]


def _stage(
    row: Row,
    stage: Sequence[Blocks],
    in_channels: int,
    steps: Sequence[Step],
    rates: Sequence[float],
    norm: Factory,
    padding: Padding,
    dims: int,
) -> Sequential:
    """The blocks of a stage, as many as there are `steps`."""
    made = []
    for blocks, step, rate in zip(_each(stage), steps, rates, strict=False):
        made.append(_block(row, blocks, in_channels, step=step, drop_path=rate, norm=norm, padding=padding, dims=dims))
        in_channels = blocks.channels
    return Sequential(*made)


def _each(stage: Sequence[Blocks]) -> Iterator[Blocks]:
    """The run of each block of a stage."""
    for blocks in stage:
        for _ in range(blocks.depth):
            yield blocks


def _block(
    row: Row,
    blocks: Blocks,
    in_channels: int,
    *,
    step: Step,
    drop_path: float,
    norm: Factory,
    padding: Padding,
    dims: int,
) -> Module:
    activation = blocks.activation or row.design.activation
    make: Callable[..., Module] = partial(
        {
            "separable": DepthwiseSeparable,
            "inverted": InvertedResidual,
            "fused": FusedMBConv,
            "conv": ResidualConv,
        }[blocks.block],
        in_channels,
        blocks.channels,
        blocks.kernel_size,
        stride=step.stride,
        dilation=step.first_dilation,
        padding=padding,
        norm=norm,
        activation=activation,
        shortcut=blocks.shortcut,
        drop_path=drop_path,
        dims=dims,
    )
    if blocks.block in ("inverted", "fused"):
        make = partial(make, expansion=blocks.expansion)
    if blocks.se:
        make = partial(make, se=partial(_squeeze, row.design.squeeze, in_channels, activation, dims))
    return make()


def _squeeze(kind: str, entering: int, activation: str, dims: int, channels: int) -> SE:
    names = ("conv_reduce", "conv_expand")
    if kind == "input":
        return SE(channels, reduced=round(entering / 4), activation=activation, names=names, dims=dims)
    return SE(channels, reduced=divisible(channels / 4), gate="hardsigmoid", names=names, dims=dims)


mobilenetv2_035 = sized(EfficientNet, "mobilenetv2_035")
mobilenetv2_050 = sized(EfficientNet, "mobilenetv2_050")
mobilenetv2_075 = sized(EfficientNet, "mobilenetv2_075")
mobilenetv2_100 = sized(EfficientNet, "mobilenetv2_100")
mobilenetv2_110d = sized(EfficientNet, "mobilenetv2_110d")
mobilenetv2_120d = sized(EfficientNet, "mobilenetv2_120d")
mobilenetv2_140 = sized(EfficientNet, "mobilenetv2_140")
mnasnet_100 = sized(EfficientNet, "mnasnet_100")
mobilenetv3_small_050 = sized(EfficientNet, "mobilenetv3_small_050")
mobilenetv3_small_075 = sized(EfficientNet, "mobilenetv3_small_075")
mobilenetv3_small_100 = sized(EfficientNet, "mobilenetv3_small_100")
mobilenetv3_large_075 = sized(EfficientNet, "mobilenetv3_large_075")
mobilenetv3_large_100 = sized(EfficientNet, "mobilenetv3_large_100")
efficientnet_b0 = sized(EfficientNet, "efficientnet_b0")
efficientnet_b1 = sized(EfficientNet, "efficientnet_b1")
efficientnet_b2 = sized(EfficientNet, "efficientnet_b2")
efficientnet_b3 = sized(EfficientNet, "efficientnet_b3")
efficientnet_b4 = sized(EfficientNet, "efficientnet_b4")
efficientnet_b5 = sized(EfficientNet, "efficientnet_b5")
efficientnet_b6 = sized(EfficientNet, "efficientnet_b6")
efficientnet_b7 = sized(EfficientNet, "efficientnet_b7")
efficientnet_lite0 = sized(EfficientNet, "efficientnet_lite0")
efficientnetv2_s = sized(EfficientNet, "efficientnetv2_s")
