"""The connectomics convnet: blocks, U-Nets of all versions, primitives."""

import functools

import mcore
from mcore import BatchNorm2d, Conv2d, Conv3d, ConvTranspose2d
from models.basicblocks.upconv import build_group_norm
from tests.models.entry import row

PICTURE, ODD = ((1, 2, 16, 12),), ((2, 2, 17, 19),)
FITTING, VOLUME, LARGER = ((2, 2, 8, 20),), ((1, 2, 4, 8, 6),), ((2, 2, 8, 6, 10),)
LEVELS = {"list_num_channels": [[2, 4], [4, 6, 4], [4, 3]]}
BLOCK = {"num_channels": [2, 4, 4], "kernel_sizes": [3, 3], "skips": {"1": 2}}


def unet(shapes, again, note="", *, version="0.0.2", **arguments):
    """A row of a version of the U-Net."""
    return row("network", "convnet/UNet", shapes, again, note, version=version, **{**LEVELS, **arguments})


def block(note="", *, version="0.0.2", **arguments):
    """A row of a version of the block of convolutions."""
    return row("block", "convnet/ConvBlock", PICTURE, ODD, note, version=version, **{**BLOCK, **arguments})


def primitive(name, shapes=PICTURE, again=ODD, **arguments):
    """A row of a primitive."""
    return row("block", f"convnet/{name}", shapes, again, **arguments)


SQUARE, SQUARES = ((1, 2, 6, 6),), ((2, 2, 9, 9),)

ROWS = [
    block(),
    block("pre", activation_mode="pre", normalization=BatchNorm2d, paddings="valid", normalize_last=True),
    block("0.0.1", version="0.0.1", skips={"1": 2}, normalization=BatchNorm2d, activate_last=True),
    unet(PICTURE, FITTING),
    unet(PICTURE, ODD, "pad", fit="pad", unet_skip_mode="concat", normalization=BatchNorm2d),
    unet(PICTURE, FITTING, "refuse", fit="refuse", activation_mode="pre", unet_skip_mode="concat"),
    unet(
        ((1, 2, 20, 24),),
        ((2, 2, 21, 27),),
        "valid",
        paddings="valid",
        upsample=functools.partial(ConvTranspose2d, kernel_size=2, stride=2),
    ),
    unet(
        VOLUME,
        LARGER,
        "3d",
        conv=Conv3d,
        kernel_sizes=[1, 3, 3],
        normalization=functools.partial(build_group_norm, num_groups=1),
        downsample=functools.partial(mcore.AvgPool3d, kernel_size=[1, 2, 2]),
        upsample=functools.partial(mcore.Upsample, scale_factor=(1, 2, 2)),
    ),
    unet(PICTURE, FITTING, "0.0.1", version="0.0.1", normalization=BatchNorm2d, unet_skip_mode="concat"),
    unet(PICTURE, FITTING, "0.0.0", version="0.0.0", normalization=BatchNorm2d),
    primitive("Flatten"),
    primitive("Unflatten"),
    primitive("Crop", crop=[1, 0]),
    primitive("CenterCrop", size=[9, 6]),
    primitive("MaxPool2DFlatten", SQUARE, SQUARES),
    primitive("AvgPool2DFlatten", SQUARE, SQUARES),
    primitive("RescaleValues", in_range=[0, 255], out_range=[-1, 1]),
    primitive("Clamp", min=-0.5),
    primitive("UpConv", in_channels=2, out_channels=3, kernel_size=3),
    primitive(
        "MultiHeadedOutput",
        in_channels=2,
        heads={"aff": 3, "mask": 1},
        conv=functools.partial(Conv2d, kernel_size=1),
        preactivation=mcore.PReLU(),
    ),
]

EXEMPT = {
    "models.basicblocks.multihead.MultiHeaded": "takes modules that are built; see test_convnet_primitives.py",
    "models.basicblocks.reshaping.SplitTuple": "takes pairs alone, so no batch of 3; see test_convnet_primitives.py",
    "models.basicblocks.reshaping.View": "gives another batch; see test_convnet_primitives.py",
    "models.networks.convnet_levels.Levels": "abstract",
    "models.networks.convnet_levels.Parts": "a table of a U-Net's settings",
    "models.networks.convnet_program.Programmed": "abstract",
    "models.networks.convnet_program.Step": "an entry of a program",
}
