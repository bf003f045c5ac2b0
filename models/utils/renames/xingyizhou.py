"""The names of CenterNet's authors (github.com/xingyizhou/CenterNet) for a network that stands here in parts."""

# The last file in the alphabet: what a plain backbone's file has, other tables explain as well.

TABLES: dict[str, dict[str, str]] = {
    "centernet": {
        **{f"{name}.": f"head.{name}." for name in ("hm", "wh", "reg")},
        "deconv_layers.": "neck.deconv_layers.",
        "": "backbone.",
    }
}
