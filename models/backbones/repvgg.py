"""RepVGG backbones and classifiers.

Source: Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", arXiv:2101.03697, table 2.
Names: attributes are timm's, so its weights load as they are.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from mcore import Module, Sequential, Tensor
from models.backbones.base import Backbone, Step, Weights, levels_of, row_of, steps_to
from models.basicblocks.classifier import fc_head
from models.basicblocks.repvgg import RepVGG
from models.component import sized
from models.utils.initialise import kaiming_fan_out


class Row(NamedTuple):
    """One size: blocks and channels of the four stages after the stem."""

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]


DEPTHS = {
    "repvgg_a0": Row((2, 4, 14, 1), (48, 96, 192, 1280)),
    "repvgg_a1": Row((2, 4, 14, 1), (64, 128, 256, 1280)),
    "repvgg_a2": Row((2, 4, 14, 1), (96, 192, 384, 1408)),
    "repvgg_b0": Row((4, 6, 16, 1), (64, 128, 256, 1280)),
    "repvgg_b1": Row((4, 6, 16, 1), (128, 256, 512, 2048)),
}


class RepVGGNet(Backbone):
    """RepVGG: a tuple of feature maps, finest first; with `num_classes` the published classifier.

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
        fused: builds the form to run, one convolution a block; `fuse` makes it out of a trained network.
        frozen_stages: the last stage that isn't trained, 0 being the stem; -1 trains all.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv: str | tuple[str, ...] = ("stem.conv_kxk.conv", "stem.conv_1x1.conv")
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
        fused: bool = False,
        frozen_stages: int = -1,
        weights: Weights = None,
    ) -> None:
        row = row_of(DEPTHS, variant, of="RepVGGNet")
        # Never wider than 64, as the paper has it.
        channels = (min(64, row.widths[0]), *row.widths)
        steps = steps_to(output_stride, (2, 2, 2, 2), reached=2, variant=variant)
        super().__init__(
            variant,
            levels_of(channels, output_stride=output_stride),
            dims=dims,
            num_classes=num_classes,
            out_indices=out_indices,
        )
        self.stem = RepVGG(in_channels, channels[0], stride=2, fused=fused, dims=dims)
        stages = Sequential()
        for index in range(self.last_level):
            stage = _stage(row, channels[index], index, step=steps[index], fused=fused, dims=dims)
            stages.add_module(str(index), stage)
        self.stages = stages
        if fused:
            self.first_conv = "stem.reparam_conv"
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
        return [[self.stem], *([stage] for stage in self.stages)]

    def fuse(self) -> "RepVGGNet":
        """A network of one convolution a block that gives in eval mode what this one gives in eval mode."""
        received: Any = self._arguments
        arguments: dict[str, Any] = {**received, "fused": True, "weights": None}
        net = RepVGGNet(**arguments)
        some = next(iter(self.parameters()))
        state = dict(self.state_dict())
        for name, block in self.named_modules():
            if isinstance(block, RepVGG) and not block.is_fused:
                state |= {f"{name}.{key}": value for key, value in block.fused_state().items()}
        net.to(dtype=some.dtype, device=some.device)
        net.load_state_dict({key: state[key] for key in net.state_dict()})
        return net.eval()


def _stage(row: Row, in_channels: int, index: int, *, step: Step, fused: bool, dims: int) -> Sequential:
    blocks = []
    for number in range(row.depths[index]):
        block = RepVGG(
            row.widths[index] if number else in_channels,
            row.widths[index],
            stride=1 if number else step.stride,
            dilation=step.dilation if number else step.first_dilation,
            fused=fused,
            dims=dims,
        )
        blocks.append(block)
    return Sequential(*blocks)


repvgg_a0 = sized(RepVGGNet, "repvgg_a0")
repvgg_a1 = sized(RepVGGNet, "repvgg_a1")
repvgg_a2 = sized(RepVGGNet, "repvgg_a2")
repvgg_b0 = sized(RepVGGNet, "repvgg_b0")
repvgg_b1 = sized(RepVGGNet, "repvgg_b1")
