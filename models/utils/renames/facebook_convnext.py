"""The names that ConvNeXt has in the authors' files, first and second version; attributes here are timm's."""

TABLES: dict[str, dict[str, str]] = {
    "facebook_convnext": {
        r"^downsample_layers\.0\.": "stem.",
        r"^downsample_layers\.(\d+)\.": r"stages.\1.downsample.",
        r"^stages\.(\d+)\.(\d+)\.": r"stages.\1.blocks.\2.",
        r"^(stages\.\d+\.blocks\.\d+)\.dwconv\.": r"\1.conv_dw.",
        r"^(stages\.\d+\.blocks\.\d+)\.pwconv": r"\1.mlp.fc",
        r"^(stages\.\d+\.blocks\.\d+)\.grn\.gamma": r"\1.mlp.grn.weight",
        r"^(stages\.\d+\.blocks\.\d+)\.grn\.beta": r"\1.mlp.grn.bias",
        "norm.": "head.norm.",
        "head.": "head.fc.",
    }
}
