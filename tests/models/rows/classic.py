"""The classical convolutional families: DenseNet, VGG, RegNet, Inception, Xception, RepVGG, Darknet, LeNet, AlexNet."""

from models.backbones import cspnet, densenet, regnet, repvgg, vgg, xception
from tests.models.entry import BLOCK, IMAGE, ODD, ODD_BLOCK, row, sizes

# Inception halves the size five times without padding, which leaves one pixel of 75.
LARGE, ODD_LARGE = ((1, 3, 80, 96),), ((2, 3, 107, 91),)
SEQUENCE, ODD_SEQUENCE = ((1, 2, 64),), ((2, 2, 77),)
VOLUME, ODD_VOLUME = ((1, 1, 16, 32, 24),), ((2, 1, 17, 25, 35),)


def options(name, image=IMAGE, odd=ODD, *, levels=(0, 2), dilates=False):
    """Rows of one size for what every backbone can do: few levels, the classifier, other dimensions, dilation."""
    rows = [
        row("backbone", name, image, odd, "levels", out_indices=list(levels)),
        row("backbone", name, image, odd, "classifier", num_classes=7),
        row("backbone", name, SEQUENCE, ODD_SEQUENCE, "1d", in_channels=2, dims=1),
        row("backbone", name, VOLUME, ODD_VOLUME, "3d", in_channels=1, dims=3, out_indices=[0, 1]),
    ]
    return rows + [row("backbone", name, image, odd, "dilated", output_stride=8)] * dilates


ROWS = [
    *sizes("backbone", densenet.DEPTHS, IMAGE, ODD),
    *options("densenet121", dilates=True),
    row("backbone", "densenet121", IMAGE, ODD, "normed", normed_levels=True, out_indices=[1, 2]),
    *sizes("backbone", vgg.DEPTHS, IMAGE, ODD),
    row("backbone", "vgg11_bn", IMAGE, ODD, "levels", out_indices=[-1, 0, 2]),
    row("backbone", "vgg11", SEQUENCE, ODD_SEQUENCE, "1d", in_channels=2, dims=1, out_indices=[-1, 4]),
    row("backbone", "vgg11", VOLUME, ODD_VOLUME, "3d", in_channels=1, dims=3, out_indices=[0, 1]),
    row("backbone", "vgg11", IMAGE, ODD, "classifier", num_classes=7, hidden_features=16),
    *sizes("backbone", regnet.DEPTHS, IMAGE, ODD),
    *options("regnetx_002", dilates=True),
    row("backbone", "regnety_002", IMAGE, ODD, "dilated", output_stride=16),
    row("backbone", "inception_v3", LARGE, ODD_LARGE),
    row("backbone", "inception_v3", IMAGE, ODD, "same", padding="same"),
    row("backbone", "inception_v3", LARGE, ODD_LARGE, "levels", out_indices=[0, 2]),
    row("backbone", "inception_v3", LARGE, ODD_LARGE, "classifier", num_classes=7, long=True),
    row("backbone", "inception_v3", SEQUENCE, ODD_SEQUENCE, "1d", in_channels=2, dims=1, padding="same"),
    row(
        "backbone", "inception_v3", VOLUME, ODD_VOLUME, "3d", in_channels=1, dims=3, padding="same", out_indices=[1, 2]
    ),
    *sizes("backbone", (*xception.DEPTHS, "legacy_xception"), IMAGE, ODD),
    *options("xception41", levels=(0, 1), dilates=True),
    row("backbone", "legacy_xception", IMAGE, ODD, "same", padding="same", out_indices=[0, 1, 2, 3]),
    row("backbone", "legacy_xception", IMAGE, ODD, "raw", padding="same", raw_levels=True, out_indices=[1, 2]),
    row("backbone", "legacy_xception", IMAGE, ODD, "classifier", num_classes=7, long=True),
    row("backbone", "legacy_xception", SEQUENCE, ODD_SEQUENCE, "1d", in_channels=2, dims=1, out_indices=[0, 1, 4]),
    row("backbone", "legacy_xception", VOLUME, ODD_VOLUME, "3d", in_channels=1, dims=3, out_indices=[0, 1]),
    *sizes("backbone", repvgg.DEPTHS, IMAGE, ODD),
    *options("repvgg_a0", dilates=True),
    row("backbone", "repvgg_a0", IMAGE, ODD, "fused", fused=True),
    *sizes("backbone", cspnet.DEPTHS, IMAGE, ODD),
    *options("darknet17", levels=(-1, 1), dilates=True),
    row("backbone", "cspresnet50", IMAGE, ODD, "dilated", output_stride=16, out_indices=[0, 3]),
    row("backbone", "cs3darknet_s", IMAGE, ODD, "levels", out_indices=[0, 1, 2]),
    row("backbone", "cspdarknet53", IMAGE, ODD, "levels", out_indices=[-1, 1], negative_slope=0.1),
    row("backbone", "cspdarknet53", IMAGE, ODD, "mish", out_indices=[-1, 1], activation="mish"),
    row("network", "LeNet", ((1, 1, 32, 32),), ((2, 1, 29, 35),)),
    row("network", "LeNet", ((1, 2, 32),), ((2, 2, 47),), "1d", in_channels=2, dims=1, activation="relu", pool="max"),
    row("network", "LeNet", ((1, 1, 16, 20, 16),), ((2, 1, 17, 21, 19),), "3d", dims=3, num_classes=3),
    row("network", "AlexNet", ((1, 3, 64, 72),), ((2, 3, 79, 67),), num_classes=7, hidden_features=16),
    row(
        "network",
        "AlexNet",
        ((1, 2, 80),),
        ((2, 2, 97),),
        "1d",
        in_channels=2,
        num_classes=7,
        hidden_features=16,
        dims=1,
    ),
    row("block", "DenseLayer", BLOCK, ODD_BLOCK, in_channels=8, growth=4, dilation=2),
    row("block", "GroupedBottleneck", BLOCK, ODD_BLOCK, in_channels=8, out_channels=12, group_width=4, stride=2),
    row("block", "GroupedBottleneck", BLOCK, ODD_BLOCK, "squeezing", in_channels=8, out_channels=8, squeezed=2),
    row("block", "DarknetResidual", BLOCK, ODD_BLOCK, channels=8),
    row("block", "DarknetStage", BLOCK, ODD_BLOCK, in_channels=8, out_channels=12, depth=2),
    row("block", "DarknetStage", BLOCK, ODD_BLOCK, "pooled", in_channels=8, out_channels=12, pooled=True),
    row("block", "CSPStage", BLOCK, ODD_BLOCK, in_channels=8, out_channels=12, depth=2, stride=2),
    row("block", "CSPStage", BLOCK, ODD_BLOCK, "late", in_channels=8, out_channels=12, transitions=1, linear=True),
    row(
        "block",
        "CSPStage",
        BLOCK,
        ODD_BLOCK,
        "bottleneck",
        in_channels=8,
        out_channels=16,
        expanded=32,
        stride=2,
        block="bottleneck",
        groups=4,
    ),
    row("block", "InceptionBlock", BLOCK, ODD_BLOCK, in_channels=8, out_channels=13),
    row("block", "InceptionBlock", BLOCK, ODD_BLOCK, "strided", in_channels=8, out_channels=8, stride=2, pool="max"),
    row("block", "InceptionA", BLOCK, ODD_BLOCK, in_channels=8, pool_features=8),
    row("block", "InceptionB", BLOCK, ODD_BLOCK, in_channels=8),
    row("block", "InceptionC", BLOCK, ODD_BLOCK, in_channels=8, width=8),
    row("block", "InceptionC", ((1, 4, 6, 7, 8),), ((2, 4, 5, 8, 7),), "3d", in_channels=4, width=4, dims=3),
    row("block", "InceptionD", BLOCK, ODD_BLOCK, in_channels=8, padding="same"),
    row("block", "InceptionE", BLOCK, ODD_BLOCK, in_channels=8),
    row("block", "InceptionE", ((1, 8, 10),), ((2, 8, 13),), "1d", in_channels=8, dims=1),
    row("block", "SeparableConv", BLOCK, ODD_BLOCK, in_channels=8, out_channels=12, stride=2, activated=True),
    row("block", "AlignedXceptionBlock", BLOCK, ODD_BLOCK, in_channels=8, out_channels=(8, 12, 12), stride=2),
    row("block", "AlignedXceptionBlock", BLOCK, ODD_BLOCK, "plain", in_channels=8, out_channels=12, residual=False),
    row("block", "XceptionBlock", BLOCK, ODD_BLOCK, in_channels=8, out_channels=12, stride=2),
    row("block", "XceptionBlock", BLOCK, ODD_BLOCK, "late", in_channels=8, out_channels=12, grows_first=False, depth=3),
    row("block", "RepVGG", BLOCK, ODD_BLOCK, in_channels=8, out_channels=8, groups=2),
    row("block", "RepVGG", BLOCK, ODD_BLOCK, "fused", in_channels=8, out_channels=12, stride=2, fused=True),
]

_FAMILY = "its sizes are the rows"
_RECORD = "a record"
EXEMPT = {
    "models.backbones.densenet.DenseNet": _FAMILY,
    "models.backbones.densenet.Row": _RECORD,
    "models.backbones.vgg.VGG": _FAMILY,
    "models.backbones.regnet.RegNet": _FAMILY,
    "models.backbones.regnet.Row": _RECORD,
    "models.backbones.inception.Inception": _FAMILY,
    "models.backbones.xception.AlignedXception": _FAMILY,
    "models.backbones.xception.Xception": _FAMILY,
    "models.backbones.xception.Row": _RECORD,
    "models.backbones.repvgg.RepVGGNet": _FAMILY,
    "models.backbones.repvgg.Row": _RECORD,
    "models.backbones.cspnet.CSPNet": _FAMILY,
    "models.backbones.cspnet.Row": _RECORD,
    "models.backbones.cspnet.Split": _RECORD,
}
