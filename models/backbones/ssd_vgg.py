"""The backbone of SSD300: VGG-16 with dilated convolutions for its linear layers, and coarser levels behind.

Source: Liu et al., "SSD: Single Shot MultiBox Detector", arXiv:1512.02325, figure 2 and section 3; the scale of the
finest map: Liu et al., "ParseNet", arXiv:1506.04579, section 3.3.
Differs from VGG: the third pooling rounds sizes up, the fifth keeps them, and the linear layers are convolutions.
Names: attributes are torchvision's, so its weights load as they are.
"""

from collections.abc import Sequence
from typing import Literal

from mcore import Module, ModuleList, Parameter, ReLU, Sequential, Tensor, full
from mcore import functional as F
from models.backbones.base import Backbone, Level, Weights, row_of
from models.basicblocks.layers import Layers, layers
from models.component import sized
from models.utils.initialise import xavier

# Channels of VGG's stages and their convolutions.
STAGES = {"ssd_vgg16": ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))}
# Channels of the convolutions that take the place of VGG's linear layers.
WIDE = 1024
# Each of the coarser levels: channels of its 1x1 and its 3x3 convolution, and the latter's stride. Without a stride
# it has no padding.
EXTRAS = ((256, 512, 2), (128, 256, 2), (128, 256, 1), (128, 256, 1))
# The level of the finest map, at stride 8.
FIRST = 2
# The least image, in pixels along an axis, that leaves something of each level.
LEAST = {2: 4, 3: 12, 4: 12, 5: 12, 6: 140, 7: 268}


class SSDVGG(Backbone):
    """SSD's backbone: a tuple of feature maps, finest first.

    Shapes:
        x: (n, in_channels, *size), at least 268 pixels along every axis for all levels
        returns: one (n, channels, *size) for each of `features`: of 300 pixels 38, 19, 10, 5, 3 and 1

    Args:
        variant: a row of `STAGES`.
        in_channels: channels of the image.
        width: what all channels are multiplied by; 1 is the published.
        dims: 1, 2 or 3 for sequences, images or volumes.
        out_indices: levels to return, 2 at stride 8 to 7 at stride 256; those after the last aren't built.
        frozen_stages: the last stage that isn't trained, 0 being all up to stride 8; -1 trains all.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Raises:
        ValueError: an argument out of range; an image too small for the levels.
    """

    first_conv = "features.0"
    rounds_up = False

    def __init__(
        self,
        variant: str,
        in_channels: int = 3,
        *,
        width: float = 1.0,
        dims: Literal[1, 2, 3] = 2,
        out_indices: Sequence[int] | None = None,
        frozen_stages: int = -1,
        weights: Weights = None,
    ) -> None:
        stages = row_of(STAGES, variant, of="SSDVGG")
        if not width > 0:
            raise ValueError(f"{variant}: width={width} is not above 0.")

        def scaled(channels: int) -> int:
            return max(1, round(width * channels))

        rows = [(scaled(channels), depth) for channels, depth in stages]
        extras = [(scaled(narrow), scaled(wide), stride) for narrow, wide, stride in EXTRAS]
        channels = (rows[3][0], scaled(WIDE), *(wide for _, wide, _ in extras))
        super().__init__(
            variant,
            [Level(index, count, 2 ** (index + 1)) for index, count in enumerate(channels, start=FIRST)],
            dims=dims,
            num_classes=None,
            out_indices=out_indices,
        )
        kit = layers(dims, of=variant)
        # The length of every pixel's channels in the finest map, learnt for each channel.
        self.scale_weight = Parameter(full((channels[0],), 20.0)) if FIRST in self.out_indices else None
        body, fed = _vgg(kit, in_channels, rows[:4])
        self._put("features", Sequential(*body))
        built: list[Module] = []
        if self.last_level > FIRST:
            fifth, fed = _vgg(kit, fed, rows[4:])
            built.append(Sequential(kit.max_pool(2), *fifth, _linear(kit, fed, channels[1])))
        for before, (narrow, wide, stride) in zip(
            channels[1:], extras[: max(0, self.last_level - FIRST - 1)], strict=False
        ):
            built.append(_extra(kit, before, narrow, wide, stride=stride))
        self.extra = ModuleList(built)
        xavier(self.extra)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        least = LEAST[self.last_level]
        if any(int(pixels) < least for pixels in x.shape[2:]):
            raise ValueError(
                f"{self.variant}: the image is {tuple(map(int, x.shape[2:]))} pixels, but levels up to "
                f"{self.last_level} need {least} along every axis; enlarge it, or leave levels out by out_indices."
            )
        x = self._layer("features")(x)
        maps = [x]
        if self.scale_weight is not None:
            maps = [F.normalize(x) * self.scale_weight.reshape(1, -1, *(1 for _ in range(self.dims)))]
        for block in self.extra:
            x = block(x)
            maps.append(x)
        return self.chosen(maps, first=FIRST)

    def by_stage(self) -> list[list[Module]]:
        return [[self._layer("features")], *([block] for block in self.extra)]


def _vgg(kit: Layers, channels: int, rows: Sequence[tuple[int, int]]) -> tuple[list[Module], int]:
    """Stages of 3x3 convolutions with pooling between, and the channels of the last."""
    row: list[Module] = []
    for number, (width, depth) in enumerate(rows):
        if number:
            row.append(kit.max_pool(2, ceil_mode=number == 3))
        for _ in range(depth):
            row += [kit.conv(channels, width, 3, padding=1), ReLU()]
            channels = width
    return row, channels


def _linear(kit: Layers, channels: int, wide: int) -> Sequential:
    """VGG's first two linear layers, as convolutions over a wide window with holes."""
    return Sequential(
        kit.max_pool(3, stride=1, padding=1),
        kit.conv(channels, wide, 3, padding=6, dilation=6),
        ReLU(),
        kit.conv(wide, wide, 1),
        ReLU(),
    )


def _extra(kit: Layers, channels: int, narrow: int, wide: int, *, stride: int) -> Sequential:
    padding = 1 if stride > 1 else 0
    return Sequential(
        kit.conv(channels, narrow, 1), ReLU(), kit.conv(narrow, wide, 3, stride=stride, padding=padding), ReLU()
    )


ssd_vgg16 = sized(SSDVGG, "ssd_vgg16")
