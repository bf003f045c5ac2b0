"""A tree of other people's weights, family by family, becomes checkpoints; a file that can't be read stops no other."""

import hashlib
import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

import mcore
from mcore import registry
from mcore.checkpoint.errors import NotFound
from mcore.checkpoint.foreign import import_tree, is_weights, name_of
from mcore.checkpoint.repository import Repository
from mcore.exchange.errors import StorageError
from mcore.exchange.files import write_arrays


def net_of(name="resnet10", value=1.0, **arguments):
    net = registry.create(name, kind="backbone", **arguments)
    net.load_state_dict({key: x * 0 + value for key, x in net.state_dict().items()})
    return net


def arrays(net):
    return {key: np.array(value.detach().numpy()) for key, value in net.state_dict().items()}


def publish(path, state):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        np.savez(path, **state)
    else:
        write_arrays(state, path)
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("written") / "pmodels"
    publish(root / "resnet" / "resnet10-5c106cde.safetensors", arrays(net_of(value=2, num_classes=7)))
    publish(root / "resnet" / "resnet18.npz", arrays(net_of("resnet18", 3)))
    (root / "resnet" / "README.md").write_text("what these are")
    return root


@pytest.fixture
def tree(tmp_path, written):
    """`resnet/` with a classifier and a backbone alone."""
    return Path(shutil.copytree(written, tmp_path / "pmodels"))


@pytest.fixture
def broken(tree):
    """Beside it `broken/`, with files that can't be taken."""
    folder = tree / "broken"
    folder.mkdir()
    (folder / "resnet34.pth").write_text("<!DOCTYPE html><title>Sign in</title>")
    (folder / "resnet26.pth").write_bytes(b"")
    half = {key: value for key, value in arrays(net_of()).items() if not key.startswith("layer3")}
    publish(folder / "resnet10.safetensors", half)
    publish(folder / "resnet81.safetensors", {"a": np.zeros(1)})
    publish(folder / "resnet14t.safetensors", {"other": np.zeros(1)})
    (folder / "darknet53.weights").write_bytes(struct.pack("<iiiQ", 0, 2, 5, 1) + bytes(400))
    return tree


@pytest.fixture
def repo(tmp_path):
    return Repository(tmp_path / "repo")


def outcomes(report):
    return {one.source: one.outcome for one in report.files}


def test_each_file_of_a_tree_becomes_a_checkpoint_of_its_network(repo, tree):
    report = import_tree(repo, tree)

    assert outcomes(report) == {"resnet/resnet10-5c106cde.safetensors": "saved", "resnet/resnet18.npz": "saved"}
    assert [repo.record(id).address for id in report.ids] == ["backbones/resnet10", "backbones/resnet18"]
    assert str(report).endswith("2 files: 2 saved, 0 there already, 0 failed")


def test_a_checkpoint_says_where_it_is_from_and_what_its_images_were(repo, tree):
    record = repo.record(import_tree(repo, tree).ids[0])

    part = record.components[0]
    digest = hashlib.sha256((tree / "resnet" / "resnet10-5c106cde.safetensors").read_bytes()).hexdigest()
    assert record.facts == {
        "source": "resnet/resnet10-5c106cde.safetensors",
        "sha256": digest,
        "family": "resnet",
    }
    assert (record.kind, record.tags, [data.name for data in record.dataset]) == (
        "backbone",
        {"imagenet": ""},
        ["imagenet"],
    )
    assert (part.channels, part.mean, part.std) == (("R", "G", "B"), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert (part.num_classes, part.classifier) == (7, ("fc",))


def test_the_weights_are_those_of_the_file_with_the_classifier_where_it_has_one(repo, tree):
    classifier, backbone = (repo.load(id) for id in import_tree(repo, tree).ids)

    assert all((value == 2).all() for value in arrays(classifier).values())
    assert (classifier.num_classes, backbone.num_classes) == (7, None)
    assert all((value == 3).all() for value in arrays(backbone).values())


def test_what_is_imported_is_found_as_imagenets(repo, tree, monkeypatch):
    import_tree(repo, tree)
    monkeypatch.setenv("MCORE_WEIGHTS", repo.store.url)

    net = registry.create("resnet18", kind="backbone", weights="imagenet")

    assert all((value == 3).all() for value in arrays(net).values())


def test_a_second_run_adds_only_what_is_new(repo, tree):
    first = import_tree(repo, tree)
    publish(tree / "vgg" / "resnet10.safetensors", arrays(net_of(value=5)))
    (tree / "copy").mkdir()
    (tree / "copy" / "resnet18.npz").write_bytes((tree / "resnet" / "resnet18.npz").read_bytes())

    second = import_tree(repo, tree)

    assert outcomes(second) == {
        "copy/resnet18.npz": "there already",
        "resnet/resnet10-5c106cde.safetensors": "there already",
        "resnet/resnet18.npz": "there already",
        "vgg/resnet10.safetensors": "saved",
    }
    assert [one.id for one in second.of("there already")] == [first.ids[1], *first.ids]
    assert len(repo.ids()) == 3


def test_a_file_is_taken_once_however_often_it_stands_in_a_tree(repo, tree):
    (tree / "copy").mkdir()
    (tree / "copy" / "resnet18.npz").write_bytes((tree / "resnet" / "resnet18.npz").read_bytes())

    assert len(import_tree(repo, tree).ids) == 2


@pytest.mark.filterwarnings("error")
def test_what_cannot_be_taken_is_told_and_stops_none_of_the_others(repo, broken):
    report = import_tree(repo, broken)

    told = {one.source.removeprefix("broken/"): one.why for one in report.of("failed")}
    assert sorted(told) == [
        "darknet53.weights",
        "resnet10.safetensors",
        "resnet14t.safetensors",
        "resnet26.pth",
        "resnet34.pth",
        "resnet81.safetensors",
    ]
    assert "resnet34.pth is a web page" in told["resnet34.pth"]
    assert "resnet26.pth is empty: it has 0 bytes" in told["resnet26.pth"]
    assert "resnet10.safetensors lacks 15 entries of resnet10: layer3.0.conv1.weight" in told["resnet10.safetensors"]
    assert "no backbone 'resnet81'; the nearest are resnet18" in told["resnet81.safetensors"]
    assert "nothing in" in told["resnet14t.safetensors"]
    assert len(report.ids) == len(repo.ids()) == 2


def test_one_family_is_taken_alone(repo, broken):
    assert {one.source.partition("/")[0] for one in import_tree(repo, broken, family="resnet").files} == {"resnet"}


@pytest.mark.parametrize(("folder", "family"), [("pmodels", "resnt"), ("nowhere", None)])
def test_a_family_or_a_folder_that_is_not_there_is_told(repo, tree, folder, family):
    match = "has no family 'resnt'; it has resnet" if family else "there is no folder .*nowhere"

    with pytest.raises(FileNotFoundError, match=match):
        import_tree(repo, tree.parent / folder, family=family)


def test_names_that_are_not_the_networks_are_told_by_the_caller(repo, tmp_path):
    publish(tmp_path / "tree" / "ours" / "best.safetensors", arrays(net_of(value=4)))

    report = import_tree(repo, tmp_path / "tree", names={"best": "resnet10"})

    assert repo.record(report.ids[0]).address == "backbones/resnet10"


def test_other_data_and_channels_and_tags_are_told_by_the_caller(repo, tree):
    report = import_tree(repo, tree, dataset="em", channels="BGR", tags={"team": "a"})

    record = repo.record(report.ids[0])
    assert (record.tags, record.components[0].channels) == ({"em": "", "team": "a"}, ("B", "G", "R"))


def test_progress_is_told_before_each_file(repo, tree):
    seen = []
    import_tree(repo, tree, progress=lambda *told: seen.append(told))

    assert seen == [("resnet/resnet10-5c106cde.safetensors", 1, 2), ("resnet/resnet18.npz", 2, 2)]


def test_links_and_hidden_files_are_left_alone(repo, tree):
    publish(tree / ".trash" / "resnet10.safetensors", arrays(net_of(value=5)))
    publish(tree / "resnet" / ".resnet10.safetensors", arrays(net_of(value=6)))
    os.symlink(tree / "resnet", tree / "again")

    assert len(import_tree(repo, tree).files) == 2


def test_a_repository_that_cannot_be_written_stops_the_import(repo, tree, monkeypatch):
    def full(*_, **__):
        raise StorageError(28, "no room is left")

    monkeypatch.setattr(repo, "save", full)

    with pytest.raises(StorageError, match="no room is left"):
        import_tree(repo, tree)


def test_a_file_that_changes_while_it_is_read_is_not_taken(repo, tree):
    def build(name, **arguments):
        net = registry.create(name, kind="backbone", **arguments)
        with open(arguments["weights"], "ab") as file:
            file.write(b"more")
        return net

    report = import_tree(repo, tree, names={"resnet18": "resnet10", "resnet10": "resnet10"}, build=build)

    assert report.ids == []
    assert "changed while it was read" in report.files[0].why


def test_a_deleted_checkpoint_is_taken_again(repo, tree):
    for id in import_tree(repo, tree).ids:
        repo.delete(id)

    assert len(import_tree(repo, tree).ids) == 2


@pytest.mark.skipif(mcore.backend() != "torch", reason="torch.save is torch's")
def test_files_of_torch_in_torchvisions_layout_are_taken(repo, tmp_path):
    import torch

    state = {f"module.{key}": torch.from_numpy(x) for key, x in arrays(net_of(value=2, num_classes=3)).items()}
    (tmp_path / "tree" / "resnet").mkdir(parents=True)
    torch.save({"state_dict": state, "epoch": 90}, tmp_path / "tree" / "resnet" / "resnet10.pth.tar")

    report = import_tree(repo, tmp_path / "tree")

    assert repo.record(report.ids[0]).components[0].num_classes == 3


def test_another_librarys_names_are_read_by_its_table(repo, tmp_path):
    from models.utils.renames.torchvision import TABLES

    theirs = {ours: name for name, ours in TABLES["torchvision_mobilenet_v2"].items()}
    state = {}
    for key, value in arrays(net_of("mobilenetv2_100", 2, num_classes=4)).items():
        front = max((front for front in theirs if key.startswith(front)), key=len)
        state[theirs[front] + key.removeprefix(front)] = value
    publish(tmp_path / "tree" / "mobilenetv2" / "mobilenet_v2.safetensors", state)

    report = import_tree(repo, tmp_path / "tree", names={"mobilenet_v2": "mobilenetv2_100"})

    assert [one.why for one in report.files] == ["4 classes"]
    assert (repo.load(report.ids[0]).blocks[0][0].conv_dw.weight == 2).all()


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("resnet/resnet50-0676ba61.pth", "resnet50"),
        ("vgg16_bn.PTH", "vgg16_bn"),
        ("resnet50_a1_0-14fe96d1.pth", "resnet50_a1_0"),
        ("senet154-e9eb9fe6.pth.tar", "senet154"),
        ("darknet53.conv.74", "darknet53"),
        ("cspdarknet53.weights", "cspdarknet53"),
        ("convnext_tiny", "convnext_tiny"),
    ],
)
def test_the_name_of_a_network_is_read_out_of_a_files(file, name):
    assert name_of(file) == name


@pytest.mark.parametrize(
    ("file", "weights"), [("a.pth", True), ("a.conv.15", True), ("a.md", False), ("a.json", False)]
)
def test_files_are_looked_at_by_their_ending(file, weights):
    assert is_weights(file) is weights


def test_a_checkpoint_that_is_not_there_stays_an_error_of_its_own(repo):
    with pytest.raises(NotFound, match="resnet10"):
        repo.record("backbones/resnet10")
