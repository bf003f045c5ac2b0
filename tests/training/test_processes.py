"""Several processes train what one would: DDP and FSDP2 over gloo, started by torchrun."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch

import mcore
from mcore.training.data.loading import collate
from mcore.training.data.samples import Samples
from tests.isolation import started
from tests.training import tiny

ENVIRONMENT = os.environ | {"PYTHONPATH": "."}
RUN = """
import sys
from tests.training import tiny
import mcore
from mcore.training import train
net = tiny.net(width={width})
if not {norms}:
    net.encoder[1], net.encoder[3] = mcore.GroupNorm(2, {width}), mcore.Identity()  # no norm over the batch, no dropout
given = dict(losses=["cross_entropy", "dice"], metrics="iou", ema={{"decay": 0.5}}, clip=1.0, snapshot_every={snapshot})
if {spare}:
    net.spare = mcore.Linear(2, 2)  # no loss reaches it
    given |= dict(find_unused_parameters=True)
given |= dict(accumulate={accumulate}, parts={{"encoder": {{"frozen": 1}}}}, log={log})
given = tiny.config(epochs={epochs}, batch={batch}, strategy={strategy!r}, **given)
train(given, out={out!r}, net=net, data=tiny.data(validation=7), progress="quiet")
"""


def command(out, *, processes=1, **given):
    usual = {"strategy": "auto", "epochs": 2, "batch": 8, "accumulate": 2, "snapshot": 1, "log": "{}", "width": 4,
             "norms": False, "spare": False}  # fmt: skip
    file = out.with_suffix(".py")
    file.write_text(RUN.format(out=str(out), **usual | given))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return [*(launcher if processes > 1 else [sys.executable]), str(file)]


def trained(out, **options):
    done = subprocess.run(command(out, **options), env=ENVIRONMENT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return mcore.load(out / "weights.safetensors")


def close(one, other):
    assert list(one) == list(other)
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-4, atol=1e-5)


def validations(out):
    log = out / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [line["metrics"] for line in lines if line["event"] == "validation"]


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_end_with_the_weights_and_metrics_of_one(tmp_path, strategy):
    one = trained(tmp_path / "one")
    two = trained(tmp_path / "two", processes=2, strategy=strategy)

    close(one, two)
    for alone, shared in zip(validations(tmp_path / "one"), validations(tmp_path / "two"), strict=True):
        assert shared == pytest.approx(alone, rel=1e-3)


def test_a_part_that_no_loss_reaches_stays_as_it_was(tmp_path):
    state = trained(tmp_path / "two", processes=2, strategy="ddp", spare=True)

    assert state["spare.weight"].shape == (2, 2)
    close(trained(tmp_path / "one", spare=True), state)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_what_every_process_judges_is_what_is_saved(tmp_path, strategy):
    state = trained(tmp_path / "two", processes=2, strategy=strategy, norms=True)
    net, samples = tiny.net().eval(), Samples(tiny.Blobs(7), seed=0)
    net.load_state_dict(state)

    batch = collate([samples[0, index] for index in range(7)])

    expected = torch.nn.functional.cross_entropy(net(batch["image"]), batch["mask"]).item()
    assert validations(tmp_path / "two")[-1]["cross_entropy"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.long
@pytest.mark.parametrize(("first", "second"), [("fsdp", "none"), ("none", "fsdp"), ("ddp", "fsdp")])
def test_a_run_goes_on_under_another_strategy_and_number_of_processes(tmp_path, first, second):
    whole = trained(tmp_path / "whole", epochs=4)

    trained(tmp_path / "run", processes=1 + (first != "none"), strategy=first, epochs=2)
    later = trained(tmp_path / "run", processes=1 + (second != "none"), strategy=second, epochs=4)

    close(whole, later)


@pytest.mark.long
def test_large_layers_are_sharded_by_themselves_and_come_back_whole(tmp_path):
    one = trained(tmp_path / "one", width=128, epochs=1)
    two = trained(tmp_path / "two", processes=2, strategy="fsdp", width=128, epochs=1)

    close(one, two)


def test_one_process_may_be_sharded_too(tmp_path):
    close(trained(tmp_path / "one"), trained(tmp_path / "two", strategy="fsdp"))


def test_no_strategy_among_several_processes_is_refused(tmp_path, monkeypatch):
    from mcore.training.errors import TrainingError
    from mcore.training.runtime import Runtime

    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(TrainingError, match=r"train\.strategy is 'none', but 2 processes were started"):
        Runtime.start("none", "cpu")


def test_a_launcher_that_says_half_is_told_what_is_missing(monkeypatch):
    from mcore.training.errors import TrainingError
    from mcore.training.runtime import Runtime

    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv("WORLD_SIZE", raising=False)

    with pytest.raises(TrainingError, match="RANK='0' stands in the environment, but WORLD_SIZE"):
        Runtime.start("auto", "cpu")


def test_a_batch_that_processes_cannot_share_is_refused(tmp_path):
    with pytest.raises(AssertionError, match=r"can't be cut into 2 processes"):
        trained(tmp_path / "odd", processes=2, strategy="ddp", batch=7, accumulate=1)


def test_a_device_that_is_not_there_is_refused():
    from mcore.training.errors import TrainingError
    from mcore.training.runtime import Runtime

    with pytest.raises(TrainingError, match=r"train\.device='cuda:77' can't be used here"):
        Runtime.start("auto", "cuda:77")


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "whom"), [(signal.SIGTERM, "launcher"), (signal.SIGINT, "launcher"), (signal.SIGTERM, "second")]
)
def test_a_signal_to_any_process_has_all_of_them_save_and_leave(tmp_path, number, whom):
    options = {"processes": 2, "strategy": "ddp", "epochs": 40, "log": '{"every": 2}', "snapshot": None}
    whole, out = trained(tmp_path / "whole", **options), tmp_path / "run"
    running = started(command(out, **options), ENVIRONMENT)
    while running.poll() is None and len(validations(out)) < 3:
        time.sleep(0.01)

    (running if whom == "launcher" else psutil.Process(running.pid).children()[1]).send_signal(number)
    _, said = running.communicate(timeout=120)

    last = json.loads((out / "log.jsonl").read_text().splitlines()[-1])
    assert running.returncode != 0
    assert (last["event"], last.get("reason")) == ("end", "stopped"), said
    assert torch.load(out / "state.pt", weights_only=True)["step"] == last["step"]
    close(whole, trained(out, **options))
