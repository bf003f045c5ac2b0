"""U-Net++ by itself, without a backbone: nested and dense skip connections.

Source: Zhou et al., "UNet++: A Nested U-Net Architecture for Medical Image Segmentation", arXiv:1807.10165,
figure 1a, as MONAI's `BasicUNetPlusPlus` implements it.
Differs: sizes that don't halve evenly are padded with zeros before, where MONAI repeats the last pixels of each
raised map. Scores of nodes that aren't returned aren't built.
Names: attributes are MONAI's, but for norm and act, which are adn.N and adn.A there: the table `monai`.
"""

from collections.abc import Sequence
from typing import Any, Literal

from mcore import Tensor
from models.backbones.base import Weights
from models.basicblocks.double_conv import DoubleConv, UpJoin
from models.basicblocks.layers import Choice, layers
from models.networks.basic_unet import LEAKY, check_levels, down
from models.networks.fitting import Fit, Fitting


class NestedUNet(Fitting):
    """U-Net++: scores of each class for every pixel, from one node or from all of the finest level.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, num_classes, *size), before softmax; with `deep_supervision` a tuple of one for each node of
            the finest level, the last the deepest

    Args:
        in_channels: channels of the image.
        num_classes: how many scores for each pixel.
        channels: of each level, finest first.
        last: channels of the deepest node of the finest level; those of its others, where left out.
        deep_supervision: every node of the finest level is scored, in training and in evaluation, where they are
            averaged or the deeper ones are left out (section 3.2).
        norm: "batch", "instance", "group", one with arguments ({"name": "group", "num_groups": 4}), a
            constructor, or None. An instance norm needs two pixels or more at the coarsest level.
        activation: a name, a name with arguments, or a constructor.
        bias: of convolutions.
        up: "transposed" convolutions, or "linear" interpolation behind a 1x1 convolution.
        fit: what happens to sizes that don't halve evenly: "pad" adds zeros and crops the result, "refuse" says
            which sizes fit.
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv = "conv_0_0.conv_0.conv"

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        channels: Sequence[int] = (32, 32, 64, 128, 256),
        last: int | None = None,
        deep_supervision: bool = False,
        norm: Choice = "instance",
        activation: Choice = LEAKY,
        bias: bool = True,
        up: Literal["transposed", "linear"] = "transposed",
        fit: Fit = "pad",
        dims: Literal[1, 2, 3] = 2,
        weights: Weights = None,
    ) -> None:
        check_levels("NestedUNet", channels, up)
        super().__init__([2] * (len(channels) - 1), fit=fit, dims=dims)
        block: dict[str, Any] = {"bias": bias, "norm": norm, "activation": activation, "dims": dims}
        self.levels, self.deep_supervision = len(channels) - 1, deep_supervision
        self.conv_0_0 = DoubleConv(in_channels, channels[0], names=("conv_0", "conv_1"), **block)
        for level in range(1, len(channels)):
            self.add_module(f"conv_{level}_0", down(channels[level - 1], channels[level], **block))
        for step in range(1, len(channels)):
            for level in range(len(channels) - step):
                below, own = channels[level + 1], channels[level]
                deepest = level == 0 and step == self.levels
                joined = UpJoin(
                    below,
                    step * own,
                    (last or own) if deepest else own,
                    raised=below // 2 if level else below,
                    up=up,
                    **block,
                )
                self.add_module(f"upcat_{level}_{step}", joined)
        conv = layers(dims, of="NestedUNet").conv
        self.scored = range(1, len(channels)) if deep_supervision else (self.levels,)
        for step in self.scored:
            width = (last or channels[0]) if step == self.levels else channels[0]
            self.add_module(f"final_conv_0_{step}", conv(width, num_classes, 1))
        self._complete(weights)

    def scores(self, x: Tensor) -> Any:
        # Rows are levels: each holds what it has given so far.
        rows = [[self.conv_0_0(x)]]
        for level in range(1, self.levels + 1):
            rows.append([self._layer(f"conv_{level}_0")(rows[-1][0])])
        for step in range(1, self.levels + 1):
            for level in range(self.levels + 1 - step):
                rows[level].append(self._layer(f"upcat_{level}_{step}")(rows[level + 1][step - 1], *rows[level]))
        scored = tuple(self._layer(f"final_conv_0_{step}")(rows[0][step]) for step in self.scored)
        return scored if self.deep_supervision else scored[0]
