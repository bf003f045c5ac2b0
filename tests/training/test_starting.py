"""Weights that a training starts from."""

import pytest
import torch

import mcore
from mcore.checkpoint import Repository
from mcore.training.errors import TrainingError
from mcore.training.settings import Start
from mcore.training.starting import begin
from tests.training import tiny


def other():
    torch.manual_seed(7)
    return tiny.Net()


@pytest.fixture
def file(tmp_path):
    mcore.save(other().state_dict(), tmp_path / "other.safetensors")
    return "other.safetensors"


def test_a_file_is_loaded_whole(tmp_path, file):
    net = tiny.net()

    told = begin(net, Start(file=file), tmp_path)

    tiny.same(net.state_dict(), other().state_dict())
    assert told.endswith("entries loaded")


def test_a_part_is_loaded_and_the_rest_stays(tmp_path, file):
    net = tiny.net()

    begin(net, Start(file=file, parts=["encoder"]), tmp_path)

    assert torch.equal(net.encoder[0].weight, other().encoder[0].weight)
    assert torch.equal(net.head.weight, tiny.net().head.weight)


def test_a_file_of_another_network_is_refused_and_nothing_loaded(tmp_path, file):
    net = tiny.net(width=8)
    before = {name: value.clone() for name, value in net.state_dict().items()}

    with pytest.raises(TrainingError, match=r"isn't of this network: encoder\.0\.weight is \(4, 1, 3, 3\), not \(8,"):
        begin(net, Start(file=file), tmp_path)

    tiny.same(net.state_dict(), before)


def test_what_fits_is_loaded_where_strictness_is_waived_and_what_was_left_is_told(tmp_path, file):
    net = tiny.net(width=8)

    told = begin(net, Start(file=file, strict=False), tmp_path)

    assert torch.equal(net.head.bias, other().head.bias)
    assert "left: encoder.0.weight is (4, 1, 3, 3), not (8, 1, 3, 3)" in told


def test_a_part_that_the_file_lacks_is_refused(tmp_path, file):
    with pytest.raises(TrainingError, match="has nothing of neck that the network has"):
        begin(tiny.net(), Start(file=file, parts=["neck"]), tmp_path)


def test_a_checkpoint_is_loaded_from_its_repository(tmp_path):
    repo = Repository(tmp_path / "repo")
    id = repo.save(other(), task="segmentation")
    net = tiny.net()

    begin(net, Start(checkpoint=id, repository="repo"), tmp_path)

    tiny.same(net.state_dict(), other().state_dict())


def test_a_checkpoint_that_a_training_program_of_the_seed_wrote_is_a_file(tmp_path):
    content = {"model_state_dict": other().state_dict(), "config": {}, "epoch": 3, "optimizer_state_dict": {}}
    torch.save(content, tmp_path / "old.pth")
    net = tiny.net()

    begin(net, Start(file="old.pth"), tmp_path)

    tiny.same(net.state_dict(), other().state_dict())
