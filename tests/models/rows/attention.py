"""Attention blocks that weigh channels, pixels and axes."""

from tests.models.entry import BLOCK, ODD_BLOCK, row

LINE, ODD_LINE = ((1, 8, 12),), ((2, 8, 7),)
VOLUME, ODD_VOLUME = ((1, 8, 4, 6, 5),), ((2, 8, 5, 3, 7),)

# Small arguments of each; enough channels inside that ReLU leaves some alive, whatever the initial weights.
SMALL = {
    "AttentionGate": {"between": 8, "norm": None},
    "BAM": {"reduction": 2, "dilation": 2},
    "CBAM": {"reduction": 2, "kernel_size": 3},
    "CoordinateAttention": {"reduction": 4},
    "CrissCross": {"reduction": 2},
    "ExternalAttention": {"memory": 6},
    "GlobalContext": {"reduction": 1},
    "NonLocal": {},
    "SCSE": {"reduction": 1},
}

ROWS = [
    *(row("attention", name, BLOCK, ODD_BLOCK, channels=8, **small) for name, small in SMALL.items()),
    *(row("attention", name, LINE, ODD_LINE, "1d", channels=8, dims=1, **small) for name, small in SMALL.items()),
    *(row("attention", name, VOLUME, ODD_VOLUME, "3d", channels=8, dims=3, **small) for name, small in SMALL.items()),
    row("attention", "AttentionGate", BLOCK, ODD_BLOCK, "norm", channels=8),
    row("attention", "BAM", BLOCK, ODD_BLOCK, "product", channels=8, reduction=2, join="product"),
    row("attention", "CoordinateAttention", BLOCK, ODD_BLOCK, "plain", channels=8, bias=False, norm=None),
    row(
        "attention", "GlobalContext", BLOCK, ODD_BLOCK, "both", channels=8, reduction=1, fuse="both", gate="hardsigmoid"
    ),
    row("attention", "GlobalContext", BLOCK, ODD_BLOCK, "scale", channels=8, reduced=3, fuse="scale", pool="mean"),
    row("attention", "NonLocal", BLOCK, ODD_BLOCK, "gaussian", channels=8, pairing="gaussian", subsample=True),
    row("attention", "NonLocal", BLOCK, ODD_BLOCK, "dot", channels=8, pairing="dot", subsample=True, norm="batch"),
    row("attention", "NonLocal", BLOCK, ODD_BLOCK, "concat", channels=8, pairing="concat", subsample=True),
]

EXEMPT = {}
