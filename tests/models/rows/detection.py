"""Detection: heads, SSD's backbone, CenterNet's neck, whole detectors."""

from tests.models.entry import IMAGE, LEVEL, MAPS, ODD, ODD_LEVEL, ODD_MAPS, pyramid, row

# Least images of SSD, the second with odd sizes.
LARGE, ODD_LARGE = ((1, 3, 268, 300),), ((2, 3, 301, 283),)
PYRAMID = {"in_channels": [8, 8, 8], "num_classes": 3}
FOUND = {"output": "detections", "score_threshold": 0.0, "top": 20}
NARROW = {"type": "ssd_vgg16", "width": 0.0625}

ROWS = [
    row("head", "RetinaNet", LEVEL, ODD_LEVEL, **PYRAMID, depth=1),
    row("head", "RetinaNet", LEVEL, ODD_LEVEL, "boxes", **PYRAMID, output="boxes", norm="group"),
    row("head", "RetinaNet", LEVEL, ODD_LEVEL, "detections", **PYRAMID, **FOUND),
    row("head", "RetinaNet", LEVEL, ODD_LEVEL, "fitted", **PYRAMID, output="boxes", fit_strides=True, ratios=[1.0]),
    row("head", "FCOS", LEVEL, ODD_LEVEL, **PYRAMID, depth=1),
    row("head", "FCOS", LEVEL, ODD_LEVEL, "boxes", **PYRAMID, output="boxes"),
    row("head", "FCOS", LEVEL, ODD_LEVEL, "detections", **PYRAMID, **FOUND, fit_strides=True),
    row("head", "SSD", MAPS, ODD_MAPS, in_channels=[8, 16, 32], num_classes=3),
    row("head", "SSD", MAPS, ODD_MAPS, "boxes", in_channels=[8, 16, 32], num_classes=3, output="boxes"),
    row("head", "SSD", MAPS, ODD_MAPS, "detections", in_channels=[8, 16, 32], num_classes=3, **FOUND),
    row("head", "CenterNet", MAPS[:1], ODD_MAPS[:1], in_channels=[8], num_classes=3, channels=8),
    row("head", "CenterNet", MAPS[:1], ODD_MAPS[:1], "boxes", in_channels=[8], num_classes=3, output="boxes"),
    row("head", "CenterNet", MAPS[:1], ODD_MAPS[:1], "detections", in_channels=[8], num_classes=3, **FOUND, nms=0.5),
    row(
        "neck",
        "Deconvolution",
        pyramid(8, 16, 32, 64),
        pyramid(8, 16, 32, 64, n=2, size=(17, 23)),
        in_channels=[8, 16, 32, 64],
        channels=[8, 8, 8],
    ),
    row("backbone", "ssd_vgg16", LARGE, ODD_LARGE, width=0.0625),
    row("backbone", "ssd_vgg16", IMAGE, ODD, "levels", width=0.0625, out_indices=[3, 5]),
    row("backbone", "ssd_vgg16", IMAGE, ODD, "finest", width=0.0625, out_indices=[2]),
    row(
        "backbone",
        "ssd_vgg16",
        ((1, 2, 64),),
        ((2, 2, 77),),
        "1d",
        in_channels=2,
        dims=1,
        width=0.0625,
        out_indices=[2, 4],
    ),
    row(
        "backbone",
        "ssd_vgg16",
        ((1, 1, 32, 16, 24),),
        ((2, 1, 33, 17, 19),),
        "3d",
        in_channels=1,
        dims=3,
        width=0.03,
        out_indices=[2, 4],
    ),
    row("network", "RetinaNet", IMAGE, ODD, num_classes=3, backbone="resnet18", channels=64, depth=1),
    row(
        "network",
        "RetinaNet",
        IMAGE,
        ODD,
        "detections",
        num_classes=3,
        backbone="resnet18",
        channels=64,
        depth=1,
        norm="group",
        extra="conv_on_input",
        **FOUND,
    ),
    row("network", "FCOS", IMAGE, ODD, num_classes=3, backbone="resnet18", channels=64, depth=1),
    row("network", "FCOS", IMAGE, ODD, "detections", num_classes=3, backbone="resnet18", channels=64, depth=1, **FOUND),
    row("network", "SSD300", LARGE, ODD_LARGE, num_classes=3, backbone=NARROW),
    row("network", "SSD300", LARGE, ODD_LARGE, "boxes", num_classes=3, backbone=NARROW, output="boxes"),
    row("network", "CenterNet", IMAGE, ODD, num_classes=3, channels=[16, 8, 8], head_channels=8),
    row(
        "network",
        "CenterNet",
        IMAGE,
        ODD,
        "detections",
        num_classes=3,
        channels=[16, 8, 8],
        head_channels=8,
        **FOUND,
    ),
]

EXEMPT = {
    "models.heads.detection.Branch": "a step of RetinaNet and FCOS",
    "models.heads.detection.Detection": "abstract",
    "models.backbones.ssd_vgg.SSDVGG": "its sizes are the rows",
}
