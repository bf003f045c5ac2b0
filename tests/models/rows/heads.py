"""Heads."""

from tests.models.entry import LEVEL, MAPS, ODD_LEVEL, ODD_MAPS, row

ROWS = [
    row("head", "FCN", MAPS[-1:], ODD_MAPS[-1:], num_classes=3, in_channels=[32]),
    row("head", "Classification", MAPS[-1:], ODD_MAPS[-1:], num_classes=5, in_channels=[32]),
    row("head", "Classification", LEVEL, ODD_LEVEL, "pyramid", num_classes=5, in_channels=[8, 8, 8], dropout=0.5),
    row("head", "Classification", MAPS, ODD_MAPS, "concat", num_classes=5, in_channels=[8, 16, 32], merge="concat"),
    row("head", "Segmentation", MAPS[-1:], ODD_MAPS[-1:], num_classes=3, in_channels=[32]),
    row("head", "Segmentation", LEVEL, ODD_LEVEL, "pyramid", num_classes=3, in_channels=[8, 8, 8]),
    row("head", "Segmentation", MAPS, ODD_MAPS, "concat", num_classes=3, in_channels=[8, 16, 32], merge="concat"),
    row("head", "UNetDecoder", MAPS, ODD_MAPS, num_classes=3, channels=[8, 8, 8], in_channels=[8, 16, 32]),
    row(
        "head",
        "UNetDecoder",
        MAPS,
        ODD_MAPS,
        "coarse",
        num_classes=3,
        channels=[8, 8, 8, 4],
        in_channels=[8, 16, 32],
        in_strides=[4, 8, 16],
    ),
]

EXEMPT = {"models.heads.unet_decoder.Up": "a step of UNetDecoder"}
