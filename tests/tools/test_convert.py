"""`mcore convert`: folders from names, parts and configurations; failures apart; two runs at once, interrupted ones."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest

import mcore
import models
from mcore.verify import read_arrays, verify
from tests.isolation import ROOT, failure, run, started
from tools.cli import main
from tools.convert import bytes_of, convert
from tools.support.targets import Target

LENET = {"num_classes": 3}
SIZES = [(1, 1, 32, 32), (2, 1, 32, 32), (3, 1, 32, 32)]
LINEAR = [(1, 3), (2, 3), (3, 3)]
PLUGIN = ["tests.tools.misbehaving"]


def by_name(results):
    return {result.name.rpartition("-")[0] or result.name: result for result in results}


def entries(folder):
    """What stands in a folder, lock files apart."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".locks")


# --- what is made


def test_a_network_by_its_name_and_parameters(tmp_path):
    (result,) = convert("LeNet", LENET, out=tmp_path, sizes=SIZES)

    assert (result.status, result.error, result.folder) == ("made", "", tmp_path / result.name)
    assert len(result.report["differences"]) == 3
    assert mcore.fromplatform(result.folder)(mcore.zeros(1, 1, 32, 32)).shape == (1, 3)


def test_a_backbone_with_a_neck_and_a_head(tmp_path):
    (result,) = convert(
        backbone={"type": "resnet10t", "in_channels": 1},
        neck={"type": "FPN", "channels": 16},
        head="Classification",
        parameters={"head": {"num_classes": 4}},
        out=tmp_path,
        sizes=[(1, 1, 32, 32)],
    )

    assert result.name.startswith("resnet10t-FPN-Classification-")
    assert mcore.fromplatform(result.folder).config()["model"] == {
        "backbone": {"type": "resnet10t", "in_channels": 1},
        "neck": {"type": "FPN", "channels": 16},
        "head": {"type": "Classification", "num_classes": 4},
    }


def test_a_configuration_with_overrides(tmp_path):
    path = tmp_path / "cells.yaml"
    path.write_text("model: {type: LeNet, num_classes: 10}")

    (result,) = convert(config=path, overrides=["num_classes=4"], out=tmp_path / "out", sizes=SIZES)

    assert result.name.startswith("LeNet-")
    assert mcore.fromplatform(result.folder)(mcore.zeros(1, 1, 32, 32)).shape == (1, 4)


def test_a_single_part_as_it_is_shown(tmp_path):
    (result,) = convert(targets=[Target.part("attention", "SE")], out=tmp_path)

    assert (result.status, result.name.startswith("SE-")) == ("made", True)


def test_weights_of_a_file_are_in_the_artifact(tmp_path):
    net = models.create("LeNet", **LENET)
    mcore.save(net.state_dict(), tmp_path / "w.safetensors")

    (result,) = convert("LeNet", LENET, weights=tmp_path / "w.safetensors", out=tmp_path / "out", sizes=SIZES)

    made = mcore.fromplatform(result.folder).state_dict()
    assert all(mcore.equal(value, made[key]) for key, value in net.state_dict().items())


def test_opset_is_that_of_the_graph(tmp_path):
    (result,) = convert("LeNet", LENET, opset=19, out=tmp_path, sizes=SIZES)

    assert onnx.load(result.folder / "model.onnx").opset_import[0].version == 19


_HALF = """
from tools.convert import convert
for name in ("resnet10t", "mit_b0"):
    (result,) = convert(backbone=name, half=True, out={out!r}, sizes=[(1, 3, 32, 32), (2, 3, 64, 32), (3, 3, 33, 47)])
    print(result.error or result.folder)
"""


@pytest.mark.parametrize(
    ("engine", "without"),
    [("platform", ["torch"]), pytest.param("torch", [], marks=pytest.mark.long)],
)
def test_half_has_numbers_of_16_bits_and_the_same_results(tmp_path, engine, without):
    printed = run(_HALF.format(out=str(tmp_path)), engine=engine, without=without)

    for folder in map(Path, printed.splitlines()):
        model = onnx.load(folder / "model.onnx")
        kinds = {value.type.tensor_type.elem_type for value in [*model.graph.input, *model.graph.output]}
        state = json.loads((folder / "model.json").read_text())["state"]
        weights = {tensor.data_type for tensor in model.graph.initializer if tensor.name in state}
        assert kinds == {onnx.TensorProto.FLOAT16}
        assert onnx.TensorProto.FLOAT not in weights
        assert not any(checked.wrong for checked in verify(folder))
        assert read_arrays(folder / "test_data_set_1", "input")[0].dtype == np.float16


def test_what_has_no_half_says_so(tmp_path):
    """torch resizes positions with antialias in 32 bits alone."""
    (result,) = convert(backbone="vit_tiny_patch16_224", half=True, out=tmp_path, sizes=[(1, 3, 32, 32)])

    assert result.status == "failed"
    assert result.error.startswith("vit_tiny_patch16_224: ")
    assert result.error.endswith(
        "not implemented for 'Half'. It was asked for in numbers of 16 bits (half); without, it may go."
    )


def test_what_is_asked_for_twice_is_made_once(tmp_path):
    one, other = convert(["LeNet", "LeNet"], LENET, out=tmp_path, sizes=SIZES)

    assert one == other
    assert entries(tmp_path) == [one.name]


# --- what is wrong


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--network", "LeNett"], "LeNett: model.type: no network 'LeNett'; the nearest names are LeNet"),
        (["--network", "LeNet", "--set", "num_clases=3"], "no argument 'num_clases' (did you mean 'num_classes'?)"),
        (["--network", "LeNet", "--set", "num_classes=x"], "LeNet: model.num_classes: "),
        (["--network", "LeNet", "--set", "num_classes"], "--set num_classes: write argument=value"),
        (["--backbone", "resnet18", "--set", "in_channels=1"], "write part.argument=value, as in head.num_classes=10"),
        (
            ["--backbone", "resnet18", "--set", "head.n=1"],
            "'head' is no part that has parameters here; write backbone.",
        ),
        (["--backbone", "resnet18", "--neck", "FPNN"], "no neck 'FPNN'; the nearest names are"),
        (["--network", "LeNet", "--neck", "FPN"], "a neck or a head needs a backbone"),
        (["--config", "none.yaml"], "mcore convert: none.yaml: No such file or directory"),
        (["--network", "LeNet", "--sizes", "1,x"], "--sizes 1,x: write whole numbers with commas"),
        (["--network", "LeNet", "--memory", "much"], "--memory much: write a size like 8G"),
        (["--network", "LeNet", "--weights", "none.pth"], "weights: there is no file none.pth"),
        (["--network", "LeNet", "--device", "cuda:77"], "device 'cuda:77' is not available"),
        (["--network", "LeNet", "--plugin", "no_such"], "plug-in no_such can't be imported: No module named 'no_such'"),
        (["--network", "leaving", "--plugin", *PLUGIN], "mcore convert: leaving: SystemExit: bye"),
        (["--network", "LeNet", "--jobs", "0"], "jobs=0 is to be more than 0"),
        (["--network", "LeNet", "--timeout", "0"], "timeout=0.0 is to be more than 0"),
        (["--network", "LeNet", "--opset", "3"], "opset"),
        (["--network", "LeNet", "--sizes", "1,1,3,3"], "LeNet"),
    ],
)
def test_bad_input_ends_with_one_line_and_writes_nothing(words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert main(["convert", *words]) == 1

    error = capsys.readouterr().err
    assert error.startswith("mcore convert: ")
    assert message in error
    assert [name for name in entries(tmp_path) if name != "exports"] == []
    assert not (tmp_path / "exports").exists() or entries(tmp_path / "exports") == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "one of the arguments --network --backbone --config is required"),
        (["--network", "LeNet", "--config", "a.yaml"], "not allowed with argument"),
    ],
)
def test_one_way_to_name_targets_is_wanted(words, message, capsys):
    assert main(["convert", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give one of network, backbone, config and targets"),
        ({"network": "LeNet", "backbone": "resnet18"}, "give one of network, backbone, config and targets"),
        ({"network": []}, "at least one of it"),
        ({"config": "a.yaml", "parameters": {"a": 1}}, "a configuration takes overrides"),
        ({"network": "LeNet", "overrides": ["a=1"]}, "overrides are for configurations"),
    ],
)
def test_calls_that_mean_nothing_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        convert(**given)


def test_two_targets_for_one_folder_are_refused(tmp_path):
    targets = [Target.network("LeNet", LENET, sizes=[(n, 1, 32, 32)]) for n in (1, 2)]

    with pytest.raises(ValueError, match="LeNet is asked for twice, with other sizes; one folder holds one"):
        convert(targets=targets, out=tmp_path)


def test_somebody_elses_folder_is_refused_and_told(tmp_path, capsys):
    name = Target.network("LeNet", LENET).name
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.txt").write_text("mine")

    code = main(["convert", "--network", "LeNet", "--set", "num_classes=3", "--out", str(tmp_path), "--overwrite"])

    assert code == 1
    assert "holds other things than an artifact: thesis.txt" in capsys.readouterr().err
    assert (tmp_path / name / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(("text", "size"), [("8G", 8 << 30), ("1.5 GiB", 3 << 29), ("512mb", 512 << 20), ("9", 9)])
def test_sizes_of_memory_are_written_as_people_do(text, size):
    assert bytes_of(text) == size


def test_without_the_extra_the_command_names_it(tmp_path):
    code = f"""
        from tools.cli import main
        raise SystemExit(main(["convert", "--network", "LeNet", "--set", "num_classes=3", "--out", {str(tmp_path)!r}]))
        """

    assert failure(code, without=["filelock"]) == (
        'mcore convert: filelock is not installed, which this command needs: pip install ".[tools]"'
    )


# --- several


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Networks that do harm to their processes, and one on either side that doesn't."""
    out = tmp_path_factory.mktemp("out")
    names = ["behaving", "dividing", "leaving", "vanishing", "ending", "killed", "segfault", "nowhere"]
    targets = [Target.network(name, sizes=LINEAR) for name in names]
    targets += [Target.network("LeNet", LENET, sizes=SIZES)]
    results = convert(targets=targets, out=out, jobs=2, plugins=PLUGIN)
    return out, results


def test_what_one_does_to_its_process_stops_no_other(several):
    _, results = several
    found = by_name(results)

    assert {name: result.status for name, result in found.items()} == {
        "behaving": "made",
        "dividing": "failed",
        "leaving": "failed",
        "vanishing": "failed",
        "ending": "failed",
        "killed": "failed",
        "segfault": "failed",
        "nowhere": "failed",
        "LeNet": "made",
    }
    assert found["dividing"].error.startswith("dividing: ZeroDivisionError: division by zero")
    assert found["leaving"].error == "leaving: SystemExit: bye"
    assert found["vanishing"].error == "its process was lost: it ended itself, with code 0"
    assert found["ending"].error == "its process was lost: it ended itself, with code 0"
    assert found["killed"].error == "its process was lost: SIGKILL, perhaps for want of memory"
    assert found["segfault"].error.startswith("its process was lost: SIGSEGV")
    assert found["nowhere"].error.startswith("nowhere: model.type: no network 'nowhere'")


def test_results_stand_in_the_order_in_which_they_were_asked_for(several):
    _, results = several

    assert [result.name.rpartition("-")[0] for result in results] == [
        *("behaving", "dividing", "leaving", "vanishing", "ending", "killed", "segfault", "nowhere", "LeNet"),
    ]


def test_what_takes_too_long_is_stopped_and_leaves_nothing(tmp_path):
    target = Target.network("hanging", sizes=LINEAR)

    (result,) = convert(targets=[target], out=tmp_path, timeout=4.0, plugins=PLUGIN)

    assert (result.status, result.error) == ("failed", "not done after 4 s")
    assert entries(tmp_path) == []


def test_those_that_fail_leave_nothing(several):
    out, results = several

    assert entries(out) == sorted(result.name for result in results if result.status == "made")


def test_the_command_tells_what_became_of_each(tmp_path, capsys):
    words = ["--network", "LeNet", "LeNett", "--set", "num_classes=3", "--sizes", "1,1,32,32", "--out", str(tmp_path)]

    codes = [main(["convert", *words]) for _ in range(2)]

    lines = capsys.readouterr().out.splitlines()
    assert codes == [3, 3]
    assert [line.split()[1] for line in (lines[0], lines[1], lines[3], lines[4])] == [
        "made",
        "failed",
        "current",
        "failed",
    ]
    assert "3 sizes, largest difference" in lines[0]
    assert "LeNett: model.type: no network 'LeNett'" in lines[1]
    assert (lines[2], lines[5]) == (
        f"2 targets in {tmp_path}: 1 made, 1 failed",
        f"2 targets in {tmp_path}: 1 current, 1 failed",
    )


def test_where_all_fail_the_code_is_one(tmp_path, capsys):
    assert main(["convert", "--network", "LeNett", "UNett", "--out", str(tmp_path)]) == 1
    assert "2 targets in" in capsys.readouterr().out


# --- two at once, and one interrupted


def command(out, *words, hang="no"):
    """`mcore convert`, started in a session of its own."""
    environment = {**os.environ, "MCORE_TEST_HANG": hang, "PYTHONPATH": str(ROOT)}
    return started([sys.executable, "-m", "tools.cli", "convert", *words, "--out", str(out)], environment)


def until(condition, program, seconds=120):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        assert program.poll() is None, program.communicate()
        time.sleep(0.02)


def test_of_two_runs_at_once_the_second_waits_and_finds_it_current(tmp_path):
    words = ["--network", "hanging", "--plugin", *PLUGIN, *(word for n in (1, 2, 3) for word in ("--sizes", f"{n},3"))]
    runs = [command(tmp_path, *words) for _ in range(2)]

    told = [run.communicate(timeout=120) for run in runs]

    assert [run.returncode for run in runs] == [0, 0], told
    assert sorted(output.split()[1] for output, _ in told) == ["current", "made"]
    (name,) = entries(tmp_path)
    assert not any(checked.wrong for checked in verify(tmp_path / name))


def test_an_interrupted_run_keeps_what_is_done_leaves_no_halves_and_goes_on(tmp_path):
    sizes = [word for n in (1, 2, 3) for word in ("--sizes", f"{n},3")]
    words = ["--network", "behaving", "hanging", "--plugin", *PLUGIN, *sizes, "--jobs", "2"]
    program = command(tmp_path, *words, hang="yes")
    until(lambda: any(tmp_path.glob("behaving-*/history.json")) and any(tmp_path.glob(".hanging-*.tmp")), program)

    os.killpg(program.pid, signal.SIGINT)
    _, error = program.communicate(timeout=60)

    assert (program.returncode, error.strip().splitlines()[-1]) == (130, "mcore convert: stopped")
    assert [name.rpartition("-")[0] for name in entries(tmp_path)] == ["behaving"]

    again = command(tmp_path, *words, hang="no")
    output, _ = again.communicate(timeout=120)

    assert again.returncode == 0
    assert [line.split()[1] for line in output.splitlines()[:2]] == ["current", "made"]
    assert len(json.loads(next(tmp_path.glob("hanging-*/history.json")).read_text())["request"]["sizes"]) == 3
