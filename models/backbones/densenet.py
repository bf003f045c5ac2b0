"""DenseNet backbones and classifiers.

Source: Huang et al., "Densely Connected Convolutional Networks", arXiv:1608.06993, table 1 (DenseNet-BC).
Names: attributes are torchvision's (and timm's), so published weights load as they are; MONAI's through
`models.utils.renames`.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal, NamedTuple

from mcore import Linear, Module, Sequential, Tensor
from mcore import functional as F
from models.backbones.base import Backbone, Weights, levels_of, row_of, steps_to
from models.basicblocks.dense import dense_block, transition
from models.basicblocks.layers import layers
from models.component import sized
from models.utils.initialise import kaiming_fan_out


class Row(NamedTuple):
    """One size: layers of each dense block, channels that a layer adds, channels of the stem."""

    depths: tuple[int, int, int, int]
    growth: int = 32
    stem: int = 64


DEPTHS = {
    "densenet121": Row((6, 12, 24, 16)),
    "densenet161": Row((6, 12, 36, 24), growth=48, stem=96),
    "densenet169": Row((6, 12, 32, 32)),
    "densenet201": Row((6, 12, 48, 32)),
}


class DenseNet(Backbone):
    """DenseNet: a tuple of feature maps, finest first; with `num_classes` the published classifier.

    The maps are the stem after its ReLU, the first three dense blocks as they are, without the norm of the
    transition that follows, and the fourth after the last norm and ReLU.

    Shapes:
        x: (n, in_channels, *size)
        returns: one (n, channels, *pixels) for each of `features`; or (n, num_classes). Down to stride 4,
            pixels are ceil(size / stride); beyond, each is half of those before, rounded down

    Args:
        variant: a row of `DEPTHS`.
        in_channels: channels of the image.
        num_classes: makes it the classifier; None, a backbone without one.
        dims: 1, 2 or 3 for sequences, images or volumes.
        out_indices: levels to return, 0 at stride 2 to 4 at stride 32; those after the last aren't built.
        output_stride: 8 or 16 leaves out the pooling of later transitions, and dilates what follows.
        normed_levels: levels 1 to 3 are after the norm and ReLU of the transition that follows, and level 4 is after
            the last norm without a ReLU: as segmentation-models taps DenseNet.
        frozen_stages: the last stage that isn't trained, 0 being the stem; -1 trains all.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "features.conv0", "classifier"
    rounds_up = False

    def __init__(
        self,
        variant: str,
        in_channels: int = 3,
        *,
        num_classes: int | None = None,
        dims: Literal[1, 2, 3] = 2,
        out_indices: Sequence[int] | None = None,
        output_stride: Literal[8, 16, 32] = 32,
        normed_levels: bool = False,
        frozen_stages: int = -1,
        weights: Weights = None,
    ) -> None:
        row = row_of(DEPTHS, variant, of="DenseNet")
        steps = steps_to(output_stride, (1, 2, 2, 2), reached=4, variant=variant)
        channels = _channels(row)
        super().__init__(
            variant,
            levels_of(channels, output_stride=output_stride),
            dims=dims,
            num_classes=num_classes,
            out_indices=out_indices,
        )
        kit, before, self.normed_levels = layers(dims, of=variant), row.stem, normed_levels
        body = Sequential()
        body.add_module("conv0", kit.conv(in_channels, row.stem, 7, stride=2, padding=3, bias=False))
        body.add_module("norm0", kit.batch_norm(row.stem))
        body.add_module("pool0", kit.max_pool(3, stride=2, padding=1))
        for index, (depth, step) in enumerate(zip(row.depths, steps, strict=True), start=1):
            if index > self.last_level:
                break
            if index > 1:
                name, before = f"transition{index - 1}", before // 2
                body.add_module(name, transition(2 * before, before, stride=step.stride, dims=dims))
            block = dense_block(before, row.growth, depth=depth, dilation=step.dilation, dims=dims)
            body.add_module(f"denseblock{index}", block)
            before = channels[index]
        if self.last_level == len(row.depths):
            body.add_module("norm5", kit.batch_norm(before))
        elif normed_levels and self.last_level > 0:
            # Of the transition that follows, what the level needs.
            body.add_module(f"transition{self.last_level}", Sequential(OrderedDict(norm=kit.batch_norm(before))))
        self._put("features", body)
        if num_classes is not None:
            self._put("classifier", Linear(before, num_classes))
        kaiming_fan_out(self)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        layer = dict(self._layer("features").named_children())
        x = F.relu(layer["norm0"](layer["conv0"](x)))
        maps = [x]
        for index in range(1, self.last_level + 1):
            if index == 1:
                x = layer["pool0"](x)
            else:
                # A transition begins with a norm and a ReLU, which may have been done.
                parts = list(layer[f"transition{index - 1}"])
                for part in parts[2:] if self.normed_levels else parts:
                    x = part(x)
            x = layer[f"denseblock{index}"](x)
            if index == len(DEPTHS[self.variant].depths):
                x = layer["norm5"](x)
                x = x if self.normed_levels and self.num_classes is None else F.relu(x)
            elif self.normed_levels:
                x = F.relu(layer[f"transition{index}"][0](x))
            maps.append(x)
        return self.chosen(maps) if self.num_classes is None else self._layer("classifier")(x.flatten(2).mean(2))

    def by_stage(self) -> list[list[Module]]:
        body = self._layer("features")
        stages = [[body.conv0, body.norm0]]
        for index in range(1, self.last_level + 1):
            names = [f"transition{index - 1}", f"denseblock{index}", *(["norm5"] if index == 4 else [])]
            if self.normed_levels and index == self.last_level:
                names.append(f"transition{index}")
            stages.append([layer for name, layer in body.named_children() if name in names])
        return stages


def _channels(row: Row) -> list[int]:
    """Channels of the stem and of each dense block; transitions halve them.

    >>> _channels(DEPTHS["densenet121"])
    [64, 256, 512, 1024, 1024]
    """
    channels, before = [row.stem], row.stem
    for depth in row.depths:
        channels.append(before + depth * row.growth)
        before = channels[-1] // 2
    return channels


densenet121 = sized(DenseNet, "densenet121")
densenet161 = sized(DenseNet, "densenet161")
densenet169 = sized(DenseNet, "densenet169")
densenet201 = sized(DenseNet, "densenet201")
