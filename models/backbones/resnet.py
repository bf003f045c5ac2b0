"""ResNet backbones and classifiers: plain, wide, grouped, with a deep stem, with attention.

Source: He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, table 1; Xie et al.,
"Aggregated Residual Transformations", arXiv:1611.05431; Zagoruyko and Komodakis, "Wide Residual Networks",
arXiv:1605.07146; He et al., "Bag of Tricks", arXiv:1812.01187 (D); Hu et al., "Squeeze-and-Excitation Networks",
arXiv:1709.01507; Wang et al., "ECA-Net", arXiv:1910.03151.
Differs: the 3x3 convolution of a bottleneck carries the stride, as published weights expect.
Names: attributes are torchvision's (and timm's), so published weights load as they are; MONAI's volumes too, see
`ResNet`.
"""

from functools import partial

from mcore import Module
from models.attention.eca import ECA
from models.attention.squeeze_excite import SE
from models.backbones.residual import DEEP, TIERED, WIDE, ResidualNet, Row
from models.basicblocks.residual import BasicBlock, Bottleneck, pooled_projection, projection
from models.component import sized
from models.functional.channels import divisible


def _se(channels: int, *, dims: int) -> Module:
    """Squeeze and excitation, whose inner channels timm rounds to multiples of 8."""
    return SE(channels, reduced=divisible(channels / 16, loss=0.0), dims=dims)


# A D network has a deep stem and pools in shortcuts; a T network's stem widens step by step.
_d = partial(Row, stem=DEEP, shortcut=pooled_projection)
_t = partial(Row, stem=TIERED, shortcut=pooled_projection)
_SE, _ECA = {"attention": _se}, {"attention": ECA}

DEPTHS = {
    "resnet10": Row(BasicBlock, (1, 1, 1, 1)),
    "resnet18": Row(BasicBlock, (2, 2, 2, 2)),
    "resnet34": Row(BasicBlock, (3, 4, 6, 3)),
    "resnet26": Row(Bottleneck, (2, 2, 2, 2)),
    "resnet50": Row(Bottleneck, (3, 4, 6, 3)),
    "resnet101": Row(Bottleneck, (3, 4, 23, 3)),
    "resnet152": Row(Bottleneck, (3, 8, 36, 3)),
    "resnet18d": _d(BasicBlock, (2, 2, 2, 2)),
    "resnet34d": _d(BasicBlock, (3, 4, 6, 3)),
    "resnet26d": _d(Bottleneck, (2, 2, 2, 2)),
    "resnet50d": _d(Bottleneck, (3, 4, 6, 3)),
    "resnet101d": _d(Bottleneck, (3, 4, 23, 3)),
    "resnet152d": _d(Bottleneck, (3, 8, 36, 3)),
    "resnet10t": _t(BasicBlock, (1, 1, 1, 1)),
    "resnet14t": _t(Bottleneck, (1, 1, 1, 1)),
    "resnet26t": _t(Bottleneck, (2, 2, 2, 2)),
    "resnet50t": _t(Bottleneck, (3, 4, 6, 3)),
    "resnext50_32x4d": Row(Bottleneck, (3, 4, 6, 3), groups=32, width_per_group=4),
    "resnext101_32x4d": Row(Bottleneck, (3, 4, 23, 3), groups=32, width_per_group=4),
    "resnext101_32x8d": Row(Bottleneck, (3, 4, 23, 3), groups=32, width_per_group=8),
    "resnext101_64x4d": Row(Bottleneck, (3, 4, 23, 3), groups=64, width_per_group=4),
    "wide_resnet50_2": Row(Bottleneck, (3, 4, 6, 3), width_per_group=128),
    "wide_resnet101_2": Row(Bottleneck, (3, 4, 23, 3), width_per_group=128),
    "seresnet18": Row(BasicBlock, (2, 2, 2, 2), parts=_SE),
    "seresnet34": Row(BasicBlock, (3, 4, 6, 3), parts=_SE),
    "seresnet50": Row(Bottleneck, (3, 4, 6, 3), parts=_SE),
    "seresnet101": Row(Bottleneck, (3, 4, 23, 3), parts=_SE),
    "seresnet152": Row(Bottleneck, (3, 8, 36, 3), parts=_SE),
    "seresnext26d_32x4d": _d(Bottleneck, (2, 2, 2, 2), groups=32, width_per_group=4, parts=_SE),
    "seresnext26t_32x4d": _t(Bottleneck, (2, 2, 2, 2), groups=32, width_per_group=4, parts=_SE),
    "seresnext50_32x4d": Row(Bottleneck, (3, 4, 6, 3), groups=32, width_per_group=4, parts=_SE),
    "seresnext101_32x4d": Row(Bottleneck, (3, 4, 23, 3), groups=32, width_per_group=4, parts=_SE),
    "ecaresnet26t": _t(Bottleneck, (2, 2, 2, 2), parts=_ECA),
    "ecaresnet50t": _t(Bottleneck, (3, 4, 6, 3), parts=_ECA),
    "ecaresnet50d": _d(Bottleneck, (3, 4, 6, 3), parts=_ECA),
    "ecaresnet101d": _d(Bottleneck, (3, 4, 23, 3), parts=_ECA),
    "senet154": Row(
        Bottleneck,
        (3, 8, 36, 3),
        groups=64,
        width_per_group=4,
        stem=WIDE,
        shortcut=partial(projection, kernel_size=3),
        parts={"reduce_first": 2, **_SE},
    ),
}


class ResNet(ResidualNet):
    """ResNet: a tuple of feature maps, finest first; with `num_classes` the published classifier.

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
        frozen_stages: the last stage that isn't trained, 0 being the stem; -1 trains all. Frozen norms stay
            in eval mode.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
        widths: channels inside the blocks of each of the four stages.
        groups: of the 3x3 convolutions, each of `width_per_group` channels at a width of 64.
        width_per_group: channels of each group at a width of 64.
        stem_stride: 1 gives all levels at half their stride, the first (index -1) at full resolution.
        shortcut_bias: shortcuts' convolutions have a bias. MONAI's volumes have `stem_stride=1` and this.
        even_dilation: dilates the first block of a stage like its others, as segmentation-models does; else it still
            sees what the stage before left, as torchvision's and timm's do.
    """

    rows = DEPTHS


resnet10 = sized(ResNet, "resnet10")
resnet18 = sized(ResNet, "resnet18")
resnet34 = sized(ResNet, "resnet34")
resnet26 = sized(ResNet, "resnet26")
resnet50 = sized(ResNet, "resnet50")
resnet101 = sized(ResNet, "resnet101")
resnet152 = sized(ResNet, "resnet152")
resnet18d = sized(ResNet, "resnet18d")
resnet34d = sized(ResNet, "resnet34d")
resnet26d = sized(ResNet, "resnet26d")
resnet50d = sized(ResNet, "resnet50d")
resnet101d = sized(ResNet, "resnet101d")
resnet152d = sized(ResNet, "resnet152d")
resnet10t = sized(ResNet, "resnet10t")
resnet14t = sized(ResNet, "resnet14t")
resnet26t = sized(ResNet, "resnet26t")
resnet50t = sized(ResNet, "resnet50t")
resnext50_32x4d = sized(ResNet, "resnext50_32x4d")
resnext101_32x4d = sized(ResNet, "resnext101_32x4d")
resnext101_32x8d = sized(ResNet, "resnext101_32x8d")
resnext101_64x4d = sized(ResNet, "resnext101_64x4d")
wide_resnet50_2 = sized(ResNet, "wide_resnet50_2")
wide_resnet101_2 = sized(ResNet, "wide_resnet101_2")
seresnet18 = sized(ResNet, "seresnet18")
seresnet34 = sized(ResNet, "seresnet34")
seresnet50 = sized(ResNet, "seresnet50")
seresnet101 = sized(ResNet, "seresnet101")
seresnet152 = sized(ResNet, "seresnet152")
seresnext26d_32x4d = sized(ResNet, "seresnext26d_32x4d")
seresnext26t_32x4d = sized(ResNet, "seresnext26t_32x4d")
seresnext50_32x4d = sized(ResNet, "seresnext50_32x4d")
seresnext101_32x4d = sized(ResNet, "seresnext101_32x4d")
ecaresnet26t = sized(ResNet, "ecaresnet26t")
ecaresnet50t = sized(ResNet, "ecaresnet50t")
ecaresnet50d = sized(ResNet, "ecaresnet50d")
ecaresnet101d = sized(ResNet, "ecaresnet101d")
senet154 = sized(ResNet, "senet154")
