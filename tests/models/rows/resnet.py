"""ResNet: plain, wide, grouped, with a deep stem, with attention."""

from models.backbones.resnet import DEPTHS
from tests.models.entry import IMAGE, ODD, row, sizes

# Small channels, which all groups divide.
NARROW = [32, 32, 64, 64]
VOLUME, ODD_VOLUME = ((1, 1, 16, 32, 32),), ((2, 1, 17, 33, 19),)

ROWS = [
    # Depth is what sizes differ in; widths are small, so that the deep ones stay quick.
    *sizes("backbone", DEPTHS, IMAGE, ODD, widths=NARROW),
    row("backbone", "resnet18", IMAGE, ODD, "whole"),
    row("backbone", "resnet18", ((2, 1, 32, 32),), ((1, 1, 33, 65),), "dilated", in_channels=1, output_stride=8),
    row("backbone", "resnet18", IMAGE, ODD, "levels", out_indices=[0, 2]),
    row("backbone", "resnet18", IMAGE, ODD, "classifier", num_classes=7),
    row("backbone", "resnet18", ((1, 2, 64),), ((2, 2, 77),), "1d", in_channels=2, dims=1),
    row("backbone", "resnet18", VOLUME, ODD_VOLUME, "3d", in_channels=1, dims=3, out_indices=[0, 1, 2]),
]

EXEMPT = {
    "models.backbones.residual.ResidualNet": "abstract",
    "models.backbones.residual.Row": "a record",
    "models.backbones.resnet.ResNet": "its sizes are the rows",
    "models.basicblocks.residual.Residual": "abstract",
}
