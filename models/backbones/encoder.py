"""A plain convolutional encoder, for sequences, images and volumes.

Source: the way down of Isensee et al., "nnU-Net", arXiv:1904.08128, figure 2.
Names: blocks.<level>.<convolution>, the finest level first; each convolution has conv, norm and act.
"""

from collections.abc import Sequence
from typing import Any, Literal

from mcore import Linear, ModuleList, Sequential, Tensor
from models.backbones.base import Backbone, Level, Weights
from models.basicblocks.conv import CONV_NORM_ACT, ConvNormAct, Pixels, each
from models.basicblocks.layers import Choice
from models.component import sized


class PlainEncoder(Backbone):
    """A level a stage: convolutions with norm and activation, of which the first strides.

    Shapes:
        x: (n, in_channels, *size)
        returns: a tuple of (n, channels, *ceil(size / stride)); along axes with strides of their own, less is
            divided. With `num_classes`, (n, num_classes)

    Args:
        in_channels: channels of the image.
        channels: of each level, finest first.
        strides: of each level, for every axis or by axis: ((1, 1, 1), (1, 2, 2), (2, 2, 2)). The largest is 2, or
            1 for the first level alone, which is then the map at full resolution, of index -1. Where left out, 1
            for the first and 2 for others.
        depths: convolutions of every level, or of each.
        kernel_size: odd; pixels along every axis, or along each.
        norm: "batch", "instance", "group", one with arguments ({"name": "group", "num_groups": 4}), a
            constructor, or None.
        activation: a name, a name with arguments, or a constructor.
        num_classes: makes it a classifier, which averages the coarsest map over all pixels.
        dims: 1, 2 or 3.
        out_indices: which levels to return, counted from 0 at stride 2; where left out, those from stride 4 on, or
            all where there are none.
        frozen_stages: up to which level weights and norms stay as they are; 0 is the finest, -1 none.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "blocks.0.0.conv", "fc"

    def __init__(
        self,
        variant: str,
        in_channels: int = 1,
        *,
        channels: Sequence[int] = (32, 64, 128, 256, 320),
        strides: Sequence[Pixels] | None = None,
        depths: int | Sequence[int] = 2,
        kernel_size: Pixels = 3,
        norm: Choice = "instance",
        activation: Choice = "leaky_relu",
        num_classes: int | None = None,
        dims: Literal[1, 2, 3] = 3,
        out_indices: Sequence[int] | None = None,
        frozen_stages: int = -1,
        weights: Weights = None,
    ) -> None:
        steps = _steps(variant, channels, strides, dims)
        counts = [depths] * len(channels) if isinstance(depths, int) else [*depths]
        if len(counts) != len(channels) or min(counts) < 1:
            raise ValueError(f"{variant}: depths={depths} are no positive number, nor one for each of {len(channels)}.")
        first = -1 if max(steps[0]) == 1 else 0
        levels = [Level(index, count, 2 ** (index + 1)) for index, count in enumerate(channels, start=first)]
        if out_indices is None and levels[-1].index < 1:
            out_indices = [level.index for level in levels]
        super().__init__(variant, levels, dims=dims, num_classes=num_classes, out_indices=out_indices)
        self.rounds_up = all(len(set(step)) == 1 for step in steps)
        same: dict[str, Any] = {"norm": norm, "activation": activation, "names": CONV_NORM_ACT, "dims": dims}
        fed, self.finest = in_channels, first
        self.blocks = ModuleList()
        for count, step, depth in list(zip(channels, steps, counts, strict=True))[: self.last_level - first + 1]:
            convs = [ConvNormAct(fed, count, kernel_size, stride=step, **same)]
            convs += [ConvNormAct(count, count, kernel_size, **same) for _ in range(depth - 1)]
            self.blocks.append(Sequential(*convs))
            fed = count
        self.fc = None if num_classes is None else Linear(fed, num_classes)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Any:
        maps = []
        for level in self.blocks:
            x = level(x)
            maps.append(x)
        if self.fc is not None:
            return self.fc(x.mean(tuple(range(2, 2 + self.dims))))
        return self.chosen(maps, first=self.finest)

    def by_stage(self) -> list[list[Any]]:
        return [[level] for level in self.blocks]


def _steps(variant: str, channels: Sequence[int], strides: Sequence[Pixels] | None, dims: int) -> list[tuple[int, ...]]:
    """The stride of each level, by axis.

    Raises:
        ValueError: another number of them than levels, or one that isn't 1 or 2.
    """
    given = [1] + [2] * (len(channels) - 1) if strides is None else [*strides]
    if not channels or len(given) != len(channels):
        raise ValueError(f"{variant}: strides={given} are {len(given)} for {len(channels)} levels.")
    steps = [each(stride, dims) for stride in given]
    for level, step in enumerate(steps):
        least = 2 if level else 1
        if len(step) != dims or min(step) < 1 or not least <= max(step) <= 2:
            raise ValueError(
                f"{variant}: strides[{level}]={given[level]!r} isn't {'2' if level else '1 or 2'}, nor {dims} of 1 or "
                "2 with a 2 among them (the first level may do without)."
            )
    return steps


plain_encoder = sized(PlainEncoder, "plain_encoder")
