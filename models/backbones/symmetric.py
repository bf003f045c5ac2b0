"""The way down of the residual symmetric U-Net, for volumes, images and sequences.

Source: Lee et al., "Superhuman Accuracy on the SNEMI3D Connectomics Challenge", arXiv:1706.00120, as
seung-lab/pytorch-emvision implements it.
Differs: a convolution brings the image in, which is left to the user there.
Names: attributes are those of `models.networks.RSUNet`, whose files load as they are, the originals' by the table
`emvision`.
"""

from collections.abc import Sequence
from typing import Any, Literal

from mcore import Linear, ModuleList, Tensor
from models.backbones.base import Backbone, Level, Weights
from models.basicblocks.conv import Pixels, each
from models.basicblocks.layers import Choice, layers
from models.basicblocks.symmetric import SymmetricBlock, SymmetricDown
from models.component import sized
from models.utils.arguments import whole_numbers
from models.utils.initialise import kaiming_fan_in


class SymmetricEncoder(Backbone):
    """Residual blocks whose norms stand before their convolutions, with maximum pooling between them.

    Shapes:
        x: (n, in_channels, *size)
        returns: a tuple of (n, channels, *floor(size / stride)), rounded down at each step; along axes with strides of
            their own, less is divided. With `num_classes`, (n, num_classes)

    Args:
        in_channels: channels of the image.
        channels: of each level, finest first; the first is the map at full resolution, of index -1.
        strides: of each step from a level to the next, 2 or by axis, with a 2 among them; where left out, 2, but 1
            along the first of three axes.
        norm: "batch", "instance", "group", one with arguments ({"name": "group", "num_groups": 4}), a
            constructor, or None.
        activation: a name, a name with arguments, or a constructor.
        kernel_size: of the first convolution; odd, along every axis, or along each. Where left out, 5, but 1 along the
            first of three axes.
        num_classes: makes it a classifier, which averages the coarsest map over all pixels.
        dims: 1, 2 or 3.
        out_indices: which levels to return, counted from 0 at stride 2; where left out, those from stride 4 on, or
            all where there are none.
        frozen_stages: up to which level weights and norms stay as they are; 0 is the finest, -1 none.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "embed", "fc"
    # Pooling leaves out what doesn't fill a window.
    rounds_up = False

    def __init__(
        self,
        variant: str,
        in_channels: int = 1,
        *,
        channels: Sequence[int] = (16, 32, 64, 128, 256, 512),
        strides: Sequence[Pixels] | None = None,
        norm: Choice = "batch",
        activation: Choice = "relu",
        kernel_size: Pixels | None = None,
        num_classes: int | None = None,
        dims: Literal[1, 2, 3] = 3,
        out_indices: Sequence[int] | None = None,
        frozen_stages: int = -1,
        weights: Weights = None,
    ) -> None:
        whole_numbers(of=variant, least=1, channels=channels)
        conv, flat = layers(dims, of=variant).conv, (1, 2, 2) if dims == 3 else 2
        steps = _steps(variant, [flat] * (len(channels) - 1) if strides is None else strides, len(channels), dims)
        levels = [Level(index, count, 2 ** (index + 1)) for index, count in enumerate(channels, start=-1)]
        if out_indices is None and levels[-1].index < 1:
            out_indices = [level.index for level in levels]
        super().__init__(variant, levels, dims=dims, num_classes=num_classes, out_indices=out_indices)
        kernel = each(((1, 5, 5) if dims == 3 else 5) if kernel_size is None else kernel_size, dims)
        if len(kernel) != dims or any(size < 1 or size % 2 == 0 for size in kernel):
            raise ValueError(f"{variant}: kernel_size={kernel_size!r} is not odd, nor {dims} odd numbers.")
        same: dict[str, Any] = {"norm": norm, "activation": activation, "dims": dims}
        self.embed = conv(
            in_channels, channels[0], kernel, padding=tuple(size // 2 for size in kernel), bias=norm is None
        )
        self.iconv = SymmetricBlock(channels[0], channels[0], **same)
        self.dconvs = ModuleList(
            SymmetricDown(SymmetricBlock(channels[level], channels[level + 1], **same), step, dims=dims)
            for level, step in enumerate(steps[: self.last_level + 1])
        )
        self.fc = None if num_classes is None else Linear(channels[-1], num_classes)
        kaiming_fan_in(self)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Any:
        maps = [self.iconv(self.embed(x))]
        for down in self.dconvs:
            maps.append(down(maps[-1]))
        if self.fc is not None:
            return self.fc(maps[-1].mean(tuple(range(2, 2 + self.dims))))
        return self.chosen(maps, first=-1)

    def by_stage(self) -> list[list[Any]]:
        return [[self.embed, self.iconv], *([down] for down in self.dconvs)]


def _steps(variant: str, strides: Sequence[Pixels], levels: int, dims: int) -> list[tuple[int, ...]]:
    """The stride of each step, by axis.

    Raises:
        ValueError: another number of them than steps between `levels`, or one that isn't of 1 and 2 with a 2.
    """
    if levels < 1 or len(strides) != levels - 1:
        raise ValueError(f"{variant}: strides={list(strides)} are {len(strides)} for {levels} levels; give one less.")
    steps = [each(stride, dims) for stride in strides]
    for stride, step in zip(strides, steps, strict=True):
        if len(step) != dims or min(step) < 1 or max(step) != 2:
            raise ValueError(f"{variant}: strides: {stride!r} isn't 2, nor {dims} of 1 or 2 with a 2 among them.")
    return steps


rsunet = sized(SymmetricEncoder, "rsunet")
