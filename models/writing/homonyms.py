"""Same name, different network: which one is meant here, and how many parameters tell them apart."""

from typing import Any, NamedTuple


class _Homonym(NamedTuple):
    """A network that others call `name`: what is meant, its parameters as published, and how it is written here.

    `here` is None for what isn't here.
    """

    name: str
    meaning: str
    published: int
    here: dict[str, Any] | None


def _classifier(name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": name, **arguments, "num_classes": 1000}


_VOLUMES = {"in_channels": 1, "num_classes": 2, "dims": 3}

HOMONYMS = [
    _Homonym("regnet_x_400mf", "torchvision's, of other widths", 5_495_976, _classifier("regnet_x_400mf")),
    _Homonym("regnet_x_400mf", "timm's, there regnetx_004: the paper's", 5_157_512, _classifier("regnetx_004")),
    _Homonym("regnet_y_800mf", "torchvision's", 6_432_512, _classifier("regnet_y_800mf")),
    _Homonym("regnet_y_800mf", "timm's, there regnety_008", 6_263_168, _classifier("regnety_008")),
    _Homonym("inception_v3", "as it runs, timm's default", 23_834_568, _classifier("inception_v3")),
    _Homonym(
        "inception_v3",
        "with the auxiliary classifier, torchvision's default and in its files",
        27_161_264,
        _classifier("inception_v3", auxiliary=True),
    ),
    _Homonym("resnet50", "torchvision's and timm's", 25_557_032, _classifier("resnet50")),
    _Homonym("resnet50", "Darknet's resnet50.cfg, with shortcuts of fewer parameters", 22_780_456, None),
    _Homonym("seresnet18", "timm's, with rounded channels inside", 11_779_624, _classifier("seresnet18")),
    _Homonym("seresnet18", "Cadene's, there legacy_seresnet18 since", 11_778_592, _classifier("legacy_seresnet18")),
    _Homonym(
        "U-Net",
        "the paper's, 64 to 1024 channels: biases, no norm; 1 channel, 2 classes",
        31_030_658,
        {"type": "UNet", "in_channels": 1, "num_classes": 2, "norm": None, "padding": "valid"},
    ),
    _Homonym(
        "U-Net",
        "the common port: norms, no biases; 3 channels, 2 classes",
        31_037_698,
        {"type": "UNet", "in_channels": 3, "num_classes": 2},
    ),
    _Homonym(
        "U-Net",
        "the port with norms and biases",
        31_043_586,
        {"type": "UNet", "in_channels": 3, "num_classes": 2, "bias": True},
    ),
    _Homonym(
        "U-Net",
        "the port that interpolates, with half as many coarse channels",
        17_263_042,
        {"type": "UNet", "in_channels": 3, "num_classes": 2, "up": "bilinear"},
    ),
    _Homonym(
        "U-Net",
        "segmentation-models' Unet on resnet34, 1 class: a decoder on a backbone",
        24_436_369,
        {
            "backbone": {"type": "resnet34", "out_indices": [0, 1, 2, 3, 4]},
            "head": {"type": "UNetDecoder", "num_classes": 1, "channels": [256, 128, 64, 32, 16]},
        },
    ),
    _Homonym(
        "U-Net",
        "MONAI's UNet: residual units that stride; volumes, 16 to 256 channels, 2 classes",
        4_806_481,
        {"type": "ResidualUNet", **_VOLUMES},
    ),
    _Homonym("U-Net", "MONAI's BasicUNet; volumes, 2 classes", 5_749_410, {"type": "BasicUNet", **_VOLUMES}),
]
