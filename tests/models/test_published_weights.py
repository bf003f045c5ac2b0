"""Weights by name: ImageNet's out of the places in MCORE_WEIGHTS, checkpoints out of repositories."""

import os
import struct
import warnings

import numpy as np
import pytest

import mcore
import models
from mcore.checkpoint.errors import CorruptCheckpoint
from mcore.checkpoint.repository import Repository
from mcore.config import ConfigError
from mcore.exchange.files import write_arrays
from models.networks import Darknet, LeNet, UNet
from models.utils.published import places_of
from models.utils.weights import check_weights

# The smallest backbone of the zoo that is one of the published families.
NAME = "resnet10"


def made(value=None, name=NAME, **arguments):
    """A network, all of whose weights have one value."""
    net = models.create(name, **arguments)
    if value is not None:
        net.load_state_dict({key: x * 0 + value for key, x in net.state_dict().items()})
    return net


def first(net):
    return np.array(net.conv1.weight.detach().numpy())


def file_of(net, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    mcore.save(net.state_dict(), path)
    return path


@pytest.fixture
def places(monkeypatch):
    """Sets MCORE_WEIGHTS."""

    def set_(*folders):
        monkeypatch.setenv("MCORE_WEIGHTS", os.pathsep.join(map(str, folders)))

    monkeypatch.delenv("MCORE_WEIGHTS", raising=False)
    return set_


@pytest.fixture
def repo(tmp_path, places):
    places(tmp_path / "repo")
    return Repository(tmp_path / "repo")


def save(repo, value, name=NAME, **told):
    net = made(value, name, num_classes=told.pop("classes", 5), **told.pop("made", {}))
    return repo.save(net, **{"dataset": "imagenet", "channels": "RGB", **told})


# --- plain folders


@pytest.mark.parametrize(
    "path",
    [f"resnet/{NAME}.safetensors", f"resnet/{NAME}-5c106cde.safetensors", f"{NAME}.safetensors"],
)
def test_a_tree_by_family_and_name_is_looked_through(tmp_path, places, path):
    file = file_of(made(2), tmp_path / path)
    places(tmp_path)

    net = made(weights="imagenet")

    assert (first(net) == 2).all()
    assert net.weights_report.file == str(file)


@pytest.mark.parametrize(
    ("theirs", "ours"), [("mobilenet_v2", "mobilenetv2_100"), ("efficientnet-b0-355c32eb", "efficientnet_b0")]
)
def test_a_network_is_found_under_its_publishers_name(tmp_path, places, theirs, ours):
    net = made(2, ours)
    file_of(net, tmp_path / "family" / f"{theirs}.safetensors")
    places(tmp_path)

    assert made(name=ours, weights="imagenet").weights_report.missing == []


def test_the_first_place_that_has_it_counts(tmp_path, places):
    file_of(made(2), tmp_path / "b" / "resnet" / f"{NAME}.safetensors")
    file_of(made(3), tmp_path / "c" / "resnet" / f"{NAME}.safetensors")
    (tmp_path / "a").mkdir()
    places(tmp_path / "none", tmp_path / "a", tmp_path / "b", tmp_path / "c")

    assert (first(made(weights="imagenet")) == 2).all()


def test_of_several_files_one_is_taken_with_a_warning(tmp_path, places):
    file_of(made(2), tmp_path / "resnet" / f"{NAME}.safetensors")
    file_of(made(3), tmp_path / "zoo" / f"{NAME}.safetensors")
    places(tmp_path)

    with pytest.warns(UserWarning, match=rf"several of {NAME}: resnet/{NAME}\.safetensors, zoo/{NAME}\.safetensors"):
        net = made(weights="imagenet")

    assert (first(net) == 2).all()


def test_what_is_nowhere_is_told_with_every_place_and_the_nearest(tmp_path, places):
    file_of(made(2), tmp_path / "tree" / "resnet" / "resnet18.safetensors")
    (tmp_path / "empty").mkdir()
    save(Repository(tmp_path / "repo"), 2, "resnet18")
    places(tmp_path / "none", tmp_path / "empty", tmp_path / "tree", tmp_path / "repo")

    with pytest.raises(FileNotFoundError) as caught:
        made(weights="imagenet")

    told = str(caught.value)
    assert told.startswith(f"weights: imagenet for {NAME} is in none of the 4 places of MCORE_WEIGHTS: ")
    assert f"{tmp_path}/none: there is no such folder" in told
    assert f"{tmp_path}/empty: no {NAME} with an ending of .safetensors" in told
    assert "the nearest are resnet/resnet18.safetensors" in told
    assert f"{tmp_path}/repo: there is no 'backbones/{NAME}'; the nearest there are backbones/resnet18" in told


@pytest.mark.usefixtures("places")
def test_without_places_the_variable_is_told():
    with pytest.raises(FileNotFoundError, match=rf"MCORE_WEIGHTS isn't set.*FAMILY/{NAME}\.pth"):
        made(weights="imagenet")


def test_a_plain_folder_has_no_versions(tmp_path, places):
    file_of(made(2), tmp_path / f"{NAME}.safetensors")
    places(tmp_path)

    with pytest.raises(FileNotFoundError, match=rf"imagenet@2 for {NAME} .*a plain folder, which has no '2'"):
        made(weights="imagenet@2")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/a:s3://b/c:./d", ["/a", "s3://b/c", "./d"]),
        ("s3://b", ["s3://b"]),
        ("memory://x:/a", ["memory://x", "/a"]),
        (":/a::", ["/a"]),
        ("", []),
    ],
)
def test_places_are_separated_as_paths_are_and_urls_stay_whole(text, found):
    assert places_of(text, ":") == found


# --- repositories


def test_the_newest_checkpoint_of_imagenet_is_taken(repo):
    save(repo, 2)
    wanted = save(repo, 3, tags=["imagenet"], dataset="ours")
    save(repo, 4, dataset="em")
    repo.delete(save(repo, 5))

    net = made(weights="imagenet")

    assert (first(net) == 3).all()
    assert net.weights_report.file == f"{repo.store.url}#{wanted} (backbones/{NAME}@2)"


@pytest.mark.parametrize(("weights", "value"), [("imagenet@1", 2), ("imagenet@best", 2), ("imagenet@latest", 3)])
def test_a_version_and_an_alias_are_named_behind_it(repo, weights, value):
    repo.alias(save(repo, 2), "best")
    save(repo, 3)

    assert (first(made(weights=weights)) == value).all()


def test_a_version_that_is_not_there_is_told(repo):
    save(repo, 2)

    with pytest.raises(FileNotFoundError, match=rf"backbones/{NAME} has no '7'; it has versions 1"):
        made(weights="imagenet@7")


def test_checkpoints_of_other_data_are_not_taken_for_imagenets(repo):
    save(repo, 2, dataset="em")

    with pytest.raises(FileNotFoundError, match="neither the tag 'imagenet' nor the data set 'imagenet'"):
        made(weights="imagenet")


def test_a_classifier_of_other_classes_keeps_its_own_weights(repo):
    save(repo, 2, classes=5)

    net = made(num_classes=3, weights="imagenet")

    assert net.weights_report.skipped == ["fc.weight", "fc.bias"]
    assert made(num_classes=5, weights="imagenet").weights_report.skipped == []


@pytest.mark.parametrize(
    "weights",
    [
        lambda url, ref: f"checkpoint:{url}#{ref}",
        lambda url, ref: {"repository": url, "checkpoint": ref},
        lambda url, _: {"file": f"checkpoint:{url}#backbones/{NAME}@1"},
        lambda url, _: {"repository": url, "checkpoint": f"backbones/{NAME}", "shapes": "skip"},
    ],
)
def test_a_checkpoint_is_named_with_its_repository(repo, weights):
    id = save(repo, 2)

    assert (first(made(weights=weights(repo.store.url, id))) == 2).all()


def test_a_part_of_a_checkpoint_is_taken(repo):
    whole = models.assemble(made(2), head=models.heads.Classification(3))
    id = repo.save(whole, task="classification")
    weights = {"repository": repo.store.url, "checkpoint": id, "take": "backbone.*"}

    assert (first(made(weights=weights)) == 2).all()
    assert (first(made(weights=f"checkpoint:{repo.store.url}#{id}")) == 2).all()


def test_a_whole_network_takes_its_checkpoint(repo):
    id = repo.save(made(2, "LeNet"), task="classification")

    net = LeNet(weights=f"checkpoint:{repo.store.url}#{id}")

    assert net.weights_report.missing == []


class Tied(mcore.Module):
    """One tensor under two names."""

    def __init__(self):
        super().__init__()
        self.a, self.b = mcore.Linear(2, 2), mcore.Linear(2, 2)
        self.b.weight = self.a.weight


def test_a_tensor_of_two_names_is_under_both(repo):
    id = repo.save(Tied(), task="any")

    report = models.load_weights(Tied(), f"checkpoint:{repo.store.url}#{id}")

    assert sorted(report.matched) == ["a.bias", "a.weight", "b.bias", "b.weight"]


@pytest.mark.parametrize(
    ("ref", "match"),
    [("backbones/resnet99", "there is no 'backbones/resnet99'"), ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "no checkpoint")],
)
def test_a_checkpoint_that_is_not_there_is_told(repo, ref, match):
    save(repo, 2)

    with pytest.raises(FileNotFoundError, match=match):
        made(weights={"repository": repo.store.url, "checkpoint": ref})


def test_a_repository_that_is_not_there_is_told_and_not_made(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        made(weights=f"checkpoint:{tmp_path / 'none'}#backbones/{NAME}")

    assert not (tmp_path / "none").exists()


def test_a_flipped_bit_of_a_checkpoint_is_noticed(repo, tmp_path):
    save(repo, 2)
    blob = next(file for file in (tmp_path / "repo" / "blobs").rglob("*") if file.is_file())
    content = bytearray(blob.read_bytes())
    content[-5] ^= 4
    blob.chmod(0o644)
    blob.write_bytes(content)

    with pytest.raises(CorruptCheckpoint, match=blob.name):
        made(weights="imagenet")


# --- channels by their meaning


def by_channel(net, values):
    state = dict(net.state_dict())
    weight = np.zeros(tuple(map(int, state["conv1.weight"].shape)), np.float32)
    for index, value in enumerate(values):
        weight[:, index] = value
    net.load_state_dict({**state, "conv1.weight": mcore.from_numpy(weight)})
    return net


@pytest.mark.parametrize(
    ("theirs", "values", "ours", "expected"),
    [
        ("BGR", (3, 2, 1), "RGB", (1, 2, 3)),
        ("RGB", (1, 2, 3), "BGR", (3, 2, 1)),
        ("BGR", (3, 2, 1), ["R", "zero"], (1, 0)),
        ("RGB+mask", (1, 2, 3, 9), "RGB", (1, 2, 3)),
        ("IRGB", (9, 1, 2, 3), ["mean"], (2,)),
    ],
)
def test_channels_are_read_by_what_the_checkpoint_says_that_they_were(repo, theirs, values, ours, expected):
    repo.save(by_channel(made(in_channels=len(values)), values), dataset="imagenet", channels=theirs)

    net = made(in_channels=len(ours), weights={"file": "imagenet", "channels": ours})

    np.testing.assert_allclose(first(net)[0, :, 0, 0], expected, rtol=1e-6)


def test_other_channels_than_colours_are_reported_where_nobody_says_what_ours_are(repo):
    repo.save(by_channel(made(), (3, 2, 1)), dataset="imagenet", channels="BGR")

    net = made(weights="imagenet")

    np.testing.assert_array_equal(first(net)[0, :, 0, 0], (3, 2, 1))
    assert "trained on channels B, G, R" in str(net.weights_report)


def test_one_channel_sees_the_sum_of_three(repo):
    repo.save(by_channel(made(), (1, 2, 3)), dataset="imagenet", channels="RGB")

    np.testing.assert_allclose(first(made(in_channels=1, weights="imagenet"))[0, :, 0, 0], [6])


# --- in configurations, and what is refused before anything is read


def test_a_configuration_names_published_weights(repo):
    save(repo, 2)
    spec = {"type": NAME, "weights": "imagenet"}

    net = models.from_config({"model": {"backbone": spec, "head": {"type": "Classification", "num_classes": 2}}})

    assert (first(net.backbone) == 2).all()
    assert net.config()["model"]["backbone"] == {"type": NAME}


def test_a_network_with_a_backbone_takes_them_into_it(repo):
    save(repo, 2)

    net = models.create("DeepLabV3", backbone=NAME, num_classes=2, weights="imagenet")

    assert (first(net.backbone) == 2).all()


def test_a_configuration_tells_where_published_weights_were_looked_for(tmp_path, places):
    (tmp_path / "empty").mkdir()
    places(tmp_path / "empty")
    model = {"backbone": {"type": NAME, "weights": "imagenet"}, "head": {"type": "Classification", "num_classes": 2}}

    with pytest.raises(ConfigError, match=rf"imagenet for {NAME} is in none of the 1 places.*empty"):
        models.from_config({"model": model})


def test_a_network_without_a_backbone_is_told_so():
    with pytest.raises(ValueError, match="looked for by a backbone's name, and UNet is none, nor has one"):
        UNet(1, 2, channels=(2, 4), weights="imagenet")


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        ("imagnet", r"'imagnet' names neither published weights, .* \(did you mean 'imagenet'\?\), nor a file"),
        ("pretrained", "'pretrained' names neither published weights, as 'imagenet' .*, nor a file: there is none"),
        ("imagenet@", "'imagenet@' names neither"),
        ("checkpoint:/a/b", "write checkpoint:REPOSITORY#CHECKPOINT"),
        ("checkpoint:#01J", "write checkpoint:REPOSITORY#CHECKPOINT"),
        ({"repository": "a"}, "'checkpoint' is missing"),
        ({"checkpoint": "a"}, "'repository' is missing"),
        ({"repository": "a", "checkpoint": 3}, "checkpoint=3 is not an id or an address"),
        ({"repository": 3, "checkpoint": "a"}, "repository=3 is not a folder or a URL"),
        ({"repository": "a", "checkpoint": "b", "file": "c"}, "'file' and 'repository' came, of which one is read"),
    ],
)
def test_names_that_mean_nothing_are_refused_before_anything_is_read(weights, match):
    with pytest.raises(ValueError, match=match):
        check_weights(weights)


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize("weights", ["imagenet", "imagenet@3", "checkpoint:s3://none/x#01J", "none.pth", "a/b"])
def test_names_are_checked_without_looking_for_them(weights):
    assert check_weights(weights) == {"file": weights}


def test_a_file_without_an_ending_is_a_file(tmp_path, monkeypatch):
    file_of(made(2), tmp_path / "mine")
    monkeypatch.chdir(tmp_path)

    assert (first(made(weights="mine")) == 2).all()


# --- files of other kinds


def test_arrays_of_numpy_are_taken(tmp_path):
    net = made(2)
    np.savez(tmp_path / "a.npz", **{key: value.detach().numpy() for key, value in net.state_dict().items()})

    assert (first(made(weights=tmp_path / "a.npz")) == 2).all()


@pytest.mark.parametrize("name", ["a.onnx", "a.pth"])
def test_initializers_of_onnx_are_taken(tmp_path, name):
    made(2, "LeNet").toplatform(tmp_path / "artifact", sizes=[(1, 1, 32, 32)])
    (tmp_path / name).write_bytes((tmp_path / "artifact" / "model.onnx").read_bytes())

    assert (first(LeNet(weights=tmp_path / name)) == 2).all()


def test_darknets_numbers_are_taken_whatever_the_file_is_called(tmp_path):
    cfg = "[net]\nheight=8\nwidth=8\nchannels=1\n[convolutional]\nfilters=2\nsize=1\nactivation=linear\n"
    (tmp_path / "net.cfg").write_text(cfg)
    (tmp_path / "net.bin").write_bytes(struct.pack("<iiiQ4f", 0, 2, 5, 0, 1, 2, 3, 4))

    net = Darknet(tmp_path / "net.cfg", weights=tmp_path / "net.bin")

    assert sorted(x for value in net.state_dict().values() for x in value.flatten().tolist()) == [1, 2, 3, 4]


def test_safetensors_named_as_darknets_are_safetensors(tmp_path):
    file_of(made(2), tmp_path / "net.weights")

    assert (first(made(weights=tmp_path / "net.weights")) == 2).all()


def test_a_page_saved_by_mistake_is_told(tmp_path):
    (tmp_path / "a.pth").write_text("<!DOCTYPE html><title>Sign in</title>")

    with pytest.raises(ValueError, match=r"ResNet: weights: .*a\.pth is a web page: a page was saved in"):
        made(weights=tmp_path / "a.pth")


def test_weights_of_two_bytes_are_taken(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    state = {key: value.detach().numpy() for key, value in made(2).state_dict().items()}
    arrays = {key: x.astype(ml_dtypes.bfloat16) if x.dtype == np.float32 else x for key, x in state.items()}
    write_arrays(arrays, tmp_path / "a.safetensors")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (first(made(weights=tmp_path / "a.safetensors")) == 2).all()
