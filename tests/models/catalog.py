"""One row for each public constructor: how to build it small, and what to call it with.

What holds for all is tested once, over these rows. A row builds with random numbers of its own seed.
"""

from dataclasses import dataclass, field
from typing import Any

from models.catalog import NAMES


@dataclass(frozen=True)
class Entry:
    """A name of the registry with small arguments, and shapes of its inputs at two sizes, the second odd.

    `shapes` has one shape for each input; a neck or head takes several maps. `again` are the shapes at
    another size that the same network must take.
    """

    kind: str
    name: str
    shapes: tuple[tuple[int, ...], ...]
    again: tuple[tuple[int, ...], ...]
    arguments: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def id(self):
        return f"{self.kind}-{self.name}" + (f"-{self.note}" if self.note else "")

    @property
    def by_maps(self):
        """Whether it takes a tuple of maps."""
        return self.kind in ("neck", "head")


def pyramid(*channels, n=1, size=(16, 12)):
    """Shapes of maps, finest first, each half the size of the one before, rounded up."""
    shapes = []
    for count in channels:
        shapes.append((n, count, *size))
        size = tuple(-(-pixels // 2) for pixels in size)
    return tuple(shapes)


def _row(kind, name, shapes, again, note="", **arguments):
    return Entry(kind, name, shapes, again, arguments, note)


IMAGE, ODD = ((1, 3, 64, 48),), ((2, 3, 65, 79),)
MAPS, ODD_MAPS = pyramid(8, 16, 32), pyramid(8, 16, 32, n=2, size=(17, 23))
LEVEL, ODD_LEVEL = pyramid(8, 8, 8), pyramid(8, 8, 8, n=2, size=(17, 23))
BLOCK, ODD_BLOCK = ((1, 8, 12, 10),), ((2, 8, 13, 9),)

CATALOG = [
    _row(
        "network",
        "UNet",
        ((1, 1, 32, 48),),
        ((2, 1, 33, 47),),
        in_channels=1,
        num_classes=2,
        channels=[4, 8, 16],
    ),
    _row(
        "network",
        "UNet",
        ((1, 1, 44, 60),),
        ((2, 1, 48, 44),),
        "paper",
        in_channels=1,
        num_classes=2,
        channels=[4, 8, 16],
        norm=None,
        padding="valid",
    ),
    _row(
        "network",
        "UNet",
        ((1, 1, 16, 24),),
        ((2, 1, 19, 21),),
        "bilinear",
        in_channels=1,
        num_classes=2,
        channels=[4, 8, 16],
        up="bilinear",
        norm="instance",
        activation="leaky_relu",
    ),
    _row(
        "network",
        "UNet",
        ((1, 1, 8, 12, 8),),
        ((2, 1, 9, 7, 11),),
        "3d",
        in_channels=1,
        num_classes=2,
        channels=[4, 8, 8],
        dims=3,
        norm="group",
    ),
    _row(
        "network",
        "UNet",
        ((1, 1, 32),),
        ((2, 1, 37),),
        "1d",
        in_channels=1,
        num_classes=2,
        channels=[4, 8],
        dims=1,
    ),
    *(_row("backbone", name, IMAGE, ODD) for name in NAMES["backbone"]),
    _row(
        "backbone",
        "resnet18",
        ((2, 1, 32, 32),),
        ((1, 1, 33, 65),),
        "dilated",
        in_channels=1,
        output_stride=8,
    ),
    _row("backbone", "resnet18", IMAGE, ODD, "levels", out_indices=[0, 2]),
    _row("backbone", "resnet18", IMAGE, ODD, "classifier", num_classes=7),
    _row("backbone", "resnet18", ((1, 2, 64),), ((2, 2, 77),), "1d", in_channels=2, dims=1),
    _row(
        "backbone",
        "resnet18",
        ((1, 1, 16, 32, 32),),
        ((1, 1, 17, 33, 19),),
        "3d",
        in_channels=1,
        dims=3,
        out_indices=[0, 1, 2],
    ),
    _row("neck", "FPN", MAPS, ODD_MAPS, channels=8, in_channels=[8, 16, 32]),
    _row("neck", "FPN", MAPS, ODD_MAPS, "extra", channels=8, in_channels=[8, 16, 32], extra="pool"),
    _row("head", "Classification", MAPS[-1:], ODD_MAPS[-1:], num_classes=5, in_channels=[32]),
    _row(
        "head",
        "Classification",
        LEVEL,
        ODD_LEVEL,
        "pyramid",
        num_classes=5,
        in_channels=[8, 8, 8],
        dropout=0.5,
    ),
    _row(
        "head",
        "Classification",
        MAPS,
        ODD_MAPS,
        "concat",
        num_classes=5,
        in_channels=[8, 16, 32],
        merge="concat",
    ),
    _row("head", "Segmentation", MAPS[-1:], ODD_MAPS[-1:], num_classes=3, in_channels=[32]),
    _row("head", "Segmentation", LEVEL, ODD_LEVEL, "pyramid", num_classes=3, in_channels=[8, 8, 8]),
    _row(
        "head",
        "Segmentation",
        MAPS,
        ODD_MAPS,
        "concat",
        num_classes=3,
        in_channels=[8, 16, 32],
        merge="concat",
    ),
    _row("head", "UNetDecoder", MAPS, ODD_MAPS, num_classes=3, channels=[8, 8, 8], in_channels=[8, 16, 32]),
    _row(
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
    _row("block", "ConvNormAct", BLOCK, ODD_BLOCK, in_channels=8, out_channels=4, stride=2, activation="silu"),
    _row("block", "BasicBlock", BLOCK, ODD_BLOCK, in_channels=8, width=8, stride=2),
    _row(
        "block",
        "Bottleneck",
        BLOCK,
        ODD_BLOCK,
        in_channels=8,
        width=64,
        groups=4,
        width_per_group=4,
        dilation=2,
    ),
]

# Public classes that have no row, and why.
EXEMPT = {
    "models.assembly.Assembly": "made of other rows; its own tests put them together",
    "models.backbones.resnet.ResNet": "its sizes are the rows",
    "models.component.Component": "abstract",
    "models.component.Part": "abstract",
    "models.component.Unbuilt": "a recipe, not a network",
    "models.component.UnbuiltError": "an error",
    "models.component.Feeds": "a record",
    "models.graph.Node": "a record",
    "models.graph.Plan": "a record",
    "models.graph.Source": "a record",
    "models.backbones.resnet.Row": "a record",
    "models.basicblocks.layers.Layers": "a record",
    "models.utils.weights.Report": "a record",
    "models.utils.summary.Row": "a record",
    "models.heads.unet_decoder.Up": "a step of UNetDecoder",
    "models.networks.unet.DoubleConv": "a step of UNet",
    "models.networks.unet.Down": "a step of UNet",
    "models.networks.unet.Up": "a step of UNet",
    "models.networks.unet.OutConv": "a step of UNet",
}
