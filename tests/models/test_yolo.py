"""YOLO networks and head: published counts, boxes as Darknet computes them, refusals."""

import math

import numpy as np
import pytest

import mcore
import models
from models.backbones import resnet18
from models.basicblocks import SPP, SPPF
from models.darknet import write_weights
from models.functional.yolo import boxes_and_scores
from models.heads import YOLO
from models.necks import FPN
from models.networks import Darknet, YOLOv3, YOLOv3SPP, YOLOv3Tiny, YOLOv4, YOLOv4Tiny
from models.utils.summary import parameters
from tests.models import golden

ANCHORS = ((10.0, 14.0), (23.0, 27.0))


def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x))


def by_loops(x, anchors, stride, classes, *, scale=1.0, shares=False):
    """Boxes and scores of one image as Darknet's loops go: over rows, columns, anchors.

    Source: get_yolo_box and get_yolo_detections, for a network's input of the map's size times the stride.
    """
    _, height, width = x.shape
    x = x.reshape(len(anchors), 5 + classes, height, width).astype(np.float64)
    activate = (lambda value: value) if shares else sigmoid
    boxes, scores = [], []
    for row in range(height):
        for column in range(width):
            for number, (wide, high) in enumerate(anchors):
                at_x, at_y, w, h, objectness, *rest = x[number, :, row, column]
                place = [activate(value) * scale - 0.5 * (scale - 1) for value in (at_x, at_y)]
                centre = ((place[0] + column) / width, (place[1] + row) / height)
                if shares:
                    size = (4 * w**2 * wide / (width * stride), 4 * h**2 * high / (height * stride))
                else:
                    size = (math.exp(w) * wide / (width * stride), math.exp(h) * high / (height * stride))
                corners = [
                    (centre[axis] + sign * size[axis] / 2) * pixels * stride
                    for sign in (-1, 1)
                    for axis, pixels in ((0, width), (1, height))
                ]
                boxes.append(corners)
                scores.append([activate(objectness) * activate(value) for value in rest])
    return np.array(boxes), np.array(scores)


@pytest.mark.parametrize(
    "options", [{}, {"scale": 1.2}, {"scale": 2.0, "shares": True}], ids=["yolov3", "yolov4", "new_coords"]
)
def test_boxes_and_scores_are_those_of_darknets_loops(options):
    x = np.random.RandomState(0).standard_normal((2, 2 * 8, 3, 5)).astype(np.float32)

    boxes, scores = boxes_and_scores(mcore.from_numpy(x), ANCHORS, stride=16, num_classes=3, **options)

    for image in range(2):
        expected = by_loops(x[image], ANCHORS, 16, 3, **options)
        np.testing.assert_allclose(boxes[image].numpy(), expected[0], rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(scores[image].numpy(), expected[1], rtol=1e-4, atol=1e-5)


def test_classes_of_yolov2_exclude_each_other():
    x = mcore.zeros(1, 1 * 8, 1, 1)

    _, scores = boxes_and_scores(x, [(1.0, 1.0)], stride=32, num_classes=3, softmax=True)

    np.testing.assert_allclose(scores.numpy(), 0.5 / 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (YOLOv3, 61_949_149),
        (YOLOv3Tiny, 8_852_366),
        (YOLOv3SPP, 62_998_749),
        (YOLOv4, 64_363_101),
        (YOLOv4Tiny, 6_056_606),
    ],
)
def test_a_network_has_the_published_number_of_parameters(make, count):
    with mcore.device("meta"):
        assert parameters(make()) == count


def test_a_network_of_other_classes_has_their_numbers_for_each_box():
    with mcore.device("meta"):
        net = YOLOv4(in_channels=1, num_classes=7)

    assert [net.layers[str(reader.inputs[0])].conv.out_channels for reader in net.plan.detectors] == [36, 36, 36]
    assert net.layers["0"].conv.in_channels == 1


@pytest.mark.parametrize("name", ["YOLOv3-tiny", "YOLOv4-tiny"])
def test_a_network_is_found_by_its_published_name_too(name):
    with mcore.device("meta"):
        net = models.create(name, num_classes=1)

    assert net.spec()["type"] == name.replace("-t", "T")


def test_maps_are_those_that_the_original_gave(tmp_path):
    stored = golden.read("darknet_yolov3-tiny")
    state = {k.replace("yolov3-tiny", "layers", 1): golden.fill(k, s, stored["gain"]) for k, s in stored["keys"]}
    write_weights(tmp_path / "yolov3-tiny.weights", "yolov3-tiny", state)
    net = YOLOv3Tiny(weights=tmp_path / "yolov3-tiny.weights").eval()

    (x,) = golden.inputs(stored)
    with mcore.no_grad():
        coarse, fine = net(mcore.from_numpy(x))

    golden.assert_equal(coarse[0].numpy(), stored["outputs"]["layer.15.convolutional"], "float32")
    golden.assert_equal(fine[0].numpy(), stored["outputs"]["layer.22.convolutional"], "float32")


def test_decoded_boxes_are_those_of_the_maps():
    net = YOLOv4Tiny(num_classes=2, decode=True).eval()
    x = mcore.from_numpy(golden._input("decoded", (1, 3, 64, 96)))

    with mcore.no_grad():
        found = net(x)
        net.decode = False
        coarse, fine = net(x)

    pairs = [(10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319)]
    expected = [
        by_loops(coarse[0].numpy(), pairs[3:], 32, 2, scale=1.05),
        by_loops(fine[0].numpy(), pairs[1:4], 16, 2, scale=1.05),
    ]
    boxes, scores = (np.concatenate(parts) for parts in zip(*expected, strict=True))
    np.testing.assert_allclose(found["boxes"][0].numpy(), boxes, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(found["scores"][0].numpy(), scores, rtol=1e-4, atol=1e-5)


def test_boxes_of_yolov2_are_told_in_cells():
    rows = [
        {"section": "convolutional", "filters": 7, "stride": 4, "activation": "linear"},
        {"section": "region", "anchors": [1.5, 2.0, 3.0, 1.0], "num": 1, "classes": 2, "softmax": 1},
    ]
    net = Darknet(rows, decode=True).eval()
    net.load_state_dict({key: value * 0.0 for key, value in net.state_dict().items()})

    with mcore.no_grad():
        found = net(mcore.zeros(1, 3, 4, 4))

    # The middle of the only cell, 1.5 by 2 cells of 4 pixels.
    assert found["boxes"].tolist() == [[[-1.0, -2.0, 5.0, 6.0]]]
    np.testing.assert_allclose(found["scores"].numpy(), 0.25, rtol=1e-6)


def test_training_gives_maps_whatever_eval_mode_gives():
    net = YOLOv4Tiny(num_classes=1, decode=True).train()

    maps = net(mcore.zeros(1, 3, 64, 64))

    assert [tuple(x.shape) for x in maps] == [(1, 18, 2, 2), (1, 18, 4, 4)]


def test_suppression_gives_a_fixed_number_of_detections():
    net = YOLOv4Tiny(num_classes=3, decode=True, nms=0.45, score_threshold=0.0, top=7).eval()

    found = net(mcore.zeros(2, 3, 64, 64))

    assert {name: tuple(x.shape) for name, x in found.items()} == {
        "boxes": (2, 7, 4),
        "scores": (2, 7),
        "labels": (2, 7),
    }


def test_anchors_are_those_given():
    net = YOLOv4Tiny(num_classes=1, anchors=range(1, 13))

    assert [reader.options["anchors"] for reader in net.plan.detectors] == [list(range(1, 13))] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nms": 0.5}, "YOLOv4Tiny: nms=0.5 needs decode=True"),
        ({"num_classes": 0}, "YOLOv4Tiny: in_channels=3 and num_classes=0 must be 1 or more"),
        ({"anchors": [1, 2]}, "2 numbers are given as anchors; it takes 12"),
    ],
)
def test_an_argument_of_a_network_that_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        YOLOv4Tiny(**arguments)


# --- the head


def test_a_head_on_a_backbone_and_a_neck_finds_boxes():
    net = models.assemble(
        resnet18(out_indices=[2, 3, 4]), FPN(16), YOLO(3, output="boxes", width=1.0, scale=[1.2, 1.1, 1.05])
    ).eval()

    found = net(mcore.zeros(1, 3, 64, 96))

    assert tuple(found["boxes"].shape) == (1, 3 * (8 * 12 + 4 * 6 + 2 * 3), 4)
    assert tuple(found["scores"].shape) == (1, 3 * (8 * 12 + 4 * 6 + 2 * 3), 3)


def test_a_head_decodes_as_the_networks_do():
    head = YOLO(2, [[10, 14, 23, 27]], in_channels=4, in_strides=[16], scale=1.1, output="boxes").eval()
    x = mcore.from_numpy(golden._input("head", (1, 4, 3, 5)))

    with mcore.no_grad():
        (raw,) = head.raw([x])["maps"]
        found = head([x])

    boxes, scores = by_loops(raw[0].numpy(), ANCHORS, 16, 2, scale=1.1)
    np.testing.assert_allclose(found["boxes"][0].numpy(), boxes, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found["scores"][0].numpy(), scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("strides", "anchors"),
    [([8, 16, 32], [(10, 13), (30, 61), (116, 90)]), ([4, 8], [(5, 6.5), (10, 13)])],
)
def test_anchors_follow_the_strides(strides, anchors):
    head = YOLO(1, in_channels=[4] * len(strides), in_strides=strides)

    assert [level[0] for level in head.anchors] == anchors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"anchors": [[1, 2]]}, r"anchors=\[\[1, 2\]\] are no widths and heights, in turn, for each of 2 levels"),
        ({"anchors": [[1, 2], [3]]}, "are no widths and heights"),
        ({"anchors": [[1, 2], [0, 3]]}, "are no widths and heights"),
        ({"scale": [1.0]}, r"scale=\[1.0\] has not one number for each of 2 levels"),
        ({"width": -1.0}, "width=-1.0 is negative"),
        ({"dims": 3}, "YOLO: dims=3, but boxes are found in images alone"),
    ],
)
def test_an_argument_of_a_head_that_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        YOLO(1, **{"in_channels": [4, 8], **arguments})


# --- spatial pyramid pooling


def test_spp_has_the_published_number_of_parameters():
    with mcore.device("meta"):
        assert parameters(SPP(1024, 1024)) == 2_624_512


def test_sppf_gives_what_spp_of_the_same_weights_gives():
    slow, fast = SPP(8, 6).eval(), SPPF(8, 6).eval()
    fast.load_state_dict(slow.state_dict())
    x = mcore.from_numpy(golden._input("spp", (2, 8, 17, 13)))

    with mcore.no_grad():
        np.testing.assert_allclose(fast(x).numpy(), slow(x).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (SPP, {"sizes": [4]}, r"SPP: sizes=\[4\] are not odd"),
        (SPP, {"sizes": []}, r"SPP: sizes=\[\] are not odd"),
        (SPPF, {"size": 2}, r"SPPF: sizes=\[2\] are not odd"),
        (SPPF, {"count": 0}, "SPPF: count=0 is less than one window"),
        (SPP, {"in_channels": 1}, "SPP: in_channels=1 can't be halved"),
        (SPP, {"dims": 4}, "SPP: dims=4 is not 1, 2 or 3"),
    ],
)
def test_an_argument_of_pooling_that_does_not_fit_is_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**{"in_channels": 4, "out_channels": 4, **arguments})
