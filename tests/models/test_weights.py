"""Weights from other people's files: layouts, wrappers, other channels and dimensions, reports."""

import numpy as np
import pytest

import mcore
import models
from models.backbones import resnet18
from models.networks import UNet
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
        ({"file": "a.pth", "tkae": "x"}, "'tkae' is none of file, take, into, rename .did you mean 'take'"),
        ({"take": "x"}, "no file is named"),
        ({"file": "a.pth", "rename": "smp"}, "rename='smp' is no table; there are segmentation_models_unet"),
    ],
)
def test_options_that_do_not_fit_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        resnet18(weights=weights)


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
