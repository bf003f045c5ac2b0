"""Basic blocks and attention."""

from tests.models.entry import BLOCK, ODD_BLOCK, row

ROWS = [
    row("attention", "SE", BLOCK, ODD_BLOCK, channels=8, reduction=4),
    row("block", "DropPath", BLOCK, ODD_BLOCK, rate=0.5),
    row("block", "ChannelNorm", BLOCK, ODD_BLOCK, channels=8),
    row("block", "ConvNormAct", BLOCK, ODD_BLOCK, in_channels=8, out_channels=4, stride=2, activation="silu"),
    row("block", "BasicBlock", BLOCK, ODD_BLOCK, in_channels=8, width=8, stride=2),
    row("block", "Bottleneck", BLOCK, ODD_BLOCK, in_channels=8, width=64, groups=4, width_per_group=4, dilation=2),
]

EXEMPT = {"models.basicblocks.layers.Layers": "a record"}
