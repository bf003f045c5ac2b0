"""Blocks that make maps finer, and Focus, which makes them coarser."""

from tests.models.entry import BLOCK, ODD_BLOCK, row
from tests.models.rows.attention import LINE, ODD_LINE, ODD_VOLUME, VOLUME

ENDS = {"in_channels": 8, "out_channels": 4}
SMALL = {
    "CARAFE": {"kernel_size": 3, "compressed": 4},
    "Focus": {},
    "UpsampleInterpolate": {},
    "UpsampleShuffle": {},
    "UpsampleTransposed": {},
}

ROWS = [
    *(row("block", name, BLOCK, ODD_BLOCK, **ENDS, **small) for name, small in SMALL.items()),
    *(row("block", name, LINE, ODD_LINE, "1d", **ENDS, dims=1, **small) for name, small in SMALL.items()),
    *(row("block", name, VOLUME, ODD_VOLUME, "3d", **ENDS, dims=3, **small) for name, small in SMALL.items()),
    row("block", "CARAFE", BLOCK, ODD_BLOCK, "same", in_channels=8, scale=3),
    row("block", "UpsampleInterpolate", BLOCK, ODD_BLOCK, "linear", **ENDS, scale=3, mode="linear", norm="batch"),
    row("block", "UpsampleShuffle", BLOCK, ODD_BLOCK, "norm", **ENDS, scale=3, norm="batch", activation="relu"),
    row("block", "UpsampleTransposed", BLOCK, ODD_BLOCK, "odd", **ENDS, kernel_size=3, norm="batch", activation="relu"),
]

EXEMPT = {}
