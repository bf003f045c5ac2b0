"""Sizes of EfficientNet and of the networks before it that are made of the same blocks: the papers' tables as data.

Source: Sandler et al., "MobileNetV2", arXiv:1801.04381, table 2; Howard et al., "Searching for MobileNetV3",
arXiv:1905.02244, tables 1 and 2; Tan et al., "MnasNet", arXiv:1807.11626, figure 7 (as published in code: B1); Tan
and Le, "EfficientNet", arXiv:1905.11946, table 1, and "EfficientNetV2", arXiv:2104.00298, table 4.
"""

from typing import Literal, NamedTuple


class Blocks(NamedTuple):
    """A run of equal blocks in a stage; only the first one strides and changes channels.

    Blocks are "separable", "inverted", "fused" or "conv"; `se` puts squeeze and excitation into them; `activation`
    is theirs where it isn't the network's.
    """

    block: Literal["separable", "inverted", "fused", "conv"]
    depth: int
    kernel_size: int
    stride: int
    expansion: float
    channels: int
    se: bool = False
    activation: str | None = None
    shortcut: bool = True


class Design(NamedTuple):
    """What the sizes of a network share.

    SE leaves a quarter of the channels that enter the block ("input"), or of those that it weighs ("expanded",
    rounded, with a hard gate). A pooled head convolves what was averaged; others average what was convolved.
    """

    stages: tuple[tuple[Blocks, ...], ...]
    activation: str
    squeeze: Literal["input", "expanded"] = "input"
    pooled_head: bool = False


class Row(NamedTuple):
    """One size: channels and depths of stages are multiplied; those of stem and head are what that rounds to.

    `fixed_ends` leaves the depths of the first and the last stage as they are.
    """

    design: Design
    width: float = 1.0
    depth: float = 1.0
    stem: int = 32
    head: int = 1280
    fixed_ends: bool = False


MOBILENET_V2 = Design(
    (
        (Blocks("separable", 1, 3, 1, 1, 16),),
        (Blocks("inverted", 2, 3, 2, 6, 24),),
        (Blocks("inverted", 3, 3, 2, 6, 32),),
        (Blocks("inverted", 4, 3, 2, 6, 64),),
        (Blocks("inverted", 3, 3, 1, 6, 96),),
        (Blocks("inverted", 3, 3, 2, 6, 160),),
        (Blocks("inverted", 1, 3, 1, 6, 320),),
    ),
    activation="relu6",
)

MNASNET = Design(
    (
        (Blocks("separable", 1, 3, 1, 1, 16, shortcut=False),),
        (Blocks("inverted", 3, 3, 2, 3, 24),),
        (Blocks("inverted", 3, 5, 2, 3, 40),),
        (Blocks("inverted", 3, 5, 2, 6, 80),),
        (Blocks("inverted", 2, 3, 1, 6, 96),),
        (Blocks("inverted", 4, 5, 2, 6, 192),),
        (Blocks("inverted", 1, 3, 1, 6, 320, shortcut=False),),
    ),
    activation="relu",
)

MOBILENET_V3_LARGE = Design(
    (
        (Blocks("separable", 1, 3, 1, 1, 16, activation="relu"),),
        (
            Blocks("inverted", 1, 3, 2, 4, 24, activation="relu"),
            Blocks("inverted", 1, 3, 1, 3, 24, activation="relu"),
        ),
        (Blocks("inverted", 3, 5, 2, 3, 40, se=True, activation="relu"),),
        (
            Blocks("inverted", 1, 3, 2, 6, 80),
            Blocks("inverted", 1, 3, 1, 2.5, 80),
            Blocks("inverted", 2, 3, 1, 2.3, 80),
        ),
        (Blocks("inverted", 2, 3, 1, 6, 112, se=True),),
        (Blocks("inverted", 3, 5, 2, 6, 160, se=True),),
        (Blocks("conv", 1, 1, 1, 1, 960, shortcut=False),),
    ),
    activation="hardswish",
    squeeze="expanded",
    pooled_head=True,
)

MOBILENET_V3_SMALL = Design(
    (
        (Blocks("separable", 1, 3, 2, 1, 16, se=True, activation="relu"),),
        (
            Blocks("inverted", 1, 3, 2, 4.5, 24, activation="relu"),
            Blocks("inverted", 1, 3, 1, 3.67, 24, activation="relu"),
        ),
        (Blocks("inverted", 1, 5, 2, 4, 40, se=True), Blocks("inverted", 2, 5, 1, 6, 40, se=True)),
        (Blocks("inverted", 2, 5, 1, 3, 48, se=True),),
        (Blocks("inverted", 3, 5, 2, 6, 96, se=True),),
        (Blocks("conv", 1, 1, 1, 1, 576, shortcut=False),),
    ),
    activation="hardswish",
    squeeze="expanded",
    pooled_head=True,
)

EFFICIENTNET = Design(
    (
        (Blocks("separable", 1, 3, 1, 1, 16, se=True),),
        (Blocks("inverted", 2, 3, 2, 6, 24, se=True),),
        (Blocks("inverted", 2, 5, 2, 6, 40, se=True),),
        (Blocks("inverted", 3, 3, 2, 6, 80, se=True),),
        (Blocks("inverted", 3, 5, 1, 6, 112, se=True),),
        (Blocks("inverted", 4, 5, 2, 6, 192, se=True),),
        (Blocks("inverted", 1, 3, 1, 6, 320, se=True),),
    ),
    activation="silu",
)

# For accelerators without SE and without exponentials.
EFFICIENTNET_LITE = Design(
    tuple(tuple(blocks._replace(se=False) for blocks in stage) for stage in EFFICIENTNET.stages),
    activation="relu6",
)

EFFICIENTNET_V2_S = Design(
    (
        (Blocks("conv", 2, 3, 1, 1, 24),),
        (Blocks("fused", 4, 3, 2, 4, 48),),
        (Blocks("fused", 4, 3, 2, 4, 64),),
        (Blocks("inverted", 6, 3, 2, 4, 128, se=True),),
        (Blocks("inverted", 9, 3, 1, 6, 160, se=True),),
        (Blocks("inverted", 15, 3, 2, 6, 256, se=True),),
    ),
    activation="silu",
)

ROWS = {
    "mobilenetv2_035": Row(MOBILENET_V2, 0.35, stem=16),
    "mobilenetv2_050": Row(MOBILENET_V2, 0.5, stem=16),
    "mobilenetv2_075": Row(MOBILENET_V2, 0.75, stem=24),
    "mobilenetv2_100": Row(MOBILENET_V2),
    "mobilenetv2_110d": Row(MOBILENET_V2, 1.1, 1.2, fixed_ends=True),
    "mobilenetv2_120d": Row(MOBILENET_V2, 1.2, 1.4, fixed_ends=True),
    "mobilenetv2_140": Row(MOBILENET_V2, 1.4, stem=48, head=1792),
    "mnasnet_100": Row(MNASNET),
    "mobilenetv3_small_050": Row(MOBILENET_V3_SMALL, 0.5, stem=16, head=1024),
    "mobilenetv3_small_075": Row(MOBILENET_V3_SMALL, 0.75, stem=16, head=1024),
    "mobilenetv3_small_100": Row(MOBILENET_V3_SMALL, stem=16, head=1024),
    "mobilenetv3_large_075": Row(MOBILENET_V3_LARGE, 0.75, stem=16),
    "mobilenetv3_large_100": Row(MOBILENET_V3_LARGE, stem=16),
    "efficientnet_b0": Row(EFFICIENTNET),
    "efficientnet_b1": Row(EFFICIENTNET, 1.0, 1.1),
    "efficientnet_b2": Row(EFFICIENTNET, 1.1, 1.2, head=1408),
    "efficientnet_b3": Row(EFFICIENTNET, 1.2, 1.4, stem=40, head=1536),
    "efficientnet_b4": Row(EFFICIENTNET, 1.4, 1.8, stem=48, head=1792),
    "efficientnet_b5": Row(EFFICIENTNET, 1.6, 2.2, stem=48, head=2048),
    "efficientnet_b6": Row(EFFICIENTNET, 1.8, 2.6, stem=56, head=2304),
    "efficientnet_b7": Row(EFFICIENTNET, 2.0, 3.1, stem=64, head=2560),
    "efficientnet_lite0": Row(EFFICIENTNET_LITE),
    "efficientnetv2_s": Row(EFFICIENTNET_V2_S, stem=24),
}
