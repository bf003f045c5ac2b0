"""The decoder of a U-Net++ on any backbone: steps up from every level, densely joined.

Source: Zhou et al., "UNet++: A Nested U-Net Architecture", arXiv:1807.10165, figure 1, in the form of
segmentation-models' UnetPlusPlusDecoder: only the steps of the outermost row have the decoder's channels, and
a last one brings the finest level to the image.
Differs: as UNetDecoder, it meets every size.
"""

from collections.abc import Sequence
from typing import Literal

import mcore
from mcore import ModuleDict, Tensor
from models.basicblocks.layers import Choice, Factory, layers
from models.component import Part, strides_from
from models.functional.maps import as_channels
from models.functional.sizes import resize
from models.heads.decoding import MODES, Mode, taken, up_to_image
from models.heads.unet_decoder import Up, steps_up
from models.utils.arguments import one_of


class UNetPlusPlusDecoder(Part):
    """Scores of each class for every pixel, from every level up to the finest, each step joining all before it.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        size: of the image, in pixels; None stands for the finest map's size times its stride
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        channels: after each step of the outermost row; as many are used as there are steps.
        attention: of each step, before and after its convolutions: a name ("SCSE"), or a constructor from
            channels.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        interpolation: how maps come up, "nearest" or "linear".
        in_channels: of the maps fed; from `models.assemble`, where left out.
        in_strides: of the maps fed; where left out, doubling from 2.
        dims: 1, 2 or 3.

    Names: blocks and classifier stand for decoder.blocks and segmentation_head.0 of segmentation-models:
        x_d_l is the step to level l, counted from the coarsest, of the row that starts d levels below the
        outermost.
    """

    dense = True

    def __init__(
        self,
        num_classes: int,
        channels: Sequence[int] = (256, 128, 64, 32, 16),
        *,
        attention: str | Factory | None = None,
        norm: Choice = "batch",
        interpolation: Mode = "nearest",
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        one_of(MODES, of="UNetPlusPlusDecoder", interpolation=interpolation)
        super().__init__()
        fed = as_channels(in_channels or ())
        strides = strides_from(in_strides, len(fed), first=2)
        joined = steps_up(fed, strides, channels, title="UNetPlusPlusDecoder")
        self.dims, self.fed = dims, len(fed)
        self.interpolation: Mode = interpolation
        # Steps that join maps, and steps in all.
        self.levels, self.steps = len(fed) - 1, len(joined)
        widths, blocks = (fed[-1], *channels), {}
        for level, skip in enumerate(joined):
            for row in range(level + 1 if level < self.levels else 1):
                below, more, out = widths[level], skip * (level + 1), channels[level]
                if row > 0:
                    below, more, out = joined[level - 1], skip * (level + 1 - row), skip
                blocks[f"x_{row}_{level}"] = Up(below, more, out, attention=attention, norm=norm, dims=dims)
        self.blocks = ModuleDict(blocks)
        #: (channels, stride) of what `decode` gives: the finest level's maps of all rows, then the result.
        finest = [(joined[self.levels - 1], strides[0])] * (self.levels - 1)
        self.decoded = [*finest, (channels[len(joined) - 1], 1)]
        self.classifier = layers(dims, of="UNetPlusPlusDecoder").conv(self.decoded[-1][0], num_classes, 3, padding=1)

    def forward(self, features: Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
        return self.classifier(self.decode(features, size)[-1])

    def decode(self, features: Sequence[Tensor], size: Sequence[int] | None = None) -> list[Tensor]:
        """The maps of the finest level that the inner rows give, from the shallowest row on; then the result."""
        *finer, x = taken(features, range(self.fed), of=self.fed, title="UNetPlusPlusDecoder")
        coarser = [x, *reversed(finer)]
        before: list[Tensor] = []
        for level in range(self.levels):
            skip = coarser[level + 1]
            # The shallowest row first: each further one joins what those gave at this level.
            row_maps: list[Tensor] = []
            for row in range(level, -1, -1):
                below = coarser[level] if row == level else before[row]
                more = mcore.cat([*reversed(row_maps), skip], dim=1)
                up = resize(below, skip.shape[2:], mode=self.interpolation)
                row_maps.append(self.blocks[f"x_{row}_{level}"](up, more))
            before = row_maps[::-1]
        x = before[0] if before else x
        above = [self.blocks[f"x_0_{step}"] for step in range(self.levels, self.steps)]
        return [*reversed(before[1:]), [x, *up_to_image(x, above, size, mode=self.interpolation)][-1]]
