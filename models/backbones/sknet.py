"""SKNet backbones and classifiers: ResNets whose 3x3 convolutions select among reaches.

Source: Li et al., "Selective Kernel Networks", arXiv:1903.06586, table 1.
Differs: skresnet networks are timm's, with the channels split among the paths; skresnext50_32x4d is SKNet-50.
Names: attributes are timm's, so its weights load as they are.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from mcore import Tensor
from models.attention.selective_kernel import SK
from models.backbones.residual import DEEP, ResidualNet, Row
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.residual import Residual, Shortcut, grouped_width, pooled_projection, projection, ungrouped
from models.component import sized

_named = partial(ConvNormAct, names=CONV_BN_ACT)


class SKBasicBlock(Residual):
    """A basic block whose first convolution selects: `relu(branch(x) + shortcut(x))`.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, width, *ceil(size / stride))

    Args:
        selection: what `SK` takes besides.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        first_dilation: int | None = None,
        groups: int = 1,
        width_per_group: int = 64,
        selection: Mapping[str, Any] | None = None,
        shortcut: Shortcut = projection,
        dims: int = 2,
    ) -> None:
        ungrouped("SKBasicBlock", groups, width_per_group)
        super().__init__()
        first = first_dilation or dilation
        self.conv1 = SK(in_channels, width, stride=stride, dilation=first, dims=dims, **(selection or {}))
        self.conv2 = _named(width, width, 3, dilation=dilation, activation=None, dims=dims)
        self.downsample = shortcut(
            in_channels, width, stride=stride, dilation=dilation, first_dilation=first, dims=dims
        )

    def branch(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))


class SKBottleneck(Residual):
    """A bottleneck whose 3x3 convolution selects: `relu(branch(x) + shortcut(x))`.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, 4 * width, *ceil(size / stride))

    Args:
        selection: what `SK` takes besides.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        first_dilation: int | None = None,
        groups: int = 1,
        width_per_group: int = 64,
        selection: Mapping[str, Any] | None = None,
        shortcut: Shortcut = projection,
        dims: int = 2,
    ) -> None:
        super().__init__()
        first, out_channels = first_dilation or dilation, self.expansion * width
        inner = grouped_width("SKBottleneck", width, groups, width_per_group)
        self.conv1 = _named(in_channels, inner, 1, dims=dims)
        self.conv2 = SK(inner, stride=stride, dilation=first, groups=groups, dims=dims, **(selection or {}))
        self.conv3 = _named(inner, out_channels, 1, activation=None, dims=dims)
        self.downsample = shortcut(
            in_channels, out_channels, stride=stride, dilation=dilation, first_dilation=first, dims=dims
        )

    def branch(self, x: Tensor) -> Tensor:
        return self.conv3(self.conv2(self.conv1(x)))


_NARROW = {"selection": {"reduction": 8, "divisor": 16, "split": True}}
_SPLIT = {"selection": {"split": True}}

DEPTHS = {
    "skresnet18": Row(SKBasicBlock, (2, 2, 2, 2), parts=_NARROW),
    "skresnet34": Row(SKBasicBlock, (3, 4, 6, 3), parts=_NARROW),
    "skresnet50": Row(SKBottleneck, (3, 4, 6, 3), parts=_SPLIT),
    "skresnet50d": Row(SKBottleneck, (3, 4, 6, 3), stem=DEEP, shortcut=pooled_projection, parts=_SPLIT),
    "skresnext50_32x4d": Row(
        SKBottleneck, (3, 4, 6, 3), groups=32, width_per_group=4, parts={"selection": {"divisor": 32}}
    ),
}


class SKNet(ResidualNet):
    """SKNet: a tuple of feature maps, finest first; with `num_classes` the published classifier.

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
        widths: channels inside the blocks of each of the four stages.
        groups: of the 3x3 convolutions, each of `width_per_group` channels at a width of 64.
        width_per_group: channels of each group at a width of 64.
        stem_stride: 1 gives all levels at half their stride, the first (index -1) at full resolution.
        shortcut_bias: shortcuts' convolutions have a bias.
        even_dilation: dilates the first block of a stage like its others, as segmentation-models does; else it still
            sees what the stage before left.
    """

    rows = DEPTHS


skresnet18 = sized(SKNet, "skresnet18")
skresnet34 = sized(SKNet, "skresnet34")
skresnet50 = sized(SKNet, "skresnet50")
skresnet50d = sized(SKNet, "skresnet50d")
skresnext50_32x4d = sized(SKNet, "skresnext50_32x4d")
