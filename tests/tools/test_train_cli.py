"""`mcore train`: what it prints, where it leaves what, exit codes, and one clear line on bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import mcore
from tests.isolation import hear_interrupts
from tools.cli import main

pytestmark = pytest.mark.skipif(mcore.backend() != "torch", reason="training is the torch engine's")

CONFIG = """\
mcore: 1
model: {type: LeNet, num_classes: 2}
train:
  data:
    train: {type: numpy, path: train.npz}
    validation: {type: numpy, path: validation.npz}
  losses: cross_entropy
  steps: 4
  batch: 4
  log: {every: 1, pictures: 0}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a configuration and a few pictures of two classes, which is the current one."""
    random = np.random.default_rng(0)
    for name, count in (("train", 8), ("validation", 4)):
        label = np.arange(count) % 2
        image = random.normal(size=(count, 32, 32)).astype(np.float32) + label[:, None, None]
        np.savez(tmp_path / f"{name}.npz", image=image, label=label)
    (tmp_path / "small.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys):
    """Runs the command; its exit code, and what it printed."""

    def ran(*words):
        code = main(["train", "--config", "small.yaml", *words])
        found = capsys.readouterr()
        return code, found.out, found.err

    return ran


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_training_leaves_weights_a_log_and_a_page_and_says_where(folder, run):
    code, out, err = run("--progress", "quiet")

    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].startswith("done: validation.")
    assert lines[1:] == ["runs/small/weights.safetensors", "runs/small/report.html"]
    assert all(Path(line).exists() for line in lines[1:])
    assert log_of(folder / "runs" / "small")[-1]["reason"] == "done"


def test_settings_change_the_configuration_and_the_folder_is_chosen(folder, run):
    code, _, _ = run("--set", "train.steps=2", "--out", "elsewhere/run", "--progress", "quiet")

    assert code == 0
    assert log_of(folder / "elsewhere" / "run")[-1]["step"] == 2


def test_a_training_that_is_done_is_not_done_again(folder, run):
    run("--progress", "quiet")
    weights = (folder / "runs" / "small" / "weights.safetensors").read_bytes()

    code, out, _ = run("--progress", "quiet")

    assert (code, out.splitlines()[0].split(":")[0]) == (0, "done")
    assert (folder / "runs" / "small" / "weights.safetensors").read_bytes() == weights
    assert len([event for event in log_of(folder / "runs" / "small") if event["event"] == "step"]) == 4


def test_fresh_starts_over(folder, run):
    run("--progress", "quiet")

    code, _, _ = run("--progress", "quiet", "--fresh", "--set", "train.batch=2")

    assert code == 0
    assert [event["resumed"] for event in log_of(folder / "runs" / "small") if event["event"] == "start"] == [False]


def test_more_steps_go_on_where_fewer_ended(folder, run):
    run("--progress", "quiet", "--set", "train.steps=2")

    run("--progress", "quiet")

    found = log_of(folder / "runs" / "small")
    assert [event["step"] for event in found if event["event"] == "start"] == [0, 2]
    assert [event["step"] for event in found if event["event"] == "step"] == [1, 2, 3, 4]


def test_a_run_of_another_configuration_is_refused_by_what_differs(folder, run):
    run("--progress", "quiet")

    code, out, err = run("--progress", "quiet", "--set", "train.batch=2")

    assert (code, out) == (1, "")
    assert "batch" in err
    assert "--fresh" in err


def test_progress_goes_to_the_standard_error_as_json_for_programs(folder, run):
    _, out, err = run("--progress", "json")

    found = [line for line in map(json.loads, err.splitlines()) if "done" in line]
    assert found[-1]["done"] == found[-1]["total"] == 4
    assert out.startswith("done: ")


def test_a_check_trains_nothing_and_writes_nothing(folder, run):
    code, out, _ = run("--check")

    assert code == 0
    assert out.splitlines()[0] == "small.yaml: fits; 8 samples, 4 to validate; 4 steps in 2 epochs"
    assert "batch: image 4 x 1 x 32 x 32, label 4" in out
    assert "loss before training: 0." in out
    assert not (folder / "runs").exists()


def test_a_plugin_is_imported(folder, run, monkeypatch):
    (folder / "own_sources.py").write_text("raise ValueError('my plugin')")
    monkeypatch.syspath_prepend(str(folder))

    code, _, err = run("--plugin", "own_sources")

    assert (code, err) == (1, "mcore train: --plugin own_sources: ValueError: my plugin\n")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--set", "train.epoch=3"], 1, "did you mean 'epochs'?"),
        (["--set", "train.steps"], 1, "train.steps"),
        (["--set", "train.batch=2", "--set", "train.batch=4"], 1, "--set train.batch: it stands there twice"),
        (["--set", "model.num_clases=3"], 1, "num_clases"),
        (["--set", "train.data.train.path=none.npz"], 1, "none.npz"),
        (["--fresh", "--check"], 2, "not allowed with argument"),
        (["--progress", "fancy"], 2, "invalid choice"),
    ],
)
def test_bad_input_is_one_clear_line_on_the_standard_error(folder, run, words, code, message):
    got, out, err = run(*words)

    assert (got, out) == (code, "")
    assert err.startswith("mcore train: ")
    assert message in err
    assert "Traceback" not in err


def test_a_configuration_that_is_not_there_is_named(folder, capsys):
    code = main(["train", "--config", "none.yaml"])

    assert code == 1
    assert capsys.readouterr().err == "mcore train: none.yaml: No such file or directory\n"


def test_help_needs_no_engine():
    program = "import sys; from tools.cli import main; main(['train', '--help']); print('torch' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "False"
    assert "mcore train --config experiment.yaml" in done.stdout


@pytest.mark.long
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_its_code_and_the_same_command_goes_on(folder, number, code):
    command = [
        *(sys.executable, "-m", "tools.cli", "train", "--config", "small.yaml", "--progress", "quiet"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [*command, "--set", "train.steps=100000"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    )
    log = folder / "runs" / "small" / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and '"event": "step"' in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)

    process.send_signal(number)
    try:
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()

    assert process.returncode == code, err
    last = log_of(log.parent)[-1]
    assert (last["event"], last["reason"]) == ("end", "stopped")
    again = [*command, "--set", f"train.steps={last['step'] + 2}"]
    subprocess.run(again, env=environment, check=True, capture_output=True)
    starts = [event["step"] for event in log_of(log.parent) if event["event"] == "start"]
    assert starts == [0, last["step"]]
