"""The arguments that parts are shown and checked with, as data; reading it loads no engine."""

import importlib
from collections.abc import Callable
from typing import Any

from mcore.registry import available, lookup
from mcore.signatures import signature
from models.catalog_convnet import PRIMITIVES
from models.examples.pixels import CHANNELS, wanted

# What parts are shown with where they need an argument: by its name, and otherwise by kind and name of the part.
ARGUMENTS = {
    "in_channels": 64,
    "channels": 64,
    "inner": 128,
    "out_channels": 64,
    "width": 64,
    "pool_features": 32,
    "num_classes": 21,
    "num_labels": 21,
    "num_points": 17,
}
# Of networks, which begin with an image.
NETWORK = {"in_channels": 1, "num_classes": 2}
_CNNECTOME = {"num_fmaps": 12, "fmap_inc_factor": 2, "downsample_factors": [[2, 2], [2, 2]]}
_CONV = {"@type": "torch.nn.Conv2d", "in_channels": 8, "kernel_size": 1}
OTHERWISE: dict[tuple[str, str], dict[str, Any]] = {
    ("network", "CNNectomeUNet"): {
        "architecture_config": {"name": "em", "input_shape": [64, 64], "fmaps_out": 2, "fmaps_in": 1, **_CNNECTOME}
    },
    ("network", "CNNectomeUNetModule"): _CNNECTOME,
    ("network", "Darknet"): {"cfg": "yolov3-tiny"},
    ("network", "DummyArchitecture"): {
        "architecture_config": {"name": "dummy", "num_in_channels": 1, "num_out_channels": 2}
    },
    ("network", "ConvnetUNet"): {"list_num_channels": [[1, 32, 32], [32, 64, 32], [32, 32, 2]], "kernel_sizes": 3},
    ("network", "ConvBlock"): {"num_channels": [64, 64, 64], "kernel_sizes": 3, "skips": {"0": 2}},
    # Without padding, all levels that these are published with need volumes of 380 pixels and more along an axis.
    **{("network", name): {"width": [16, 32]} for name in ("VRUNet", "vrunet", "RUNet")},
    ("neck", "Attend"): {"attention": "CBAM"},
    ("head", "DeepSupervision"): {"head": {"type": "UNetDecoder", "num_classes": 21}},
    ("head", "Depth"): {"low": 0.1, "high": 10.0},
    ("block", "AlignedXceptionBlock"): {"out_channels": [64, 64, 128], "stride": 2},
    ("block", "Focus"): {"in_channels": 3},
    ("block", "View"): {"shape": [-1, 48]},
    ("block", "Crop"): {"crop": [2, 1]},
    ("block", "CenterCrop"): {"size": [9, 6]},
    ("block", "RescaleValues"): {"in_range": [0, 255], "out_range": [-1, 1]},
    ("block", "Clamp"): {"min": -0.5, "max": 1.0},
    ("block", "UpConv"): {"kernel_size": 3},
    ("block", "MultiHeaded"): {
        "heads": {"mask": {**_CONV, "out_channels": 1}, "affinity": {**_CONV, "out_channels": 3}}
    },
    ("block", "MultiHeadedOutput"): {
        "heads": {"mask": 1, "affinity": 3},
        "conv": {"@type": "torch.nn.Conv2d", "@mode": "partial", "kernel_size": 1},
    },
}
# Only checked so, where whole they would be too much for the small images and volumes that parts are checked with.
CHECKED: dict[tuple[str, str], dict[str, Any]] = {
    # As the paper trains it: at stride 8, its kernels of 73 pixels would be 11 GB to the reference evaluator.
    ("network", "DeepLabV3"): {"output_stride": 16, "rates": [6, 12, 18]},
    # nnU-Net plans as many levels as the volume has room for.
    ("network", "DynUNet"): {"strides": [1, 2, 2, 2]},
    # Whole: the originals' entries want to be told.
    **{("network", f"rsunet_act{norm}"): {"width": [16, 32, 64, 128, 256, 512]} for norm in ("", "_gn")},
    # Its norms need more than a few voxels at the coarsest level.
    ("network", "rsunet_act_in"): {"width": [16, 32, 64, 128]},
    # All levels need volumes of 16 and 32 voxels along every axis.
    ("network", "isoRSUNet"): {"width": [16, 32, 64, 128]},
    ("network", "emvision_iso_rsunet"): {"filters": [16, 32, 64, 128]},
    # All levels need 212 pixels.
    ("network", "DTU2"): {
        "width": [12, 72, 432],
        "kszs": [[1, 3, 3], [1, 3, 3], [3, 3, 3]],
        "factors": [[1, 3, 3], [1, 3, 3]],
    },
}
# Only drawn so, in the gallery: three levels show how they are made.
_LEVELS = {"width": [16, 32, 64]}
RSUNETS = "RSUNet isoRSUNet rsunet_gn rsunet_2d3d rsunet_2d3d_gn rsunet_v3 dynamic_rsunet".split()
RSUNETS += "rsunet_act rsunet_act_gn rsunet_act_in rsunet_act_nn rsunet_act_nn_gn".split()
DRAWN: dict[tuple[str, str], dict[str, Any]] = {
    **{("network", name): _LEVELS for name in RSUNETS},
    **{("network", f"emvision_{name}"): {"filters": [16, 32, 64]} for name in ("rsunet", "rsunet_gn", "iso_rsunet")},
    ("network", "DTU2"): {**_LEVELS, "kszs": [[1, 3, 3], [1, 3, 3], [3, 3, 3]], "factors": [[1, 3, 3], [3, 3, 3]]},
}
# The most that norms scale by, where random ones up to 1.5 make rounding grow until float32 tells nothing: of gates in
# a hundred layers, mostly. No lower than that needs: what is damped too much no longer depends on the image.
CALM = {
    **{("backbone", name): 1.3 for name in ("mobilenetv2_110d", "mobilenetv2_120d")},
    **{("backbone", name): 1.2 for name in ("seresnet101", "seresnet152", "legacy_seresnet101", "legacy_seresnet152")},
    **{("backbone", name): 1.2 for name in ("ecaresnet101d", "resnest200e", "resnest269e", "efficientnetv2_s")},
    ("backbone", "efficientnet_b7"): 1.4,
    # Between 1.2 and 1.5 their float32 alone is off by up to 5e-4.
    **{("backbone", name): 1.1 for name in ("ghostnet_050", "ghostnet_100", "ghostnet_130")},
}
# What feeds necks and heads, and (channels, stride) of its maps, finest first.
FED, FEATURES = "resnet18", ((64, 4), (128, 8), (256, 16), (512, 32))
# Heads that want a pyramid of equal channels are fed through this neck.
PYRAMID, ON_PYRAMID, LEVELS = "FPN", ("FCOS", "RetinaNet"), ((256, 4), (256, 8), (256, 16), (256, 32))
# Where the public names of a kind stand.
PACKAGES = {
    "network": "models.networks",
    "backbone": "models.backbones",
    "neck": "models.necks",
    "head": "models.heads",
    "attention": "models.attention",
    "block": "models.basicblocks",
}
# Public names whose specs stand in a namespace of the registry, with the names they have there, and its version.
NAMESPACE, VERSION = "convnet", "0.0.2"
CONVNET = {"ConvnetUNet": "UNet", "ConvBlock": "ConvBlock", **{name: name for name in PRIMITIVES}}


def public(kind: str) -> list[str]:
    """The public names of a kind, in the order of its package's `__all__`.

    Raises:
        ValueError: no such kind.
    """
    if kind not in PACKAGES:
        raise ValueError(f"examples: no kind {kind!r}; there are {', '.join(PACKAGES)}.")
    return list(importlib.import_module(PACKAGES[kind]).__all__)


def constructor(kind: str, name: str) -> Callable[..., Any]:
    """What a name stands for: of the registry, or a public one that has another name there.

    Raises:
        ValueError: no such kind.
        AttributeError: no such name; the message has the nearest.
    """
    if name in available(kind):
        return lookup(name, kind).load()
    return getattr(importlib.import_module(PACKAGES[kind]), name)


def arguments(kind: str, name: str) -> dict[str, Any]:
    """The arguments that a part is built and checked with; empty where it needs none.

    Raises:
        ValueError: it needs an argument that nobody gave an example of; or no such kind.
        AttributeError: no such name.
    """
    return _needed(kind, name) | CHECKED.get((kind, name), {})


def example(kind: str, name: str) -> dict[str, Any]:
    """The arguments that the gallery shows a part with.

    Raises:
        ValueError, AttributeError: as `arguments`.
    """
    return _needed(kind, name) | DRAWN.get((kind, name), {})


def _needed(kind: str, name: str) -> dict[str, Any]:
    needed = [
        parameter.name
        for parameter in signature(constructor(kind, name)).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    given, common = OTHERWISE.get((kind, name), {}), _common(kind)
    missing = [key for key in needed if key not in given and key not in common]
    if missing:
        raise ValueError(
            f"examples: {kind} {name} needs {', '.join(missing)}; put an example into OTHERWISE of {__name__}."
        )
    return {key: common[key] for key in needed if key not in given} | given


def declared(kind: str, name: str) -> dict[str, Any]:
    """What this package says of a part, as data, without importing the part: what changes with it, must be built anew.

    Arguments that all parts of a kind share are told for each of them, whether or not it takes them.
    """
    calm = {"calm": CALM[kind, name]} if (kind, name) in CALM else {}
    fed = {"neck": FEATURES, "head": LEVELS if name in ON_PYRAMID else FEATURES}.get(kind, ())
    return {
        **calm,
        "arguments": {**_common(kind), **OTHERWISE.get((kind, name), {}), **CHECKED.get((kind, name), {})},
        "fed": [list(level) for level in fed],
        "channels": CHANNELS.get((kind, name)),
        "sizes": {str(dims): [list(size) for size in sizes] for dims, sizes in wanted(kind, name).items()},
    }


def _common(kind: str) -> dict[str, Any]:
    """Arguments of any part of a kind that needs them; a backbone needs none."""
    return {} if kind == "backbone" else {**ARGUMENTS, **(NETWORK if kind == "network" else {})}
