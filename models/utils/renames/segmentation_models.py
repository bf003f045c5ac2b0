"""segmentation-models' names for whole networks that stand here in parts: backbone and head.

Heads have the names of its decoders, whichever it is; an encoder whose names are others than our backbone's has a
table of its own. What it keeps in a file and never uses (an encoder's last stages, attention of steps that join no
map) is reported as unexpected.

`ENCODERS` says which backbone of ours an encoder is, with the options that make its maps the same. Besides: U-Net,
U-Net++, Linknet, MAnet and SegFormer take the maps of all levels, `out_indices=[0, 1, 2, 3, 4]` (a MixVision
transformer has none at stride 2), PSPNet `out_indices=[2]`, FPN and UPerNet the levels of the default. DeepLabV3 has
`output_stride=8`, DeepLabV3+ and PAN 16, all with `even_dilation=True` where the encoder isn't timm's. U-Net on a VGG
has `center=True`. So `smp.Linknet("efficientnet-b0", classes=3)` is

    models.assemble({**ENCODERS["efficientnet-b0"], "out_indices": [0, 1, 2, 3, 4]}, head=LinkNetDecoder(3))

Differs: dilated MixVision transformers, which segmentation-models also makes (it dilates what reduces keys too).
Source: measured on segmentation-models 0.6.0.
"""

from typing import Any

from models.utils.renames import efficientnet_pytorch
from models.utils.renames.torchvision import EFFICIENTNET_DEPTHS
from models.utils.renames.torchvision import TABLES as TORCHVISION

# PSP's pools and the decoders' attention are wrapped there once more.
_WRAPPED = {
    r"^decoder\.psp\.blocks\.(\d+)\.pool\.": r"decoder.psp.blocks.\1.",
    r"^decoder\.blocks\.(\w+)\.attention([12])\.attention\.": r"decoder.blocks.\1.attention\2.",
}
_HEAD = {**_WRAPPED, "decoder.": "head.", "segmentation_head.0.": "head.classifier."}


def _encoder(table: dict[str, str]) -> dict[str, str]:
    """A table for the encoder alone, for the network."""
    return {f"encoder.{theirs}": f"backbone.{ours}" for theirs, ours in table.items()}


TABLES: dict[str, dict[str, str]] = {
    "segmentation_models": {**_HEAD, "encoder.": "backbone."},
    # Networks with aux_params have a classifier beside: heads "mask" and "label".
    "segmentation_models_mask_and_label": {
        **_WRAPPED,
        "decoder.": "heads.mask.",
        "segmentation_head.0.": "heads.mask.classifier.",
        "classification_head.3.": "heads.label.fc.",
        "encoder.": "backbone.",
    },
    # Encoders called "tu-...", which are timm's.
    "segmentation_models_timm": {**_HEAD, "encoder.model.": "backbone."},
    "segmentation_models_mobilenet_v2": {**_HEAD, **_encoder(TORCHVISION["torchvision_mobilenet_v2"])},
    # Encoders called "efficientnet-b0" to "efficientnet-b7".
    **{
        f"segmentation_models_efficientnet_b{size}": {
            **_HEAD,
            **efficientnet_pytorch.table(depths, theirs="encoder.", ours="backbone."),
        }
        for size, depths in enumerate(EFFICIENTNET_DEPTHS)
    },
}

# For images of how many pixels EfficientNet-PyTorch counts its padding, b0 to b7.
_PIXELS = (224, 240, 260, 300, 380, 456, 528, 600)


def _efficientnet(size: int) -> dict[str, Any]:
    backbone = {"type": f"efficientnet_b{size}", "stem_level": True, "padding": _PIXELS[size], "norm_eps": 1e-3}
    return backbone | ({"early_level": True} if size == 0 else {})


def _mobilenet_v3(name: str) -> dict[str, Any]:
    """timm's networks called tf_, which these encoders are."""
    return {"type": name, "padding": "same", "norm_eps": 1e-3}


ENCODERS: dict[str, dict[str, Any]] = {
    **{name: {"type": name} for name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")},
    **{name: {"type": name} for name in ("resnext50_32x4d", "resnext101_32x4d", "resnext101_32x8d")},
    **{f"resnext101_32x{n}d": {"type": "resnext101_32x8d", "width_per_group": n} for n in (16, 32, 48)},
    **{f"se_{name}": {"type": f"legacy_se{name}"} for name in ("resnet50", "resnet101", "resnet152")},
    **{f"se_{name}": {"type": f"legacy_se{name}"} for name in ("resnext50_32x4d", "resnext101_32x4d")},
    "senet154": {"type": "legacy_senet154"},
    **{f"densenet{n}": {"type": f"densenet{n}", "normed_levels": True} for n in (121, 161, 169, 201)},
    **{f"vgg{n}{norm}": {"type": f"vgg{n}{norm}"} for n in (11, 13, 16, 19) for norm in ("", "_bn")},
    "mobilenet_v2": {"type": "mobilenetv2_100", "head_level": True},
    "xception": {"type": "legacy_xception", "padding": "same", "raw_levels": True},
    **{f"efficientnet-b{size}": _efficientnet(size) for size in range(8)},
    **{f"timm-efficientnet-b{size}": {"type": f"efficientnet_b{size}", "stem_level": True} for size in range(8)},
    "timm-tf_efficientnet_lite0": {"type": "efficientnet_lite0", "stem_level": True},
    **{f"mit_b{size}": {"type": f"mit_b{size}"} for size in range(6)},
    # Others called "timm-" and "tu-" are timm's networks as they are, of the same names.
    **{f"timm-{name}": _mobilenet_v3(name) for name in ("mobilenetv3_small_075", "mobilenetv3_small_100")},
    **{f"timm-{name}": _mobilenet_v3(name) for name in ("mobilenetv3_large_075", "mobilenetv3_large_100")},
}
