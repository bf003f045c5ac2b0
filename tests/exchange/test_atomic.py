"""Writing all or nothing: faults at every step, full disks, killed processes, overwriting."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mcore.exchange import atomic
from mcore.exchange.atomic import atomic_file, atomic_folder
from mcore.exchange.errors import StorageError
from mcore.exchange.files import load_arrays, write_arrays
from tests.isolation import ROOT


def fill(folder, content):
    (folder / "a").write_text(content)
    (folder / "below").mkdir()
    (folder / "below" / "b").write_text(content)


def put(path, content, **options):
    with atomic_folder(path, **options) as folder:
        fill(folder, content)


def test_a_file_takes_its_place_and_leaves_nothing_beside_it(tmp_path):
    with atomic_file(tmp_path / "x") as file:
        file.write(b"new")

    assert (tmp_path / "x").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["x"]


def test_a_file_has_the_mode_that_the_umask_gives(tmp_path):
    before = os.umask(0o002)
    try:
        with atomic_file(tmp_path / "x") as file:
            file.write(b"")
    finally:
        os.umask(before)

    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o664


def test_an_exception_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "x").write_bytes(b"old")

    with pytest.raises(KeyError, match="mine"), atomic_file(tmp_path / "x") as file:  # noqa: PT012
        file.write(b"half")
        raise KeyError("mine")

    assert (tmp_path / "x").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


def test_a_link_stays_a_link_and_what_it_points_at_is_replaced(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")

    with atomic_file(tmp_path / "link") as file:
        file.write(b"new")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["fsync", "replace", "rename"])
@pytest.mark.parametrize("call", range(8))
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_failing_system_call_leaves_the_old_or_the_new_never_neither(tmp_path, monkeypatch, name, call, kind):
    target = tmp_path / "x"
    monkeypatch.setattr(atomic, "_exchange", lambda *_: False)  # the harder way, by two renames
    write_arrays({"a": np.zeros(1)}, target) if kind == "file" else put(target, "old")
    real, calls = getattr(os, name), iter(range(100))

    def failing(*args, **kwargs):
        if next(calls) == call:
            raise OSError(errno.EIO, "I/O error")
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, name, failing)
        with contextlib.suppress(StorageError):
            if kind == "file":
                write_arrays({"a": np.ones(1)}, target)
            else:
                put(target, "new", overwrite=True)

    if kind == "file":
        assert load_arrays(target)["a"][0] in (0, 1)
    else:
        assert {(target / "a").read_text(), (target / "below" / "b").read_text()} in ({"old"}, {"new"})
    assert os.listdir(tmp_path) == ["x"]


def test_an_existing_folder_is_kept_unless_overwriting_is_asked_for(tmp_path):
    put(tmp_path / "x", "old")

    with pytest.raises(FileExistsError, match="overwrite=True"):
        put(tmp_path / "x", "new")
    assert (tmp_path / "x" / "a").read_text() == "old"

    put(tmp_path / "x", "new", overwrite=True)
    assert (tmp_path / "x" / "a").read_text() == "new"
    assert os.listdir(tmp_path) == ["x"]


def test_a_folder_of_other_things_is_not_replaced_even_when_overwriting(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years")

    with pytest.raises(FileExistsError, match="holds other things"):
        put(tmp_path / "home", "new", overwrite=True, replaceable=lambda folder: False)

    assert (tmp_path / "home" / "thesis.tex").read_text() == "years"


def test_a_file_where_the_folder_shall_stand_is_refused(tmp_path):
    (tmp_path / "x").write_text("file")

    with pytest.raises(FileExistsError, match="is a file"):
        put(tmp_path / "x", "new", overwrite=True)


def test_a_failure_removes_the_parents_that_were_made_for_the_folder(tmp_path):
    with pytest.raises(KeyError), atomic_folder(tmp_path / "a" / "b" / "c"):
        raise KeyError("mine")

    assert os.listdir(tmp_path) == []


def test_leftovers_of_killed_processes_are_swept_once_they_are_old(tmp_path):
    old, new = tmp_path / ".x.1-aa.tmp", tmp_path / ".x.2-bb.tmp"
    old.write_text("")
    new.mkdir()
    os.utime(old, (time.time() - 2 * atomic.STALE,) * 2)

    with atomic_file(tmp_path / "x"):
        pass

    assert sorted(os.listdir(tmp_path)) == [".x.2-bb.tmp", "x"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: p / "missing" / "x", "does not exist"),
        (lambda p: p / ("n" * 300), "too long|File name"),
        (lambda p: p / "file" / "x", "is a file"),
    ],
)
def test_a_target_that_cannot_be_written_is_one_clear_error(tmp_path, make, words):
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match=words), atomic_file(make(tmp_path)):
        pass


def test_an_error_of_another_file_is_not_blamed_on_the_target(tmp_path):
    with pytest.raises(FileNotFoundError, match="elsewhere"), atomic_file(tmp_path / "x"):
        Path("/elsewhere/y").read_bytes()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB; only root may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk], capture_output=True).returncode
    ):
        pytest.skip("mounting a small file system needs root")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_leaves_the_old_file_and_says_so(small_disk):
    write_arrays({"a": np.ones(100_000)}, small_disk / "x")

    with pytest.raises(StorageError, match="no room is left"):
        write_arrays({"a": np.ones(2_000_000)}, small_disk / "x")

    assert load_arrays(small_disk / "x")["a"].sum() == 100_000
    assert os.listdir(small_disk) == ["x"]


def test_a_disk_that_fills_up_anywhere_is_told_as_full(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(StorageError, match=r"no room is left on the disk .* MB free"):
        write_arrays({"a": np.ones(3)}, tmp_path / "x")
    assert os.listdir(tmp_path) == []


_SAVER = """
import sys, numpy as np
from mcore.exchange.atomic import atomic_folder
from mcore.exchange.files import write_arrays
print("ready", flush=True)
k = 0
while True:
    k += 1
    if sys.argv[2] == "file":
        write_arrays({"a": np.full(300_000, k)}, sys.argv[1])
    else:
        with atomic_folder(sys.argv[1], overwrite=True) as folder:
            for name in ("a", "b"):
                (folder / name).write_bytes(np.full(100_000, k).tobytes())
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_killed_process_leaves_the_old_or_the_new(tmp_path, kind):
    target = tmp_path / "x"
    if kind == "file":
        write_arrays({"a": np.full(300_000, 0)}, target)
    else:
        put(target, "0")
    random = np.random.default_rng(0)
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", _SAVER, target, kind],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "MCORE_BACKEND": "torch"},
        )
        child.stdout.readline()
        time.sleep(random.uniform(0.0, 0.25))
        child.send_signal(signal.SIGKILL)
        child.wait()
        if kind == "file":
            found = load_arrays(target)["a"]
            assert (found == found[0]).all()
        elif (target / "b").exists():
            a, b = (np.frombuffer((target / name).read_bytes(), np.int64) for name in "ab")
            assert len(a) == len(b) == 100_000
            assert (a == a[0]).all()
            assert (b == a[0]).all()
        else:
            assert (target / "a").read_text() == "0"
