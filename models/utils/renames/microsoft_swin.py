"""The names that Swin transformers have in the authors' files; attributes here are timm's."""

TABLES: dict[str, dict[str, str]] = {
    "microsoft_swin": {
        # There a stage ends with what leads to the next; here the next begins with it.
        **{f"layers.{stage}.downsample.": f"layers.{stage + 1}.downsample." for stage in range(3)},
        "head.": "head.fc.",
    }
}
