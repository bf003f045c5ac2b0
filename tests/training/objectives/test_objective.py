"""The sum of all losses: which output and which target each has, and what is refused."""

import sys
import types

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mcore.config import ConfigError
from mcore.training.errors import DataError, TrainingError
from tests.training.objectives.made import Heads, batch, objective

HEADS = {"mask": ["cross_entropy", {"type": "dice", "weight": 0.5}], "label": {"type": "cross_entropy", "weight": 2}}


@pytest.fixture
def net():
    return Heads()


@pytest.fixture
def samples():
    return batch()


# --- sums, names, targets


def test_losses_of_several_heads_are_summed_by_their_weights(net, samples):
    total, parts = objective(HEADS, net)(net(samples["image"]), samples)

    weighted = parts["mask.cross_entropy"] + 0.5 * parts["mask.dice"] + 2 * parts["label.cross_entropy"]
    torch.testing.assert_close(total, weighted)
    assert parts["label.cross_entropy"] == F.cross_entropy(net(samples["image"])["label"], samples["label"])


def test_parts_have_no_gradient_and_the_sum_has(net, samples):
    total, parts = objective(HEADS, net)(net(samples["image"]), samples)

    assert total.requires_grad
    assert not any(part.requires_grad for part in parts.values())


def test_a_loss_of_the_only_output_is_called_by_its_name_alone():
    _, parts = objective(["l1", {"type": "SmoothL1Loss", "name": "smooth"}])(
        torch.zeros(2, 1), {"image": torch.ones(2, 1)}
    )

    assert list(parts) == ["l1", "smooth"]


def test_the_target_of_an_autoencoder_is_its_image():
    whole = objective("l1")
    samples = {"image": torch.ones(2, 1, 4, 4), "name": ["a", "b"]}

    total, _ = whole(torch.zeros(2, 1, 4, 4), samples)

    assert total == 1
    assert whole.target_of("output") == "image"


def test_the_target_of_a_head_is_the_one_of_its_name(net, samples):
    assert objective(HEADS, net).target_of("label", samples) == "label"


def test_the_target_of_the_only_output_is_the_only_target():
    samples = {"image": torch.ones(2), "depth": torch.zeros(2), "name": ["a", "b"]}

    assert objective("l1").target_of("output", samples) == "depth"


def test_a_named_target_comes_first(samples):
    whole = objective({"type": "l1", "target": "image"})

    assert whole.target_of("output", samples) == "image"
    assert whole(samples["image"], samples)[0] == 0


def test_several_targets_of_which_none_is_named_are_refused(samples):
    with pytest.raises(DataError, match="several targets, mask, label; name the one that is meant"):
        objective("l1")(samples["image"], samples)


def test_a_target_that_samples_do_not_have_is_refused_with_the_nearest(samples):
    with pytest.raises(DataError, match=r"samples have no 'maks' \(did you mean 'mask'\?\); they have image, mask"):
        objective({"type": "l1", "target": "maks"})(samples["image"], samples)


def test_only_the_first_samples_count_where_a_number_is_given(net, samples):
    samples = batch(4)
    whole = objective(HEADS, net)
    head = {key: value[:3] for key, value in samples.items()}

    got, _ = whole(net(samples["image"]), samples, count=3)

    torch.testing.assert_close(got, whole(net(head["image"]), head)[0])


def test_the_loss_of_a_half_precise_output_is_computed_in_float32():
    seen = []
    whole = objective("l2")
    whole.terms[0].criterion.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total, _ = whole(torch.ones(2, 2).bfloat16() * 300, {"image": torch.zeros(2, 2)})

    assert total == 90_000
    assert seen == [torch.float32]


def test_what_a_loss_multiplies_is_not_made_half_precise(monkeypatch):
    seen = []
    module = types.ModuleType("own_losses")
    module.product = lambda output, target: seen.append(output @ target) or seen[-1].mean()
    monkeypatch.setitem(sys.modules, "own_losses", module)
    whole = objective("own_losses:product")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        whole(torch.ones(2, 2), {"image": torch.ones(2, 2)})

    assert seen[0].dtype == torch.float32


def test_a_mask_that_was_read_with_its_channel_fits(net, samples):
    whole = objective("cross_entropy")
    scores = torch.randn(2, 3, 6, 6)
    channel = {"image": samples["image"], "mask": samples["mask"].unsqueeze(1)}

    assert whole(scores, channel)[0] == F.cross_entropy(scores, samples["mask"])


def test_a_mask_without_its_channel_fits_a_single_score(samples):
    scores, mask = torch.randn(2, 1, 6, 6), samples["mask"] > 0

    got, _ = objective("binary_cross_entropy")(scores, {"image": samples["image"], "mask": mask})

    assert got == F.binary_cross_entropy_with_logits(scores, mask.unsqueeze(1).float())


def test_the_networks_of_losses_are_not_trained(net):
    assert list(objective(HEADS, net).parameters()) == []


# --- sizes and kinds


def test_an_output_of_another_size_than_its_target_is_never_resized(samples):
    wanted = r"output is \(2, 3, 3, 3\), the target \(2, 6, 6\); \(2, 3, 3\) fits. Nothing is resized"
    with pytest.raises(DataError, match=rf"loss cross_entropy, target 'mask': the {wanted}"):
        objective({"type": "cross_entropy", "target": "mask"})(torch.randn(2, 3, 3, 3), samples)


def test_an_output_of_other_channels_than_its_target_is_refused(samples):
    with pytest.raises(DataError, match="Give the head as many channels as the target has, or name another target"):
        objective({"type": "l1", "target": "image"})(torch.randn(2, 3, 6, 6), samples)


def test_another_number_of_samples_is_refused(samples):
    with pytest.raises(DataError, match="They hold different numbers of samples"):
        objective({"type": "l1", "target": "image"})(torch.randn(3, 1, 6, 6), samples)


def test_labels_that_are_no_whole_numbers_are_refused(samples):
    samples = {"image": samples["image"], "mask": samples["mask"].float()}
    with pytest.raises(DataError, match=r"labels are whole numbers, but the target is torch.float32"):
        objective("cross_entropy")(torch.randn(2, 3, 6, 6), samples)


def test_a_network_that_gives_several_maps_is_refused():
    with pytest.raises(TrainingError, match="Identity gives a tuple of 2; losses are of one tensor, or of a dict"):
        objective("l1")((torch.zeros(2), torch.zeros(2)), {"image": torch.zeros(2)})


def test_a_loss_that_is_not_one_number_is_refused():
    with pytest.raises(TrainingError, match=r"loss l1_loss gives a tensor \(2,\), not one number.*reduction: mean"):
        objective({"type": "L1Loss", "reduction": "none"})(torch.zeros(2), {"image": torch.zeros(2)})


def test_what_a_library_refuses_is_told_with_the_loss_and_the_shapes(samples):
    pytest.importorskip("monai")
    with pytest.raises(TrainingError, match=r"loss dice_loss: .*; it was given \(2, 3, 6, 6\) torch.float32 and"):
        objective({"type": "monai.DiceLoss", "target": "mask"})(torch.randn(2, 3, 6, 6), samples)


def test_memory_that_runs_out_in_a_loss_is_told_as_that(monkeypatch):
    def greedy(output, target):
        raise torch.OutOfMemoryError("too large")

    module = types.ModuleType("own_losses")
    module.greedy = greedy
    monkeypatch.setitem(sys.modules, "own_losses", module)
    with pytest.raises(torch.OutOfMemoryError, match=r"^too large$"):
        objective("own_losses:greedy")(torch.zeros(2), {"image": torch.zeros(2)})


# --- heads


def test_a_loss_of_a_head_that_does_not_exist_is_refused_before_anything_runs(net):
    with pytest.raises(ConfigError, match=r"losses of 'maks' \(did you mean 'mask'\?\).*heads are mask, label"):
        objective({"maks": "dice", "label": "cross_entropy"}, net)


def test_a_head_that_no_loss_reads_is_refused_before_anything_runs(net):
    with pytest.raises(ConfigError, match="no loss reads the network's head 'label'; give it one"):
        objective({"mask": "dice"}, net)


def test_heads_that_show_only_in_outputs_are_checked_there(samples):
    outputs = {"mask": torch.randn(2, 3, 6, 6), "other": torch.randn(2)}
    with pytest.raises(TrainingError, match="no loss reads the network's head 'other'"):
        objective({"mask": "dice"})(outputs, samples)


def test_losses_by_head_of_a_network_with_one_output_are_refused(samples):
    with pytest.raises(
        TrainingError, match="heads are output; losses of a network with one output stand under 'output'"
    ):
        objective({"mask": "dice"})(torch.randn(2, 3, 6, 6), samples)


def test_a_head_that_only_helps_training_may_be_missing_in_validation(samples):
    net = nn.Identity()
    whole = objective({"mask": "cross_entropy", "auxiliary": {"type": "cross_entropy", "target": "mask"}}, net)
    scores = torch.randn(2, 3, 6, 6)

    net.eval()

    assert list(whole({"mask": scores}, samples)[1]) == ["mask.cross_entropy"]
    assert whole(scores, samples)[0] == F.cross_entropy(scores, samples["mask"])


# --- mistakes of a configuration


def test_all_mistakes_are_told_at_once_with_their_places(net):
    losses = {"mask": ["dise", {"type": "dice", "smoth": 1}], "label": [{"type": "l1", "of": "encodr"}]}
    with pytest.raises(ConfigError) as refused:
        objective(losses, net)

    places = [mistake.path[1:] for mistake in refused.value.mistakes]
    assert places == [("losses", "mask", 0), ("losses", "mask", 1), ("losses", "label", 0, "of")]


def test_two_losses_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="two losses are called 'dice': give one another name"):
        objective(["dice", "dice"])


def test_no_loss_at_all_is_refused():
    with pytest.raises(ConfigError, match="there is none; a network is trained by one at least"):
        objective([])


def test_a_loss_with_parameters_to_train_is_refused(monkeypatch):
    module = types.ModuleType("own_losses")
    module.Learned = type("Learned", (nn.Linear,), {"__init__": lambda self: nn.Linear.__init__(self, 1, 1)})
    monkeypatch.setitem(sys.modules, "own_losses", module)
    with pytest.raises(ConfigError, match="has parameters of its own, which nothing would train"):
        objective("own_losses:Learned")
