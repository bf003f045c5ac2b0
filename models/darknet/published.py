"""Networks that everybody uses, as the sections of their descriptions.

Facts of the architectures, written down anew: Redmon and Farhadi, arXiv:1612.08242 (YOLOv2, Darknet-19) and
arXiv:1804.02767 (YOLOv3, Darknet-53); Huang et al., arXiv:1903.08589 (SPP); Bochkovskiy et al.,
arXiv:2004.10934 (YOLOv4); Wang et al., arXiv:2011.08036 (YOLOv4-tiny, YOLOv4-CSP). Layer numbers, anchors and
scales are those of the files in the programs' repositories, so that published weights fit.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from models.darknet.cfg import Flavour

Row = dict[str, Any]

# Widths and heights of boxes in pixels of the network's input; YOLOv2's in cells of its map.
TINY_ANCHORS = (10, 14, 23, 27, 37, 58, 81, 82, 135, 169, 344, 319)
YOLOV3_ANCHORS = (10, 13, 16, 30, 33, 23, 30, 61, 62, 45, 59, 119, 116, 90, 156, 198, 373, 326)
YOLOV4_ANCHORS = (12, 16, 19, 36, 40, 28, 36, 75, 76, 55, 72, 146, 142, 110, 192, 243, 459, 401)
YOLOV2_ANCHORS = (
    *(0.57273, 0.677385, 1.87446, 2.06253, 3.33843),
    *(5.47434, 7.88282, 3.52778, 9.77052, 9.16828),
)

COCO = 80


class Published(NamedTuple):
    """A network: its layers, the size of image that it was made for, and for which program."""

    rows: Callable[[], list[Row]]
    size: int
    flavour: Flavour


def published(name: str) -> list[Row]:
    """The sections of a network, the first one being [net]."""
    network = PUBLISHED[name]
    net = {"section": "net", "width": network.size, "height": network.size, "channels": 3}
    return [net, *network.rows()]


def _conv(filters: int, size: int = 3, stride: int = 1, activation: str = "leaky") -> Row:
    return {
        "section": "convolutional",
        "batch_normalize": 1,
        "filters": filters,
        "size": size,
        "stride": stride,
        "pad": 1,
        "activation": activation,
    }


def _last(filters: int, activation: str = "linear") -> Row:
    """A convolution that gives scores: without a norm."""
    return {"section": "convolutional", "filters": filters, "size": 1, "pad": 1, "activation": activation}


def _route(*layers: int, **options: int) -> Row:
    return {"section": "route", "layers": list(layers), **options}


def _pool(size: int, stride: int) -> Row:
    return {"section": "maxpool", "size": size, "stride": stride}


_ADD = {"section": "shortcut", "from": [-3], "activation": "linear"}
_UP = {"section": "upsample", "stride": 2}


def _yolo(mask: Sequence[int], anchors: Sequence[int], **options: float) -> Row:
    return {
        "section": "yolo",
        "mask": list(mask),
        "anchors": list(anchors),
        "classes": COCO,
        "num": len(anchors) // 2,
        **options,
    }


def _boxes(count: int = 3) -> int:
    return count * (5 + COCO)


def _classifier() -> list[Row]:
    return [{"section": "avgpool"}, _last(1000), {"section": "softmax"}]


def _narrow_wide(filters: int, count: int) -> list[Row]:
    """1x1 convolutions to half of `filters` and 3x3 ones to all of it, in turn, `count` in all."""
    pair = [_conv(filters // 2, 1), _conv(filters)]
    return [pair[number % 2] for number in range(count)]


# YOLOv2


def _darknet19_body() -> list[Row]:
    rows = [_conv(32), _pool(2, 2), _conv(64), _pool(2, 2)]
    for filters, count in ((128, 3), (256, 3), (512, 5), (1024, 5)):
        rows += [_conv(filters), *_narrow_wide(filters, count - 1), _pool(2, 2)]
    return rows[:-1]


def _darknet19() -> list[Row]:
    return [*_darknet19_body(), _last(1000), {"section": "avgpool"}, {"section": "softmax"}]


def _region() -> Row:
    return {"section": "region", "anchors": list(YOLOV2_ANCHORS), "classes": COCO, "num": 5, "softmax": 1}


def _yolov2() -> list[Row]:
    passing = [_route(-9), _conv(64, 1), {"section": "reorg", "stride": 2}, _route(-1, -4)]
    return [*_darknet19_body(), _conv(1024), _conv(1024), *passing, _conv(1024), _last(_boxes(5)), _region()]


def _tiny_body() -> list[Row]:
    rows = [row for filters in (16, 32, 64, 128, 256) for row in (_conv(filters), _pool(2, 2))]
    return [*rows, _conv(512), _pool(2, 1), _conv(1024)]


def _yolov2_tiny() -> list[Row]:
    return [*_tiny_body(), _conv(512), _last(_boxes(5)), _region()]


# YOLOv3


def _darknet53_body() -> list[Row]:
    rows = [_conv(32)]
    for filters, depth in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        rows.append(_conv(filters, stride=2))
        rows += [row for _ in range(depth) for row in (_conv(filters // 2, 1), _conv(filters), _ADD)]
    return rows


def _darknet53() -> list[Row]:
    return [*_darknet53_body(), *_classifier()]


def _spp() -> list[Row]:
    """Windows of 5, 9 and 13 pixels over the map before, joined with it."""
    return [_pool(5, 1), _route(-2), _pool(9, 1), _route(-4), _pool(13, 1), _route(-1, -3, -5, -6)]


def _yolov3(coarsest: Sequence[Row] | None = None) -> list[Row]:
    rows = [*_darknet53_body(), *(_narrow_wide(1024, 6) if coarsest is None else coarsest)]
    rows += [_last(_boxes()), _yolo((6, 7, 8), YOLOV3_ANCHORS)]
    # From the fourth layer back, up, and joined with the last map of the stage before.
    for filters, stage, mask in ((512, 61, (3, 4, 5)), (256, 36, (0, 1, 2))):
        rows += [_route(-4), _conv(filters // 2, 1), _UP, _route(-1, stage), *_narrow_wide(filters, 6)]
        rows += [_last(_boxes()), _yolo(mask, YOLOV3_ANCHORS)]
    return rows


def _yolov3_spp() -> list[Row]:
    return _yolov3([*_narrow_wide(1024, 3), *_spp(), *_narrow_wide(1024, 4)])


def _yolov3_tiny() -> list[Row]:
    coarse = [_conv(256, 1), _conv(512), _last(_boxes()), _yolo((3, 4, 5), TINY_ANCHORS)]
    fine = [_conv(256), _last(_boxes()), _yolo((0, 1, 2), TINY_ANCHORS)]
    return [*_tiny_body(), *coarse, _route(-4), _conv(128, 1), _UP, _route(-1, 8), *fine]


# YOLOv4


def _mish(filters: int, size: int = 3, stride: int = 1) -> Row:
    return _conv(filters, size, stride, "mish")


def _residuals(narrow: int, wide: int, depth: int) -> list[Row]:
    return [row for _ in range(depth) for row in (_mish(narrow, 1), _mish(wide), _ADD)]


def _split_stage(filters: int, inner: int, depth: int) -> list[Row]:
    """A stage of CSPDarknet: half of the channels pass by the residual blocks, of `inner` channels."""
    narrow = inner if filters > 64 else inner // 2
    return [
        _mish(filters, stride=2),
        _mish(inner, 1),
        _route(-2),
        _mish(inner, 1),
        *_residuals(narrow, inner, depth),
        _mish(inner, 1),
        _route(-1, -(3 * depth + 4)),
        _mish(filters, 1),
    ]


def _csdarknet53_body(*, split_first: bool = True) -> list[Row]:
    first = _split_stage(64, 64, 1) if split_first else [_mish(64, stride=2), *_residuals(32, 64, 1)]
    rows = [_mish(32), *first]
    for filters, depth in ((128, 2), (256, 8), (512, 8), (1024, 4)):
        rows += _split_stage(filters, filters // 2, depth)
    return rows


def _csdarknet53_omega() -> list[Row]:
    return [*_csdarknet53_body(), *_classifier()]


def _yolov4() -> list[Row]:
    rows = [*_csdarknet53_body(), *_narrow_wide(1024, 3), *_spp(), *_narrow_wide(1024, 3)]
    for filters, stage in ((512, 85), (256, 54)):
        rows += [_conv(filters // 2, 1), _UP, _route(stage), _conv(filters // 2, 1), _route(-1, -3)]
        rows += _narrow_wide(filters, 5)
    rows += [_conv(256), _last(_boxes()), _yolo((0, 1, 2), YOLOV4_ANCHORS, scale_x_y=1.2)]
    for filters, back, mask, scale in ((512, -16, (3, 4, 5), 1.1), (1024, -37, (6, 7, 8), 1.05)):
        rows += [_route(-4), _conv(filters // 2, stride=2), _route(-1, back), *_narrow_wide(filters, 6)]
        rows += [_last(_boxes()), _yolo(mask, YOLOV4_ANCHORS, scale_x_y=scale)]
    return rows


def _yolov4_tiny() -> list[Row]:
    rows = [_conv(32, stride=2), _conv(64, stride=2)]
    for filters in (64, 128, 256):
        half = filters // 2
        rows += [_conv(filters), _route(-1, groups=2, group_id=1), _conv(half), _conv(half), _route(-1, -2)]
        rows += [_conv(filters, 1), _route(-6, -1), _pool(2, 2)]
    rows += [_conv(512), _conv(256, 1), _conv(512), _last(_boxes())]
    rows += [_yolo((3, 4, 5), TINY_ANCHORS, scale_x_y=1.05), _route(-4), _conv(128, 1), _UP, _route(-1, 23)]
    return [*rows, _conv(256), _last(_boxes()), _yolo((1, 2, 3), TINY_ANCHORS, scale_x_y=1.05)]


def _split_neck(filters: int, depth: int = 2) -> list[Row]:
    """Half of the channels pass by pairs of convolutions."""
    pairs = [row for _ in range(depth) for row in (_mish(filters, 1), _mish(filters))]
    # The branch begins with the 1x1 convolution that the split needs anyway.
    return [_mish(filters, 1), _route(-2), *pairs, _route(-1, -(2 * depth + 2)), _mish(filters, 1)]


def _yolov4_csp() -> list[Row]:
    def boxes(mask: Sequence[int]) -> list[Row]:
        return [_last(_boxes(), "logistic"), _yolo(mask, YOLOV4_ANCHORS, scale_x_y=2.0, new_coords=1)]

    rows = _csdarknet53_body(split_first=False)
    rows += [_mish(512, 1), _route(-2), _mish(512, 1), _mish(512), _mish(512, 1), *_spp()]
    rows += [_mish(512, 1), _mish(512), _route(-1, -13), _mish(512, 1)]
    for filters, stage in ((256, 79), (128, 48)):
        rows += [_mish(filters, 1), _UP, _route(stage), _mish(filters, 1), _route(-1, -3), _mish(filters, 1)]
        rows += _split_neck(filters)
    rows += [_mish(256), *boxes((0, 1, 2))]
    for filters, back, mask in ((256, -20, (3, 4, 5)), (512, -49, (6, 7, 8))):
        rows += [_route(-4), _mish(filters, stride=2), _route(-1, back), _mish(filters, 1), *_split_neck(filters)]
        rows += [_mish(2 * filters), *boxes(mask)]
    return rows


PUBLISHED = {
    "darknet19": Published(_darknet19, 256, "pjreddie"),
    "darknet53": Published(_darknet53, 256, "pjreddie"),
    "csdarknet53-omega": Published(_csdarknet53_omega, 256, "alexeyab"),
    "yolov2": Published(_yolov2, 608, "pjreddie"),
    "yolov2-tiny": Published(_yolov2_tiny, 416, "pjreddie"),
    "yolov3": Published(_yolov3, 608, "pjreddie"),
    "yolov3-tiny": Published(_yolov3_tiny, 416, "pjreddie"),
    "yolov3-spp": Published(_yolov3_spp, 608, "pjreddie"),
    "yolov4": Published(_yolov4, 608, "alexeyab"),
    "yolov4-tiny": Published(_yolov4_tiny, 416, "alexeyab"),
    "yolov4-csp": Published(_yolov4_csp, 512, "alexeyab"),
}
