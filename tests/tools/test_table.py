"""`mcore table`: only what changed is made again, for the reason that it tells; and nothing is lost on the way."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from tests.isolation import ROOT, started
from tools.cli import main
from tools.support import gate, plan, store, update, why
from tools.support.changes import Changes
from tools.support.rows import Wanted, by_frequency, wanted
from tools.support.update import Options

# Parts of somebody's own package: two blocks that share a function, and one that doesn't.
PARTS = '''
import mcore
from mcore import functional as F
from mcore.registry import register

def scaled(x):
    """Twice."""
    return 2 * x

@register("block", "own_first")
class First(mcore.Module):
    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = mcore.Conv2d(in_channels, 4, 3, padding=1)
    def forward(self, x):
        return scaled(self.conv(x))

@register("block", "own_second")
class Second(mcore.Module):
    def forward(self, x):
        return F.relu(scaled(x))

@register("block", "own_third")
class Third(mcore.Module):
    def forward(self, x):
        return F.gelu(x)
'''
# One whose constructor refuses, for a row that can't be made.
REFUSING = """
@register("block", "own_refusing")
class Refusing(mcore.Module):
    def __init__(self, in_channels: int) -> None:
        raise ValueError(f"Refusing: in_channels={in_channels} never fits.")
"""
DEVICES = ["onnxruntime-cpu", "reference"]


class Project:
    """A package with parts, and a table of them; each run is a process, as from the shell."""

    def __init__(self, folder):
        self.folder, self.out = folder, folder / "table"
        self.write(PARTS)

    def write(self, text):
        (self.folder / "own_parts.py").write_text(text, encoding="utf-8")

    def command(self, *words, devices=DEVICES):
        chosen = ["--devices", ",".join(devices)] if devices else []
        return [
            *(sys.executable, "-m", "tools.cli", "table", "--out", str(self.out), "--plugin", "own_parts"),
            *(*chosen, "--jobs", "1", *words),
        ]

    @property
    def environment(self):
        paths = [str(ROOT), str(self.folder), os.environ.get("PYTHONPATH", "")]
        # The engine that starts sooner; what is tested is the table.
        return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "MCORE_BACKEND": "platform"}

    def run(self, *words, only="block/own_*", **options):
        chosen = ["--only", only] if only else []
        return subprocess.run(
            self.command(*chosen, *words, **options), env=self.environment, cwd=self.folder, capture_output=True,
            text=True, timeout=280,
        )  # fmt: skip

    def midway(self, *words):
        """A run that goes on, and has made three artifacts."""
        running = started(self.command(*words), self.environment, cwd=self.folder)
        artifacts, deadline = self.out / "artifacts", time.monotonic() + 240
        while len([path for path in artifacts.glob("[!.]*") if path.is_dir()] if artifacts.is_dir() else ()) < 3:
            assert running.poll() is None, running.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return running

    def table(self):
        return json.loads((self.out / "table.json").read_text(encoding="utf-8"))

    def row(self, name):
        return next(row for row in self.table()["rows"] if row["name"] == name)

    def statuses(self, name):
        return {device: cell["status"] for device, cell in self.row(name)["cells"].items()}


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A table that was made once, for those that only look at it or change it in a copy."""
    project = Project(tmp_path_factory.mktemp("made"))
    project.first = project.run()
    assert project.first.returncode == 0, project.first.stderr
    return project


@pytest.fixture
def copied(made, tmp_path):
    """A copy of the table that was made, to be changed."""
    import shutil

    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)


def again(run):
    """What a run says that it made again, by row."""
    lines = [line.removeprefix("made again: ") for line in run.stdout.splitlines() if line.startswith("made again: ")]
    return dict(line.split(": ", 1) for line in lines)


def test_a_table_tells_of_every_row_what_it_is_and_what_devices_make_of_it(made):
    row = made.row("own_first")

    assert again(made.first) == {f"block/own_{name}": "new" for name in ("first", "second", "third")}
    assert row["layers"] == {"Conv2d": 1}
    assert row["parameters"] == 4 * 64 * 9 + 4
    batch, channels, *pixels = row["sizes"][0][0]
    assert row["multiply_adds"] == batch * 4 * pixels[0] * pixels[1] * channels * 9
    assert len(row["sizes"]) >= 3
    assert made.statuses("own_first") == dict.fromkeys(DEVICES, "ok")
    for device in DEVICES:
        cell = row["cells"][device]
        assert len(cell["sizes"]) == len(row["sizes"])
        assert max(size["difference"] for size in cell["sizes"]) < 1e-4
    assert {path.name for path in made.out.iterdir()} >= {
        "table.json",
        "code.json",
        "table.csv",
        "table.md",
        "index.html",
    }


def test_a_second_run_makes_nothing_and_imports_no_engine_and_no_runtime(project):
    # Without the plugin, whose own words of mcore load an engine.
    words = [*project.command("--only", "block/Focus")[3:]]
    words = [word for word in words if word not in ("--plugin", "own_parts")]
    code = f"""
        import sys
        from tools.cli import main
        code = main({words!r})
        print(code, [name for name in ("torch", "onnx", "onnxruntime", "openvino", "jinja2") if name in sys.modules])
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    options = {"env": project.environment, "capture_output": True, "text": True, "check": True}

    first = subprocess.run(command, **options)
    before = (project.out / "table.json").read_bytes()
    second = subprocess.run(command, **options)

    assert "1 rows, 1 made again, 2 cells checked: 2 ok" in first.stdout
    assert "1 rows, 0 made again, 0 cells checked" in second.stdout
    assert second.stdout.splitlines()[-1] == "0 []"
    assert (project.out / "table.json").read_bytes() == before


def test_a_comment_and_a_docstring_make_nothing_again(copied):
    copied.write(PARTS.replace('"""Twice."""', '"""Two times."""  # a comment'))
    before = copied.table()

    done = copied.run()

    assert again(done) == {}
    assert copied.table() == before


def test_a_function_makes_exactly_its_users_again_and_the_table_tells_the_path_to_it(copied):
    copied.write(PARTS.replace("2 * x", "3 * x"))

    done = copied.run()

    path = "own_parts:{0} -> own_parts:{0}.forward -> own_parts:scaled"
    assert again(done) == {"block/own_first": path.format("First"), "block/own_second": path.format("Second")}
    assert copied.row("own_first")["changed"]["why"] == path.format("First").split(" -> ")
    assert copied.statuses("own_first") == dict.fromkeys(DEVICES, "ok")


def test_why_tells_what_the_next_run_will_make_again(copied, monkeypatch):
    copied.write(PARTS.replace("F.gelu(x)", "F.gelu(x) + 1"))

    said = subprocess.run(
        copied.command("why", "own_third", devices=None), env=copied.environment, capture_output=True, text=True
    )

    assert said.returncode == 0, said.stderr
    lines = [line.strip() for line in said.stdout.splitlines()]
    assert lines[0].startswith("block/own_third: stale")
    assert lines[1:3] == ["own_parts:Third", "-> own_parts:Third.forward"]


def test_code_that_gives_the_same_artifact_keeps_what_devices_said(copied):
    before = copied.row("own_third")["cells"]
    copied.write(PARTS.replace("return F.gelu(x)", "y = F.gelu(x)\n        return y"))

    done = copied.run()

    assert "(1 of them gave the same artifact), 0 cells checked" in done.stdout
    assert copied.row("own_third")["cells"] == before
    assert copied.row("own_third")["changed"]["why"][-1] == "own_parts:Third.forward"


def test_another_exporter_makes_rows_again_and_is_no_change_of_theirs(copied):
    before = copied.row("own_third")["changed"]
    table, code = copied.table(), json.loads((copied.out / "code.json").read_text())
    for row in table["rows"]:
        row["code"] = code["rows"][f"{row['kind']}/{row['name']}"]["hash"] = "0" * 16
    exporter = "mcore.exchange.export"
    code["files"][exporter] = code["states"]["now"]["machinery"][exporter] = "0" * 16
    (copied.out / "table.json").write_text(json.dumps(table))
    (copied.out / "code.json").write_text(json.dumps(code))

    done = copied.run()

    assert set(again(done).values()) == {exporter}
    assert copied.row("own_third")["changed"] == before


def test_a_device_that_is_new_is_tried_on_the_artifacts_that_are_there(copied):
    done = copied.run(devices=[*DEVICES, "openvino-cpu"])

    assert again(done) == {}
    assert "3 cells checked" in done.stdout
    assert copied.statuses("own_second") == dict.fromkeys([*DEVICES, "openvino-cpu"], "ok")


def test_a_device_that_is_not_there_is_not_tested_and_what_it_said_of_other_code_is_stale(copied):
    copied.run(devices=[*DEVICES, "onnxruntime-cuda"])
    first = copied.row("own_first")["cells"]["onnxruntime-cuda"]
    # As if it had been there, and had passed.
    table = copied.table()
    for row in table["rows"]:
        row["cells"]["onnxruntime-cuda"] |= {"status": "ok", "detail": "", "version": "1"}
    (copied.out / "table.json").write_text(json.dumps(table))
    copied.write(PARTS.replace("2 * x", "3 * x"))

    copied.run(devices=[*DEVICES, "onnxruntime-cuda"])

    assert first["status"] == "not tested"
    assert first["detail"]
    assert copied.statuses("own_first")["onnxruntime-cuda"] == "stale"
    assert copied.statuses("own_third")["onnxruntime-cuda"] == "ok"


def test_rows_that_are_left_as_they_were_show_that_they_are_stale_until_they_are_made(copied):
    copied.write(PARTS.replace("2 * x", "3 * x"))

    copied.run(only="block/own_second")
    between = copied.statuses("own_first"), copied.statuses("own_second")
    copied.run()

    assert between == (dict.fromkeys(DEVICES, "stale"), dict.fromkeys(DEVICES, "ok"))
    assert copied.statuses("own_first") == dict.fromkeys(DEVICES, "ok")


@pytest.mark.long
def test_code_that_is_as_it_was_again_is_not_stale_any_more(copied):
    copied.write(PARTS.replace("2 * x", "3 * x"))
    copied.run(only="block/own_second")
    copied.write(PARTS)

    done = copied.run()

    assert set(again(done)) == {"block/own_second"}
    assert copied.statuses("own_first") == dict.fromkeys(DEVICES, "ok")


def test_a_constructor_that_refuses_is_a_row_with_its_error_and_stops_no_other(copied):
    copied.write(PARTS + REFUSING)

    done = copied.run()

    assert done.returncode == 0
    assert "Refusing: in_channels=64 never fits." in copied.row("own_refusing")["error"]
    assert copied.row("own_refusing")["cells"] == {}
    assert copied.statuses("own_first") == dict.fromkeys(DEVICES, "ok")
    assert again(copied.run()) == {}


@pytest.mark.long
def test_a_row_whose_code_is_edited_while_it_is_made_is_made_again(project):
    running = subprocess.Popen(
        project.command("--only", "block/own_*"), env=project.environment, cwd=project.folder, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    # The process that makes the third has imported it by now.
    while not list((project.out / "artifacts").glob("own_first*")):
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    project.write(PARTS.replace("F.gelu(x)", "F.gelu(x) + 1"))
    _, said = running.communicate(timeout=120)
    between = project.statuses("own_first"), project.statuses("own_third")

    done = project.run()

    assert "block/own_third: its code was edited while it was made; the next run makes it again." in said
    assert between == (dict.fromkeys(DEVICES, "ok"), dict.fromkeys(DEVICES, "stale"))
    assert set(again(done)) == {"block/own_third"}
    assert project.statuses("own_third") == dict.fromkeys(DEVICES, "ok")
    assert again(project.run()) == {}


@pytest.mark.long
def test_a_name_that_is_no_longer_excluded_is_a_row_as_any_other(project):
    (project.folder / "plan.yaml").write_text("exclusions: {attention: {ECA: for now}}")
    project.run("--plan", "plan.yaml", "--exclusions", only="attention/ECA")
    before = project.row("ECA")["excluded"]
    (project.folder / "plan.yaml").write_text("{}")

    project.run("--plan", "plan.yaml", only="attention/ECA")

    assert before == "for now"
    assert project.row("ECA")["excluded"] == ""
    assert not [line for line in gate.problems(project.out, plan=project.folder / "plan.yaml") if "/ECA" in line]


def test_somebody_elses_folder_is_left_alone(copied):
    folder = copied.out / "artifacts" / copied.row("own_first")["folder"]
    (folder / "thesis.txt").write_text("years of work")

    done = copied.run("--all", only="block/own_first")

    assert done.returncode == 0
    assert "thesis.txt" in copied.row("own_first")["error"]
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_a_half_written_artifact_is_made_again(copied):
    (copied.out / "artifacts" / copied.row("own_first")["folder"] / "model.onnx").write_bytes(b"half")

    copied.run(devices=[*DEVICES, "openvino-cpu"])

    assert copied.statuses("own_first") == dict.fromkeys([*DEVICES, "openvino-cpu"], "ok")


@pytest.mark.parametrize("name", ["table.json", "code.json"])
@pytest.mark.parametrize(
    "text", ["{", '{"format": 1}', "[]", "\0", ""], ids=["cut", "empty", "a list", "NUL", "nothing"]
)
def test_a_damaged_file_is_kept_aside_and_said(tmp_path, name, text):
    (tmp_path / name).write_text(text)

    *_, seen = store.read(tmp_path)
    assert (tmp_path / name).read_text() == text  # whoever only looks moves nothing
    *_, notes = store.read(tmp_path, aside=True)

    assert len(seen) == 1
    assert (tmp_path / f"{name}.damaged-1").read_text() == text
    assert not (tmp_path / name).exists()
    assert len(notes) == 1
    assert f"kept as {name}.damaged-1" in notes[0]


@pytest.mark.parametrize(
    ("name", "part", "entry", "said"),
    [
        ("table.json", "rows", 4, "its row 3 has no kind, name"),
        ("table.json", "rows", {"kind": "block", "name": "x"}, "its row 3 has no parts, folder"),
        ("code.json", "rows", {"hash": "1"}, "its row more has no state"),
        ("code.json", "states", {"nodes": {}}, "its state more has no machinery"),
    ],
)
def test_a_row_that_is_not_whole_is_told_by_its_place(copied, name, part, entry, said):
    path = copied.out / name
    whole = json.loads(path.read_text())
    if name == "table.json":
        whole[part].append(entry)
    else:
        whole[part]["more"] = entry
    path.write_text(json.dumps(whole))

    *_, notes = store.read(copied.out)

    assert len(notes) == 1
    assert f"{name}: damaged: {said}" in notes[0]


def test_a_plugin_that_cannot_be_imported_is_one_line(copied):
    copied.write("def (")

    done = copied.run()

    assert done.returncode == 1
    assert "--plugin own_parts: SyntaxError: invalid syntax" in done.stderr
    assert done.stderr.count("\n") == 1


def test_rows_of_a_plugin_that_is_not_given_are_told_when_they_go(copied):
    options = Options(copied.out, only=["attention/ECA"], devices=[], progress=False)

    summary = update.update(options)

    assert [
        note for note in summary.notes if "3 rows went" in note and "block/own_first" in note and "--plugin" in note
    ]


def test_a_damaged_table_is_made_anew(copied):
    (copied.out / "table.json").write_text((copied.out / "table.json").read_text()[:1000])

    done = copied.run()

    assert "kept as table.json.damaged-1" in done.stderr
    assert copied.statuses("own_first") == dict.fromkeys(DEVICES, "ok")


def test_a_table_of_a_later_format_is_left_as_it_is(copied):
    (copied.out / "table.json").write_text('{"format": 99}')

    done = copied.run()

    assert done.returncode == 1
    assert "format 99 is of a later mcore" in done.stderr
    assert (copied.out / "table.json").read_text() == '{"format": 99}'


def test_a_second_run_at_once_refuses_and_names_the_first_or_waits_for_it(copied):
    with store.locked(copied.out, wait=False):
        refused = copied.run()
        waiting = subprocess.Popen(
            copied.command("--only", "block/own_*", "--wait"), env=copied.environment, cwd=copied.folder,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(3)
        still = waiting.poll()
    said, _ = waiting.communicate(timeout=120)

    assert refused.returncode == 1
    assert f"another run is writing this table (process {os.getpid()} on " in refused.stderr
    assert still is None
    assert waiting.returncode == 0
    assert "0 made again" in said


def test_a_run_that_is_stopped_keeps_what_was_done_and_the_next_goes_on(project):
    running = project.midway("--only", "block/own_*", "--only", "attention/*")
    artifacts = project.out / "artifacts"
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)

    kept = {row["name"] for row in project.table()["rows"]}
    done = project.run(only="block/own_*")

    assert running.returncode == 130
    assert "stopped" in said
    assert 1 <= len(kept) < 19
    assert not list(artifacts.rglob("*.tmp"))
    names = {f"block/{name}" for name in ("own_first", "own_second", "own_third") if name not in kept}
    assert set(again(done)) == names


BROKEN = """
import os, time
from mcore.devices import Device

class Crashing(Device):
    name, title = "crashing", "a device that ends its process"
    def load(self, artifact): ...
    def run(self, inputs): os._exit(7)

class Hanging(Device):
    name, title = "hanging", "a device that never answers"
    def load(self, artifact): time.sleep(1000)
    def run(self, inputs): ...
"""


def test_a_device_that_crashes_or_hangs_has_failed_and_hurts_no_other(copied):
    (copied.folder / "broken.py").write_text(BROKEN)
    info = copied.folder / "broken-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[mcore.devices]\ncrashing = broken:Crashing\nhanging = broken:Hanging\n")

    done = copied.run("--timeout", "20", only="block/own_third", devices=["crashing", "hanging", *DEVICES])

    cells = copied.row("own_third")["cells"]
    assert done.returncode == 0
    assert copied.statuses("own_third") == {
        "crashing": "failed", "hanging": "failed", **dict.fromkeys(DEVICES, "ok")
    }  # fmt: skip
    assert "ended with code 7" in cells["crashing"]["detail"] or "7" in cells["crashing"]["detail"]
    assert "not done after 20 s" in cells["hanging"]["detail"]


# --- refusals


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--only", "resnet81"],
            "--only resnet81: no row of the table has such a name; the nearest names are resnet18",
        ),
        (["--devices", "onnxruntime-cpuu"], "no device 'onnxruntime-cpuu'; the nearest names are onnxruntime-cpu"),
        (["--memory", "lots", "--only", "SE"], "--memory lots: write a size like 8G"),
        (["--plan", "nowhere.yaml"], "nowhere.yaml"),
        (["--check"], "there is no table.json; run: mcore table --out"),
        (["why", "RSUnet"], "there is no table.json"),
        (["what", "RSUNet"], "write: mcore table why NAME"),
        (["--check", "--only", "SE"], "--only: --check looks at the whole table; leave it out"),
        (["--check", "why", "SE"], "--check and why are two commands"),
        (["--timeout", "-5"], "--timeout -5: write a number of seconds above 0"),
        (["--slow", "nan"], "--slow nan: write a number of seconds above 0"),
        (["--devices", ","], "--devices ',': write names"),
        (["--plugin", "no_such_package"], "--plugin no_such_package: ModuleNotFoundError: No module named"),
        (["--since", "no-such-branch", "--only", "SE"], "'no-such-branch' is no commit"),
        (["--since", " "], "--since: write a commit"),
        (
            ["--only", "Coordinate"],
            "Coordinate is excluded (a tuple of numbers, no network)",
        ),
        (["--only", "UNet", "--exclusions"], "network/UNet isn't excluded; leave --exclusions out"),
    ],
)
def test_a_wrong_word_is_one_clear_line(words, said, tmp_path, capsys):
    code = main(["table", "--out", str(tmp_path / "table"), *words])

    err = capsys.readouterr().err
    assert code in (1, 2)
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "table" / "table.json").exists()


def test_why_of_an_unknown_name_tells_the_nearest(made):
    with pytest.raises(LookupError, match="no row 'RSUnet'; the nearest names are"):
        list(why.told(made.out, "RSUnet"))


# --- the gate


@pytest.fixture
def committed(copied):
    """The table, committed in a repository of its own."""
    git = ["git", "-C", str(copied.folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "table/table.json", "table/code.json"], ["commit", "-qm", "table"]):
        subprocess.run([*git, *words], check=True)
    return copied


def change(project, name, device, **cell):
    table = project.table()
    next(row for row in table["rows"] if row["name"] == name)["cells"][device] |= cell
    (project.out / "table.json").write_text(json.dumps(table))


def of_own(found):
    """What the gate says of the rows that were made; the zoo's own aren't in this table."""
    return [line for line in found if "own_" in line]


def test_the_gate_names_what_is_missing(made):
    found = gate.problems(made.out)

    assert "attention/SE: public, and not in the table" in found
    # Here the plugin isn't loaded.
    assert "block/own_first: in the table, and not public any more, or excluded" in found


def test_the_gate_ends_with_1_and_names_what_is_stale(committed):
    committed.write(PARTS.replace("2 * x", "3 * x"))

    done = committed.run("--check", only=None, devices=None)

    assert done.returncode == 1
    assert of_own(done.stdout.splitlines()) == [
        f"block/own_{name}: stale: own_parts:{cls} -> own_parts:{cls}.forward -> own_parts:scaled"
        for name, cls in (("first", "First"), ("second", "Second"))
    ]


def test_the_gate_names_what_is_worse_than_in_the_last_commit(committed):
    change(committed, "own_first", "reference", status="mismatch", detail="output 0 differs")
    change(committed, "own_second", "reference", status="not tested")

    done = committed.run("--check", only=None, devices=None)

    assert of_own(done.stdout.splitlines()) == [
        "block/own_first: worse on reference: it was ok, and is mismatch: output 0 differs",
        "block/own_second: worse on reference: it was ok, and is not tested",
    ]


def test_a_cell_that_became_stale_and_then_wrong_is_worse_all_the_same(committed):
    git = ["git", "-C", str(committed.folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    change(committed, "own_first", "reference", status="stale", detail="the device isn't here", before="ok")
    stale = [line for line in gate.problems(committed.out) if "worse" in line]
    subprocess.run([*git, "commit", "-qam", "stale"], check=True)
    change(committed, "own_first", "reference", status="mismatch", detail="output 0 differs")

    assert stale == ["block/own_first: worse on reference: it was ok, and is stale: the device isn't here"]
    assert [line for line in gate.problems(committed.out) if "worse" in line] == [
        "block/own_first: worse on reference: it was ok, and is mismatch: output 0 differs"
    ]


@pytest.mark.long
def test_a_terminated_run_keeps_what_was_done(project):
    running = project.midway("--only", "attention/*")
    running.terminate()
    _, said = running.communicate(timeout=60)

    assert running.returncode == 143
    assert "mcore table: terminated" in said
    assert project.table()["rows"]
    assert not (project.out / ".table.lock.owner").exists()


def test_the_gate_compares_a_committed_table_with_the_one_before(committed):
    change(committed, "own_first", "reference", status="failed", detail="no")
    git = ["git", "-C", str(committed.folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "commit", "-qam", "worse"], check=True)

    assert [line for line in gate.problems(committed.out) if "worse" in line] == [
        "block/own_first: worse on reference: it was ok, and is failed: no"
    ]
    assert [line for line in gate.problems(committed.out, since="HEAD") if "worse" in line] == []


def test_of_a_cell_that_is_worse_the_gate_forgives_what_the_plan_excuses_alone():
    def rows(status, error=""):
        return {"block/X": {"error": error, "cells": {} if error else {"a": {"status": status, "detail": ""}}}}

    def worse(now, excused=()):
        return [*gate._worse(now, rows("ok"), {"block/X": {*excused}})]

    assert worse(rows("mismatch")) == ["block/X: worse on a: it was ok, and is mismatch"]
    assert worse(rows("mismatch"), ["b"]) == worse(rows("mismatch"))
    assert worse(rows("mismatch"), ["a"]) == []
    assert worse(rows("", "refused")) == ["block/X: worse: it can't be converted any more: refused"]
    assert worse({"block/X": {"error": "", "cells": {}}}) == ["block/X: worse on a: it was ok, and is not tested"]


def test_a_row_whose_code_is_another_than_at_a_commit_is_made_again(project, tmp_path):
    # The project's own repository has no such plugin: the zoo's code is compared, which is that of the commit.
    options = Options(tmp_path / "table", only=["attention/ECA"], devices=[], since="HEAD", progress=False)

    first = update.update(options)

    assert {line.partition(":")[0] for line in first.made} == {"attention/ECA"}


def test_since_finds_exactly_the_rows_whose_code_was_another_at_a_commit(tmp_path):
    rows = [row for row in wanted(plan.read()) if row.key in ("attention/ECA", "attention/SE", "block/ConvNormAct")]
    for package in ("mcore", "models"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    eca = tmp_path / "models" / "attention" / "eca.py"
    eca.write_text(eca.read_text(encoding="utf-8").replace("def forward(self, ", "def forward(self, other, "))
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=n", "-c", "user.email=e@x", "commit", "-qm", "then"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)

    found = Changes(rows, {"files": {}, "rows": {}, "states": {}}).changed_since("HEAD", tmp_path / "mcore")

    assert found == {"attention/ECA"}


# --- in which order


def test_rows_of_the_priority_list_come_first_and_then_kind_by_kind():
    rows = wanted(plan.Plan(priority=("resnet18", "SE", "UNet")))

    assert [row.key for row in rows[:3]] == ["backbone/resnet18", "attention/SE", "network/UNet"]
    kinds = [row.kind for row in rows[3:]]
    assert list(dict.fromkeys(kinds)) == ["network", "backbone", "neck", "head", "attention", "block"]
    assert len(list(itertools.groupby(kinds))) == 6


def test_layers_that_most_architectures_have_come_first():
    names = ["block/Rare", "attention/Common", "block/Never", "network/Net", "block/Also"]
    rows = [Wanted(*name.split("/"), parts={}, given={}, places=()) for name in names]
    told = [
        {"kind": "network", "layers": {"Common": 1, "Rare": 90}},
        {"kind": "backbone", "layers": {"Common": 2, "Also": 1}},
        # A block that holds itself tells of no architecture.
        {"kind": "block", "layers": {"Never": 5, "Rare": 1}},
    ]

    assert [row.name for row in by_frequency(rows, told)] == ["Common", "Also", "Rare", "Never"]
