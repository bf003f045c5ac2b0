"""SENet backbones and classifiers with the layout of Cadene's weights; `models.backbones.resnet` has timm's later ones.

Source: Hu et al., "Squeeze-and-Excitation Networks", arXiv:1709.01507, table 1 and section 6.5.
Differs: the first 1x1 convolution of an SE-ResNet's bottleneck carries the stride and the first pool has no
padding, as in the authors' Caffe networks, from which the weights were converted.
Names: attributes are Cadene's (and those of timm's legacy_ networks and of segmentation-models' encoders), so
published weights load as they are.
"""

from collections import OrderedDict
from functools import partial

from mcore import Module, ReLU, Sequential, Tensor
from mcore import functional as F
from models.attention.squeeze_excite import SE
from models.backbones.residual import WIDE, ResidualNet, Row, stem_convolutions
from models.basicblocks.layers import Layers, layers
from models.basicblocks.residual import (
    Residual,
    Shortcut,
    grouped_width,
    projection,
    reduced_width,
    ungrouped,
)
from models.component import sized


class SEBasicBlock(Residual):
    """A basic block with squeeze and excitation: `relu(branch(x) + shortcut(x))`.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, width, *ceil(size / stride))

    Differs: what is squeezed and excited has passed a ReLU, as in Cadene's code.
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
        shortcut: Shortcut = projection,
        dims: int = 2,
    ) -> None:
        ungrouped("SEBasicBlock", groups, width_per_group)
        super().__init__()
        kit, first = layers(dims, of="SEBasicBlock"), first_dilation or dilation
        self.conv1 = kit.conv(in_channels, width, 3, stride=stride, padding=first, dilation=first, bias=False)
        self.bn1 = kit.batch_norm(width)
        self.conv2 = kit.conv(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = kit.batch_norm(width)
        self.se_module = SE(width, dims=dims)
        self.downsample = shortcut(
            in_channels, width, stride=stride, dilation=dilation, first_dilation=first, dims=dims
        )

    def branch(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return self.se_module(F.relu(self.bn2(self.conv2(x))))


class SEBottleneck(Residual):
    """A bottleneck with squeeze and excitation: `relu(branch(x) + shortcut(x))`.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, 4 * width, *ceil(size / stride))

    Args:
        groups: of the 3x3 convolution, each of `width_per_group` channels at a width of 64.
        reduce_first: the first convolution has its channels divided by this.
        stride_first: the first convolution carries the stride instead of the 3x3 one.
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
        reduce_first: int = 1,
        stride_first: bool = False,
        shortcut: Shortcut = projection,
        dims: int = 2,
    ) -> None:
        super().__init__()
        kit, first, out_channels = layers(dims, of="SEBottleneck"), first_dilation or dilation, self.expansion * width
        inner = grouped_width("SEBottleneck", width, groups, width_per_group)
        reduced = reduced_width("SEBottleneck", inner, groups, reduce_first)
        steps = (stride, 1) if stride_first else (1, stride)
        self.conv1, self.bn1 = kit.conv(in_channels, reduced, 1, stride=steps[0], bias=False), kit.batch_norm(reduced)
        self.conv2 = kit.conv(
            reduced, inner, 3, stride=steps[1], padding=first, dilation=first, groups=groups, bias=False
        )
        self.bn2 = kit.batch_norm(inner)
        self.conv3, self.bn3 = kit.conv(inner, out_channels, 1, bias=False), kit.batch_norm(out_channels)
        self.se_module = SE(out_channels, dims=dims)
        self.downsample = shortcut(
            in_channels, out_channels, stride=stride, dilation=dilation, first_dilation=first, dims=dims
        )

    def branch(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return self.se_module(self.bn3(self.conv3(x)))


_se_resnet = partial(Row, SEBottleneck, parts={"stride_first": True})
_se_resnext = partial(Row, SEBottleneck, groups=32, width_per_group=4)

DEPTHS = {
    "legacy_seresnet18": Row(SEBasicBlock, (2, 2, 2, 2)),
    "legacy_seresnet34": Row(SEBasicBlock, (3, 4, 6, 3)),
    "legacy_seresnet50": _se_resnet((3, 4, 6, 3)),
    "legacy_seresnet101": _se_resnet((3, 4, 23, 3)),
    "legacy_seresnet152": _se_resnet((3, 8, 36, 3)),
    "legacy_seresnext26_32x4d": _se_resnext((2, 2, 2, 2)),
    "legacy_seresnext50_32x4d": _se_resnext((3, 4, 6, 3)),
    "legacy_seresnext101_32x4d": _se_resnext((3, 4, 23, 3)),
    "legacy_senet154": Row(
        SEBottleneck,
        (3, 8, 36, 3),
        groups=64,
        width_per_group=4,
        stem=WIDE,
        shortcut=partial(projection, kernel_size=3),
        parts={"reduce_first": 2},
    ),
}

# The share of channels that the classifier of SENet-154 loses in training; others keep all.
DROPOUT = {"legacy_senet154": 0.2}


class SENet(ResidualNet):
    """SENet: a tuple of feature maps, finest first; with `num_classes` the published classifier.

    Shapes:
        x: (n, in_channels, *size)
        returns: one (n, channels, *ceil(size / stride)) for each of `features`; or (n, num_classes). Where the
            stem's map has an odd size, the pool rounds it down: 33 pixels of 65 become 16, then 8, 4, 2

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

    first_conv, classifier = "layer0.conv1", "last_linear"
    rounds_up = False
    rows = DEPTHS

    def _build_stem(self, in_channels: int, row: Row, *, stride: int, kit: Layers) -> None:
        *row_of, last = stem_convolutions(in_channels, row.stem, stride=stride, kit=kit)
        stem = [*row_of, last, kit.batch_norm(row.stem[-1]), ReLU()]
        names = [f"{part}{number + 1}" for number in range(len(row.stem)) for part in ("conv", "bn", "relu")]
        self.layer0 = Sequential(OrderedDict(zip(names, stem, strict=True)))
        self.maxpool = kit.max_pool(3, stride=2, ceil_mode=True)

    def _stem(self) -> list[Module]:
        return [self.layer0]

    def _run_stem(self, x: Tensor) -> Tensor:
        return self.layer0(x)

    def _classify(self, x: Tensor) -> Tensor:
        return super()._classify(F.dropout(x, DROPOUT.get(self.variant, 0.0), training=self.training))


legacy_seresnet18 = sized(SENet, "legacy_seresnet18")
legacy_seresnet34 = sized(SENet, "legacy_seresnet34")
legacy_seresnet50 = sized(SENet, "legacy_seresnet50")
legacy_seresnet101 = sized(SENet, "legacy_seresnet101")
legacy_seresnet152 = sized(SENet, "legacy_seresnet152")
legacy_seresnext26_32x4d = sized(SENet, "legacy_seresnext26_32x4d")
legacy_seresnext50_32x4d = sized(SENet, "legacy_seresnext50_32x4d")
legacy_seresnext101_32x4d = sized(SENet, "legacy_seresnext101_32x4d")
legacy_senet154 = sized(SENet, "legacy_senet154")
