"""torchvision's names for the parts of networks whose attributes here are timm's.

`TABLES` gives, by the name of a table, our prefix for each of torchvision's. `NORM_EPS` gives the eps of batch norms
that torchvision's weights were made with, where it isn't 1e-5: state files don't hold it, so the network has to be
built with it (`norm_eps=`), or its results are wrong by a thousandth.

Source: measured on torchvision 0.28 and timm 1.0.31, pairs of layers by order of execution.
"""

# A layer's place in a block of torchvision's, and its name in ours.
_SEPARABLE_SE = {"0.0": "conv_dw", "0.1": "bn1", "1.fc1": "se.conv_reduce", "1.fc2": "se.conv_expand"} | {
    "2.0": "conv_pw",
    "2.1": "bn2",
}
_SEPARABLE = {"0.0": "conv_dw", "0.1": "bn1", "1.0": "conv_pw", "1.1": "bn2"}
_INVERTED = {"0.0": "conv_pw", "0.1": "bn1", "1.0": "conv_dw", "1.1": "bn2", "2.0": "conv_pwl", "2.1": "bn3"}
_INVERTED_SE = {"0.0": "conv_pw", "0.1": "bn1", "1.0": "conv_dw", "1.1": "bn2"} | {
    "2.fc1": "se.conv_reduce",
    "2.fc2": "se.conv_expand",
    "3.0": "conv_pwl",
    "3.1": "bn3",
}
_FUSED = {"0.0": "conv_exp", "0.1": "bn1", "1.0": "conv_pwl", "1.1": "bn2"}
_CONV = {"0.0": "conv", "0.1": "bn1"}
# MobileNetV2 and MnasNet write the last convolution flat.
_SEPARABLE_V2 = {"0.0": "conv_dw", "0.1": "bn1", "1": "conv_pw", "2": "bn2"}
_INVERTED_V2 = {"0.0": "conv_pw", "0.1": "bn1", "1.0": "conv_dw", "1.1": "bn2", "2": "conv_pwl", "3": "bn3"}
_INVERTED_MNAS = {"0": "conv_pw", "1": "bn1", "3": "conv_dw", "4": "bn2", "6": "conv_pwl", "7": "bn3"}


def _block(theirs: str, ours: str, layers: dict[str, str]) -> dict[str, str]:
    return {f"{theirs}{place}.": f"{ours}{name}." for place, name in layers.items()}


def _mobilenet_v2() -> dict[str, str]:
    table = {"features.0.0.": "conv_stem.", "features.0.1.": "bn1."}
    number = 1
    for stage, depth in enumerate((1, 2, 3, 4, 3, 3, 1)):
        for block in range(depth):
            layers = _INVERTED_V2 if stage else _SEPARABLE_V2
            table |= _block(f"features.{number}.conv.", f"blocks.{stage}.{block}.", layers)
            number += 1
    return table | {"features.18.0.": "conv_head.", "features.18.1.": "bn2.", "classifier.1.": "classifier."}


def _mobilenet_v3(stages: tuple[tuple[int, bool], ...]) -> dict[str, str]:
    """Stages are the number of blocks and whether they have SE; only the first stage is without expansion."""
    table = {"features.0.0.": "conv_stem.", "features.0.1.": "bn1."}
    number = 1
    for stage, (depth, se) in enumerate(stages):
        layers = (_INVERTED_SE if se else _INVERTED) if stage else (_SEPARABLE_SE if se else _SEPARABLE)
        for block in range(depth):
            table |= _block(f"features.{number}.block.", f"blocks.{stage}.{block}.", layers)
            number += 1
    table |= _block("features.", f"blocks.{len(stages)}.0.", {f"{number}.0": "conv", f"{number}.1": "bn1"})
    # The first of the two is a linear layer there, a 1x1 convolution here.
    return table | {"classifier.0.": "conv_head.", "classifier.3.": "classifier."}


def _efficientnet(stages: tuple[tuple[int, dict[str, str]], ...]) -> dict[str, str]:
    """Stages are the number of blocks and their layers."""
    table = {"features.0.0.": "conv_stem.", "features.0.1.": "bn1."}
    for stage, (depth, layers) in enumerate(stages):
        for block in range(depth):
            table |= _block(f"features.{stage + 1}.{block}.block.", f"blocks.{stage}.{block}.", layers)
    head = f"features.{len(stages) + 1}."
    return table | {f"{head}0.": "conv_head.", f"{head}1.": "bn2.", "classifier.1.": "classifier."}


def _mnasnet() -> dict[str, str]:
    table = _block("layers.", "", {"0": "conv_stem", "1": "bn1", "14": "conv_head", "15": "bn2"})
    table |= _block("layers.", "blocks.0.0.", {"3": "conv_dw", "4": "bn1", "6": "conv_pw", "7": "bn2"})
    for stage, depth in enumerate((3, 3, 3, 2, 4, 1), start=1):
        for block in range(depth):
            table |= _block(f"layers.{stage + 7}.{block}.layers.", f"blocks.{stage}.{block}.", _INVERTED_MNAS)
    return table | {"classifier.1.": "classifier."}


# Blocks in each stage of EfficientNet b0 to b7.
EFFICIENTNET_DEPTHS = (
    (1, 2, 2, 3, 3, 4, 1),
    (2, 3, 3, 4, 4, 5, 2),
    (2, 3, 3, 4, 4, 5, 2),
    (2, 3, 3, 5, 5, 6, 2),
    (2, 4, 4, 6, 6, 8, 2),
    (3, 5, 5, 7, 7, 9, 3),
    (3, 6, 6, 8, 8, 11, 3),
    (4, 7, 7, 10, 10, 13, 4),
)

TABLES: dict[str, dict[str, str]] = {
    "torchvision_mobilenet_v2": _mobilenet_v2(),
    "torchvision_mobilenet_v3_small": _mobilenet_v3(((1, True), (2, False), (3, True), (2, True), (3, True))),
    "torchvision_mobilenet_v3_large": _mobilenet_v3(
        ((1, False), (2, False), (3, True), (4, False), (2, True), (3, True))
    ),
    "torchvision_mnasnet1_0": _mnasnet(),
    **{
        f"torchvision_efficientnet_b{size}": _efficientnet(
            ((depths[0], _SEPARABLE_SE), *((depth, _INVERTED_SE) for depth in depths[1:]))
        )
        for size, depths in enumerate(EFFICIENTNET_DEPTHS)
    },
    "torchvision_efficientnet_v2_s": _efficientnet(
        ((2, _CONV), (4, _FUSED), (4, _FUSED), (6, _INVERTED_SE), (9, _INVERTED_SE), (15, _INVERTED_SE))
    ),
}

NORM_EPS: dict[str, float] = {
    "torchvision_mobilenet_v3_small": 1e-3,
    "torchvision_mobilenet_v3_large": 1e-3,
    "torchvision_efficientnet_b5": 1e-3,
    "torchvision_efficientnet_b6": 1e-3,
    "torchvision_efficientnet_b7": 1e-3,
    "torchvision_efficientnet_v2_s": 1e-3,
}
