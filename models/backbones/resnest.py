"""ResNeSt backbones and classifiers: ResNet-D with split attention in place of 3x3 convolutions.

Source: Zhang et al., "ResNeSt: Split-Attention Networks", arXiv:2004.08955, section 4.
Names: attributes are those of the authors' code (and timm's), so published weights load as they are.
"""

from functools import partial

from mcore import Identity, Module, Tensor
from mcore import functional as F
from models.attention.split import SplitAttention
from models.backbones.residual import DEEP, WIDE, ResidualNet, Row
from models.basicblocks.layers import layers
from models.basicblocks.pooling import mean_of_three
from models.basicblocks.residual import Residual, Shortcut, grouped_width, pooled_projection, projection
from models.component import sized


class ResNeStBlock(Residual):
    """A bottleneck of 1x1 convolution, split attention and 1x1 convolution: `relu(branch(x) + shortcut(x))`.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, 4 * width, *ceil(size / stride))

    Args:
        radix: into how many maps the attention splits.
        pool_first: a block that strides averages before its attention instead of behind it.

    Source: figure 2, right. A block that strides does it by averaging windows of 3x3, section 4.1.
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
        radix: int = 2,
        pool_first: bool = False,
        shortcut: Shortcut = projection,
        dims: int = 2,
    ) -> None:
        super().__init__()
        kit = layers(dims, of="ResNeStBlock")
        first, out_channels = first_dilation or dilation, self.expansion * width
        inner = grouped_width("ResNeStBlock", width, groups, width_per_group)
        self.conv1, self.bn1 = kit.conv(in_channels, inner, 1, bias=False), kit.batch_norm(inner)
        self.conv2 = SplitAttention(inner, dilation=first, groups=groups, radix=radix, dims=dims)
        pool: Module = Identity() if stride == 1 else mean_of_three(stride, dims=dims)
        self.avd_first: Module = pool if pool_first else Identity()
        self.avd_last: Module = Identity() if pool_first else pool
        self.conv3, self.bn3 = kit.conv(inner, out_channels, 1, bias=False), kit.batch_norm(out_channels)
        self.downsample = shortcut(
            in_channels, out_channels, stride=stride, dilation=dilation, first_dilation=first, dims=dims
        )

    def branch(self, x: Tensor) -> Tensor:
        x = self.avd_first(F.relu(self.bn1(self.conv1(x))))
        return self.bn3(self.conv3(self.avd_last(self.conv2(x))))


_row = partial(Row, ResNeStBlock, shortcut=pooled_projection, stem=DEEP)
_FIRST = {"pool_first": True}

DEPTHS = {
    "resnest14d": _row((1, 1, 1, 1)),
    "resnest26d": _row((2, 2, 2, 2)),
    "resnest50d": _row((3, 4, 6, 3)),
    "resnest101e": _row((3, 4, 23, 3), stem=WIDE),
    "resnest200e": _row((3, 24, 36, 3), stem=WIDE),
    "resnest269e": _row((3, 30, 48, 8), stem=WIDE),
    "resnest50d_4s2x40d": _row((3, 4, 6, 3), groups=2, width_per_group=40, parts={"radix": 4, **_FIRST}),
    "resnest50d_1s4x24d": _row((3, 4, 6, 3), groups=4, width_per_group=24, parts={"radix": 1, **_FIRST}),
}


class ResNeSt(ResidualNet):
    """ResNeSt: a tuple of feature maps, finest first; with `num_classes` the published classifier.

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


resnest14d = sized(ResNeSt, "resnest14d")
resnest26d = sized(ResNeSt, "resnest26d")
resnest50d = sized(ResNeSt, "resnest50d")
resnest101e = sized(ResNeSt, "resnest101e")
resnest200e = sized(ResNeSt, "resnest200e")
resnest269e = sized(ResNeSt, "resnest269e")
resnest50d_4s2x40d = sized(ResNeSt, "resnest50d_4s2x40d")
resnest50d_1s4x24d = sized(ResNeSt, "resnest50d_1s4x24d")
