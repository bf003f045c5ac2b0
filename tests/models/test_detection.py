"""Detectors: torchvision's detections, the protocol of heads, refusals."""

import hashlib
import json
import math

import numpy as np
import pytest

import mcore
import models
from models import heads as of
from models.necks import Deconvolution
from models.networks import FCOS, SSD300, CenterNet, RetinaNet
from models.utils.summary import parameters
from models.utils.weights import renamed
from tests.models import golden

HEADS = {"retinanet": of.RetinaNet, "fcos": of.FCOS, "ssd": of.SSD, "centernet": of.CenterNet}
# Each published network, how it is made here, and the table of its names.
PUBLISHED = {
    "retinanet": (RetinaNet, {}, "torchvision_retinanet"),
    "retinanet_v2": (RetinaNet, {"norm": "group", "extra": "conv_on_input"}, "torchvision_retinanet"),
    "fcos": (FCOS, {}, "torchvision_fcos"),
    "ssd300": (SSD300, {}, "torchvision_ssd300"),
}
both = pytest.mark.parametrize("name", PUBLISHED)
heads = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)


@pytest.fixture(autouse=True)
def _without_gradients():
    with mcore.no_grad():
        yield


def maps(seed=0, sizes=((8, 6), (4, 3)), channels=4, n=2):
    random = np.random.RandomState(seed)
    return tuple(mcore.from_numpy(random.standard_normal((n, channels, *size)).astype(np.float32)) for size in sizes)


# --- published networks


@pytest.mark.parametrize(
    ("make", "arguments", "count"),
    [
        (RetinaNet, {}, 34_068_119),
        (RetinaNet, {"norm": "group", "extra": "conv_on_input"}, 38_198_935),
        (FCOS, {}, 32_322_720),
        (SSD300, {}, 35_641_826),
    ],
)
def test_a_detector_has_the_published_number_of_parameters(make, arguments, count):
    with mcore.device("meta"):
        assert parameters(make(**arguments)) == count


def read(name):
    return json.loads((golden.FOLDER.parent / "detection" / f"{name}.json").read_text())


def published(name, **arguments):
    """A network with torchvision's keys filled by the rule of its golden file, and that file."""
    make, options, table = PUBLISHED[name]
    stored, net = read(name), make(**options, **arguments)
    theirs = {key: torchvisions(key, name) for key in net.state_dict()}
    state = {
        ours: golden.fill(key, tuple(map(int, value.shape)), stored["tuned"].get(key, stored["gain"]))
        + np.float32(stored["added"].get(key, 0.0))
        for (ours, value), key in zip(net.state_dict().items(), theirs.values(), strict=True)
    }
    return stored, net, theirs, state, table


def torchvisions(key, name):
    """Our name as torchvision's."""
    if name == "ssd300":
        return key
    part, _, rest = key.partition(".")
    return {"backbone": "backbone.body.", "neck": "backbone.fpn.", "head": "head."}[part] + rest


@both
def test_a_detector_has_torchvisions_keys_in_its_order(name):
    with mcore.device("meta"):
        make, options, _ = PUBLISHED[name]
        keys = [torchvisions(key, name) for key in make(**options).state_dict()]
    stored = read(name)

    assert len(keys) == stored["keys"]
    assert hashlib.sha256("\n".join(keys).encode()).hexdigest() == stored["keys_sha256"]


@both
def test_torchvisions_names_lead_to_ours(name):
    with mcore.device("meta"):
        make, options, table = PUBLISHED[name]
        state = make(**options).state_dict()

    found = renamed({torchvisions(key, name): value for key, value in state.items()}, rename=table)

    assert list(found) == list(state)


@both
def test_a_detector_finds_what_torchvisions_finds(name):
    stored, net, _, state, _ = published(name, output="detections")
    net.load_state_dict({key: mcore.from_numpy(np.asarray(value)) for key, value in state.items()})
    x = mcore.from_numpy(golden._input(name, (2, 3, *stored["size"])))

    found = net.eval()(x)

    for image, expected in enumerate(stored["images"]):
        assert int((found["labels"][image].numpy() >= 0).sum()) == expected["count"]
        scores = found["scores"][image].numpy()
        np.testing.assert_allclose(scores[:20], expected["scores"], atol=2e-5)
        rows = list(zip(found["labels"][image].tolist(), found["boxes"][image].numpy(), scores, strict=True))
        for label, box, score in zip(expected["labels"], expected["boxes"], expected["scores"], strict=True):
            # Not by rank, which nearly equal scores exchange.
            assert any(
                label == other and abs(score - likely) < 2e-5 and np.abs(np.subtract(box, near)).max() < 0.02
                for other, near, likely in rows
            ), (label, box, score)


def test_a_file_of_torchvisions_loads_as_it_is(tmp_path):
    make = {"num_classes": 2, "backbone": "resnet18", "channels": 64, "depth": 1}
    source = RetinaNet(**make)
    file = tmp_path / "theirs.safetensors"
    # Frozen norms, as the published weights have, count no batches.
    mcore.save(
        {
            torchvisions(key, "retinanet"): value
            for key, value in source.state_dict().items()
            if not key.endswith("num_batches_tracked")
        },
        file,
    )

    net = RetinaNet(**make, weights={"file": file, "rename": "torchvision_retinanet"})

    assert net.weights_report.missing == []
    assert net.weights_report.unexpected == []
    state = source.state_dict()
    assert all(mcore.equal(value, state[key]) for key, value in net.state_dict().items())


# --- the protocol


@heads
def test_a_head_gives_raw_maps_in_training_whatever_its_output(head):
    part = head(3, in_channels=[4, 4], output="detections").train()

    outputs = part(maps())

    assert {len(entry) for entry in outputs.values()} == {1 if head is of.CenterNet else 2}
    assert all(tuple(map(int, entry[0].shape[2:])) == (8, 6) for entry in outputs.values())


@heads
def test_what_eval_mode_returns_is_a_plain_attribute(head):
    part, fed = head(3, in_channels=[4, 4], score_threshold=0.0, top=7).eval(), maps()
    raw = part(fed, size=(64, 48))

    part.output = "boxes"
    boxes = part(fed, size=(64, 48))
    part.output = "detections"
    found = part(fed, size=(64, 48))

    decoded, chosen = part.decode(raw, (64, 48)), part.detect(raw, (64, 48))
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "boxes": (2, 7, 4),
        "scores": (2, 7),
        "labels": (2, 7),
    }
    assert all(mcore.equal(boxes[name], decoded[name]) for name in ("boxes", "scores"))
    assert all(mcore.equal(found[name], chosen[name]) for name in ("boxes", "scores", "labels"))


@heads
def test_boxes_lie_in_the_image_and_scores_are_shares(head):
    part = head(3, in_channels=[4, 4], output="boxes").eval()

    found = part(maps(), size=(61, 45))

    boxes, scores = found["boxes"].numpy(), found["scores"].numpy()
    assert boxes.min() >= 0
    assert boxes[..., 0::2].max() <= 45
    assert boxes[..., 1::2].max() <= 61
    assert scores.shape == (*boxes.shape[:2], 3)
    assert scores.min() >= 0
    assert scores.max() <= 1


@heads
def test_a_detection_stands_among_the_boxes_with_its_score(head):
    part = head(3, in_channels=[4, 4], score_threshold=0.0, top=5, output="boxes").eval()
    every = part(maps(), size=(64, 48))
    part.output = "detections"

    found = part(maps(), size=(64, 48))

    for image in range(2):
        for box, score, label in zip(
            *(found[name][image].numpy() for name in ("boxes", "scores", "labels")), strict=True
        ):
            same = np.abs(every["boxes"][image].numpy() - box).max(axis=1) < 1e-4
            assert np.isclose(every["scores"][image].numpy()[same, label], score).any()


@heads
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dims": 3}, "dims=3, but boxes are found in images alone, dims=2"),
        ({"output": "all"}, "output='all' is not one of 'raw', 'boxes', 'detections'"),
        ({"nms": 1.5}, "nms=1.5 is not an overlap, 0 to 1, or None"),
        ({"top": 0}, "num_classes=3 and top=0; both are at least 1"),
        ({"in_strides": [8]}, r"in_channels=\[4, 4\] and in_strides=\[8\] don't give"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_by_name(head, arguments, message):
    with pytest.raises(ValueError, match=f"{head.__name__}: {message}"):
        head(3, **{"in_channels": [4, 4], **arguments})


@heads
def test_another_number_of_maps_is_refused(head):
    with pytest.raises(ValueError, match=f"{head.__name__}: 1 maps came, but it was built for in_channels of 2"):
        head(3, in_channels=[4, 4])(maps()[:1])


@pytest.mark.parametrize("head", [of.RetinaNet, of.FCOS])
def test_a_head_of_all_levels_refuses_maps_of_different_channels(head):
    with pytest.raises(ValueError, match=r"in_channels=\[8, 16\], but its branches serve all levels.*FPN"):
        head(3, in_channels=[8, 16])


def test_anchors_that_differ_in_number_are_refused():
    with pytest.raises(ValueError, match=r"RetinaNet: sizes=\[\[8\], \[8, 16\]\] .* same number of anchors"):
        of.RetinaNet(3, in_channels=[4, 4], sizes=[[8], [8, 16]])


def test_default_boxes_that_do_not_go_with_the_levels_are_refused():
    with pytest.raises(
        ValueError, match=r"SSD: 3 steps, 3 scales and 2 ratios are given, but 2 levels take 2, 3 and 2"
    ):
        of.SSD(3, in_channels=[4, 4], steps=[8, 16, 32])


@pytest.mark.parametrize("name", ["RetinaNet", "FCOS", "CenterNet"])
def test_a_head_with_the_name_of_a_network_is_built_again_as_a_head(name):
    head = models.create(name, kind="head", num_classes=3, in_channels=[64], in_strides=[4])

    again = models.from_config(head.config())

    assert type(again) is type(head)
    assert head.config()["model"]["@kind"] == "head"


@pytest.mark.parametrize("name", ["RetinaNet", "FCOS"])
def test_a_head_is_assembled_with_any_backbone_and_neck(name):
    neck = {"type": "FPN", "channels": 64, "extra": "pool"}
    net = models.assemble("resnet18", neck, {"type": name, "num_classes": 3, "output": "detections"}).eval()

    found = net(mcore.zeros(1, 3, 65, 97))

    assert net.head.in_strides == (4, 8, 16, 32, 64)
    assert tuple(found["boxes"].shape) == (1, net.head.top, 4)


# --- what each head means


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_retinanets_boxes_are_shifts_of_its_anchors():
    part = of.RetinaNet(2, in_channels=[4], in_strides=[16], sizes=[[32, 48]], ratios=[1.0, 4.0])
    random = np.random.RandomState(0)
    logits, codes = random.standard_normal((1, 8, 2, 3)), random.standard_normal((1, 16, 2, 3)) / 2
    raw = {
        "cls_logits": (mcore.from_numpy(logits.astype(np.float32)),),
        "bbox_regression": (mcore.from_numpy(codes.astype(np.float32)),),
    }
    expected, likely = [], []
    for row in range(2):
        for column in range(3):
            for number, (width, height) in enumerate([(32, 32), (48, 48), (16, 64), (24, 96)]):
                dx, dy, dw, dh = codes[0, 4 * number : 4 * number + 4, row, column]
                x, y = 16 * column + dx * width, 16 * row + dy * height
                w, h = width * math.exp(dw), height * math.exp(dh)
                expected.append(np.clip([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 0, [48, 32, 48, 32]))
                likely.append(sigmoid(logits[0, 2 * number : 2 * number + 2, row, column]))

    found = part.decode(raw, (32, 48))

    np.testing.assert_allclose(found["boxes"][0].numpy(), expected, atol=1e-3)
    np.testing.assert_allclose(found["scores"][0].numpy(), likely, atol=1e-5)


def test_strides_are_fitted_to_the_padded_image_where_published_weights_want_it():
    part = of.RetinaNet(1, in_channels=[4], in_strides=[128], ratios=[1.0], sizes=[[16]], fit_strides=True)
    raw = {"cls_logits": (mcore.zeros(1, 1, 7, 10),), "bbox_regression": (mcore.zeros(1, 4, 7, 10),)}

    anchors = part.anchors(raw, (790, 1200))[0]

    # 800 over 7 and 1216 over 10, rounded down.
    assert anchors[-1].tolist() == [9 * 121 - 8, 6 * 114 - 8, 9 * 121 + 8, 6 * 114 + 8]


def test_fcos_boxes_are_distances_in_strides_and_scores_are_damped_by_centreness():
    part = of.FCOS(1, in_channels=[32], in_strides=[8])
    raw = {
        "cls_logits": (mcore.tensor([[[[2.0, -1.0]]]]),),
        "bbox_regression": (mcore.tensor([1.0, 0.5, 2.0, 0.25, 3.0, 1.0, 1.0, 0.5]).reshape(1, 4, 1, 2),),
        "bbox_ctrness": (mcore.tensor([[[[0.0, 3.0]]]]),),
    }

    found = part.decode(raw, (64, 64))

    assert found["boxes"].tolist() == [[[0.0, 0.0, 24.0, 8.0], [4.0, 0.0, 16.0, 4.0]]]
    expected = [[math.sqrt(sigmoid(2.0) * 0.5)], [math.sqrt(sigmoid(-1.0) * sigmoid(3.0))]]
    np.testing.assert_allclose(found["scores"][0].numpy(), expected, atol=1e-5)


def test_ssd_never_detects_the_background():
    part = of.SSD(3, in_channels=[4, 4], score_threshold=0.0, nms=None, top=10)
    raw = part.raw(maps())
    raw["cls_logits"] = tuple(
        x + 10 * (mcore.arange(int(x.shape[1])).reshape(1, -1, 1, 1) % 3 == 0) for x in raw["cls_logits"]
    )

    found = part.detect(raw, (64, 48))

    assert set(found["labels"].numpy().ravel()) == {1, 2}
    assert float(found["scores"].numpy().max()) < 0.01


def test_centernet_finds_the_highest_of_each_neighbourhood():
    part = of.CenterNet(2, in_channels=[4], in_strides=[4], score_threshold=0.5)
    heat = np.full((1, 2, 6, 8), -9.0, np.float32)
    heat[0, 1, 2, 5], heat[0, 1, 2, 6], heat[0, 0, 5, 0] = 3.0, 2.0, 1.0
    size, offset = np.ones((1, 2, 6, 8), np.float32), np.zeros((1, 2, 6, 8), np.float32)
    size[0, :, 2, 5], offset[0, :, 2, 5] = (3.0, 2.0), (0.25, 0.5)
    raw = {"heatmap": heat, "size": size, "offset": offset}

    found = part.detect({name: (mcore.from_numpy(value),) for name, value in raw.items()}, (24, 32))

    assert found["labels"][0].tolist()[:3] == [1, 0, -1]
    np.testing.assert_allclose(found["boxes"][0, :2].numpy(), [[15, 6, 27, 14], [0, 18, 2, 22]], atol=1e-5)
    np.testing.assert_allclose(found["scores"][0, :2].numpy(), sigmoid(np.array([3.0, 1.0])), atol=1e-5)


def test_a_head_of_one_map_leaves_the_others_out():
    net = models.assemble("resnet18", head={"type": "CenterNet", "num_classes": 2})

    assert net.backbone.out_indices == (1,)


# --- parts


def test_ssds_maps_of_300_pixels_are_those_of_the_paper():
    net = models.create("ssd_vgg16", width=0.0625).eval()

    sizes = [tuple(x.shape[1:]) for x in net(mcore.zeros(1, 3, 300, 300))]

    assert sizes == [(32, 38, 38), (64, 19, 19), (32, 10, 10), (16, 5, 5), (16, 3, 3), (16, 1, 1)]


@pytest.mark.parametrize(("levels", "least"), [([7], 268), ([6], 140), ([5], 12), ([2], 4)])
def test_the_least_image_leaves_something_of_every_level_and_a_smaller_one_is_refused(levels, least):
    net = models.create("ssd_vgg16", width=0.03, out_indices=levels).eval()

    assert min(net(mcore.zeros(1, 3, least, least))[0].shape) > 0
    with pytest.raises(ValueError, match=f"ssd_vgg16: the image is .* pixels, but levels up to .* need {least}"):
        net(mcore.zeros(1, 3, least, least - 1))


def test_the_finest_map_of_ssd_has_the_length_that_it_learns():
    net = models.create("ssd_vgg16", width=0.03, out_indices=[2]).eval()

    (x,) = net(mcore.randn(1, 3, 24, 24))

    np.testing.assert_allclose(np.linalg.norm(x.numpy(), axis=1), 20.0, rtol=1e-4)


def test_what_no_level_of_ssd_needs_is_not_built():
    net = models.create("ssd_vgg16", width=0.03, out_indices=[3, 4])

    assert net.scale_weight is None
    assert len(net.extra) == 2


def test_transposed_convolutions_meet_the_size_of_the_map_at_their_stride():
    neck = Deconvolution((4, 4), in_channels=[8, 8, 8], in_strides=[4, 8, 16])
    alone = Deconvolution((4, 4), in_channels=[8], in_strides=[16])
    fed = maps(sizes=((17, 23), (9, 12), (5, 6)), channels=8)

    assert tuple(neck(fed)[0].shape) == (2, 4, 17, 23)
    assert tuple(alone(fed[2:])[0].shape) == (2, 4, 20, 24)
    assert neck.features == alone.features == [(4, 4)]
    assert neck.used == [0, 2]


def test_more_steps_than_there_are_strides_are_refused():
    with pytest.raises(ValueError, match=r"Deconvolution: channels=\[4, 4, 4\], but from stride 4 there are 1 to 2"):
        Deconvolution((4, 4, 4), in_channels=[8], in_strides=[4])


def test_centernet_has_the_names_of_its_authors():
    net = CenterNet(2, channels=(8, 8, 8), head_channels=8)
    theirs = {
        key.removeprefix("backbone.").removeprefix("neck.").removeprefix("head."): v
        for key, v in net.state_dict().items()
    }

    found = renamed(theirs, rename="centernet")

    assert list(found) == list(net.state_dict())
    assert {"hm.2.bias", "wh.0.weight", "reg.0.bias", "deconv_layers.3.weight", "layer4.1.bn2.bias"} <= set(theirs)
