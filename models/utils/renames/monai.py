"""MONAI's names for medical networks, which nest their levels; ours are numbered, the finest first.

A convolution's norm and activation are `adn.N` and `adn.A` there.

Source: measured on MONAI 1.6.1.
"""

from models.utils.renames import efficientnet_pytorch
from models.utils.renames.torchvision import EFFICIENTNET_DEPTHS

# No network of MONAI's has more levels.
_LEVELS = range(10)
# What training programs put before each name, `model.`, stands before these names anyway, and may be taken off.
_NESTED = {r"^model\.": ""}
_ADN = {r"^(.*)\.adn\.N\.": r"\1.norm.", r"^(.*)\.adn\.A\.": r"\1.act."}


def _unet() -> dict[str, str]:
    """`UNet`: a level holds what is below it as `1.submodule`."""
    rules = _NESTED | _ADN
    for level in _LEVELS:
        there = "1.submodule." * level
        rules |= {f"{there}0.": f"down.{level}.", f"{there}2.": f"up.{level}."}
        # What is directly there is the last level.
        rules |= {f"{there}{part}.": f"bottom.{part}." for part in ("conv", "residual", "norm", "act") if level}
    return rules


def _attention_unet() -> dict[str, str]:
    """`AttentionUnet`: a level holds what is below it as `submodule.1`, the last its convolutions as `submodule`."""
    rules = {**_NESTED, **_ADN, r"^(.*\.attention\.(?:W_g|W_x|psi)\.0)\.conv\.": r"\1."}
    rules |= {"0.conv.": "head.", "2.conv.": "out."}
    for level in _LEVELS:
        there = "1" + ".submodule.1" * level
        rules |= {
            f"{there}.attention.": f"gates.{level}.",
            f"{there}.upconv.up.": f"up.{level}.",
            f"{there}.merge.": f"merge.{level}.",
            f"{there}.submodule.0.conv.": f"down.{level}.",
            f"{there}.submodule.conv.": f"down.{level}.",
        }
    return rules


# SegResNet's and DynUNet's convolutions stand one level deeper than ours.
_BARE = {r"^(.+)\.conv\.(weight|bias)$": r"\1.\2"}


def _vnet() -> dict[str, str]:
    """`VNet`: levels are called by their channels."""
    rules = dict(_ADN)
    for number, channels in enumerate((32, 64, 128, 256)):
        rules |= {f"down_tr{channels}.": f"down_tr.{number}.", f"up_tr{channels}.": f"up_tr.{3 - number}."}
    return rules


def _dynunet() -> dict[str, str]:
    """`DynUNet`: every layer is there twice, in order and nested; the nested one is loaded last and counts."""
    rules = _BARE | {"output_block.conv.": "out."}
    for level in _LEVELS:
        there = "skip_layers." + "next_layer." * level
        rules |= {f"{there}downsample.": f"down.{level}.", f"{there}upsample.": f"up.{level}."}
        if level:
            rules[f"{there}super_head.conv."] = f"heads.{level - 1}."
        # What is directly there is the last level.
        rules |= {f"{there}{part}{i}.": f"bottom.{part}{i}." for part in ("conv", "norm") for i in (1, 2, 3)}
    return rules


# A block of a `SENet`; the linear layers of its squeeze and excitation are 1x1 convolutions here.
_SENET = {
    rf"^(layer\d\.\d+)\.{theirs}\.": rf"\1.{ours}."
    for theirs, ours in {
        r"conv(\d)\.conv": r"conv\2",
        r"conv(\d)\.adn\.N": r"bn\2",
        r"project\.conv": "downsample.0",
        r"project\.adn\.N": "downsample.1",
        r"se_layer\.fc\.0": "se_module.fc1",
        r"se_layer\.fc\.2": "se_module.fc2",
    }.items()
}


TABLES: dict[str, dict[str, str]] = {
    "monai_unet": _unet(),
    "monai_attention_unet": _attention_unet(),
    # `BasicUNet`, `BasicUNetPlusPlus`, `AutoEncoder`: parts have the same places here.
    "monai": _ADN,
    "monai_segresnet": _BARE | {r"^(up_samples\.\d+\.1)\.deconv\.": r"\1."},
    "monai_vnet": _vnet(),
    "monai_dynunet": _dynunet(),
    "monai_densenet": {
        r"^(features\.denseblock\d+\.denselayer\d+)\.layers\.": r"\1.",
        "class_layers.out.": "classifier.",
    },
    "monai_senet": _SENET,
    **{
        f"monai_efficientnet_b{size}": efficientnet_pytorch.table(depths, by_stage=True)
        for size, depths in enumerate(EFFICIENTNET_DEPTHS)
    },
}

NORM_EPS: dict[str, float] = {name: 1e-3 for name in TABLES if name.startswith("monai_efficientnet")}
