"""torchvision's names for the parts of RegNets, which have timm's here.

torchvision counts blocks from 0 and timm from 1, so every block has a row.
"""

import re

# A layer's place in a block of torchvision's, and its name in ours.
_LAYERS = {
    "proj.0": "downsample.conv",
    "proj.1": "downsample.bn",
    "f.a.0": "conv1.conv",
    "f.a.1": "conv1.bn",
    "f.b.0": "conv2.conv",
    "f.b.1": "conv2.bn",
    "f.se": "se",
    "f.c.0": "conv3.conv",
    "f.c.1": "conv3.bn",
}

# No stage of any size has more blocks.
_MOST = 17

TABLES: dict[str, dict[str, str]] = {
    "torchvision_regnet": {
        **{rf"^(trunk_output\..+)\.{re.escape(theirs)}\.": rf"\1.{ours}." for theirs, ours in _LAYERS.items()},
        **{
            f"trunk_output.block{stage}.block{stage}-{block}.": f"s{stage}.b{block + 1}."
            for stage in (1, 2, 3, 4)
            for block in range(_MOST)
        },
        "stem.0.": "stem.conv.",
        "stem.1.": "stem.bn.",
        "fc.": "head.fc.",
    }
}
