"""The section `train`: what is read, and every mistake with its place."""

import pytest

from mcore.config import ConfigError, read
from mcore.training import settings_of
from tests.training import tiny


def refused(text, words, tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words) as found:
        settings_of(read(file))
    return found.value


def test_a_key_that_nothing_reads_is_refused_with_its_place_and_the_nearest(tmp_path):
    text = "train:\n  epochs: 1\n  batch: 2\n  losses: dice\n  optimizer: AdamW\n"

    refused(text, r"a.yaml:5:.*train.optimizer: nothing reads this key; did you mean 'optimiser'\?", tmp_path)


def test_a_key_within_a_section_is_compared_with_the_keys_of_that_section(tmp_path):
    text = "train:\n  epochs: 1\n  batch: 2\n  losses: dice\n  loader: {num_worker: 2}\n"

    refused(text, "did you mean 'num_workers'", tmp_path)


def test_all_mistakes_are_told_at_once(tmp_path):
    text = "train:\n  epochs: many\n  batch: -2\n  losses: dice\n"

    assert len(refused(text, "2 mistakes", tmp_path).mistakes) == 2


def test_text_is_no_number_even_if_it_looks_like_one(tmp_path):
    refused("train: {epochs: '2', batch: 2, losses: dice}", "train.epochs: input should be a valid integer", tmp_path)


def test_text_is_no_number_where_things_are_made_by_name_either(tmp_path):
    text = "train: {epochs: 1, batch: 2, losses: {type: dice, weight: '2'}}"

    refused(text, r"train.losses.weight: input should be a valid number, got '2'", tmp_path)


def test_a_name_that_no_alias_can_have_is_refused_before_an_epoch_was_trained(tmp_path):
    refused("train: {epochs: 1, batch: 2, losses: dice, name: my run}", "train.name: .*got 'my run'", tmp_path)


@pytest.mark.parametrize("given", ["batch: 2, losses: dice", "epochs: 1, steps: 2, batch: 2, losses: dice"])
def test_one_of_epochs_and_steps_is_needed(tmp_path, given):
    refused(f"train: {{{given}}}", "give one of epochs and steps", tmp_path)


def test_a_batch_that_cannot_be_accumulated_in_equal_parts_is_refused(tmp_path):
    refused(
        "train: {epochs: 1, batch: 8, accumulate: 3, losses: dice}", "batch 8 can't be cut into accumulate=3", tmp_path
    )


def test_without_the_section_the_message_names_it(tmp_path):
    refused("model: LeNet\n", "no section 'train'", tmp_path)


def test_a_start_is_of_a_file_or_of_a_checkpoint(tmp_path):
    text = "train: {epochs: 1, batch: 8, losses: dice, start: {file: a.pt, checkpoint: 01J5ZK3V}}"

    refused(text, "give one of file and checkpoint", tmp_path)


def test_a_bare_loss_and_a_list_of_them_are_of_the_only_output():
    one = tiny.settings(losses="dice").losses
    two = tiny.settings(losses=["dice", {"type": "cross_entropy", "weight": 0.5}]).losses

    assert [loss.type for loss in one["output"]] == ["dice"]
    assert [(loss.type, loss.weight) for loss in two["output"]] == [("dice", 1.0), ("cross_entropy", 0.5)]


def test_losses_by_head_keep_their_own_arguments():
    losses = tiny.settings(losses={"mask": {"type": "dice", "smooth": 2.0}, "label": ["cross_entropy"]}).losses

    assert losses["mask"][0].arguments == {"smooth": 2.0}
    assert list(losses) == ["mask", "label"]
