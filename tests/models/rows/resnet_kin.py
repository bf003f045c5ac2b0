"""ResNet's kin: their sizes, and the options that take other paths through the code."""

from models.backbones import res2net, resnest, resnetv2, senet, sknet
from tests.models.entry import BLOCK, IMAGE, ODD, ODD_BLOCK, row, sizes
from tests.models.rows.resnet import NARROW, ODD_VOLUME, VOLUME

SEQUENCE, ODD_SEQUENCE = ((1, 2, 64),), ((2, 2, 77),)
# Of a few channels inside squeeze and excitation, ReLU often leaves none at first.
SQUEEZED = [128, 128, 128, 128]


def _ways(name, **arguments):
    """Rows of one size for what a family has to work with besides images at full width."""
    return [
        row("backbone", name, IMAGE, ODD, "classifier", num_classes=7, **arguments),
        row("backbone", name, IMAGE, ODD, "levels", out_indices=[0, 2], **arguments),
        row("backbone", name, SEQUENCE, ODD_SEQUENCE, "1d", in_channels=2, dims=1, **arguments),
        row("backbone", name, VOLUME, ODD_VOLUME, "3d", in_channels=1, dims=3, **arguments),
        row("backbone", name, IMAGE, ODD, "dilated", output_stride=8, **arguments),
    ]


ROWS = [
    *sizes("backbone", senet.DEPTHS, IMAGE, ODD, widths=SQUEEZED),
    *sizes("backbone", sknet.DEPTHS, IMAGE, ODD, widths=NARROW),
    *sizes("backbone", res2net.DEPTHS, IMAGE, ODD, widths=NARROW),
    *sizes("backbone", [name for name in resnest.DEPTHS if name != "resnest269e"], IMAGE, ODD, widths=NARROW),
    # With random weights, either engine's rounding grows to 1e-4 of its last map, so that it is left out.
    row("backbone", "resnest269e", IMAGE, ODD, long=True, widths=NARROW, out_indices=[1, 2, 3]),
    *sizes("backbone", resnetv2.DEPTHS, IMAGE, ODD),
    *_ways("resnet18d", widths=NARROW),
    *_ways("legacy_seresnet18", widths=SQUEEZED),
    *_ways("skresnet18", widths=NARROW),
    *_ways("res2net50_48w_2s", widths=NARROW),
    *_ways("resnest14d", widths=NARROW),
    *_ways("resnetv2_18"),
    row("backbone", "resnet10", VOLUME, ODD_VOLUME, "monai", in_channels=1, dims=3, stem_stride=1, shortcut_bias=True),
    row("backbone", "resnet10", IMAGE, ODD, "full", widths=NARROW, stem_stride=1, out_indices=[-1, 0, 3]),
    row("backbone", "resnext50_32x4d", IMAGE, ODD, "grouped", widths=NARROW, groups=8, width_per_group=8),
    row("backbone", "seresnet18", VOLUME, ODD_VOLUME, "3d", in_channels=1, dims=3, widths=NARROW),
    row("backbone", "ecaresnet26t", SEQUENCE, ODD_SEQUENCE, "1d", in_channels=2, dims=1, widths=NARROW),
    row("attention", "ECA", BLOCK, ODD_BLOCK, channels=8),
    row("attention", "ECA", ((1, 8, 12),), ((2, 8, 13),), "1d", channels=8, kernel_size=5, dims=1),
    row("attention", "SK", BLOCK, ODD_BLOCK, in_channels=8, out_channels=6, stride=2),
    row("attention", "SK", BLOCK, ODD_BLOCK, "split", in_channels=8, split=True, groups=2, kernel_sizes=[3, 5]),
    row("attention", "SplitAttention", BLOCK, ODD_BLOCK, in_channels=8, stride=2),
    row("attention", "SplitAttention", BLOCK, ODD_BLOCK, "grouped", in_channels=8, groups=2, radix=4),
    row("attention", "SplitAttention", BLOCK, ODD_BLOCK, "gate", in_channels=8, out_channels=12, radix=1),
    row("block", "PreActivationBlock", BLOCK, ODD_BLOCK, in_channels=8, width=8, stride=2),
    row("block", "PreActivationBottleneck", BLOCK, ODD_BLOCK, in_channels=8, width=4, dilation=2),
]

EXEMPT = {
    "models.backbones.res2net.Res2Net": "its sizes are the rows",
    "models.backbones.res2net.Res2NetBlock": "runs in its family's rows",
    "models.backbones.resnest.ResNeSt": "its sizes are the rows",
    "models.backbones.resnest.ResNeStBlock": "runs in its family's rows",
    "models.backbones.resnetv2.ResNetV2": "its sizes are the rows",
    "models.backbones.resnetv2.Row": "a record",
    "models.backbones.senet.SEBasicBlock": "runs in its family's rows",
    "models.backbones.senet.SEBottleneck": "runs in its family's rows",
    "models.backbones.senet.SENet": "its sizes are the rows",
    "models.backbones.sknet.SKBasicBlock": "runs in its family's rows",
    "models.backbones.sknet.SKBottleneck": "runs in its family's rows",
    "models.backbones.sknet.SKNet": "its sizes are the rows",
}
