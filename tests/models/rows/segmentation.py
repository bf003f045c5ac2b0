"""Segmentation: pooling blocks, decoders and heads, and networks of backbone and head."""

from tests.models.entry import BLOCK, ODD_BLOCK, pyramid, row

# Maps from stride 2 on, and from stride 4 on.
FED = [8, 8, 16, 24]
FINE, ODD_FINE = pyramid(*FED, size=(32, 24)), pyramid(*FED, n=2, size=(33, 27))
IMAGES = {"num_classes": 3, "in_channels": FED}
LINE, ODD_LINE = pyramid(4, 8, 8, size=(24,)), pyramid(4, 8, 8, n=2, size=(21,))
CUBE, ODD_CUBE = pyramid(4, 8, 8, size=(8, 12, 8)), pyramid(4, 8, 8, n=2, size=(9, 11, 10))
RATES = {"channels": 8, "rates": [1, 2]}
UP = {"channels": [8, 8, 8, 4]}


# Attention whose pyramid has one channel needs some pixels, or its norm leaves nothing to learn.
WIDE, ODD_WIDE = pyramid(8, 8, size=(64, 48)), pyramid(8, 8, n=2, size=(65, 55))

# A grid of one cell has no norm there, so that few channels might all be off.
POOLED = ((1, 64, 12, 10),), ((2, 64, 13, 9),)
MANY = {"num_classes": 3, "in_channels": 64, "channels": 8}
# Networks.
PHOTO = ((1, 3, 64, 48),), ((2, 3, 65, 79),)
SOUND = ((1, 1, 64),), ((2, 1, 77),)
VOLUME = ((1, 1, 32, 32, 32),), ((2, 1, 35, 33, 34),)
NARROW = {"backbone": {"type": "resnet18", "widths": [8, 8, 16, 16]}}
ONE = {"in_channels": 1}
UP5 = {"channels": [8, 8, 8, 8, 4]}
SMALL_OCR = {"backbone": "hrnet_w18_small", "channels": 16, "key_channels": 8}
TWO = {"num_classes": 3, "in_channels": [8, 8], "channels": 8}


def everywhere(name, note="", *, coarsest=False, **arguments):
    """Rows of a head on maps of an image, a sequence and a volume; on the coarsest map alone where it takes one."""
    start, steps = -1 if coarsest else 0, arguments.get("channels")
    fewer = {"channels": steps[:3]} if isinstance(steps, list) else {}
    return [
        row("head", name, FINE[start:], ODD_FINE[start:], note, **IMAGES | {"in_channels": FED[start:]}, **arguments),
        row("head", name, LINE[start:], ODD_LINE[start:], "1d", **_few(start), **arguments | fewer, dims=1),
        row("head", name, CUBE[start:], ODD_CUBE[start:], "3d", **_few(start), **arguments | fewer, dims=3),
    ]


def _few(start):
    return {"num_classes": 3, "in_channels": [4, 8, 8][start:]}


ROWS = [
    row("block", "ASPP", BLOCK, ODD_BLOCK, in_channels=8, out_channels=4, rates=[1, 3]),
    row("block", "ASPP", BLOCK, ODD_BLOCK, "separable", in_channels=8, out_channels=4, rates=[2], separable=True),
    row("block", "ASPP", ((1, 8, 9),), ((2, 8, 14),), "1d", in_channels=8, out_channels=4, rates=[1, 3], dims=1),
    row("block", "ASPP", ((1, 4, 5, 6, 4),), ((2, 4, 4, 5, 7),), "3d", in_channels=4, out_channels=4, dims=3),
    row("block", "PPM", BLOCK, ODD_BLOCK, in_channels=8),
    row("block", "PPM", BLOCK, ODD_BLOCK, "joined", in_channels=8, out_channels=4, bins=[1, 3], align_corners=True),
    row("block", "PPM", *POOLED, "bias", in_channels=64, norm_of_one=False, map_first=False, norm="group"),
    row("block", "PPM", ((1, 8, 9),), ((2, 8, 14),), "1d", in_channels=8, dims=1),
    row("block", "PPM", ((1, 4, 5, 6, 4),), ((2, 4, 4, 5, 7),), "3d", in_channels=4, out_channels=4, dims=3),
    *everywhere("UNetDecoder", "attention", **UP, attention="ECA"),
    row(
        "head",
        "UNetDecoder",
        FINE,
        ODD_FINE,
        "center",
        **IMAGES,
        **UP,
        center=True,
        norm="group",
        interpolation="linear",
    ),
    *everywhere("UNetPlusPlusDecoder", **UP),
    row(
        "head",
        "UNetPlusPlusDecoder",
        FINE,
        ODD_FINE,
        "attention",
        **IMAGES,
        **UP,
        attention="CoordinateAttention",
        norm=None,
    ),
    row(
        "head",
        "UNetPlusPlusDecoder",
        FINE,
        ODD_FINE,
        "coarse",
        **IMAGES,
        channels=[8, 8, 8, 4, 4],
        in_strides=[4, 8, 16, 32],
        interpolation="linear",
    ),
    *everywhere("LinkNetDecoder", channels=8),
    row("head", "LinkNetDecoder", FINE, ODD_FINE, "coarse", **IMAGES, channels=8, in_strides=[4, 8, 16, 32], norm=None),
    *everywhere("MAnetDecoder", **UP, position_channels=4, reduction=1),
    row("head", "MAnetDecoder", FINE, ODD_FINE, "linear", **IMAGES, **UP, reduction=1, interpolation="linear"),
    *everywhere("FPNDecoder", channels=8, segmentation_channels=8),
    row(
        "head",
        "FPNDecoder",
        FINE,
        ODD_FINE,
        "concat",
        **IMAGES,
        channels=8,
        segmentation_channels=4,
        merge="concat",
        norm="batch",
        interpolation="linear",
        in_strides=[2, 4, 8, 16],
    ),
    *everywhere("DeepLabV3", coarsest=True, **RATES),
    row(
        "head",
        "DeepLabV3",
        FINE[:1],
        ODD_FINE[:1],
        "separable",
        num_classes=3,
        in_channels=8,
        **RATES,
        separable=True,
        align_corners=False,
    ),
    *everywhere("DeepLabV3Plus", **RATES),
    row(
        "head",
        "DeepLabV3Plus",
        FINE,
        ODD_FINE,
        "fine",
        **IMAGES,
        **RATES,
        separable=False,
        in_strides=[2, 4, 8, 8],
    ),
    row("head", "PSP", *POOLED, **MANY),
    row("head", "PSP", ((1, 64, 9),), ((2, 64, 14),), "1d", **MANY, dims=1),
    row("head", "PSP", ((1, 64, 5, 6, 4),), ((2, 64, 4, 5, 7),), "3d", **MANY, dims=3),
    row("head", "PSP", *POOLED, "norm", **MANY, bins=[1, 2], norm="group", align_corners=False),
    *everywhere("UPer", channels=8),
    row("head", "UPer", FINE, ODD_FINE, "fine", **IMAGES, channels=8, dropout=0.5, in_strides=[2, 4, 8, 16]),
    *everywhere("SegFormer", channels=8),
    row("head", "SegFormer", FINE, ODD_FINE, "fine", **IMAGES, channels=8, in_strides=[2, 4, 8, 16]),
    row("head", "PAN", WIDE, ODD_WIDE, **TWO),
    row("head", "PAN", WIDE, ODD_WIDE, "nearest", **TWO, interpolation="nearest"),
    row("head", "PAN", pyramid(8, 8, size=(256,)), pyramid(8, 8, n=2, size=(261,)), "1d", **TWO, dims=1),
    row("head", "PAN", pyramid(8, 8, size=(32, 32, 32)), pyramid(8, 8, n=2, size=(35, 33, 37)), "3d", **TWO, dims=3),
    *everywhere("OCR", channels=8, key_channels=4),
    row("head", "OCR", FINE, ODD_FINE, "auxiliary", **IMAGES, channels=8, key_channels=4, auxiliary=True),
    row(
        "head",
        "DeepSupervision",
        FINE,
        ODD_FINE,
        head={"type": "UNetDecoder", "num_classes": 3, **UP},
        in_channels=FED,
    ),
    row(
        "head",
        "DeepSupervision",
        FINE,
        ODD_FINE,
        "plusplus",
        head={"type": "UNetPlusPlusDecoder", "num_classes": 3, **UP},
        levels=1,
        resized=False,
        in_channels=FED,
    ),
    row("network", "UNetPlusPlus", *PHOTO, num_classes=3, backbone="resnet18", **UP5),
    row("network", "UNetPlusPlus", *PHOTO, "deep", num_classes=3, **NARROW, **UP5, deep_supervision=True),
    row("network", "UNetPlusPlus", *SOUND, "1d", num_classes=3, **NARROW, **UP5, **ONE, dims=1, attention="ECA"),
    row("network", "LinkNet", *PHOTO, num_classes=3, channels=8),
    row("network", "LinkNet", *VOLUME, "3d", num_classes=3, **NARROW, **ONE, dims=3),
    row("network", "DeepLabV3", *PHOTO, num_classes=3, backbone="resnet18", rates=[1, 2]),
    row("network", "DeepLabV3Plus", *PHOTO, num_classes=3, backbone="resnet18"),
    row("network", "DeepLabV3Plus", *PHOTO, "stride", num_classes=3, **NARROW, output_stride=None, rates=[1]),
    row("network", "DeepLabV3Plus", *VOLUME, "3d", num_classes=3, **NARROW, **ONE, rates=[1], dims=3),
    row("network", "PSPNet", *PHOTO, num_classes=3, backbone="resnet18", channels=8),
    row("network", "SegmentationFPN", *PHOTO, num_classes=3, backbone="resnet18", channels=8),
    row("network", "SegmentationFPN", *PHOTO, "concat", num_classes=3, **NARROW, channels=8, merge="concat"),
    row("network", "SegFormer", *PHOTO, num_classes=3, channels=16),
    row("network", "HRNetOCR", *PHOTO, num_classes=3, **SMALL_OCR),
    row("network", "HRNetOCR", *PHOTO, "auxiliary", num_classes=3, **SMALL_OCR, auxiliary=True),
]

_STEPS = "a step of its head"
EXEMPT = {
    "models.basicblocks.aspp.MeanBranch": "a branch of ASPP",
    "models.basicblocks.ppm.Grid": "a branch of PPM",
    "models.heads.fpn_decoder.ConvBlock": _STEPS,
    "models.heads.fpn_decoder.Level": _STEPS,
    "models.heads.fpn_decoder.WayUp": _STEPS,
    "models.heads.linknet_decoder.AddUp": _STEPS,
    "models.heads.manet_decoder.FusionUp": _STEPS,
    "models.heads.manet_decoder.PositionAttention": _STEPS,
    "models.heads.ocr.ObjectContext": _STEPS,
    "models.heads.ocr.RegionAttention": _STEPS,
    "models.heads.pan.ConvNorm": _STEPS,
    "models.heads.pan.FeaturePyramidAttention": _STEPS,
    "models.heads.pan.GlobalAttentionUp": _STEPS,
    "models.heads.segformer.PixelLinear": _STEPS,
    "models.heads.uper.Lateral": _STEPS,
    "models.networks.segmenting.Segmenter": "abstract",
}
