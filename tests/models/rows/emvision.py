"""EMVision's residual symmetric U-Nets for volumes."""

from tests.models.entry import pyramid, row

# Two levels; a second size, and two images.
SAME, SAME_AGAIN = ((1, 4, 3, 8, 12),), ((2, 4, 5, 12, 8),)
ISO, ISO_AGAIN = ((1, 4, 4, 8, 12),), ((2, 4, 6, 12, 8),)
IMAGE, ODD_IMAGE = ((1, 1, 3, 8, 12),), ((2, 1, 5, 11, 7),)
VALID, VALID_AGAIN = ((1, 4, 14, 18, 20),), ((2, 4, 15, 22, 18),)
PATCH, PATCH_AGAIN = ((1, 4, 34, 34, 36),), ((2, 4, 36, 38, 34),)
DTU, DTU_AGAIN = ((1, 4, 5, 20, 20),), ((2, 4, 6, 22, 24),)

WIDTH = [4, 6]
FLAT = {"width": WIDTH}
GROUPS = {"width": [4, 8], "group": 2}
ENDS = {"in_channels": 1, "out_channels": 2, "fit": "pad"}


def same(name, note="", *, shapes=SAME, again=SAME_AGAIN, **arguments):
    """A row of a network with padded convolutions."""
    return row("network", name, shapes, again, note, **{**FLAT, **arguments})


ROWS = [
    same("RSUNet"),
    same("RSUNet", "ends", shapes=IMAGE, again=ODD_IMAGE, **ENDS),
    same("RSUNet", "named", in_channels=4, out_channels={"affinities": 3, "mask": 1}, trilinear=True),
    same("RSUNet", "bare", norm=None),
    same("isoRSUNet", shapes=ISO, again=ISO_AGAIN),
    same("isoRSUNet", "trilinear", shapes=ISO, again=ISO_AGAIN, trilinear=True),
    same("rsunet_gn", **GROUPS),
    same("rsunet_act", act="PReLU", init=0.1),
    same("rsunet_act", "z", shapes=ISO, again=ISO_AGAIN, zfactor=[2], act="ELU"),
    same("rsunet_act_gn", **GROUPS, act="LeakyReLU", negative_slope=0.1, eps=1e-4),
    same("rsunet_act_in", act="ELU", alpha=0.5),
    same("rsunet_act_nn"),
    same("rsunet_act_nn_gn", **GROUPS, act="PReLU"),
    same("rsunet_2d3d", depth2d=1),
    same("rsunet_2d3d_gn", **GROUPS, depth2d=2),
    same("dynamic_rsunet", act="PReLU"),
    same("rsunet_v3"),
    row("network", "emvision_rsunet", IMAGE, ((2, 1, 5, 12, 8),), filters=WIDTH, out_channels=2),
    row("network", "emvision_rsunet_gn", IMAGE, ODD_IMAGE, filters=[4, 8], group=4, zfactor=[1, 2, 2], fit="pad"),
    row("network", "emvision_iso_rsunet", IMAGE, ODD_IMAGE, filters=WIDTH, fit="pad"),
    row("network", "VRUNet", VALID, VALID_AGAIN, width=WIDTH, mode="nearest", act="ELU"),
    row("network", "vrunet", VALID, VALID_AGAIN, width=WIDTH, act="PReLU"),
    row("network", "vrunet", VALID, VALID_AGAIN, "batch", width=WIDTH, norm="batch"),
    row("network", "RUNet", PATCH, PATCH_AGAIN, width=WIDTH),
    row("network", "RUNet", SAME, SAME_AGAIN, "same", width=WIDTH, scale_factor=[1, 2, 2], mode="same", norm=None),
    row("network", "DTU2", DTU, DTU_AGAIN, width=WIDTH, kszs=[[1, 3, 3], [1, 3, 3]], factors=[[1, 2, 2]]),
    row("backbone", "rsunet", ((1, 1, 3, 16, 12),), ((2, 1, 4, 17, 13),), channels=[4, 6, 8]),
    row("backbone", "rsunet", ((1, 1, 16, 12),), ((2, 1, 17, 13),), "2d", channels=[4, 6, 8], dims=2, norm="instance"),
    row("backbone", "rsunet", ((1, 1, 16),), ((2, 1, 17),), "levels", channels=[4, 6], dims=1, norm=None),
    row("backbone", "rsunet", IMAGE, ODD_IMAGE, "classifier", channels=[4, 6], num_classes=3, strides=[2]),
    row(
        "head",
        "SymmetricDecoder",
        pyramid(4, 6, 8),
        pyramid(4, 6, 8, n=2, size=(17, 23)),
        in_channels=[4, 6, 8],
        num_classes=2,
    ),
    row(
        "head",
        "SymmetricDecoder",
        ((1, 4, 3, 8, 12), (1, 6, 3, 4, 6)),
        ((2, 4, 5, 12, 8), (2, 6, 5, 6, 4)),
        "original",
        in_channels=[4, 6],
        num_classes=2,
        factors=[[1, 2, 2]],
        dims=3,
    ),
    row("block", "BilinearUp", SAME, SAME_AGAIN, in_channels=4, out_channels=4, factor=[2, 3, 3]),
    row("block", "BilinearUp", SAME, SAME_AGAIN, "trilinear", in_channels=4, out_channels=4, trilinear=True),
    row("block", "SymmetricBlock", SAME, SAME_AGAIN, in_channels=4, out_channels=6, kernel_size=[1, 3, 3]),
    row("block", "SymmetricBlock", VALID, VALID_AGAIN, "valid", in_channels=4, out_channels=6, padding="valid"),
]

EXEMPT = {
    "models.backbones.symmetric.SymmetricEncoder": "its size is the row rsunet",
    "models.basicblocks.symmetric.NormAct": "a part of SymmetricBlock",
    "models.basicblocks.symmetric.NormActConv": "a part of SymmetricBlock",
    "models.basicblocks.symmetric.NormBank": "the norms of dynamic_rsunet",
    "models.basicblocks.symmetric.SymmetricDown": "a step of the U-Nets here",
    "models.basicblocks.symmetric.SymmetricUp": "takes two maps; a step of the U-Nets here",
    "models.networks.choices.Activation": "an argument as the networks keep it",
    "models.networks.symmetric.SymmetricUNet": "abstract",
}
