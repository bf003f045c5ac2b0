"""What a training that was broken off goes on with: all of it, and what was asked for meanwhile."""

import math
import os

import pytest
import torch

import mcore
from mcore.checkpoint import Repository
from mcore.training import NotFiniteError, TrainingError, check, train
from mcore.training.data.loading import collate
from mcore.training.data.samples import Samples
from mcore.training.settings import Unrolled
from mcore.training.unrolled import result as unroll
from tests.training import tiny


def run(out, *, net=None, data=None, **settings):
    return train(tiny.config(**settings), out=out, net=net or tiny.net(), data=data or tiny.data(), progress="quiet")


class Breaking(tiny.Blobs):
    """Somebody pulls the plug when so many samples were read."""

    def __init__(self, count=24, *, after):
        super().__init__(count)
        self.left = after

    def read(self, index, random):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().read(index, random)


def equal(one, other, where="state"):
    """Raises where two states differ, with the place."""
    if isinstance(one, dict):
        assert list(one) == list(other), where
        for key in one:
            equal(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, (first, second) in enumerate(zip(one, other, strict=True)):
            equal(first, second, f"{where}.{index}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif where != "state.best":  # an id
        assert one == other or (math.isnan(one) and math.isnan(other)), where


ALL = {
    "epochs": 3,
    "ema": {"decay": 0.9},
    "clip": 1.0,
    "early_stopping": {"patience": 9, "min_delta": 10.0},
    "parts": {"encoder": {"frozen": 1, "lr": 0.001}},
    "snapshot_every": 1,
}


@pytest.mark.parametrize(
    "given",
    [
        {"precision": "fp16", "schedule": {"type": "cosine", "warmup": 2}},
        {"schedule": {"type": "StepLR", "step_size": 2, "warmup": 2}, "accumulate": 2},
        {"schedule": {"type": "ReduceLROnPlateau", "patience": 0}, "optimiser": {"type": "SGD", "momentum": 0.9}},
    ],
    ids=["fp16", "accumulated", "plateau"],
)
@pytest.mark.parametrize("after", [20, 60])
def test_nothing_of_the_state_is_lost(tmp_path, given, after):
    run(tmp_path / "whole", **ALL, **given)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", data=tiny.data() | {"train": Breaking(after=after)}, **ALL, **given)

    run(tmp_path / "run", **ALL, **given)

    whole, gone_on = (torch.load(tmp_path / name / "state.pt", weights_only=True) for name in ("whole", "run"))
    equal(gone_on, whole)


def test_the_best_is_told_of_a_finished_run_too(tmp_path):
    first = run(tmp_path)

    assert run(tmp_path).best == first.best is not None


def test_a_run_that_stopped_early_goes_on_where_more_patience_is_given(tmp_path):
    early = run(tmp_path, epochs=4, early_stopping={"patience": 1, "min_delta": 10.0})
    still = run(tmp_path, epochs=4, early_stopping={"patience": 1, "min_delta": 10.0})
    later = run(tmp_path, epochs=4, early_stopping={"patience": 9, "min_delta": 10.0})

    assert (early.reason, still.reason, later.reason) == ("early stopping", "early stopping", "done")
    assert [len(result.history) for result in (early, still, later)] == [2, 2, 4]


def test_the_average_is_what_is_kept_without_validation_too(tmp_path):
    result = run(tmp_path, ema={"decay": 0.9}, data={"train": tiny.Blobs(24)})

    repo = Repository(tmp_path / "checkpoints")
    saved = {
        name: value for part in repo.record(repo.ids()[-1]).components for name, value in repo.arrays(part).items()
    }
    assert (saved["head.weight"] == result.net.head.weight.detach().numpy()).all()


def test_a_part_that_stood_still_is_free_again_afterwards(tmp_path):
    net = tiny.net()
    net.head.bias.requires_grad_(False)

    run(tmp_path, net=net, steps=1, parts={"encoder": {"frozen": True}})

    assert net.encoder[0].weight.requires_grad
    assert not net.head.bias.requires_grad


def test_a_check_leaves_the_network_alone():
    net = tiny.net().eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}

    check(tiny.config(), net=net, data=tiny.data())

    tiny.same(net.state_dict(), before)
    assert not net.training


def test_runs_that_share_a_repository_keep_their_own(tmp_path):
    (tmp_path / "given").mkdir()
    file = tmp_path / "given" / "a.yaml"
    file.write_text(
        "train: {epochs: 1, batch: 8, losses: cross_entropy, log: {pictures: 0}, checkpoints: {repository: ../repo}}"
    )
    for name in ("one", "other one"):
        train(file, out=tmp_path / name, net=tiny.net(), data=tiny.data(), progress="quiet")

    found = {alias for _, alias in Repository(tmp_path / "repo", create=False).history.aliases()}
    assert {"best-one", "best-other-one"} <= found


def test_one_process_that_is_sharded_gives_a_network_that_computes_alone(tmp_path, monkeypatch):
    monkeypatch.delenv("MASTER_ADDR", raising=False)

    result = run(tmp_path, steps=2, strategy="fsdp", channels_last=True, ema={"decay": 0.5})

    assert result.net(torch.zeros(1, 1, 16, 16)).shape == (1, 2, 16, 16)
    assert not hasattr(result.net.head.weight, "placements")
    assert "MASTER_ADDR" not in os.environ


# --- what would be learnt too late


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"early_stopping": {"metric": "max:validation.iuo"}},
            r"early_stopping goes by 'validation\.iuo'.*validation\.iou",
        ),
        ({"checkpoints": {"rule": "max:iou"}}, r"checkpoints\.rule goes by 'iou', which isn't measured"),
        (
            {"schedule": {"type": "ReduceLROnPlateau", "metric": "max:validation.dice"}},
            r"schedule goes by 'validation\.dice'",
        ),
    ],
)
def test_what_is_gone_by_and_never_measured_is_refused_at_the_start(tmp_path, given, words):
    with pytest.raises(TrainingError, match=words):
        run(tmp_path, metrics="iou", **given)


@pytest.mark.parametrize("given", [{"early_stopping": {}}, {"schedule": "ReduceLROnPlateau"}])
def test_what_goes_by_validations_is_refused_where_there_are_none(tmp_path, given):
    with pytest.raises(TrainingError, match=r"goes by 'validation\.loss', but there is no validation data: give some"):
        run(tmp_path, data={"train": tiny.Blobs(24)}, **given)


def test_data_under_a_name_that_nothing_reads_are_refused(tmp_path):
    with pytest.raises(TrainingError, match=r"data: nothing reads 'val'; there are 'train' and 'validation'"):
        run(tmp_path, data={"train": tiny.Blobs(24), "val": tiny.Blobs(8)})


def test_norms_over_processes_are_refused_on_a_cpu_in_our_words():
    from pathlib import Path

    from mcore.training.loop import Trainer
    from mcore.training.runtime import Runtime

    two = Runtime(world=2, strategy="ddp")
    with pytest.raises(TrainingError, match=r"train\.sync_batchnorm: torch has it on accelerators alone"):
        Trainer(
            tiny.net(),
            tiny.settings(sync_batchnorm=True),
            training=tiny.Blobs(),
            validation=None,
            out=Path(),
            runtime=two,
            fingerprint={},
        )


# --- what is compiled


def test_a_network_that_is_to_be_compiled_is(tmp_path):
    from torch._dynamo.utils import counters

    net, other = tiny.net(), tiny.net()
    for one in (net, other):
        one.encoder[3] = mcore.Identity()  # a compiled dropout draws otherwise
    given = {"steps": 2, "recompute": ["encoder"], "optimiser": {"type": "SGD", "lr": 0.1}}
    counters.clear()
    torch.compiler.reset()

    compiled = run(tmp_path / "a", net=net, compile={"backend": "aot_eager"}, **given)

    assert counters["stats"]["unique_graphs"] >= 2  # to train, and to judge
    plain = run(tmp_path / "b", net=other, **given)
    assert list(compiled.net.state_dict()) == list(plain.net.state_dict())
    for name, value in plain.net.state_dict().items():
        torch.testing.assert_close(compiled.net.state_dict()[name], value, rtol=1e-4, atol=1e-5)


# --- what is fed back


class Again(tiny.Net):
    """It takes its two channels of outputs beside the image."""

    def __init__(self):
        super().__init__()
        self.encoder[0] = mcore.Conv2d(3, 4, 3, padding=1)


def test_an_unrolled_network_is_judged_by_what_it_gives_at_last(tmp_path):
    torch.manual_seed(0)
    unrolled = {"steps": 2}

    # 11 samples are a batch of 8, and one of 3 that counts less.
    result = run(tmp_path, net=Again(), data=tiny.data(24, 11), unrolled=unrolled, log={"pictures": 2}, metrics="iou")

    samples = Samples(tiny.Blobs(11), seed=0)
    batch = collate([samples[0, index] for index in range(11)])
    last = unroll(result.net, batch["image"], Unrolled(**unrolled))
    expected = torch.nn.functional.cross_entropy(last, batch["mask"]).item()
    assert result.metrics["validation.loss"] == pytest.approx(expected, rel=1e-5)


def test_a_label_out_of_range_is_told_of_an_unrolled_network_too(tmp_path):
    class Odd(tiny.Blobs):
        def read(self, index, random):
            sample = super().read(index, random)
            sample["mask"][0, 0] = 7
            return sample

    with pytest.raises(TrainingError, match=r"blob-\d+: the label 7 .* none of the 2 classes"):
        run(tmp_path, net=Again(), unrolled={"steps": 2}, data={"train": Odd(24)})


# --- what is no number


class Root(tiny.Net):
    """Its loss is a number, the gradient of its root isn't."""

    def forward(self, x):
        return super().forward(x) + torch.sqrt(self.head.bias.sum() * 0.0)


def test_a_weight_that_is_no_number_is_not_saved(tmp_path):
    with pytest.raises(NotFiniteError, match="step 1: a weight isn't finite, though the losses were"):
        run(tmp_path, net=Root(), snapshot_every=1)

    assert not (tmp_path / "state.pt").exists()


def test_a_nan_in_validation_data_names_the_file(tmp_path):
    class Poisoned(tiny.Blobs):
        def read(self, index, random):
            sample = super().read(index, random)
            sample["image"][0, 0, 0] = float("nan") if index == 5 else 0.0
            return sample

    with pytest.raises(NotFiniteError, match=r"validation after step 3: the loss is nan; a NaN .* stands in blob-5"):
        run(tmp_path, data={"train": tiny.Blobs(24), "validation": Poisoned(8)})


# --- figures


def test_the_rate_is_of_all_steps_since_the_line_before(tmp_path):
    import json
    import time

    class Slow(tiny.Blobs):
        def read(self, index, random):
            self.seen = getattr(self, "seen", 0) + 1
            if self.seen == 17:  # the second step's; the first of all is looked at before
                time.sleep(1.0)
            return super().read(index, random)

    run(tmp_path, steps=3, log={"every": 3}, data={"train": Slow(24)})

    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["samples_per_second"] for line in lines if line["event"] == "step"][-1] <= 16
