"""The folder of a target: written whole or not at all, kept while it is current, never somebody else's; its history."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mcore
from mcore.exchange.errors import ModelFileError, StorageError
from mcore.verify import verify
from tests.isolation import run
from tools.support import folder as folders
from tools.support import history
from tools.support.targets import Target

TARGET = Target.network("LeNet", {"num_classes": 3}, sizes=[(1, 1, 32, 32), (2, 1, 32, 32), (3, 1, 32, 32)])


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / TARGET.name
    folders.make(path, TARGET)
    return path


@pytest.fixture
def made(template, tmp_path):
    """A folder that has been made, to be spoilt."""
    return Path(shutil.copytree(template, tmp_path / "out" / TARGET.name))


def told(folder):
    return json.loads((folder / "history.json").read_text())


def changed(folder, **entries):
    (folder / "history.json").write_text(json.dumps({**told(folder), **entries}))


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_holds_an_artifact_with_three_data_sets_and_a_history(template):
    assert sorted(path.name for path in template.iterdir()) == [
        *("history.json", "model.json", "model.onnx", "state.safetensors"),
        *("test_data_set_0", "test_data_set_1", "test_data_set_2"),
    ]
    assert not any(checked.wrong for checked in verify(template))


def test_the_network_comes_back_from_it(template):
    net = mcore.fromplatform(template)

    assert (type(net).__name__, tuple(net(mcore.zeros(1, 1, 32, 32)).shape)) == ("LeNet", (1, 3))


def test_the_command_that_verifies_takes_it(template):
    done = subprocess.run([sys.executable, "-m", "mcore.verify", str(template)], capture_output=True, text=True)

    assert (done.returncode, done.stdout.count("test_data_set_")) == (0, 3)


def test_the_history_tells_what_was_asked_for_and_when_and_of_what_it_was_made(template):
    found = told(template)

    assert (found["format"], found["name"], found["passed"]) == (1, TARGET.name, {})
    assert (found["identity"], found["request"]) == (TARGET.identity, TARGET.request)
    assert found["created"] == found["updated"]
    assert found["created"]["mcore"] == mcore.__version__
    assert found["code_hash"] == json.loads((template / "model.json").read_text())["code_hash"]


def test_nothing_else_is_left_beside_it(template):
    assert sorted(path.name for path in template.parent.iterdir()) == [".locks", TARGET.name]


def test_what_is_current_stays_as_it_is(made):
    before = contents(made)

    assert folders.make(made, TARGET).status == "current"
    assert contents(made) == before


def test_overwrite_makes_it_again_and_keeps_when_it_was_created_and_where_it_passed(made):
    folders.record_pass(made, "onnxruntime-cpu", version="1.0")
    changed(made, created={"mcore": "0.0.1", "commit": "abc", "dirty": False, "date": "2020-01-01T00:00:00Z"})
    before = told(made)

    assert folders.make(made, TARGET, overwrite=True).status == "updated"
    assert told(made)["created"]["commit"] == "abc"
    assert told(made)["updated"]["date"] >= before["updated"]["date"]
    assert told(made)["passed"] == before["passed"]


def test_other_sizes_are_made_in_the_same_folder(made):
    other = Target.network("LeNet", {"num_classes": 3}, sizes=[(4, 1, 32, 32)])

    found = folders.make(made, other)

    assert (found.status, found.notes) == ("updated", ["made again: sizes differ from what is asked for"])
    assert verify(made)[0].sizes == [(4, 1, 32, 32)]


# --- somebody else's


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("path", ["notes.txt", "test_data_set_0/notes.txt", "model.onnx.bak", "mine/model.onnx"])
def test_other_files_in_it_are_refused_and_stay(made, path, overwrite):
    (made / path).parent.mkdir(exist_ok=True)
    (made / path).write_text("mine")
    before = contents(made)
    other = Target.network("LeNet", {"num_classes": 3}, sizes=[(4, 1, 32, 32)])

    with pytest.raises(FileExistsError, match=f"holds other things than an artifact: .*{path.rpartition('/')[0]}"):
        folders.make(made, other, overwrite=overwrite)

    assert contents(made) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_artifact_that_has_no_history_is_somebody_elses(made, overwrite):
    (made / "history.json").unlink()
    before = contents(made)

    with pytest.raises(FileExistsError, match=r"holds an artifact without history.json, which is somebody else's"):
        folders.make(made, TARGET, overwrite=overwrite)
    with pytest.raises(FileNotFoundError, match=r"there is no history.json in it"):
        folders.record_pass(made, "onnxruntime-cpu", version="1.0")

    assert contents(made) == before


def test_a_file_in_its_place_is_refused(tmp_path):
    (tmp_path / TARGET.name).write_text("mine")

    with pytest.raises(FileExistsError, match="is there and is a file"):
        folders.make(tmp_path / TARGET.name, TARGET, overwrite=True)

    assert (tmp_path / TARGET.name).read_text() == "mine"


def test_another_target_of_the_same_eight_digits_is_refused(made):
    changed(made, identity="0" * 64)

    with pytest.raises(FileExistsError, match="another target whose hash begins alike"):
        folders.make(made, TARGET, overwrite=True)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match=r"cannot be written: .* is a file"):
        folders.make(tmp_path / "file" / TARGET.name, TARGET)


def test_toplatform_does_not_replace_a_folder_with_a_history(made):
    net = mcore.fromplatform(made)

    with pytest.raises(FileExistsError, match="holds other things than an artifact"):
        net.toplatform(made, sizes=[(1, 1, 32, 32)], overwrite=True)

    assert told(made)["name"] == TARGET.name


# --- half of one, and damage


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda folder: (folder / "model.onnx").unlink(), "model.onnx: missing"),
        (lambda folder: (folder / "model.onnx").write_bytes(b"half"), "model.onnx: damaged or edited"),
        (lambda folder: (folder / "model.json").unlink(), "there is no model.json"),
        (lambda folder: (folder / "model.json").write_text('{"format": 1'), "model.json: damaged"),
        (lambda folder: shutil.rmtree(folder / "test_data_set_2"), "input_0.pb is missing"),
        (lambda folder: (folder / "test_data_set_1" / "output_0.pb").write_bytes(b""), "output_0.pb is missing"),
    ],
    ids=["no-graph", "half-a-graph", "no-description", "half-a-description", "no-data", "empty-data"],
)
@pytest.mark.parametrize("history_too", [False, True], ids=["", "no-history"])
def test_half_an_artifact_is_made_again(made, spoil, why, history_too):
    spoil(made)
    if history_too:
        (made / "history.json").unlink()

    found = folders.make(made, TARGET)

    assert found.status == "updated"
    assert why in found.notes[-1]
    assert not any(checked.wrong for checked in verify(made))
    assert told(made)["request"] == TARGET.request


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda data: data.write_bytes(data.read_bytes()[:-1]), "output_0.pb is damaged or edited"),
        (lambda data: data.write_bytes(data.read_bytes()[:-1] + b"?"), "output_0.pb is damaged or edited"),
    ],
    ids=["truncated", "edited"],
)
def test_data_that_is_not_what_was_written_is_made_again(made, spoil, why):
    spoil(made / "test_data_set_1" / "output_0.pb")

    assert why in folders.make(made, TARGET).notes[-1]
    assert not any(checked.wrong for checked in verify(made))
    assert folders.make(made, TARGET).status == "current"


def test_a_fourth_data_set_that_is_gone_is_made_again(made):
    target = Target.network("LeNet", {"num_classes": 3}, sizes=[(n, 1, 32, 32) for n in (1, 2, 3, 4)])
    folders.make(made, target)
    shutil.rmtree(made / "test_data_set_3")

    assert "input_0.pb is missing" in folders.make(made, target).notes[-1]
    assert (made / "test_data_set_3" / "input_0.pb").is_file()


def test_data_that_somebody_has_added_stays(made):
    shutil.copytree(made / "test_data_set_0", made / "test_data_set_7")

    assert folders.make(made, TARGET).status == "current"
    assert (made / "test_data_set_7").is_dir()


def test_a_history_from_before_data_was_listed_is_current(made):
    entries = told(made)
    del entries["data"]
    (made / "history.json").write_text(json.dumps(entries))

    assert folders.make(made, TARGET).status == "current"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"format": 1, "name": "Le', "is damaged: Unterminated string"),
        ("", "is damaged: Expecting value"),
        ("[]", "is damaged: it holds no mapping"),
        ("{}", "is damaged: format, name, identity, .* missing or of another kind"),
        ('{"format": 1, "passed": {"cpu": 3}}', "is damaged: .*passed missing or of another kind"),
        ('{"format": 1, "code": {}, "data": []}', "is damaged: .*code, data missing or of another kind"),
        ("\xff\x00", "is damaged"),
        ("[" * 100_000, "is damaged"),
    ],
    ids=["truncated", "empty", "list", "keys", "passes", "code", "binary", "deep"],
)
def test_a_damaged_history_is_kept_aside_and_begun_anew(made, text, why):
    (made / "history.json").write_bytes(text.encode("latin-1"))

    found = folders.make(made, TARGET)

    assert found.status == "updated"
    with pytest.raises(ModelFileError, match=why):
        raise ModelFileError(found.notes[0])
    assert "It is kept as history.json.damaged-1, and a new one was begun." in found.notes[0]
    assert (made / "history.json.damaged-1").read_bytes() == text.encode("latin-1")
    assert told(made)["created"]["mcore"] == mcore.__version__
    assert folders.make(made, TARGET).status == "current"


def test_a_second_damage_is_kept_beside_the_first(made):
    for text in ("one", "two"):
        (made / "history.json").write_text(text)
        folders.record_pass(made, "onnxruntime-cpu", version="1.0")

    assert [(made / f"history.json.damaged-{n}").read_text() for n in (1, 2)] == ["one", "two"]
    assert list(told(made)["passed"]) == ["onnxruntime-cpu"]


def test_the_history_of_a_later_mcore_is_left_alone(made):
    changed(made, format=2)
    before = contents(made)

    with pytest.raises(ValueError, match="is of format 2, of a later mcore; this one reads 1"):
        folders.make(made, TARGET, overwrite=True)

    assert contents(made) == before


def test_what_a_killed_process_left_is_swept_away(made):
    left = made.parent / f".{made.name}.99999-abcdef12.tmp"
    other = made.parent / ".UNet-12345678.99999-abcdef12.tmp"
    for folder in (left, other):
        folder.mkdir()

    folders.make(made, TARGET)

    assert (left.exists(), other.exists()) == (False, True)


def test_a_network_that_cannot_be_built_leaves_what_was_there(made):
    before = contents(made)
    broken = Target(TARGET.names, TARGET.model, sizes=(((1, 1, 5, 5),),))

    with pytest.raises(RuntimeError, match=r"kernel size|can't be greater|Calculated"):
        folders.make(made, broken)

    assert contents(made) == before
    assert sorted(path.name for path in made.parent.iterdir()) == [".locks", made.name]


# --- passes


def test_passes_are_kept_by_device_the_newest_first(made, monkeypatch):
    for commit, date in (("a" * 40, "2026-01-01T00:00:00Z"), ("b" * 40, "2026-01-02T00:00:00Z")):
        monkeypatch.setattr(history.git, "head", lambda _, commit=commit: commit)
        folders.record_pass(made, "onnxruntime-cpu", version="1.0", date=date)
    folders.record_pass(made, "torch-cpu", version="2.0", date="2026-01-03T00:00:00Z")

    passed = told(made)["passed"]
    assert [(entry["commit"][0], entry["version"]) for entry in passed["onnxruntime-cpu"]] == [
        ("b", "1.0"),
        ("a", "1.0"),
    ]
    assert passed["torch-cpu"] == [
        {"commit": "b" * 40, "date": "2026-01-03T00:00:00Z", "code_hash": told(made)["code_hash"], "version": "2.0"}
    ]


def test_a_pass_of_the_same_commit_replaces_the_one_before(made):
    for date in ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"):
        folders.record_pass(made, "torch-cpu", version="2.0", date=date)

    assert [entry["date"] for entry in told(made)["passed"]["torch-cpu"]] == ["2026-01-02T00:00:00Z"]


def test_passes_are_no_more_than_a_hundred(made):
    for number in range(103):
        folders.record_pass(made, "torch-cpu", version=str(number))

    assert [entry["version"] for entry in told(made)["passed"]["torch-cpu"]] == [str(n) for n in range(102, 2, -1)]


# --- code


NETWORK = """
from mcore import Conv2d, Module
from mcore.registry import register


@register("network", "{name}")
class Net(Module):
    def __init__(self):
        super().__init__()
        self.conv = Conv2d(1, 2, 3)

    def forward(self, x):
        return self.conv(x)  * 2
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A module that registers a network of its own, in a file that may be edited."""
    name = f"plugin_{abs(hash(tmp_path))}"
    path = tmp_path / f"{name}.py"
    path.write_text(NETWORK.format(name=name))
    monkeypatch.syspath_prepend(tmp_path)
    __import__(name)
    yield path
    del sys.modules[name]


@pytest.mark.parametrize(
    ("new", "status"),
    [
        ('"""Twice, documented."""\n        return self.conv(x)*2  # twice', "current"),
        ("return self.conv(x)  * 3", "updated"),
    ],
    ids=["comments", "code"],
)
def test_a_change_of_code_makes_it_again_and_one_of_comments_does_not(plugin, new, status):
    target = Target.network(plugin.stem, sizes=[(1, 1, 9, 9)])
    folder = plugin.parent / target.name
    folders.make(folder, target)
    time.sleep(0.01)  # files are known by their times

    plugin.write_text(plugin.read_text().replace("return self.conv(x)  * 2", new))
    found = folders.make(folder, target)

    assert found.status == status
    assert found.notes == (["made again: its code has changed"] if status == "updated" else [])


def test_code_that_cannot_be_followed_is_never_taken_for_current(tmp_path):
    namespace = {"__name__": "nowhere"}
    exec(NETWORK.format(name="doctest_nowhere"), namespace)
    target = Target.network("doctest_nowhere", sizes=[(1, 1, 9, 9)])
    folders.make(tmp_path / target.name, target)

    assert folders.make(tmp_path / target.name, target).notes == [
        "made again: its code can't be followed, so it may have changed"
    ]


def test_on_the_platform_it_is_made_without_torch_and_is_current_for_both_engines(tmp_path):
    code = f"""
        import sys
        from pathlib import Path
        from tools.support import folder
        from tools.support.targets import Target
        target = Target.network("LeNet", {{"num_classes": 3}}, sizes=[(1, 1, 32, 32)])
        made = folder.make(Path({str(tmp_path)!r}) / target.name, target)
        print(made.status, "torch" in sys.modules)
        """

    assert run(code, engine="platform", without=["torch"]) == "made False"
    assert run(code, engine="torch") == "current False"


def test_code_that_was_edited_after_it_was_imported_is_not_noted_as_what_was_made(plugin):
    target = Target.network(plugin.stem, sizes=[(1, 1, 9, 9)])
    folder = plugin.parent / target.name
    folders.make(folder, target)
    time.sleep(0.01)  # files are known by their times
    plugin.write_text(plugin.read_text().replace("return self.conv(x)  * 2", "return self.conv(x)  * 3"))

    # It is made of what this process has imported, and that isn't what stands in the file now.
    folders.make(folder, target)

    assert folders.history.read(folder)["code"] is None
