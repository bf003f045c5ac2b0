"""`mcore checkpoints`: what it prints, what it changes, exit codes, and one clear line on bad input."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import mcore
import models
from mcore.checkpoint import Repository
from mcore.checkpoint.store.base import blob_key
from tests.checkpoint.made import put, repository, weights
from tools import checkpoints
from tools.cli import main

NETWORK = "networks/segmentation/UNet"


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """A repository that the environment names: two versions of a network, and a backbone."""
    repo = repository(tmp_path / "repo")
    put(repo, {"backbone": weights(1), "head": weights(2)}, metrics=metric(0.5), tags={"em": ""}, notes="calm\x1b[2J")
    put(repo, {"backbone": weights(1), "head": weights(3)}, metrics=metric(0.75), parent=repo.ids()[0])
    put(repo, {"": weights(4)}, kind="backbone", task="", network="resnet18", structure={"config": {"a": 1}})
    monkeypatch.setenv("MCORE_REPOSITORY", str(tmp_path / "repo"))
    monkeypatch.setenv("MCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return repo


@pytest.fixture
def run(capsys):
    """Runs an action; its exit code, and what it printed."""

    def ran(*words):
        code = main(["checkpoints", *map(str, words)])
        found = capsys.readouterr()
        return code, found.out, found.err

    return ran


def metric(value):
    return [{"name": "miou", "split": "val", "value": value}]


def told(run, *words):
    """What a command that goes well prints."""
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    return out


def refused(run, *words, code=1):
    """The one line of a command that is refused."""
    found, out, err = run(*words)
    assert (found, out) == (code, "")
    assert "Traceback" not in err
    return err


# --- finding


def test_list_prints_a_line_each_with_metrics_tags_and_size(run, repo):
    repo.alias(repo.ids()[1], "best")

    lines = told(run, "list").splitlines()

    assert [line.split()[0] for line in lines] == ["id", *repo.ids()]
    assert lines[1].split()[1:] == [f"{NETWORK}@1", "val.miou", "0.5", "em", *lines[1].split()[-3:]]
    assert lines[2].split()[1:5] == [f"{NETWORK}@2", "val.miou", "0.75", "@best"]


@pytest.mark.parametrize(
    ("words", "count"),
    [(["networks/*"], 2), (["UNet"], 2), (["backbones/res*"], 1), (["none*"], 0), (["--limit", "2"], 2), ([], 3)],
)
def test_list_takes_a_glob_of_addresses_or_names_and_a_limit(run, repo, words, count):
    found = json.loads(told(run, "list", "--json", *words))

    assert len(found) == count


def test_list_for_programs_has_the_whole_records(run, repo):
    repo.alias(repo.ids()[0], "best")

    first = json.loads(told(run, "list", "--json"))[0]

    assert first["address"] == NETWORK
    assert first["aliases"] == ["best"]
    assert first["metrics"][0]["value"] == 0.5


def test_list_of_the_deleted_has_those_alone(run, repo):
    id = repo.ids()[0]
    repo.delete(id)

    assert [one["id"] for one in json.loads(told(run, "list", "--deleted", "--json"))] == [id]


def test_search_prints_what_a_question_means_in_its_order(run, repo):
    for package in ("sqlalchemy", "lark"):
        pytest.importorskip(package, reason=f"{package} isn't installed; the extra checkpoints has it")

    found = json.loads(told(run, "search", "metrics.val.miou > 0.2", "--order=-metrics.val.miou", "--json"))

    assert [one["metrics"][0]["value"] for one in found] == [0.75, 0.5]


def test_search_tells_what_may_be_asked_for(run):
    assert re.search(r"^metrics\.<name> ", told(run, "search", "--fields"), re.MULTILINE)


def test_a_question_that_can_not_be_read_is_pointed_at(run, repo):
    pytest.importorskip("lark", reason="lark isn't installed; the extra checkpoints has it")

    assert "no field 'taks'; did you mean task" in refused(run, "search", 'taks = "x"')


def test_show_tells_everything_with_the_layers(run, repo):
    repo.tag(repo.ids()[1], "domain", "brain")

    out = told(run, "show", f"{NETWORK}@2")

    for said in (
        r"^id +" + repo.ids()[1],
        r"^tags +domain=brain",
        r"^metric +val.miou 0.75",
        rf"^fine-tuned from +{NETWORK}@1 {repo.ids()[0]}",
        r"^head \(head\)",
        r"^  parameters +112",
        r"tagged domain=brain",
        r"^backbone.conv +weight 4 x 3 x 3 x 3, bias 4 +112",
    ):
        assert re.search(said, out, re.MULTILINE), said


def test_show_prints_nothing_that_steers_a_terminal(run, repo):
    out = told(run, "show", f"{NETWORK}@1")

    assert "\x1b" not in out
    assert r"calm\x1b[2J" in out


def test_show_without_layers_reads_no_weights(run, repo):
    for path in (repo.store.path / "blobs").rglob("*"):
        if path.is_file():
            path.unlink()

    assert "weight 4" not in told(run, "show", NETWORK, "--no-layers")


def test_show_for_programs_has_the_events(run, repo):
    repo.tag(repo.ids()[0], "x")

    found = json.loads(told(run, "show", repo.ids()[0], "--json"))

    assert [event["do"] for event in found["events"]] == ["tag"]


def test_show_with_build_has_the_class_of_each_layer(run, tmp_path):
    repo = Repository(tmp_path)
    repo.save(models.create("LeNet"), task="classification")

    out = told(run, "show", "networks/classification/LeNet", "--build", "--repo", tmp_path)

    assert re.search(r"^conv1 +Conv2d +weight 6 x 1 x 5 x 5", out, re.MULTILINE)


def test_the_tree_is_the_repositorys(run, repo):
    assert told(run, "tree") == f"{repo.tree()}\n"
    assert "... 1 older" in told(run, "tree", "--versions", 1)


def test_the_tree_is_drawn_in_letters_where_the_terminal_has_no_others(repo):
    found = subprocess.run(
        [sys.executable, "-m", "tools.cli", "checkpoints", "tree"],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": os.path.dirname(os.path.dirname(mcore.__file__))},
        capture_output=True,
        check=True,
    )

    assert b"`- resnet18" in found.stdout


def test_diff_tells_what_changed(run, repo):
    out = told(run, "diff", f"{NETWORK}@1", f"{NETWORK}@2")
    data = json.loads(told(run, "diff", f"{NETWORK}@1", f"{NETWORK}@2", "--json"))

    assert "val.miou: 0.5 -> 0.75 (+0.25)" in out
    assert "backbone: the same file" in out
    assert {one["name"] for one in data["moved"]} == {"head.conv.weight", "head.conv.bias"}


# --- saying something of a checkpoint


def test_tags_aliases_and_notes_are_given_and_taken_away(run, repo):
    id = repo.ids()[1]

    told(run, "tag", id, "em", "domain=brain=left")
    told(run, "untag", id, "em")
    told(run, "note", f"{NETWORK}@2", "a note")

    assert told(run, "alias", id[:20], "best") == f"{NETWORK}@best is {id}\n"
    record = Repository(repo.store.path).record(f"{NETWORK}@best")
    assert (record.tags, record.notes) == ({"domain": "brain=left"}, "a note")


def test_what_is_deleted_comes_back_by_restore(run, repo):
    id = repo.ids()[0]

    assert f"mcore checkpoints restore {id}" in told(run, "delete", f"{NETWORK}@1")
    assert id not in repo.ids()
    told(run, "restore", id)

    assert id in repo.ids()


def test_when_one_of_several_is_unknown_none_is_deleted(run, repo):
    refused(run, "delete", f"{NETWORK}@1", f"{NETWORK}@9")

    assert len(repo.ids()) == 3


# --- carrying and keeping


def test_export_and_import_carry_checkpoints(run, repo, tmp_path):
    out = told(run, "export", f"{NETWORK}@1", "backbones/resnet18", "--out", "bundle")
    assert "2 checkpoints in bundle" in out

    out = told(run, "import", "bundle", "--repo", "new")

    assert f"{NETWORK}@1" in out
    assert out.endswith("2 new checkpoints in new\n")
    assert "0 new checkpoints" in told(run, "import", "bundle", "--repo", "new")
    assert len(Repository(tmp_path / "new").ids()) == 2


def test_import_takes_a_tree_of_weights_by_family(run, tmp_path):
    (tmp_path / "pmodels" / "resnet").mkdir(parents=True)
    net = models.create("resnet18", in_channels=3)
    mcore.save(net.state_dict(), tmp_path / "pmodels" / "resnet" / "resnet18.safetensors")
    (tmp_path / "pmodels" / "resnet" / "resnet34.pth").write_bytes(b"no weights")

    code, out, _ = run("import", tmp_path / "pmodels", "--repo", tmp_path / "repo")

    assert code == 1
    assert re.search(r"resnet/resnet34\.pth: failed", out)
    record = Repository(tmp_path / "repo").record("backbones/resnet18")
    np.testing.assert_array_equal(
        Repository(tmp_path / "repo").arrays(record.components[0])["conv1.weight"], net.conv1.weight.detach().numpy()
    )


def test_verify_ends_with_1_and_names_what_is_damaged(run, repo):
    assert "3 checkpoints: every byte is as it was saved" in told(run, "verify")
    path = repo.store.path / blob_key(repo.record(f"{NETWORK}@1").component("head").blob.sha256)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])

    code, out, _ = run("verify")

    assert code == 1
    assert re.search(rf"^{repo.ids()[0]}, component 'head': ", out)
    assert run("verify", f"{NETWORK}@2")[0] == 0
    assert len(json.loads(run("verify", "--json")[1])["problems"]) == 1


def test_gc_frees_what_is_deleted_once_it_is_old_enough(run, repo):
    repo.delete(f"{NETWORK}@1")

    assert told(run, "gc") == "0 files are gone\n"
    assert told(run, "gc", "--grace", "0s", "--dry-run").endswith("2 files would go\n")
    assert told(run, "gc", "--grace", "0s").endswith("2 files are gone\n")
    assert json.loads(told(run, "gc", "--grace", "0", "--json")) == []
    assert repo.verify() == []


def test_card_writes_a_page(run, repo, tmp_path):
    pytest.importorskip("jinja2", reason="jinja2 isn't installed; the extra checkpoints has it")

    assert told(run, "card", NETWORK) == f"{repo.ids()[1]}.html\n"
    assert told(run, "card", NETWORK, "--out", "unet.html") == "unet.html\n"

    assert (tmp_path / "unet.html").read_text("utf-8") == repo.card(NETWORK)


# --- bad input


def test_every_action_has_help_with_an_example(run):
    for action in checkpoints.ACTIONS:
        code, out, _ = run(action, "--help")
        assert code == 0
        assert f"example:\n  mcore checkpoints {action}" in out


def test_a_repository_that_is_not_there_is_told_and_not_made(run, tmp_path, monkeypatch):
    monkeypatch.delenv("MCORE_REPOSITORY", raising=False)
    monkeypatch.chdir(tmp_path)

    err = refused(run, "list")

    assert re.search(r"checkpoints: there is no .*Name another with --repo or MCORE_REPOSITORY\.$", err)
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "networks/segmentation/Unet"], "no 'networks/segmentation/Unet'; the nearest there are"),
        (["show", f"{NETWORK}@7"], "has no '7'; it has versions 1, 2"),
        (["show", "abc"], "is no checkpoint: an id or its first 8 characters"),
        (["untag", NETWORK, "none"], "has no tag 'none'; it has none"),
        (["tag", NETWORK, "../x"], "name: String should match"),
        (["alias", NETWORK, "latest"], "'latest' means a version already"),
        (["import", "nowhere"], "there is no folder nowhere"),
        (["import", "repo/format.json"], "is a file; a bundle is a folder with format.json in it"),
        (["export", NETWORK, "--out", "repo"], "repo is there and isn't an empty folder; export to another path"),
        (["import", "repo", "--family", "resnet"], "--family: repo is a bundle of checkpoints"),
        (["restore", NETWORK], "no deleted checkpoint"),
        (["show", NETWORK, "--plugin", "no_such_module"], "--plugin no_such_module: ModuleNotFoundError"),
        (["list", "--repo", "ftp://host/x"], "ftp:// isn't known"),
    ],
)
def test_a_mistake_is_one_line_and_ends_with_1(run, repo, words, message):
    err = refused(run, *words)

    assert err.startswith("mcore checkpoints: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: ACTION"),
        (["lst"], "invalid choice: 'lst'"),
        (["list", "--limit", "0"], "'0' is no number of at least 1"),
        (["gc", "--grace", "1y"], "'1y' is no time; write 30m, 24h or 7d"),
        (["export", NETWORK], "the following arguments are required: --out"),
        (["tag", NETWORK], "required: NAME"),
    ],
)
def test_a_wrong_call_ends_with_2(run, words, message):
    assert message in refused(run, *words, code=2)


def test_the_core_alone_lists_shows_and_carries(repo):
    """A process in which the packages of the extra can't be imported."""
    code = """
import sys
for package in ("sqlalchemy", "lark", "jinja2", "filelock", "tqdm", "torch", "models"):
    sys.modules[package] = None
from tools.cli import main
for words in (["list"], ["show", "backbones/resnet18"], ["tree"], ["tag", "backbones/resnet18", "x"], ["verify"],
              ["diff", "UNET@1", "UNET@2"], ["export", "backbones/resnet18", "--out", "bundle"], ["gc"]):
    words = [word.replace("UNET", "networks/segmentation/UNet") for word in words]
    assert main(["checkpoints", *words]) == 0, words
assert main(["checkpoints", "card", "backbones/resnet18"]) == 1
assert main(["checkpoints", "search", "task = 'x'"]) == 1
"""
    root = os.path.dirname(os.path.dirname(mcore.__file__))
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": root, "MCORE_BACKEND": "platform"},
        capture_output=True,
        text=True,
    )

    assert found.returncode == 0, found.stderr
    assert found.stderr.count('pip install ".[checkpoints]"') == 2
