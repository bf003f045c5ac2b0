"""torchvision's names for the parts of ConvNeXt, which have timm's here.

torchvision keeps stages and what lies between them in one row: `features.1` is the first stage, `features.2` leads to
the second, and so on. Its factors of residual branches have axes for pixels, (channels, 1, 1).
"""

# A layer's place in a block of torchvision's, and its name in ours.
_LAYERS = {"0": "conv_dw", "2": "norm", "3": "mlp.fc1", "5": "mlp.fc2"}


def _table() -> dict[str, str]:
    table = {"features.0.0.": "stem.0.", "features.0.1.": "stem.1."}
    for stage in range(4):
        theirs, ours = rf"^features\.{2 * stage + 1}\.(\d+)\.", rf"stages.{stage}.blocks.\1."
        table[rf"{theirs}layer_scale$"] = f"{ours}gamma"
        table |= {rf"{theirs}block\.{place}\.": f"{ours}{name}." for place, name in _LAYERS.items()}
        if stage > 0:
            table[f"features.{2 * stage}."] = f"stages.{stage}.downsample."
    return table | {"classifier.0.": "head.norm.", "classifier.2.": "head.fc."}


TABLES: dict[str, dict[str, str]] = {"torchvision_convnext": _table()}
