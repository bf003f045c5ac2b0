"""Labels out of range: told by file, label and classes."""

import pytest
import torch

from mcore.training.errors import DataError
from mcore.training.objectives.ranges import check_targets
from tests.training.objectives.made import Heads, batch, objective


@pytest.fixture
def samples():
    return {key: value for key, value in batch().items() if key != "label"}


def check(losses, samples, channels=3):
    check_targets(torch.zeros(2, channels, 6, 6), samples, objective(losses))


@pytest.mark.parametrize("losses", ["cross_entropy", "dice", "focal", "CrossEntropyLoss", ["l1", "dice"]])
@pytest.mark.parametrize("label", [3, -1])
def test_a_label_out_of_range_names_the_file_and_the_classes(samples, losses, label):
    samples["mask"][1, 2, 4] = label
    told = rf"file-1.png: the label {label} in 'mask' at \(2, 4\) is none of the 3 classes of the head 'output', 0 to 2"
    with pytest.raises(DataError, match=told):
        check(losses, samples)


def test_labels_in_range_are_fine(samples):
    check(["cross_entropy", "dice"], samples)


@pytest.mark.parametrize("losses", [{"type": "dice", "ignore_index": 255}, {"type": "NLLLoss", "ignore_index": 255}])
def test_a_label_that_is_left_out_is_fine_and_another_one_is_not(samples, losses):
    samples["mask"][0, 0, 0] = 255
    check(losses, samples)

    samples["mask"][0, 0, 1] = 254
    with pytest.raises(DataError, match="the label 254"):
        check(losses, samples)


def test_torchs_own_label_that_is_left_out_is_fine(samples):
    samples["mask"][0] = -100

    check("cross_entropy", samples)


def test_a_label_beyond_yes_and_no_is_refused_of_a_single_score(samples):
    samples["mask"][:] = 1
    check("binary_cross_entropy", samples, channels=1)

    samples["mask"][0, 3, 3] = 255
    with pytest.raises(DataError, match=r"the label 255 .* is none of the 2 classes"):
        check("binary_cross_entropy", samples, channels=1)


def test_whole_numbers_that_are_no_labels_may_be_any(samples):
    samples["mask"][:] = 200

    check("l1", samples)


def test_labels_of_a_loss_of_a_part_are_not_held_against_the_outputs_classes(samples):
    samples["mask"][:] = 7
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 9, 1), torch.nn.Conv2d(9, 3, 1))

    check_targets(net(samples["image"]), samples, objective({"type": "cross_entropy", "of": "0"}, net))


def test_the_label_of_a_whole_image_is_told_without_a_place():
    net, samples = Heads(), batch()
    samples["label"][1] = 9
    told = "file-1.png: the label 9 in 'label' is none of the 5 classes of the head 'label', 0 to 4"
    with pytest.raises(DataError, match=told):
        check_targets(net(samples["image"]), samples, objective({"mask": "dice", "label": "cross_entropy"}, net))


def test_samples_without_names_are_told_by_their_number(samples):
    samples["mask"][1, 0, 0] = 7
    del samples["name"]
    with pytest.raises(DataError, match="sample 1: the label 7"):
        check("dice", samples)
