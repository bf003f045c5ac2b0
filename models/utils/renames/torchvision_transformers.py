"""torchvision's names for the parts of vision and Swin transformers, which have timm's here.

In a Swin, torchvision keeps stages and what lies between them in one row: `features.1` is the first stage,
`features.2` leads to the second, and so on.
"""

# A layer's place in a block of torchvision's, and its name in ours.
_VIT = {
    r"ln_1\.": "norm1.",
    r"self_attention\.in_proj_": "attn.qkv.",
    r"self_attention\.out_proj\.": "attn.proj.",
    r"ln_2\.": "norm2.",
    # The second of each pair stood in files of its first releases.
    r"mlp\.(?:0|linear_1)\.": "mlp.fc1.",
    r"mlp\.(?:3|linear_2)\.": "mlp.fc2.",
}
_SWIN = {r"mlp\.0\.": "mlp.fc1.", r"mlp\.3\.": "mlp.fc2.", "": ""}


def _swin() -> dict[str, str]:
    table = {"features.0.0.": "patch_embed.proj.", "features.0.2.": "patch_embed.norm."}
    for stage in range(4):
        theirs, ours = rf"^features\.{2 * stage + 1}\.(\d+)\.", rf"layers.{stage}.blocks.\1."
        table |= {theirs + place: ours + name for place, name in _SWIN.items()}
        if stage > 0:
            table[f"features.{2 * stage}."] = f"layers.{stage}.downsample."
    return table | {"head.": "head.fc."}


_BLOCK = r"^encoder\.layers\.encoder_layer_(\d+)\."

TABLES: dict[str, dict[str, str]] = {
    "torchvision_vit": {
        "class_token": "cls_token",
        "conv_proj.": "patch_embed.proj.",
        "encoder.pos_embedding": "pos_embed",
        **{_BLOCK + theirs: rf"blocks.\1.{ours}" for theirs, ours in _VIT.items()},
        "encoder.ln.": "norm.",
        "heads.head.": "head.",
    },
    "torchvision_swin": _swin(),
}
