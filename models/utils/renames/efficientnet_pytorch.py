"""EfficientNet-PyTorch's names (github.com/lukemelas), which segmentation-models' encoders and MONAI have too.

Blocks of all stages are counted in a row. Norms of a block count from 0 where it expands, and from 1 in the first
stage, which doesn't.

Source: measured on segmentation-models 0.6.0 and MONAI 1.6.1.
"""

from models.utils.renames.torchvision import EFFICIENTNET_DEPTHS

# A layer of a block, and its name in ours. Rules are applied in order: what the first stage has named is done.
_FIRST = {"_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LAYERS = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"} | {
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_ENDS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}


def table(depths: tuple[int, ...], *, theirs: str = "", ours: str = "", by_stage: bool = False) -> dict[str, str]:
    """Rules for a size of these many blocks in each stage.

    `theirs` and `ours` stand before all names. `by_stage` has the stage before the number of a block, as in MONAI.
    """
    before = theirs.replace(".", r"\.") + "_blocks" + (r"\.\d+" if by_stage else "")
    first = "|".join(map(str, range(depths[0])))
    rules = {rf"^({before}\.(?:{first}))\.{layer}\.": rf"\1.{name}." for layer, name in _FIRST.items()}
    rules |= {rf"^({before}\.\d+)\.{layer}\.": rf"\1.{name}." for layer, name in _LAYERS.items()}
    number = 0
    for stage, depth in enumerate(depths):
        for block in range(depth):
            place = f"{stage}.{number}" if by_stage else number
            rules[f"{theirs}_blocks.{place}."] = f"{ours}blocks.{stage}.{block}."
            number += 1
    return rules | {f"{theirs}{end}.": f"{ours}{name}." for end, name in _ENDS.items()}


TABLES: dict[str, dict[str, str]] = {
    f"efficientnet_pytorch_b{size}": table(depths) for size, depths in enumerate(EFFICIENTNET_DEPTHS)
}
NORM_EPS: dict[str, float] = dict.fromkeys(TABLES, 1e-3)
