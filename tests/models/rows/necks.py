"""Necks."""

from tests.models.entry import MAPS, ODD_MAPS, row

ROWS = [
    row("neck", "FPN", MAPS, ODD_MAPS, channels=8, in_channels=[8, 16, 32]),
    row("neck", "FPN", MAPS, ODD_MAPS, "extra", channels=8, in_channels=[8, 16, 32], extra="pool"),
]

EXEMPT = {}
