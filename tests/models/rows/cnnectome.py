"""DaCapo's architectures: CNNectome's U-Net and the dummy."""

from tests.models.entry import row

PICTURE, OTHER = ((1, 1, 18, 20),), ((2, 1, 24, 22),)
VOLUME, OTHER_VOLUME = ((1, 2, 6, 12, 20),), ((2, 2, 7, 16, 16),)
ASKED = {"fmaps_out": 6, "fmaps_in": 1, "num_fmaps": 4, "fmap_inc_factor": 2, "downsample_factors": [[2, 2]]}
SMALL = {"in_channels": 1, "num_fmaps": 2, "fmap_inc_factor": 2, "downsample_factors": [[2, 2]]}
ANISOTROPIC = {
    "in_channels": 2,
    "num_fmaps": 2,
    "fmap_inc_factor": 2,
    "downsample_factors": [[1, 2, 2]],
    "kernel_size_down": [[[1, 3, 3]], [[3, 1, 1]]],
    "kernel_size_up": [[[3, 3, 3]]],
}


def unet(shapes, again, note="", **more):
    """A row of the configured network."""
    config = {"name": "row", "input_shape": [*shapes[0][2:]], **ASKED, **more}
    return row("network", "CNNectomeUNet", shapes, again, note, architecture_config=config)


def module(shapes, again, note="", **more):
    """A row of the module alone."""
    return row("network", "CNNectomeUNetModule", shapes, again, note, **{**SMALL, **more})


ROWS = [
    unet(PICTURE, OTHER),
    unet(((1, 1, 20, 24),), ((2, 1, 28, 22),), "tail", upsample_factors=[[2, 2], [1, 2]], kernel_size_up=[[3]]),
    unet(PICTURE, OTHER, "same", padding="same", constant_upsample=False, use_attention=True),
    unet(PICTURE, OTHER, "keep_size", padding="same", keep_size=True, batch_norm=True, kernel_size_down=[[2, 3], [4]]),
    module(PICTURE, OTHER),
    module(
        PICTURE, OTHER, "heads", num_heads=2, num_fmaps_out=3, use_attention=True, batch_norm=False, activation="ELU"
    ),
    module(VOLUME, OTHER_VOLUME, "3d", **ANISOTROPIC, activation="ELU", upsample_channel_contraction=True),
    module(((1, 1, 18),), ((2, 1, 24),), "1d", downsample_factors=[[2]], activation_on_upsample=True),
    module(((1, 1, 9, 8),), ((2, 1, 7, 10),), "one_level", downsample_factors=[], num_fmaps_out=3, dims=2),
    row(
        "network",
        "DummyArchitecture",
        ((1, 1, 5, 6, 7),),
        ((2, 1, 7, 5, 4),),
        architecture_config={"name": "dummy", "num_in_channels": 1, "num_out_channels": 2},
    ),
]

_STEP = "a step of CNNectomeUNetModule"
EXEMPT = {
    "models.basicblocks.cnnectome.ConvPass": _STEP,
    "models.basicblocks.cnnectome.PassGate": _STEP,
    "models.basicblocks.cnnectome.RaisingStep": _STEP,
    "models.basicblocks.cnnectome.TimeConv": _STEP,
    "models.networks.architecture.Architecture": "abstract",
    "models.networks.architecture.ArchitectureConfig": "data, from which an architecture is made",
    "models.networks.architecture.DummyArchitectureConfig": "data, from which DummyArchitecture is made",
    "models.networks.cnnectome.CNNectomeUNetConfig": "data, from which CNNectomeUNet is made",
    "models.networks.cnnectome_module.CNNectomeSized": "abstract",
    "models.networks.cnnectome_module.MinimalShapes": "what minimal_shapes gives",
    "models.networks.cnnectome_sizes.EquivarianceError": "an error",
    "models.networks.cnnectome_sizes.Fit": "arithmetic of sizes",
    "models.networks.cnnectome_sizes.Geometry": "arithmetic of sizes",
    "models.networks.cnnectome_sizes.MisfitError": "an error",
    "models.networks.cnnectome_sizes.Plan": "kernels and factors of CNNectomeUNetModule",
    "models.networks.cnnectome_sizes.Trace": "arithmetic of sizes",
    "models.utils.coordinate.Coordinate": "a value",
}
