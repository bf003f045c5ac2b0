"""Every component by kind and name, and where it is: the table that the registry reads.

Only names and import paths: a part is imported when it is first asked for. To add one, add its row.
"""

NAMES = {
    "network": {
        "UNet": "models.networks.unet:UNet",
    },
    "backbone": {
        "resnet18": "models.backbones.resnet:resnet18",
        "resnet34": "models.backbones.resnet:resnet34",
        "resnet50": "models.backbones.resnet:resnet50",
        "resnet101": "models.backbones.resnet:resnet101",
        "resnet152": "models.backbones.resnet:resnet152",
        "resnext50_32x4d": "models.backbones.resnet:resnext50_32x4d",
        "resnext101_32x8d": "models.backbones.resnet:resnext101_32x8d",
        "wide_resnet50_2": "models.backbones.resnet:wide_resnet50_2",
        "wide_resnet101_2": "models.backbones.resnet:wide_resnet101_2",
    },
    "neck": {
        "FPN": "models.necks.fpn:FPN",
    },
    "head": {
        "Classification": "models.heads.classification:Classification",
        "Segmentation": "models.heads.segmentation:Segmentation",
        "UNetDecoder": "models.heads.unet_decoder:UNetDecoder",
    },
    "attention": {},
    "block": {
        "ConvNormAct": "models.basicblocks.conv:ConvNormAct",
        "BasicBlock": "models.basicblocks.residual:BasicBlock",
        "Bottleneck": "models.basicblocks.residual:Bottleneck",
    },
}
