"""Res2Net backbones and classifiers: in a block, groups of channels pass through each other's convolutions.

Source: Gao et al., "Res2Net: A New Multi-scale Backbone Architecture", arXiv:1904.01169, section 3, figure 2.
Names: attributes are those of the authors' code (and timm's), so published weights load as they are.
"""

from functools import partial

import mcore
from mcore import Module, ModuleList, Tensor
from mcore import functional as F
from models.backbones.residual import DEEP, ResidualNet, Row
from models.basicblocks.layers import layers
from models.basicblocks.pooling import mean_of_three
from models.basicblocks.residual import Residual, Shortcut, grouped_width, pooled_projection, projection
from models.component import sized


class Res2NetBlock(Residual):
    """A bottleneck whose 3x3 convolution is a row of smaller ones: `relu(branch(x) + shortcut(x))`.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, 4 * width, *ceil(size / stride))

    Args:
        groups: of each 3x3 convolution, of `width_per_group` channels at a width of 64.
        scale: into how many parts the channels are split; each but the last has a convolution, which also
            sees what the one before gave.

    Differs: in the first block of a stage, which changes channels or size, convolutions don't see each other's
    results and the last part is averaged, as in the authors' code.
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
        width_per_group: int = 26,
        scale: int = 4,
        shortcut: Shortcut = projection,
        dims: int = 2,
    ) -> None:
        if scale < 2:
            raise ValueError(f"Res2NetBlock: scale={scale} splits nothing; it is 2 or more.")
        super().__init__()
        kit = layers(dims, of="Res2NetBlock")
        first, out_channels = first_dilation or dilation, self.expansion * width
        inner = grouped_width("Res2NetBlock", width, groups, width_per_group)
        self.scale = scale
        self.conv1, self.bn1 = kit.conv(in_channels, inner * scale, 1, bias=False), kit.batch_norm(inner * scale)
        conv = partial(kit.conv, stride=stride, padding=first, dilation=first, groups=groups, bias=False)
        self.convs = ModuleList(conv(inner, inner, 3) for _ in range(scale - 1))
        self.bns = ModuleList(kit.batch_norm(inner) for _ in range(scale - 1))
        self.conv3, self.bn3 = kit.conv(inner * scale, out_channels, 1, bias=False), kit.batch_norm(out_channels)
        self.downsample = shortcut(
            in_channels, out_channels, stride=stride, dilation=dilation, first_dilation=first, dims=dims
        )
        fits = self.downsample is None
        self.pool: Module | None = None if fits else mean_of_three(stride, dims=dims)

    def branch(self, x: Tensor) -> Tensor:
        *parts, last = F.relu(self.bn1(self.conv1(x))).chunk(self.scale, dim=1)
        given: list[Tensor] = []
        for part, conv, norm in zip(parts, self.convs, self.bns, strict=True):
            fed = part + given[-1] if given and self.pool is None else part
            given.append(F.relu(norm(conv(fed))))
        given.append(last if self.pool is None else self.pool(last))
        return self.bn3(self.conv3(mcore.cat(given, dim=1)))


def _row(depth: int, width: int, scale: int, groups: int = 1) -> Row:
    depths = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}[depth]
    return Row(Res2NetBlock, depths, groups=groups, width_per_group=width, parts={"scale": scale})


# Layers, channels of a part at a width of 64, parts.
DEPTHS = {
    "res2net50_26w_4s": _row(50, 26, 4),
    "res2net50_26w_6s": _row(50, 26, 6),
    "res2net50_26w_8s": _row(50, 26, 8),
    "res2net50_48w_2s": _row(50, 48, 2),
    "res2net50_14w_8s": _row(50, 14, 8),
    "res2net101_26w_4s": _row(101, 26, 4),
    "res2next50": _row(50, 4, 4, groups=8),
    "res2net50d": _row(50, 26, 4)._replace(stem=DEEP, shortcut=pooled_projection),
    "res2net101d": _row(101, 26, 4)._replace(stem=DEEP, shortcut=pooled_projection),
}


class Res2Net(ResidualNet):
    """Res2Net: a tuple of feature maps, finest first; with `num_classes` the published classifier.

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


res2net50_26w_4s = sized(Res2Net, "res2net50_26w_4s")
res2net50_26w_6s = sized(Res2Net, "res2net50_26w_6s")
res2net50_26w_8s = sized(Res2Net, "res2net50_26w_8s")
res2net50_48w_2s = sized(Res2Net, "res2net50_48w_2s")
res2net50_14w_8s = sized(Res2Net, "res2net50_14w_8s")
res2net101_26w_4s = sized(Res2Net, "res2net101_26w_4s")
res2next50 = sized(Res2Net, "res2next50")
res2net50d = sized(Res2Net, "res2net50d")
res2net101d = sized(Res2Net, "res2net101d")
