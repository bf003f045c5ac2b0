"""ResNet and its kin."""

from models.backbones.resnet import DEPTHS
from tests.models.entry import IMAGE, ODD, row, sizes

ROWS = [
    *sizes("backbone", DEPTHS, IMAGE, ODD),
    row("backbone", "resnet18", ((2, 1, 32, 32),), ((1, 1, 33, 65),), "dilated", in_channels=1, output_stride=8),
    row("backbone", "resnet18", IMAGE, ODD, "levels", out_indices=[0, 2]),
    row("backbone", "resnet18", IMAGE, ODD, "classifier", num_classes=7),
    row("backbone", "resnet18", ((1, 2, 64),), ((2, 2, 77),), "1d", in_channels=2, dims=1),
    row(
        "backbone",
        "resnet18",
        ((1, 1, 16, 32, 32),),
        ((1, 1, 17, 33, 19),),
        "3d",
        in_channels=1,
        dims=3,
        out_indices=[0, 1, 2],
    ),
]

EXEMPT = {"models.backbones.resnet.ResNet": "its sizes are the rows", "models.backbones.resnet.Row": "a record"}
