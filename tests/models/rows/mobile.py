"""MobileNet, MnasNet, EfficientNet and GhostNet, and the blocks that they are made of."""

from functools import partial

from models.attention import SE
from models.backbones.efficientnet_rows import ROWS as SIZES
from models.backbones.ghostnet import WIDTHS
from tests.models.entry import BLOCK, ODD_BLOCK, row, sizes

SMALL, ODD_SMALL = ((1, 3, 32, 64),), ((2, 3, 33, 71),)
LINE, ODD_LINE = ((1, 2, 64),), ((2, 2, 77),)
VOLUME, ODD_VOLUME = ((1, 1, 16, 32, 32),), ((1, 1, 17, 33, 19),)
# Without ReLU, which a few channels may all leave at zero.
SOFT_SE = partial(SE, reduction=4, activation="silu")

ROWS = [
    row("block", "DepthwiseSeparable", BLOCK, ODD_BLOCK, in_channels=8, out_channels=8, drop_path=0.1),
    row("block", "DepthwiseSeparable", BLOCK, ODD_BLOCK, "v1", in_channels=8, out_channels=4, stride=2, linear=False),
    row("block", "InvertedResidual", BLOCK, ODD_BLOCK, in_channels=8, out_channels=8, expansion=2, se=SOFT_SE),
    row("block", "InvertedResidual", BLOCK, ODD_BLOCK, "strided", in_channels=8, out_channels=4, stride=2),
    row("block", "FusedMBConv", BLOCK, ODD_BLOCK, in_channels=8, out_channels=8, activation="silu", norm="group"),
    row("block", "FusedMBConv", BLOCK, ODD_BLOCK, "same", in_channels=8, out_channels=4, stride=2, padding="same"),
    row(
        "block", "DepthwiseSeparable", BLOCK, ODD_BLOCK, "same", in_channels=8, out_channels=4, stride=2, padding="same"
    ),
    row("block", "ResidualConv", BLOCK, ODD_BLOCK, "counted", in_channels=8, out_channels=8, stride=2, padding=32),
    row("block", "ResidualConv", BLOCK, ODD_BLOCK, in_channels=8, out_channels=8, kernel_size=5, dilation=2),
    row("block", "GhostModule", BLOCK, ODD_BLOCK, in_channels=8, out_channels=10, ratio=3),
    row("block", "GhostBottleneck", BLOCK, ODD_BLOCK, in_channels=8, inner=16, out_channels=8),
    row(
        "block",
        "GhostBottleneck",
        BLOCK,
        ODD_BLOCK,
        "strided",
        in_channels=8,
        inner=16,
        out_channels=4,
        stride=2,
        kernel_size=5,
        se=SOFT_SE,
    ),
    *sizes("backbone", [name for name in SIZES if name.startswith("mobilenetv2")], SMALL, ODD_SMALL),
    *sizes("backbone", [name for name in SIZES if name.startswith("mobilenetv3")], SMALL, ODD_SMALL),
    *sizes("backbone", [name for name in SIZES if name.startswith("efficientnet_b")], SMALL, ODD_SMALL),
    row("backbone", "mnasnet_100", SMALL, ODD_SMALL, out_indices=[0, 1]),
    row("backbone", "efficientnet_lite0", SMALL, ODD_SMALL, out_indices=[0, 1]),
    row("backbone", "efficientnetv2_s", SMALL, ODD_SMALL, out_indices=[0, 1]),
    row("backbone", "efficientnetv2_s", SMALL, ODD_SMALL, "whole", long=True),
    *sizes("backbone", WIDTHS, SMALL, ODD_SMALL),
    row("backbone", "mobilenetv2_035", SMALL, ODD_SMALL, "classifier", num_classes=7),
    row("backbone", "mobilenetv2_035", SMALL, ODD_SMALL, "head", out_indices=[4], head_level=True),
    row("backbone", "mobilenetv2_035", SMALL, ODD_SMALL, "dilated", output_stride=8, norm_eps=1e-3),
    row("backbone", "mobilenetv2_035", LINE, ODD_LINE, "1d", in_channels=2, dims=1),
    row("backbone", "mobilenetv2_035", VOLUME, ODD_VOLUME, "3d", in_channels=1, dims=3, out_indices=[0, 1, 2]),
    row("backbone", "mobilenetv3_small_050", SMALL, ODD_SMALL, "classifier", num_classes=7, dropout=0.2),
    row("backbone", "mobilenetv3_small_050", LINE, ODD_LINE, "1d", in_channels=2, dims=1, out_indices=[0, 2]),
    row("backbone", "mobilenetv3_small_050", VOLUME, ODD_VOLUME, "3d", in_channels=1, dims=3, output_stride=16),
    row("backbone", "efficientnet_b0", SMALL, ODD_SMALL, "stem", out_indices=[0, 1], stem_level=True),
    row(
        "backbone", "efficientnet_b0", SMALL, ODD_SMALL, "early", early_level=True, out_indices=[2, 3], output_stride=8
    ),
    row("backbone", "mobilenetv2_035", SMALL, ODD_SMALL, "same", padding="same"),
    row("backbone", "mobilenetv2_035", SMALL, ODD_SMALL, "counted", padding=240, out_indices=[0, 4]),
    row(
        "backbone",
        "mobilenetv2_035",
        VOLUME,
        ODD_VOLUME,
        "same3d",
        in_channels=1,
        dims=3,
        padding="same",
        out_indices=[1],
    ),
    row("backbone", "efficientnet_b0", SMALL, ODD_SMALL, "classifier", num_classes=7, drop_path_rate=0.2, long=True),
    row("backbone", "ghostnet_050", SMALL, ODD_SMALL, "classifier", num_classes=7),
    row("backbone", "ghostnet_050", SMALL, ODD_SMALL, "dilated", output_stride=8, taps="last"),
    row("backbone", "ghostnet_050", SMALL, ODD_SMALL, "raw", out_indices=[0]),
    row("backbone", "ghostnet_050", LINE, ODD_LINE, "1d", in_channels=2, dims=1, out_indices=[0, 2]),
    row("backbone", "ghostnet_050", VOLUME, ODD_VOLUME, "3d", in_channels=1, dims=3, out_indices=[1, 2]),
]

EXEMPT = {
    "models.basicblocks.same.SamePad": "pads as TensorFlow does; a step of the blocks here",
    "models.backbones.efficientnet.EfficientNet": "its sizes are the rows",
    "models.backbones.efficientnet_rows.Blocks": "a record",
    "models.backbones.efficientnet_rows.Design": "a record",
    "models.backbones.efficientnet_rows.Row": "a record",
    "models.backbones.ghostnet.GhostNet": "its sizes are the rows",
    "models.backbones.ghostnet.Ghost": "a record",
}
