"""UNet."""

from tests.models.entry import row

ROWS = [
    row("network", "UNet", ((1, 1, 32, 48),), ((2, 1, 33, 47),), in_channels=1, num_classes=2, channels=[4, 8, 16]),
    row(
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
    row(
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
    row(
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
    row("network", "UNet", ((1, 1, 32),), ((2, 1, 37),), "1d", in_channels=1, num_classes=2, channels=[4, 8], dims=1),
]

EXEMPT = {
    "models.networks.unet.DoubleConv": "a step of UNet",
    "models.networks.unet.Down": "a step of UNet",
    "models.networks.unet.Up": "a step of UNet",
    "models.networks.unet.OutConv": "a step of UNet",
}
