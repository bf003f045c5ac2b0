"""Every component by kind and name, and where it is: the table that the registry reads.

Only names and import paths: a part is imported when it is first asked for. To add one, add its row.
"""


def _of(module: str, *names: str, **others: str) -> dict[str, str]:
    """Rows of one module: names that are its own, and names for what it calls otherwise."""
    own = {name: name for name in names} | others
    return {name: f"models.{module}:{attribute}" for name, attribute in own.items()}


NAMES = {
    "network": {
        **_of("networks.unet", "UNet"),
    },
    "backbone": {
        **_of("backbones.resnet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
        **_of("backbones.resnet", "resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2"),
    },
    "neck": {
        **_of("necks.fpn", "FPN"),
    },
    "head": {
        **_of("heads.classification", "Classification"),
        **_of("heads.segmentation", "Segmentation", FCN="Segmentation"),
        **_of("heads.unet_decoder", "UNetDecoder"),
    },
    "attention": {
        **_of("attention.squeeze_excite", "SE"),
    },
    "block": {
        **_of("basicblocks.conv", "ConvNormAct"),
        **_of("basicblocks.residual", "BasicBlock", "Bottleneck"),
        **_of("basicblocks.drop", "DropPath"),
        **_of("basicblocks.norm", "ChannelNorm"),
    },
}
