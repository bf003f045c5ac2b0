"""Networks of Darknet's files, and the blocks of YOLO."""

from tests.models.entry import BLOCK, IMAGE, MAPS, ODD, ODD_BLOCK, ODD_MAPS, row

NORM = {"batch_normalize": 1, "pad": 1}


def conv(filters, size=3, activation="leaky", **options):
    return {"section": "convolutional", "filters": filters, "size": size, "activation": activation, **NORM, **options}


def scores(filters, activation="linear"):
    return {"section": "convolutional", "filters": filters, "activation": activation}


def yolo(mask, **options):
    return {"section": "yolo", "mask": mask, "anchors": [4, 6, 9, 8, 16, 20], "classes": 2, "num": 3, **options}


# Every way to join maps, two maps of boxes, sizes that don't halve evenly.
BOXES = [
    {"section": "net", "channels": 3},
    conv(8),
    conv(8, stride=2),
    {"section": "route", "layers": [-1], "groups": 2, "group_id": 1},
    conv(4, 1),
    {"section": "route", "layers": [-1, 1]},
    {"section": "maxpool", "size": 2, "stride": 2},
    conv(8, groups=2),
    {"section": "maxpool", "size": 2, "stride": 1},
    conv(8, dilation=2),
    {"section": "shortcut", "from": [-3], "activation": "linear"},
    {"section": "maxpool", "size": 5, "stride": 1},
    scores(14),
    yolo([1, 2]),
    {"section": "route", "layers": [-3]},
    {"section": "upsample", "stride": 2},
    {"section": "route", "layers": [-1, 4]},
    scores(7),
    yolo([0]),
]

# What AlexeyAB's program has besides: its batch norm, activations, weighted sums, scaled channels.
SCALED = [
    {"section": "net", "channels": 3},
    conv(8, activation="mish", stride=2),
    conv(8, activation="swish"),
    conv(8, 1, activation="relu6"),
    {
        "section": "shortcut",
        "from": [-2, -3],
        "weights_type": "per_channel",
        "weights_normalization": "softmax",
        "activation": "leaky",
    },
    {"section": "avgpool"},
    conv(8, 1, activation="logistic", batch_normalize=0),
    {"section": "scale_channels", "from": [3], "activation": "linear"},
    conv(8, 1, activation="logistic"),
    {"section": "sam", "from": [-2]},
    {"section": "dropout", "probability": 0.1},
    {"section": "shortcut", "from": [3], "weights_type": "per_feature", "weights_normalization": "relu"},
    scores(14, "logistic"),
    yolo([0, 1], new_coords=1, scale_x_y=2.0),
]

CLASSES = [
    conv(8, stride=2, activation="elu"),
    {"section": "maxpool", "size": 3, "stride": 2},
    conv(16, 1, activation="tanh"),
    {"section": "shortcut", "from": [0], "activation": "relu"},
    {"section": "avgpool"},
    scores(10),
    {"section": "softmax"},
]

SMALL = {"num_classes": 3}

ROWS = [
    row("block", "SPP", BLOCK, ODD_BLOCK, in_channels=8, out_channels=6, sizes=[3, 5]),
    row("block", "SPP", ((1, 4, 12),), ((2, 4, 13),), "1d", in_channels=4, out_channels=6, sizes=[3], dims=1),
    row("block", "SPPF", BLOCK, ODD_BLOCK, in_channels=8, out_channels=6, size=3, activation="leaky_relu"),
    row("head", "YOLO", MAPS, ODD_MAPS, num_classes=3, in_channels=[8, 16, 32]),
    row(
        "head",
        "YOLO",
        MAPS,
        ODD_MAPS,
        "boxes",
        num_classes=3,
        anchors=[[4, 6], [8, 12, 20, 9], [30, 40]],
        scale=[1.2, 1.1, 1.05],
        width=0,
        in_channels=[8, 16, 32],
        output="boxes",
    ),
    row(
        "head",
        "YOLO",
        MAPS,
        ODD_MAPS,
        "detections",
        num_classes=3,
        in_channels=[8, 16, 32],
        in_strides=[4, 8, 16],
        output="detections",
        score_threshold=0.3,
        top=10,
    ),
    row("network", "Darknet", IMAGE, ODD, cfg=BOXES),
    row("network", "Darknet", IMAGE, ODD, "decode", cfg=BOXES, decode=True, num_classes=4),
    row("network", "Darknet", IMAGE, ODD, "alexeyab", cfg=SCALED),
    row("network", "Darknet", IMAGE, ODD, "shares", cfg=SCALED, decode=True),
    row(
        "network",
        "Darknet",
        ((1, 1, 64, 48),),
        ((2, 1, 65, 79),),
        "inner",
        cfg=BOXES,
        in_channels=1,
        outputs=[4, 12, 11],
    ),
    row("network", "Darknet", IMAGE, ODD, "classes", cfg=CLASSES, num_classes=5),
    row("network", "Darknet", IMAGE, ODD, "name", long=True, cfg="yolov2-tiny", num_classes=2),
    row("network", "YOLOv4Tiny", IMAGE, ODD, in_channels=3, **SMALL),
    row("network", "YOLOv4Tiny", IMAGE, ODD, "decode", **SMALL, decode=True),
    row(
        "network",
        "YOLOv4Tiny",
        IMAGE,
        ODD,
        "nms",
        long=True,
        **SMALL,
        decode=True,
        nms=0.45,
        score_threshold=0.01,
        top=20,
    ),
    row("network", "YOLOv4-tiny", IMAGE, ODD, long=True, **SMALL),
    row("network", "YOLOv3Tiny", ((1, 1, 64, 48),), ((2, 1, 65, 79),), long=True, in_channels=1, **SMALL),
    row("network", "YOLOv3-tiny", IMAGE, ODD, long=True, **SMALL),
    row("network", "YOLOv3", IMAGE, ODD, long=True, **SMALL),
    row("network", "YOLOv3SPP", IMAGE, ODD, long=True, **SMALL),
    row("network", "YOLOv4", IMAGE, ODD, long=True, **SMALL),
    row("network", "YOLOv4CSP", IMAGE, ODD, long=True, **SMALL),
]

_RECORDS = {
    "cfg": ["Cfg", "Section"],
    "options": ["Option"],
    "plan": ["Layer", "Plan", "Stride"],
    "published": ["Published"],
    "weights": ["Entry", "Header", "Weights"],
}
_LAYERS = {
    "graph": ["Graph"],
    "joining": ["Route", "Scale", "Shortcut"],
    "layers": ["AvgPool", "Boxes", "Crop", "MaxPool", "Reorg", "Softmax", "Upsample"],
    "trained": ["BatchNorm", "Connected", "Convolutional", "Local", "Loggy", "Ramp", "RootNorm"],
}

EXEMPT = {
    **{f"models.darknet.{file}.{name}": "a record" for file, names in _RECORDS.items() for name in names},
    **{f"models.darknet.{file}.{name}": "a layer of Darknet" for file, names in _LAYERS.items() for name in names},
    "models.networks.yolo.Detector": "its sizes are the rows",
}
