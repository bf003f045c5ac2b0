"""Sizes that parts are checked at, as data: batch and pixels along each axis.

The three of a part differ along each axis and in parity, so that no size is taken for granted, and are small: onnx's
reference evaluator, which is written in Python, runs them too.
"""

from fnmatch import fnmatchcase

Sizes = tuple[tuple[int, ...], ...]

# By number of axes: of images, and of the maps that necks, heads and blocks are fed; of several, the finest.
IMAGES: dict[int, Sizes] = {
    1: ((1, 64), (2, 80), (3, 47)),
    2: ((1, 64, 48), (2, 48, 80), (3, 33, 47)),
    3: ((1, 4, 16, 24), (2, 6, 24, 16), (3, 5, 33, 18)),
}
MAPS: dict[int, Sizes] = {
    1: ((1, 16), (2, 20), (3, 11)),
    2: ((1, 16, 12), (2, 12, 20), (3, 17, 11)),
    3: ((1, 4, 6, 8), (2, 6, 8, 4), (3, 5, 3, 7)),
}
# Of maps, where a part is slow in Python: dilated kernels and transposed convolutions.
COARSE: Sizes = ((1, 8, 6), (2, 6, 16), (3, 9, 5))
# SSD's coarsest map is a pixel of these.
LARGE: Sizes = ((1, 268, 300), (2, 301, 269), (1, 283, 268))
# By kind and pattern of names, where these don't serve.
OTHERWISE: dict[tuple[str, str], Sizes] = {
    ("network", "LeNet"): ((1, 32, 32), (2, 32, 32), (3, 32, 32)),
    # Kernels are dilated to 73 pixels, which the reference evaluator takes as so many numbers.
    ("network", "DeepLab*"): ((1, 32, 24), (2, 16, 32), (3, 17, 9)),
    **{(kind, "ASPP"): COARSE for kind in ("neck", "block")},
    **{("head", name): COARSE for name in ("DeepLab*", "Keypoints")},
    ("neck", "Deconvolution"): COARSE,
    ("network", "UNet"): ((1, 32, 48), (2, 48, 32), (3, 33, 31)),
    ("network", "DynUNet"): ((1, 16, 8, 12), (2, 8, 12, 16), (3, 9, 17, 14)),
    ("network", "iso*"): ((1, 8, 8, 16), (2, 8, 16, 8), (3, 16, 8, 8)),
    ("network", "emvision_iso*"): ((1, 8, 8, 16), (2, 8, 16, 8), (3, 16, 8, 8)),
    ("network", "emvision_*"): ((1, 2, 16, 32), (2, 3, 32, 16), (3, 1, 16, 16)),
    ("network", "RSUNet"): ((1, 2, 32, 64), (2, 1, 64, 32), (1, 3, 32, 32)),
    ("network", "rsunet_act_in"): ((1, 3, 16, 24), (2, 2, 24, 16), (1, 4, 32, 16)),
    ("network", "*rsunet*"): ((1, 2, 32, 64), (2, 1, 64, 32), (1, 3, 32, 32)),
    ("network", "DTU2"): ((1, 4, 60, 70), (2, 5, 70, 60), (3, 3, 60, 60)),
    ("network", "RUNet"): ((1, 34, 36, 34), (2, 36, 34, 34), (1, 34, 34, 38)),
    ("network", "[Vv]*unet"): ((1, 13, 18, 20), (2, 14, 20, 18), (3, 15, 18, 18)),
    ("network", "VRUNet"): ((1, 13, 18, 20), (2, 14, 20, 18), (3, 15, 18, 18)),
    ("network", "VNet"): ((1, 16, 16, 16), (2, 16, 16, 32), (1, 16, 32, 16)),
    ("network", "AlexNet"): ((1, 64, 72), (2, 79, 67), (3, 67, 80)),
    ("network", "SSD300"): LARGE,
    ("backbone", "ssd_vgg16"): LARGE,
    # Halves the size five times without padding.
    ("backbone", "inception_v3"): ((1, 80, 96), (2, 107, 91), (1, 91, 80)),
    ("backbone", "rsunet"): ((1, 2, 32, 64), (2, 3, 48, 33), (1, 4, 33, 32)),
    # Its norms need more than a few voxels at the coarsest level.
    ("backbone", "plain_encoder"): ((1, 16, 32, 48), (2, 24, 40, 32), (1, 17, 33, 40)),
    ("block", "*Pool2DFlatten"): ((1, 6, 6), (2, 8, 8), (3, 9, 9)),
    ("block", "View"): ((1, 16, 12), (2, 12, 20), (3, 18, 10)),
    ("block", "SplitTuple"): ((2, 16, 12), (4, 12, 20), (6, 17, 11)),
}
# Channels of what a part takes, where no argument of this name tells.
CHANNELS = {("network", "ConvBlock"): 64, ("network", "ConvnetUNet"): 1}


def wanted(kind: str, name: str) -> dict[int, Sizes]:
    """The sizes to check a part at, by number of axes behind batch and channels."""
    for (whose, pattern), sizes in OTHERWISE.items():
        if whose == kind and fnmatchcase(name, pattern):
            return {len(sizes[0]) - 1: sizes}
    return IMAGES if kind in ("network", "backbone") else MAPS
