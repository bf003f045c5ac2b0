"""Weights from other people's files: layouts, wrappers, other channels and dimensions, reports."""

import numpy as np
import pytest

import mcore
import models
from models.backbones import resnet18
from models.heads import Classification, Segmentation
from models.necks import FPN
from models.networks import RetinaNet, UNet
from models.utils.align import align
from models.utils.layouts import layouts
from models.utils.weights import adapted


def file_of(state, path):
    """A file with `state`."""
    mcore.save(state, path)
    return path


@pytest.fixture
def published(tmp_path):
    """A file in torchvision's layout, and the classifier that wrote it."""
    net = resnet18(num_classes=1000)
    return file_of(net.state_dict(), tmp_path / "resnet18.safetensors"), net


def test_a_published_file_loads_as_it_is(published):
    path, net = published

    loaded = resnet18(num_classes=1000, weights=path)

    assert all((loaded.state_dict()[key] == value).all() for key, value in net.state_dict().items())
    assert (len(loaded.weights_report.matched), loaded.weights_report.missing) == (122, [])


def test_a_backbone_leaves_the_classifier_and_says_so(published):
    path, net = published

    loaded = resnet18(weights=path)

    assert loaded.weights_report.unexpected == ["fc.weight", "fc.bias"]
    assert (loaded.layer4[1].conv2.weight == net.layer4[1].conv2.weight).all()


def test_another_number_of_classes_is_skipped_and_reported(published):
    loaded = resnet18(num_classes=7, weights=published[0])

    assert loaded.weights_report.skipped == ["fc.weight", "fc.bias"]


def test_one_channel_sees_the_sum_of_three(published):
    path, net = published
    gray = mcore.rand(1, 1, 32, 32)

    loaded = resnet18(in_channels=1, weights=path)

    assert loaded.weights_report.adapted == ["conv1.weight"]
    expected = net.conv1(mcore.cat([gray] * 3, dim=1))
    assert (loaded.conv1(gray) - expected).abs().max() < 1e-5


def test_more_channels_repeat_the_three_and_are_scaled_down(published):
    path, net = published

    loaded = resnet18(in_channels=5, weights=path)

    ours, theirs = (each.conv1.weight.detach().numpy() for each in (loaded, net))
    np.testing.assert_allclose(ours, theirs[:, [0, 1, 2, 0, 1]] * 3 / 5, rtol=1e-6)


def test_a_volume_of_equal_slices_gives_what_the_image_gave(published):
    path, net = published
    net.eval()
    x = mcore.rand(1, 3, 32, 32)

    loaded = resnet18(dims=3, weights=path).eval()

    middle = loaded.conv1(mcore.stack([x] * 32, dim=2))[:, :, 8]
    assert (middle - net.conv1(x)).abs().max() < 1e-4


def test_a_row_gives_what_the_image_of_equal_rows_gave(published):
    path, net = published
    x = mcore.rand(1, 3, 32)

    loaded = resnet18(dims=1, weights=path)

    middle = net.conv1(mcore.stack([x] * 32, dim=2))[:, :, 8]
    assert (loaded.conv1(x) - middle).abs().max() < 1e-4


def test_what_training_programs_wrap_around_is_taken_off(tmp_path):
    net = resnet18()
    state = {f"module._orig_mod.{key}": value for key, value in net.state_dict().items()}

    loaded = resnet18(weights=file_of(state, tmp_path / "wrapped.safetensors"))

    assert loaded.weights_report.missing == []


def test_take_and_rename_pick_a_part_of_a_file(tmp_path):
    net = models.assemble(resnet18(), head=models.heads.Classification(3))
    path = file_of(net.state_dict(), tmp_path / "whole.safetensors")

    loaded = resnet18(weights={"file": path, "take": "backbone.*"})

    assert (loaded.conv1.weight == net.backbone.conv1.weight).all()


def test_weights_are_read_from_a_configuration(published):
    spec = {"type": "resnet18", "in_channels": 1, "weights": {"file": str(published[0])}}

    net = models.from_config({"model": {"backbone": spec, "head": {"type": "Classification", "num_classes": 2}}})

    assert len(net.backbone.weights_report.matched) == 119
    assert net.config()["model"]["backbone"] == {"type": "resnet18", "in_channels": 1}


def test_nothing_that_matches_is_an_error_that_shows_both_names(tmp_path):
    path = file_of({"encoder.conv.weight": mcore.zeros(2)}, tmp_path / "other.safetensors")

    with pytest.raises(ValueError, match=r"nothing in .*other.safetensors matches: it has encoder.conv.weight"):
        resnet18(weights=path)


def test_shapes_that_do_not_fit_are_all_told(tmp_path):
    state = {**resnet18().state_dict(), "bn1.weight": mcore.zeros(3), "bn1.bias": mcore.zeros(4)}
    path = file_of(state, tmp_path / "wrong.safetensors")

    with pytest.raises(ValueError, match=r"bn1.weight: the file has \(3,\), the network \(64,\); bn1.bias"):
        resnet18(weights=path)


def test_entries_that_stay_random_are_warned_of(tmp_path):
    state = {key: value for key, value in resnet18().state_dict().items() if not key.startswith("layer4")}
    path = file_of(state, tmp_path / "partial.safetensors")

    with pytest.warns(UserWarning, match=r"ResNet: 25 of 120 entries are not in .*layer4.0.conv1.weight"):
        resnet18(weights=path)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"file": "a.pth", "tkae": "x"}, "'tkae' is none of file, .* .did you mean 'take'"),
        ({"take": "x"}, "no file is named"),
        ({"file": "a.pth", "rename": "smp"}, "rename='smp' is no table, nor a .json or .yaml file; the nearest are"),
        ({"file": "a.pth", "state": {}}, "'file' and 'state' came, of which one is read"),
        ({"file": "a.pth", "rename": 3}, "rename=3 is not a table's name, its file, or rules"),
        ({"file": "a.pth", "rename": {"^(": "x"}}, r"'\^\(' is no regular expression: missing"),
        ({"file": "a.pth", "rename": {"a": 1}}, "'a': 1 is no rule; write their name: our name"),
        ({"file": "a.pth", "take": 3}, "take=3 is not a pattern of names"),
        ({"file": "a.pth", "into": 3}, "into=3 is not a prefix"),
        ({"file": "a.pth", "channels": 3}, "channels=3 is not names of channels"),
        ({"file": "a.pth", "classes": 3}, "classes=3 is not a list of numbers"),
        ({"file": "a.pth", "classes": [-1]}, r"classes=\[-1\] are not numbers of the file's classes"),
        (3, "file=3 is not a path"),
    ],
)
def test_options_that_do_not_fit_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        resnet18(weights=weights)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [("BGR", [2, 1, 0]), (["R", "G", "B", "zero"], [0, 1, 2, None]), (["mean"], "mean")],
)
def test_channels_are_fed_by_their_meaning(published, channels, expected):
    path, net = published

    loaded = resnet18(in_channels=len(channels), weights={"file": path, "channels": channels})

    ours, theirs = (each.conv1.weight.detach().numpy() for each in (loaded, net))
    wanted = theirs.mean(axis=1, keepdims=True)
    if expected != "mean":
        wanted = np.stack([np.zeros_like(theirs[:, 0]) if c is None else theirs[:, c] for c in expected], axis=1)
    np.testing.assert_allclose(ours, wanted, rtol=1e-6, atol=1e-8)
    assert loaded.weights_report.adapted == ["conv1.weight"]


def test_classes_are_picked_by_their_numbers(published):
    path, net = published

    loaded = resnet18(num_classes=2, weights={"file": path, "classes": [7, 3]})

    assert (loaded.fc.weight == net.fc.weight[[7, 3]]).all()
    assert loaded.weights_report.adapted == ["fc.weight", "fc.bias"]


def test_shapes_that_do_not_fit_are_skipped_where_asked(tmp_path):
    state = {**resnet18().state_dict(), "bn1.weight": mcore.zeros(3)}

    loaded = resnet18(weights={"state": state, "shapes": "skip"})

    assert loaded.weights_report.skipped == ["bn1.weight"]


def test_no_shape_is_adapted_where_none_is_wanted(published):
    with pytest.raises(ValueError, match=r"conv1.weight: the file has \(64, 3, 7, 7\), the network \(64, 1, 7, 7\)"):
        resnet18(in_channels=1, weights={"file": published[0], "shapes": "error"})


def test_the_prefix_of_a_part_in_a_file_is_found(tmp_path):
    net = models.assemble(resnet18(), head=models.heads.Classification(3))

    loaded = resnet18(weights=file_of(net.state_dict(), tmp_path / "whole.safetensors"))

    assert loaded.weights_report.layout == "as they are, under 'backbone.'"
    assert len(loaded.weights_report.renamed) == 120
    assert (loaded.conv1.weight == net.backbone.conv1.weight).all()


def test_the_table_of_a_file_is_found(tmp_path):
    net = models.assemble(resnet18(out_indices=range(5)), head=models.heads.UNetDecoder(3))
    theirs = {"backbone.": "encoder.", "head.blocks.": "decoder.blocks.", "head.classifier.": "segmentation_head.0."}
    state = {}
    for key, value in net.state_dict().items():
        ours = next(prefix for prefix in theirs if key.startswith(prefix))
        state[theirs[ours] + key.removeprefix(ours)] = value
    again = models.assemble(resnet18(out_indices=range(5)), head=models.heads.UNetDecoder(3))

    report = models.load_weights(again, file_of(state, tmp_path / "unet.safetensors"))

    assert report.layout == "segmentation_models"
    assert report.missing == report.unexpected == []
    assert (again.head.classifier.weight == net.head.classifier.weight).all()


def test_a_table_is_read_from_a_file(tmp_path):
    (tmp_path / "table.json").write_text('{"first.": "conv1."}')
    weight = mcore.rand(64, 3, 7, 7)

    with pytest.warns(UserWarning, match="entries are not in"):
        loaded = resnet18(weights={"state": {"first.weight": weight}, "rename": str(tmp_path / "table.json")})

    assert (loaded.conv1.weight == weight).all()


def test_rules_that_give_two_entries_one_name_are_refused():
    state = {"a.weight": mcore.zeros(64), "b.weight": mcore.zeros(64)}

    with pytest.raises(ValueError, match=r"'a.weight' and 'b.weight' of the file are both renamed to 'bn1.weight'"):
        resnet18(weights={"state": state, "rename": {"a.": "bn1.", "b.": "bn1."}})


def test_the_state_given_is_left_as_it_was():
    state = {f"module.{key}": value for key, value in resnet18().state_dict().items()}
    before = dict(state)

    resnet18(in_channels=1, weights={"state": state})

    assert list(state) == list(before)
    assert all(state[key] is before[key] for key in before)


@pytest.mark.parametrize(
    ("channels", "message"),
    [("RGX", "channel 'X' is none of R, G, B"), ("RG", "channels names 2, but the network takes 3")],
)
def test_channels_that_do_not_fit_are_refused(published, channels, message):
    with pytest.raises(ValueError, match=message):
        resnet18(weights={"file": published[0], "channels": channels})


def test_necks_and_heads_take_weights_from_a_configuration(tmp_path):
    net = models.assemble(resnet18(), FPN(8), Classification(3))
    path = file_of(net.state_dict(), tmp_path / "whole.safetensors")

    again = models.assemble(
        "resnet18",
        {"type": "FPN", "channels": 8, "weights": {"file": str(path), "take": "neck.*"}},
        {"type": "Classification", "num_classes": 3, "weights": {"file": str(path), "take": "head.*"}},
    )

    assert (again.neck.inner_blocks["0"][0].weight == net.neck.inner_blocks["0"][0].weight).all()
    assert (again.head.fc.weight == net.head.fc.weight).all()


def test_a_missing_file_is_told():
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        UNet(1, 2, channels=(2, 4), weights="none.pth")


def test_a_matrix_is_never_adapted():
    assert adapted(mcore.zeros(3, 4), (3, 5), inputs=True) is None


def test_a_pth_file_of_torch_is_read_too(tmp_path):
    torch = pytest.importorskip("torch")
    conv1 = torch.randn(64, 3, 7, 7)
    torch.save({"state_dict": {"module.conv1.weight": conv1}, "epoch": 3}, tmp_path / "resnet18.pth")

    with pytest.warns(UserWarning, match="entries are not in"):
        loaded = resnet18(weights=tmp_path / "resnet18.pth")

    np.testing.assert_array_equal(loaded.conv1.weight.detach().numpy(), conv1.numpy())


class Foreign(mcore.Module):
    """The stem of a ResNet under other names, registered in another order than it runs."""

    def __init__(self):
        super().__init__()
        self.norm = mcore.BatchNorm2d(64)
        self.first = mcore.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)

    def forward(self, x):
        return self.norm(self.first(x))


class Stem(mcore.Module):
    """The same under ours."""

    def __init__(self):
        super().__init__()
        self.conv1 = mcore.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = mcore.BatchNorm2d(64)

    def forward(self, x):
        return self.bn1(self.conv1(x))


def test_layers_are_aligned_in_the_order_in_which_they_run():
    found = align(Stem(), Foreign(), (1, 3, 32, 32))

    assert found == ({"first.": "conv1.", "norm.": "bn1."}, [], [])


def test_a_file_is_aligned_in_its_own_order():
    net = resnet18()
    state = {}
    for number, name in enumerate(dict.fromkeys(key.rpartition(".")[0] for key in net.state_dict())):
        for key, value in net.state_dict().items():
            if key.rpartition(".")[0] == name:
                state[f"body.{number}.{key.rpartition('.')[2]}"] = value

    found = align(net, state)

    assert (len(found.table), found.ours, found.theirs) == (40, [], [])
    assert resnet18(weights={"state": state, "rename": found.table}).weights_report.missing == []


def test_what_has_no_partner_is_told():
    found = align(Stem(), {"first.weight": mcore.zeros(64, 3, 7, 7), "more.weight": mcore.zeros(5)})

    assert (found.table, found.ours, found.theirs) == ({"first.": "conv1."}, ["bn1"], ["more"])


def test_networks_without_a_common_layer_are_refused():
    with pytest.raises(ValueError, match="align: no layer of the 1 there fits one of the 2 of Stem"):
        align(Stem(), {"a.weight": mcore.zeros(5)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"take": "zz*"}, r"take='zz\*' takes none of conv1.weight, "),
        ({"into": "x."}, r"it has conv1.weight \(as x.conv1.weight\), "),
        ({"rename": {"^(conv1)": r"\9"}}, r"rename '\^\(conv1\)': .* can't be put in: invalid group reference"),
        ({"classes": [3, 1000]}, r"classes=\[3, 1000\], but fc.weight of the file has 1000"),
        ({"classes": [3]}, "classes names 1, but the network has 2"),
    ],
)
def test_what_the_file_has_not_is_told_and_nothing_is_loaded(published, options, message):
    net = resnet18(num_classes=2)
    before = net.conv1.weight.detach().clone()

    with pytest.raises(ValueError, match=message):
        models.load_weights(net, {"file": published[0], **options})

    assert (net.conv1.weight == before).all()


def test_of_two_networks_in_a_file_one_has_to_be_named():
    state = resnet18().state_dict()
    both = {f"{name}.{key}": value + i for i, name in enumerate(("teacher", "student")) for key, value in state.items()}

    with pytest.raises(ValueError, match=r"two that fit alike, .teacher\.. and .student\..; say which: take=.teacher"):
        resnet18(weights={"state": both})


def test_a_network_that_a_file_holds_twice_loads_as_one():
    state = resnet18().state_dict()
    twice = {f"{name}.{key}": value for name in ("network", "chain.0") for key, value in state.items()}

    loaded = resnet18(weights={"state": twice})

    assert loaded.weights_report.layout == "as they are, under 'network.'"
    assert (loaded.conv1.weight == state["conv1.weight"]).all()


@pytest.mark.parametrize("state", [{}, {"epoch": 3}, {"a": {"b": mcore.zeros(1)}}])
def test_a_file_without_tensors_is_told(state):
    with pytest.raises(ValueError, match="the state given holds no tensors by name"):
        resnet18(weights={"state": state})


def test_channels_of_a_file_that_saw_no_colours_are_refused():
    state = resnet18(in_channels=4).state_dict()

    with pytest.raises(ValueError, match="speaks of red, green and blue, but the file saw 4 channels"):
        resnet18(weights={"state": state, "channels": "RGB"})


@pytest.mark.parametrize("shapes", ["adapt", "skip", "error"])
def test_channels_are_fed_by_their_meaning_whatever_becomes_of_other_shapes(published, shapes):
    net = resnet18(weights={"file": published[0], "channels": "BGR", "shapes": shapes})

    assert net.weights_report.adapted == ["conv1.weight"]


def numbers(net):
    """A state of different numbers."""
    return {
        key: mcore.arange(value.numel(), dtype=mcore.float32).reshape(tuple(value.shape))
        for key, value in net.state_dict().items()
    }


DETECTORS = [
    ("RetinaNet", ["classification_head.cls_logits"], 9, 0, [8, 8]),
    ("FCOS", ["classification_head.cls_logits"], 1, 0, [8, 8]),
    ("SSD", ["classification_head.module_list.0", "classification_head.module_list.1"], 4, 0, [8, 8]),
    ("CenterNet", ["hm.2"], 1, 0, [8]),
    ("YOLO", ["convs_pred.0", "convs_pred.1"], 3, 5, [8, 8]),
]


@pytest.mark.parametrize(("name", "layers", "boxes", "before", "channels"), DETECTORS, ids=lambda value: str(value))
def test_a_detector_of_other_classes_skips_every_layer_that_scores_them(name, layers, boxes, before, channels):
    part = {"type": name, "@kind": "head", "in_channels": channels}
    theirs = mcore.build({**part, "num_classes": 80})
    net = mcore.build({**part, "num_classes": 3})

    report = models.load_weights(net, {"state": theirs.state_dict()})

    assert {key.rpartition(".")[0] for key in report.skipped} == set(layers)
    assert len(report.matched) == len(net.state_dict()) - len(report.skipped)


@pytest.mark.parametrize(("name", "layers", "boxes", "before", "channels"), DETECTORS, ids=lambda value: str(value))
def test_a_detectors_classes_are_picked_for_each_of_its_boxes(name, layers, boxes, before, channels):
    part = {"type": name, "@kind": "head", "in_channels": channels}
    state = numbers(mcore.build({**part, "num_classes": 80}))
    net = mcore.build({**part, "num_classes": 3})

    models.load_weights(net, {"state": state, "classes": [7, 79, 0]})

    rows = state[f"{layers[0]}.bias"].numpy().reshape(boxes, before + 80)
    expected = rows[:, [*range(before), before + 7, before + 79, before]].ravel()
    np.testing.assert_array_equal(net.state_dict()[f"{layers[0]}.bias"].numpy(), expected)


def test_a_detector_of_other_classes_and_channels_takes_a_published_file():
    arguments = {"backbone": "resnet18", "channels": 8, "depth": 1}
    theirs = RetinaNet(80, **arguments)

    net = RetinaNet(3, in_channels=1, **arguments, weights={"state": theirs.state_dict()})

    assert net.weights_report.adapted == ["backbone.conv1.weight"]
    assert net.weights_report.skipped == [f"head.classification_head.cls_logits.{key}" for key in ("weight", "bias")]


def test_an_assembled_network_of_other_classes_takes_the_rest_of_a_file():
    theirs = models.assemble(resnet18(), FPN(8), Classification(10))

    net = models.assemble(resnet18(in_channels=1), FPN(8), Classification(3))
    report = models.load_weights(net, {"state": theirs.state_dict()})

    assert (report.adapted, report.skipped) == (["backbone.conv1.weight"], ["head.fc.weight", "head.fc.bias"])


def test_a_segmentation_network_of_other_classes_takes_the_rest_of_a_file():
    theirs = models.assemble(resnet18(), head=Segmentation(10))

    net = models.assemble(resnet18(), head=Segmentation(3))
    report = models.load_weights(net, {"state": theirs.state_dict()})

    assert report.skipped == ["head.classifier.weight", "head.classifier.bias"]


# Our names of some entries, and those of the layout.
LAYOUTS = {
    "mmdetection_fpn": {
        "neck.inner_blocks.1.0.weight": "neck.lateral_convs.1.conv.weight",
        "neck.layer_blocks.2.0.bias": "neck.fpn_convs.2.conv.bias",
    },
    "mmsegmentation_fcn": {
        "head.conv.0.weight": "decode_head.convs.0.conv.weight",
        "head.conv.1.running_mean": "decode_head.convs.0.bn.running_mean",
        "head.classifier.bias": "decode_head.conv_seg.bias",
    },
    "cadene_resnet": {"fc.weight": "last_linear.weight"},
    "timm_features": {"stages.0.blocks.1.norm.weight": "stages_0.blocks.1.norm.weight"},
}


@pytest.mark.parametrize(("layout", "ours", "theirs"), [(k, *pair) for k, v in LAYOUTS.items() for pair in v.items()])
def test_a_table_gives_our_name_for_theirs(layout, ours, theirs):
    assert layouts()[layout](theirs) == ours


def test_a_whole_file_of_mmsegmentation_loads():
    net = models.assemble(resnet18(), head=models.heads.Segmentation(3))
    theirs = {"head.conv.0": "decode_head.convs.0.conv", "head.conv.1": "decode_head.convs.0.bn"}
    theirs |= {"head.classifier": "decode_head.conv_seg"}
    state = {}
    for key, value in net.state_dict().items():
        layer, _, leaf = key.rpartition(".")
        state[f"{theirs.get(layer, layer)}.{leaf}"] = value
    again = models.assemble(resnet18(), head=models.heads.Segmentation(3))

    report = models.load_weights(again, {"state": {"state_dict": state, "meta": {"epoch": 3}}})

    assert (report.layout, report.missing, report.unexpected) == ("mmsegmentation_fcn", [], [])
    assert (again.head.classifier.weight == net.head.classifier.weight).all()
