"""The loop: what a training leaves, and that nothing but the seed decides what it ends with."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

import mcore
from mcore.checkpoint import Repository
from mcore.training import NotFiniteError, StateError, TrainingError, train
from tests.isolation import hear_interrupts
from tests.training import tiny


def run(out, *, count=24, validation=8, net=None, data=None, fresh=False, **settings):
    return train(
        tiny.config(**settings),
        out=out,
        net=net or tiny.net(),
        data=data or tiny.data(count, validation),
        fresh=fresh,
        progress="quiet",
    )


def events(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


# --- what a training is and leaves


def test_the_loss_falls_and_the_best_is_found_in_the_repository(tmp_path):
    result = run(tmp_path, epochs=6, metrics={"type": "iou", "name": "iou"})

    losses = [one["metrics"]["loss"] for one in result.history]
    assert losses[-1] < 0.7 * losses[0]
    best = Repository(tmp_path / "checkpoints").record(result.best)
    assert min(losses) == pytest.approx(next(m.value for m in best.metrics if m.name == "loss"))


def test_the_end_result_lies_in_the_folder_and_is_the_network_that_comes_back(tmp_path):
    result = run(tmp_path)

    tiny.same(mcore.load(tmp_path / "weights.safetensors"), result.net.state_dict())
    assert not result.net.training


def test_the_log_begins_with_where_and_ends_with_why(tmp_path):
    run(tmp_path, log={"every": 1})

    told = events(tmp_path)
    assert told[0]["event"] == "start"
    assert told[0]["device"] == "cpu"
    assert (told[-1]["event"], told[-1]["reason"]) == ("end", "done")
    assert [one["step"] for one in told if one["event"] == "step"] == [1, 2, 3, 4, 5, 6]


def test_two_runs_of_one_seed_are_the_same_and_of_another_seed_differ(tmp_path):
    one, two, other = (run(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))

    tiny.same(one.net.state_dict(), two.net.state_dict())
    assert not torch.equal(one.net.head.weight, other.net.head.weight)


def test_workers_change_nothing(tmp_path):
    alone = run(tmp_path / "a")
    helped = run(tmp_path / "b", loader={"num_workers": 2, "prefetch_factor": 2})

    tiny.same(alone.net.state_dict(), helped.net.state_dict())


def test_random_numbers_of_the_caller_are_left_alone(tmp_path):
    net = tiny.net()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)

    run(tmp_path, net=net)

    assert torch.rand(1) == expected


def test_an_accumulated_step_is_the_step_of_the_whole_batch_where_no_norm_sees_its_size(tmp_path):
    results = []
    for accumulate in (1, 4):
        net = tiny.net()
        net.encoder[1], net.encoder[3] = mcore.Identity(), mcore.Identity()
        results.append(
            run(tmp_path / str(accumulate), net=net, accumulate=accumulate, optimiser={"type": "SGD", "lr": 0.1})
        )

    one, other = (result.net.state_dict() for result in results)
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "fp16"])
def test_a_clipped_step_moves_weights_by_the_rate_times_the_norm(tmp_path, precision):
    before = {name: value.clone() for name, value in tiny.net().named_parameters()}

    result = run(tmp_path, steps=1, clip=1e-3, precision=precision, optimiser={"type": "SGD", "lr": 1.0})

    moved = torch.cat([(value - before[name]).flatten() for name, value in result.net.named_parameters()]).norm()
    assert moved.item() == pytest.approx(1e-3, rel=0.02)
    assert events(tmp_path)[1]["grad_norm"] > 1e-3


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_trains(tmp_path, precision):
    losses = [one["metrics"]["loss"] for one in run(tmp_path, epochs=4, precision=precision).history]

    assert losses[-1] < losses[0]


def test_channels_last_gives_the_same_network(tmp_path):
    nets = [tiny.net(), tiny.net()]
    for net in nets:
        net.encoder[3] = mcore.Identity()  # dropout draws in the order in which numbers lie
    # Not Adam: a bias before a norm has no gradient, and Adam makes a step of what rounding leaves of it.
    given = {"optimiser": {"type": "SGD", "lr": 0.1}}
    one = run(tmp_path / "a", net=nets[0], **given)
    two = run(tmp_path / "b", net=nets[1], channels_last=True, **given)

    for name, value in one.net.state_dict().items():
        torch.testing.assert_close(value, two.net.state_dict()[name], rtol=1e-3, atol=1e-3)


def test_recomputed_stages_give_the_same_network_in_every_bit(tmp_path):
    one, two = run(tmp_path / "a"), run(tmp_path / "b", recompute=["encoder", "decoder"])

    tiny.same(one.net.state_dict(), two.net.state_dict())


def test_the_average_is_what_is_judged_kept_and_given(tmp_path):
    result = run(tmp_path, epochs=3, ema={"decay": 0.9})

    repo = Repository(tmp_path / "checkpoints")
    last = repo.record(repo.ids()[-1])
    saved = {name: value for part in last.components for name, value in repo.arrays(part).items()}
    assert (saved["head.weight"] == result.net.head.weight.detach().numpy()).all()
    tiny.same(mcore.load(tmp_path / "weights.safetensors"), result.net.state_dict())


def test_training_stops_where_nothing_becomes_better(tmp_path):
    result = run(tmp_path, epochs=20, early_stopping={"patience": 2, "min_delta": 10.0})

    assert result.reason == "early stopping"
    assert len(result.history) == 3


def test_a_frozen_part_joins_in_its_epoch(tmp_path):
    first = tiny.net().encoder[0].weight.clone()

    still = run(tmp_path / "a", epochs=2, parts={"encoder": {"frozen": 2}})
    moved = run(tmp_path / "b", epochs=3, parts={"encoder": {"frozen": 2}})

    assert torch.equal(still.net.encoder[0].weight, first)
    assert not torch.equal(moved.net.encoder[0].weight, first)


def test_a_training_by_steps_may_end_within_an_epoch(tmp_path):
    result = run(tmp_path, steps=5)

    assert events(tmp_path)[-1]["step"] == 5
    assert result.history[-1]["step"] == 5


# --- going on

KILLED = """
import sys
from tests.training import tiny
from mcore.training import train
given = tiny.config(
    epochs=40, snapshot_every=2, ema={{"decay": 0.9}}, clip=1.0, schedule={{"type": "cosine", "warmup": 3}}
)
train(given, out={out!r}, net=tiny.net(), data=tiny.data(), progress="quiet")
"""


def start(out):
    return subprocess.Popen(
        [sys.executable, "-c", KILLED.format(out=str(out))],
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": "."},
        preexec_fn=hear_interrupts,
    )


def steps_of(out):
    try:
        return sum('"event": "step"' in line for line in (out / "log.jsonl").read_text().splitlines())
    except FileNotFoundError:
        return 0


@pytest.mark.timeout(600)
def test_a_run_that_was_killed_again_and_again_ends_with_the_weights_of_an_unbroken_one(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    start(whole).wait()

    kills = 0
    for enough in (2, 5, 9):
        process = start(broken)
        while process.poll() is None and steps_of(broken) < enough:
            time.sleep(0.01)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    last = start(broken)
    last.wait()

    assert kills == 3
    tiny.same(mcore.load(broken / "weights.safetensors"), mcore.load(whole / "weights.safetensors"))
    told = [[(e["step"], e["loss"]) for e in events(out) if e["event"] == "step"] for out in (whole, broken)]
    assert told[0] == told[1]


@pytest.mark.timeout(600)
def test_ctrl_c_saves_the_step_and_ends_as_it_would(tmp_path):
    process = start(tmp_path)
    while process.poll() is None and steps_of(tmp_path) < 3:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)

    process.wait(60)

    assert process.returncode not in (0, None)
    assert "KeyboardInterrupt" in process.stderr.read().decode()
    assert events(tmp_path)[-1]["reason"] == "stopped"
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["step"] == events(tmp_path)[-1]["step"]


def test_a_finished_run_is_told_and_not_trained_again(tmp_path):
    first = run(tmp_path)

    again = run(tmp_path)

    assert again.reason == "done"
    tiny.same(first.net.state_dict(), again.net.state_dict())


def test_more_epochs_go_on_from_where_it_ended(tmp_path):
    run(tmp_path, epochs=2)
    longer = run(tmp_path, epochs=3)
    whole = run(tmp_path.parent / f"{tmp_path.name}-whole", epochs=3)

    tiny.same(longer.net.state_dict(), whole.net.state_dict())


def test_fresh_starts_over_and_its_checkpoints_are_its_own(tmp_path):
    first = run(tmp_path)
    again = run(tmp_path, fresh=True, seed=3)

    repo = Repository(tmp_path / "checkpoints")
    assert not torch.equal(first.net.head.weight, again.net.head.weight)
    assert first.best not in repo.ids()
    assert first.best in repo.ids(deleted=True)
    assert again.best in repo.ids()
    assert sum(one["event"] == "start" for one in events(tmp_path)) == 1


def test_a_run_that_goes_on_needs_no_more_what_it_started_from(tmp_path):
    file = tmp_path / "start.safetensors"
    mcore.save(tiny.net().state_dict(), file)
    start = {"start": {"file": str(file)}}
    run(tmp_path / "run", epochs=1, **start)
    file.unlink()

    assert run(tmp_path / "run", epochs=2, **start).history[-1]["epoch"] == 1


def test_a_run_of_another_configuration_is_refused_and_stays(tmp_path):
    run(tmp_path)
    before = (tmp_path / "state.pt").read_bytes()

    with pytest.raises(StateError, match=r"begun with another configuration: seed was 0, is 3.*--fresh"):
        run(tmp_path, seed=3)

    assert (tmp_path / "state.pt").read_bytes() == before


def test_a_state_of_another_architecture_is_refused_by_the_names_that_differ(tmp_path):
    run(tmp_path)

    with pytest.raises(StateError, match=r"of another network: encoder.0.weight is \(4, 1, 3, 3\), the network has"):
        run(tmp_path, net=tiny.net(width=8))


def test_a_state_of_other_data_is_refused(tmp_path):
    run(tmp_path)

    with pytest.raises(StateError, match="begun with 24 samples, now there are 32"):
        run(tmp_path, count=32)


def test_a_damaged_state_is_told_as_such(tmp_path):
    run(tmp_path)
    (tmp_path / "state.pt").write_bytes((tmp_path / "state.pt").read_bytes()[:-100])

    with pytest.raises(StateError, match=r"state\.pt: damaged, or no state of training"):
        run(tmp_path)


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    import filelock

    with filelock.FileLock(tmp_path / ".lock"), pytest.raises(TrainingError, match="another process trains in it"):
        run(tmp_path)


# --- bad data


class Poisoned(tiny.Blobs):
    """One of its images has a NaN."""

    def read(self, index, random):
        sample = super().read(index, random)
        if index == 5:
            sample["image"][0, 0, 0] = float("nan")
        return sample


def test_a_nan_in_the_data_stops_training_and_names_the_file(tmp_path):
    run(tmp_path, epochs=1)
    kept = Repository(tmp_path / "checkpoints").ids()

    with pytest.raises(NotFiniteError, match=r"the loss is nan, of a batch of .*a NaN or an infinity stands in blob-5"):
        run(tmp_path, epochs=2, data={"train": Poisoned(24), "validation": tiny.Blobs(8)})

    assert Repository(tmp_path / "checkpoints").ids() == kept
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 3


def test_a_loss_that_explodes_is_told_with_what_to_do(tmp_path):
    with pytest.raises(NotFiniteError, match="its samples are finite: try a smaller learning rate"):
        run(tmp_path, epochs=30, optimiser={"type": "SGD", "lr": 1e30})


def test_a_label_out_of_range_names_the_file_and_the_classes(tmp_path):
    class Odd(tiny.Blobs):
        def read(self, index, random):
            sample = super().read(index, random)
            sample["mask"][0, 0] = 7
            return sample

    with pytest.raises(TrainingError, match=r"blob-\d+.*7.*2 classes"):
        run(tmp_path, data={"train": Odd(24)})

    assert "2 classes" in events(tmp_path)[-1]["reason"]


def test_a_batch_larger_than_the_data_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="24 samples, fewer than one step takes"):
        run(tmp_path, batch=32)


def test_a_run_that_broke_off_has_a_page_that_says_why(tmp_path):
    with pytest.raises(NotFiniteError):
        run(tmp_path, data={"train": Poisoned(24)})

    assert events(tmp_path)[-1]["reason"].startswith("step ")
    assert "NaN or an infinity stands in blob-5" in (tmp_path / "report.html").read_text()


def test_a_loss_of_a_part_counts_the_samples_that_count(tmp_path):
    losses = ["cross_entropy", {"type": "InformationBottleneck", "of": "encoder", "beta": 1.0}]

    result = run(tmp_path, losses=losses, validation=11)

    assert result.history[-1]["metrics"]["information_bottleneck"] > 0


def test_metrics_without_validation_data_are_refused(tmp_path):
    with pytest.raises(TrainingError, match=r"train\.metrics: there is no validation data to measure"):
        run(tmp_path, validation=0, metrics="iou")


def test_every_part_frozen_at_first_is_refused(tmp_path):
    parts = {name: {"frozen": 1} for name in ("encoder", "decoder", "head")}

    with pytest.raises(TrainingError, match="every part is frozen"):
        run(tmp_path, parts=parts)


def test_a_refused_training_leaves_the_network_as_it_was(tmp_path):
    net = tiny.net()

    with pytest.raises(TrainingError, match="isn't measured"):
        run(tmp_path, net=net, parts={"encoder": {"frozen": True}}, checkpoints={"rule": "max:validation.none"})

    assert all(parameter.requires_grad for parameter in net.parameters())


def test_a_bit_that_flipped_in_a_state_is_noticed(tmp_path):
    run(tmp_path)
    path = tmp_path / "state.pt"
    held = bytearray(path.read_bytes())
    weight = torch.load(path, weights_only=True)["network"]["decoder.0.weight"].numpy().tobytes()
    held[held.index(weight) + 2] ^= 1
    path.write_bytes(held)

    with pytest.raises(StateError, match="isn't what was written"):
        run(tmp_path, epochs=3)


class Kept(tiny.Blobs):
    """Takes a path, which a configuration in Python may have as one."""

    def __init__(self, path):
        super().__init__()
        self.path = path


def test_paths_in_a_configuration_are_written_as_text(tmp_path):
    source = {"type": "tests.training.test_loop:Kept", "path": tmp_path}

    train(tiny.config(data={"train": source}), out=tmp_path / "run", net=tiny.net(), progress="quiet")

    assert f"path: {tmp_path}" in (tmp_path / "run" / "config.yaml").read_text()
