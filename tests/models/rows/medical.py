"""U-Net and its kin for images and volumes."""

from tests.models.entry import BLOCK, ODD_BLOCK, row

LINE, ODD_LINE = ((1, 1, 32),), ((2, 1, 61),)
PICTURE, ODD_PICTURE = ((1, 1, 32, 24),), ((2, 1, 19, 29),)
VOLUME, ODD_VOLUME = ((1, 1, 8, 16, 12),), ((2, 1, 9, 11, 15),)
FITTING = ((2, 1, 16, 40),)
ASKED = {"in_channels": 1, "num_classes": 2}
LEVELS = {"channels": [4, 8, 8]}

# Small arguments of each, and what it is in volumes: strides by axis where it has any.
SMALL = {
    "ResidualUNet": (LEVELS, {"strides": [[1, 2, 2], 2], "norm": "batch"}),
    "AttentionUNet": (LEVELS, {"strides": [[1, 2, 2], 2], "kernel_size": [1, 3, 3]}),
    "BasicUNet": (LEVELS, {"norm": {"name": "group", "num_groups": 2}, "last": 6}),
    "NestedUNet": (LEVELS, {"norm": "batch", "last": 6}),
    "SegResNet": ({"down_depths": [1, 2], "up_depths": [1]}, {"norm": "batch"}),
    "VNet": ({"width": 4, "down_depths": [1, 1], "up_depths": [1, 1]}, {"activation": "prelu"}),
    "DynUNet": (
        {"channels": [4, 8, 8], "strides": [1, 2, 2]},
        {"strides": [1, [1, 2, 2], 2], "kernel_size": [[1, 3, 3], 3, 3]},
    ),
    "SegNet": ({"channels": [4, 8], "depths": [1, 2]}, {}),
}


def network(name, shapes, again, note="", *, dims=2, **arguments):
    """A row of one of these networks with its small arguments."""
    return row("network", name, shapes, again, note, **{**ASKED, "dims": dims, **SMALL[name][0], **arguments})


ROWS = [
    *(network(name, PICTURE, ODD_PICTURE) for name in SMALL),
    *(network(name, LINE, ODD_LINE, "1d", dims=1) for name in SMALL),
    *(network(name, VOLUME, ODD_VOLUME, "3d", dims=3, **more) for name, (_, more) in SMALL.items()),
    *(network(name, PICTURE, FITTING, "refuse", fit="refuse") for name in ("ResidualUNet", "NestedUNet", "SegNet")),
    network("ResidualUNet", PICTURE, ODD_PICTURE, "plain", units=0, strides=[2, 3]),
    network("BasicUNet", PICTURE, ODD_PICTURE, "linear", up="linear", norm="batch", bias=False, activation="relu"),
    network("NestedUNet", PICTURE, ODD_PICTURE, "supervised", deep_supervision=True, up="linear"),
    network("SegResNet", PICTURE, ODD_PICTURE, "transposed", up="transposed", activation="leaky_relu"),
    network("DynUNet", PICTURE, ODD_PICTURE, "residual", residual=True, strides=[2, 2, 3], norm="batch"),
    network("DynUNet", PICTURE, ODD_PICTURE, "supervised", supervised=1, up_bias=True),
    row("backbone", "plain_encoder", PICTURE, ODD_PICTURE, dims=2, channels=[4, 8, 8, 8]),
    row("backbone", "plain_encoder", LINE, ODD_LINE, "1d", dims=1, channels=[4, 8], strides=[2, 2], norm="batch"),
    row("backbone", "plain_encoder", VOLUME, ODD_VOLUME, "3d", channels=[4, 8, 8], strides=[1, [1, 2, 2], 2]),
    row("backbone", "plain_encoder", PICTURE, ODD_PICTURE, "levels", dims=2, channels=[4, 8, 8], out_indices=[-1, 0]),
    row("backbone", "plain_encoder", PICTURE, ODD_PICTURE, "classifier", dims=2, channels=[4, 8, 8], num_classes=3),
    row("block", "ResidualUnit", BLOCK, ODD_BLOCK, in_channels=8, out_channels=4, stride=2),
    row("block", "ResidualUnit", BLOCK, ODD_BLOCK, "flat", in_channels=8, out_channels=8, dilation=2, last_plain=True),
    row("block", "DoubleConv", BLOCK, ODD_BLOCK, in_channels=8, out_channels=4, stride=2),
]

EXEMPT = {
    "models.backbones.encoder.PlainEncoder": "its sizes are the rows",
    "models.basicblocks.double_conv.UpJoin": "takes two maps; a step of BasicUNet and NestedUNet",
    "models.networks.fitting.Fitting": "abstract",
}
