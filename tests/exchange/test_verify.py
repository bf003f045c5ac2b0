"""`python -m mcore.verify`: ONNX Runtime alone says whether an artifact is what it was."""

import os
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from mcore.verify import main
from tests.exchange.nets import Net, filled
from tests.isolation import ROOT, run


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("artifact") / "net"
    filled(Net(5)).toplatform(path, sizes=[(1, 3, 16, 12), (2, 3, 20, 24), (3, 3, 9, 11)])
    return path


@pytest.fixture
def folder(original, tmp_path):
    shutil.copytree(original, tmp_path / "net")
    return tmp_path / "net"


def said(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_a_good_artifact_gives_a_line_for_each_data_set_and_code_0(folder, capsys):
    code, out, err = said(capsys, folder)

    assert code == 0
    assert [line.split(": ")[-1] for line in out.splitlines()] == ["ok"] * 3
    assert "test_data_set_2 (3x3x9x11): largest relative difference" in out
    assert err == ""


def test_the_command_needs_no_torch(folder):
    command = f"import sys; sys.argv = ['verify', {str(folder)!r}]; import runpy; "
    printed = run(
        command + "runpy.run_module('mcore.verify', run_name='__main__', alter_sys=True)",
        without=["torch"],
    )  # fmt: skip

    assert printed.count("ok") == 3


def test_the_command_runs_by_its_name(folder):
    done = subprocess.run(
        [sys.executable, "-m", "mcore.verify", folder, folder / "gone"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stdout.count("ok") == 3
    assert done.stderr.strip() == (
        f"error: {folder}/gone: there is no such folder; an artifact is a folder with model.onnx in it."
    )


def other_output(folder):
    path = folder / "test_data_set_1" / "output_0.pb"
    array = np.array(numpy_helper.to_array(onnx.load_tensor(path)))
    array[0, 0] += 0.1 * np.abs(array).max()
    path.write_bytes(numpy_helper.from_array(array, "y").SerializeToString())


def test_an_output_that_differs_gives_code_1_and_says_which(folder, capsys):
    other_output(folder)

    code, out, _ = said(capsys, folder)

    assert code == 1
    assert out.count("ok") == 2
    assert "test_data_set_1 (2x3x20x24): largest relative difference 1.0e-01: output " in out


def test_a_larger_tolerance_lets_it_pass(folder, capsys):
    other_output(folder)

    assert said(capsys, folder, "--tolerance", "0.5")[0] == 0


def truncated_input(folder):
    os.truncate(folder / "test_data_set_0" / "input_0.pb", 20)


def foreign_input(folder):
    (folder / "test_data_set_0" / "input_0.pb").write_bytes(b"garbage")


def missing_input(folder):
    (folder / "test_data_set_0" / "input_0.pb").rename(folder / "test_data_set_0" / "input_1.pb")


def changed_graph(folder):
    with open(folder / "model.onnx", "ab") as file:
        file.write(b"\0")


def no_graph(folder):
    (folder / "model.onnx").unlink()


def no_data(folder):
    for place in folder.glob("test_data_set_*"):
        shutil.rmtree(place)


def hard_link(folder):
    """External data that is a hard link to a file elsewhere: the runtime itself reads it."""
    model = onnx.load(folder / "model.onnx")
    weight = next(t for t in model.graph.initializer if t.name == "head.weight")
    (folder.parent / "secret").write_bytes(weight.raw_data)
    os.link(folder.parent / "secret", folder / "data")
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="data")
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "model.json").unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncated_input, "input_0.pb"),
        (foreign_input, "input_0.pb"),
        (missing_input, "input_0.pb is missing"),
        (changed_graph, "hash differs"),
        (no_graph, "there is no model.onnx"),
        (no_data, "no data sets"),
        (hard_link, "hard link"),
    ],
)
def test_damage_is_one_line_and_code_1(folder, capsys, damage, words):
    damage(folder)

    code, _, err = said(capsys, folder)

    assert code == 1
    assert words in err
    assert len(err.splitlines()) == 1


def test_a_folder_without_a_description_is_checked_all_the_same(folder, capsys):
    (folder / "model.json").unlink()

    assert said(capsys, folder)[0] == 0


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])

    assert "example: python -m mcore.verify exports/net" in capsys.readouterr().out
