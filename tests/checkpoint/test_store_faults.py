"""Stores when things go wrong: killed writers, full disks, failing calls, other users, networks that break."""

import contextlib
import errno
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from mcore.checkpoint.errors import CorruptCheckpoint, NotFound
from mcore.checkpoint.store import blobs, bucket, disk, folder
from mcore.checkpoint.store.base import blob_key
from mcore.checkpoint.store.opening import open_store
from mcore.exchange.errors import StorageError
from tests.checkpoint.places import FailingProxy, bucket_at, damage, some_arrays

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="needs root: other users, file systems of its own")
SOME = b"some bytes" * 1000
LARGE = 9 << 20
QUICK = {
    "retry_config": {
        "max_retries": 3,
        "retry_timeout": timedelta(seconds=10),
        "backoff": {"init_backoff": timedelta(milliseconds=5), "max_backoff": timedelta(milliseconds=20), "base": 2},
    }
}


def put(store, content=SOME):
    return store.put([content], len(content))


def leftovers(path):
    return [name for _, _, names in os.walk(path) for name in names if name.startswith(".")]


def script(code, *arguments, **options):
    """Runs code in a fresh process; what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "MCORE_BACKEND": "platform"},
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def small_disk():
    """A file system of 48 MB."""
    if not ROOT:
        pytest.skip("needs root, to mount a small file system")
    place = tempfile.mkdtemp()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", place], capture_output=True, text=True)
    if made.returncode:
        os.rmdir(place)
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    yield Path(place)
    subprocess.run(["umount", "-l", place], check=True)
    os.rmdir(place)


@pytest.fixture
def open_folder():
    """A folder that every user reaches, which pytest's own aren't."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


# A killed writer

KILLED = """
import os, random, signal, sys, time
from mcore.checkpoint.store.opening import open_store
random.seed(0)
store = open_store(sys.argv[1])
read, write = os.pipe()
for round in range(50):
    child = os.fork()
    if child == 0:
        number = 0
        while True:
            content = os.urandom(6_000_000)
            sha256 = store.put([content], len(content))
            assert store.create(f"records/{round}-{number}.json", f"{sha256} {len(content)}".encode())
            os.write(write, f"records/{round}-{number}.json\\n".encode())
            number += 1
    time.sleep(random.random() / 4)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for kept in store.files("records/"):
        sha256, size = store.read(kept.key).decode().split()
        store.fetch(sha256, int(size))
        store.delete(kept.key)
        print(kept.key)
    for kept in store.files("blobs/"):
        store.fetch(kept.key[-65:].replace("/", ""), kept.size)
        store.delete(kept.key)
os.close(write)
sys.stderr.write(open(read).read())
"""


def test_fifty_killed_writers_leave_whole_files_and_what_sweep_takes(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "MCORE_BACKEND": "platform"},
    )
    assert done.returncode == 0, done.stderr
    store = open_store(tmp_path)
    left = leftovers(tmp_path)

    assert set(done.stderr.split()) <= set(done.stdout.split())  # what was told to be saved was there
    assert left, "no writer was killed while it wrote"
    assert store.sweep(3600) == []
    assert len(store.sweep(0)) == len(left)
    assert leftovers(tmp_path) == []


# Full disks


def test_what_doesnt_fit_is_refused_before_it_is_written(small_disk, monkeypatch):
    store = open_store(small_disk)
    good = blobs.write(store, {"w": np.ones(2_500_000)})
    monkeypatch.setattr(os, "write", lambda *_: pytest.fail("it was written"))

    with pytest.raises(
        StorageError, match=rf"No room is left on {small_disk}: 80\.0 MB are needed, \d\d\.\d MB are free"
    ):
        blobs.write(store, {"w": np.zeros(10_000_000)})

    assert blobs.read(store, good, "here")["w"].all()
    assert leftovers(small_disk) == []


def test_a_disk_that_fills_while_it_is_written_leaves_nothing(small_disk, monkeypatch):
    store = open_store(small_disk)
    good = blobs.write(store, {"w": np.ones(2_500_000)})
    monkeypatch.setattr(disk, "check_room", lambda *_: None)

    with pytest.raises(StorageError, match=rf"No room is left on {small_disk}: 80\.0 MB are needed"):
        blobs.write(store, {"w": np.zeros(10_000_000)})

    assert blobs.read(store, good, "here")["w"].all()
    assert leftovers(small_disk) == []
    assert shutil.disk_usage(small_disk).free > 20e6


def test_a_full_disk_takes_no_record_and_says_so(small_disk):
    store = open_store(small_disk)
    with contextlib.suppress(OSError), open(small_disk / "filler", "wb", buffering=0) as filler:
        while True:
            filler.write(bytes(1 << 16))

    with pytest.raises(StorageError, match=f"No room is left on {small_disk}"):
        store.create("format.json", b"x" * 100_000)

    assert not store.has("format.json")
    assert leftovers(small_disk) == []


def test_a_read_only_disk_still_loads_and_says_why_it_doesnt_save(small_disk):
    store = open_store(small_disk)
    good = blobs.write(store, some_arrays())
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)

    assert blobs.read(open_store(small_disk, create=False), good, "here").keys() == some_arrays().keys()
    for write in (lambda: put(store), lambda: store.create("records/x", b"")):
        with pytest.raises(StorageError, match="is read-only"):
            write()


# Calls that fail

CALLS = ("open", "write", "fsync", "link", "replace", "rename", "mkdir", "scandir", "statvfs", "readv", "read", "fstat")


class Failing:
    """Stands for the functions of `os`: call `number` of those named raises."""

    def __init__(self, monkeypatch, number, code=errno.EIO):
        self.number, self.calls, self.failed, self.code = number, 0, None, code
        for name in CALLS:
            monkeypatch.setattr(os, name, self.of(name, getattr(os, name)))

    def of(self, name, real):
        def call(*arguments, **options):
            self.calls += 1
            if self.calls == self.number:
                self.failed = name
                raise OSError(self.code, os.strerror(self.code))
            return real(*arguments, **options)

        return call


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_whichever_call_fails_a_save_is_whole_or_told_not_to_be(tmp_path, code):
    content, failed, number = os.urandom(6_000_000), [], 0
    sha256 = hashlib.sha256(content).hexdigest()
    while True:
        number += 1
        place = tmp_path / str(number)
        store, told = open_store(place), None
        with pytest.MonkeyPatch.context() as patched:
            failing = Failing(patched, number, code)
            try:
                store.put([content], len(content))
                store.create("records/one.json", b"{}")
            except StorageError as error:
                told = error
        if failing.failed is None:
            break
        failed.append(failing.failed)

        assert told is not None, f"{failing.failed}, call {number}, failed in silence"
        assert not store.has("records/one.json")
        if store.has(blob_key(sha256)):
            store.fetch(sha256, len(content))
        assert leftovers(place) == []
        assert store.put([content], len(content)) == sha256
        assert store.create("records/one.json", b"{}") is True

    assert {"open", "write", "fsync", "link", "replace", "mkdir"} <= set(failed)


def test_whichever_call_fails_a_load_is_whole_or_told_not_to_be(tmp_path):
    store, content, number = open_store(tmp_path), os.urandom(6_000_000), 0
    sha256 = put(store, content)
    store.create("records/one.json", b"{}")
    while True:
        number += 1
        with pytest.MonkeyPatch.context() as patched:
            failing = Failing(patched, number)
            try:
                back = bytes(store.fetch(sha256, len(content))) == content and store.read("records/one.json") == b"{}"
            except StorageError as error:
                back = "can't be read: Input/output error" in str(error)
        assert back, f"{failing.failed}, call {number}"
        if failing.failed is None:
            break

    assert number > 5


def test_bytes_are_on_the_disk_before_they_have_a_name_and_the_name_is_before_a_save_ends(tmp_path, monkeypatch):
    calls = []
    store = open_store(tmp_path)
    put(store)  # so that the folders are there
    store.create("records/one.json", b"{}")

    def told(name, real):
        return lambda *arguments: calls.append(name) or real(*arguments)

    for name in ("open", "write", "fsync", "link", "replace"):
        monkeypatch.setattr(os, name, told(name, getattr(os, name)))

    put(store)
    store.create("records/two.json", b"{}")

    assert calls == [*"open write fsync replace open fsync".split(), *"open write fsync link open fsync".split()]


def test_a_save_that_is_interrupted_leaves_nothing(tmp_path):
    store = open_store(tmp_path)

    def chunks():
        yield bytes(6_000_000)
        raise KeyboardInterrupt("Ctrl-C")

    with pytest.raises(KeyboardInterrupt, match="Ctrl-C"):
        store.put(chunks(), 12_000_000)

    assert [name for _, _, names in os.walk(tmp_path) for name in names] == []


def test_saving_again_heals_a_blob_that_rotted_on_the_disk(tmp_path):
    store = open_store(tmp_path)
    sha256 = put(store)
    damage(store, blob_key(sha256), SOME[:-1] + b"X")

    put(store)

    assert bytes(store.fetch(sha256, len(SOME))) == SOME


def test_listing_that_fails_is_no_short_list(tmp_path, monkeypatch):
    store = open_store(tmp_path)
    store.create("records/one.json", b"{}")
    Failing(monkeypatch, 1)

    with pytest.raises(StorageError, match="records can't be read"):
        list(store.files("records/"))


def test_a_blob_that_was_cut_while_it_was_read_is_noticed(tmp_path, monkeypatch):
    store, real = open_store(tmp_path), os.readv
    sha256 = put(store, os.urandom(LARGE))

    def cut(handle, pieces):
        os.chmod(store.path / blob_key(sha256), 0o644)
        os.truncate(store.path / blob_key(sha256), 5 << 20)
        return real(handle, pieces)

    monkeypatch.setattr(os, "readv", cut)

    with pytest.raises(CorruptCheckpoint, match="it ends early"):
        store.fetch(sha256, LARGE)


def test_arrays_stay_as_they_are_when_their_file_is_cut_later(tmp_path):
    store = open_store(tmp_path)
    blob = blobs.write(store, some_arrays())
    back = blobs.read(store, blob, "here")
    key = store.path / blob_key(blob.sha256)
    key.chmod(0o644)
    os.truncate(key, 0)

    np.testing.assert_array_equal(back["b.weight"], some_arrays()["b.weight"])


def test_a_load_goes_on_when_the_blob_is_saved_again_or_deleted_meanwhile(tmp_path, monkeypatch):
    store, real, content = open_store(tmp_path), os.readv, os.urandom(LARGE)
    sha256, todo = put(store, content), [lambda: put(store, content), lambda: store.delete(blob_key(sha256))]

    def first(handle, pieces):
        if todo:
            todo.pop(0)()
        return real(handle, pieces)

    monkeypatch.setattr(os, "readv", first)

    assert bytes(store.fetch(sha256, LARGE)) == content


def test_a_load_of_a_stale_handle_is_made_again(tmp_path, monkeypatch):
    store = open_store(tmp_path)
    sha256 = put(store)
    Failing(monkeypatch, 3, errno.ESTALE)  # open, fstat, and then the first read

    assert bytes(store.fetch(sha256, len(SOME))) == SOME


# gc beside a save


@pytest.mark.parametrize("step", ["before it looks", "after it looked", "after it took it away"])
def test_a_save_of_the_same_bytes_isnt_lost_to_one_that_removes_them(tmp_path, monkeypatch, step):
    store = open_store(tmp_path)
    sha256 = put(store)
    target = store.path / blob_key(sha256)
    os.utime(target, (1, 1))
    real, saved = os.rename, []

    def rename(one, other):
        if step == "after it looked" and not saved:
            saved.append(put(store))
        real(one, other)
        if step == "after it took it away" and not saved:
            saved.append(put(store))

    monkeypatch.setattr(os, "rename", rename)
    if step == "before it looks":
        put(store)

    store.expire(blob_key(sha256), time.time() - 1000)

    assert bytes(store.fetch(sha256, len(SOME))) == SOME
    assert leftovers(tmp_path) == []


def test_a_blob_between_two_names_comes_back(tmp_path, monkeypatch):
    store = open_store(tmp_path)
    sha256 = put(store)
    os.utime(store.path / blob_key(sha256), (1, 1))
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", _killed)
        with pytest.raises(KeyboardInterrupt, match="killed"):
            store.expire(blob_key(sha256), time.time())
    assert not store.has(blob_key(sha256))

    assert store.sweep(0) == []

    assert bytes(store.fetch(sha256, len(SOME))) == SOME


# Disks without links


@pytest.fixture
def no_links(monkeypatch):
    def link(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)


def test_without_links_a_file_is_made_once_too(tmp_path, no_links):
    store, ready, won = open_store(tmp_path), threading.Barrier(8), []

    def race(number):
        ready.wait()
        for key in range(20):
            if store.create(f"versions/x/{key}", b"%d" % number):
                won.append((key, b"%d" % number))

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(won) == sorted((key, store.read(f"versions/x/{key}")) for key in range(20))
    assert leftovers(tmp_path) == []


def test_a_name_that_a_killed_writer_had_claimed_is_taken_until_it_is_swept(tmp_path, no_links, monkeypatch):
    store = open_store(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(folder.os, "rename", _killed)
        patched.setattr(folder, "_removed_at_last", lambda _: contextlib.nullcontext())
        with pytest.raises(KeyboardInterrupt, match="killed"):
            store.create("versions/x/1", b"one")

    assert store.create("versions/x/1", b"two") is False
    assert not store.has("versions/x/1")
    assert len(store.sweep(0)) == 2
    assert store.create("versions/x/1", b"three") is True


def _killed(*_):
    raise KeyboardInterrupt("killed")


# Other users

AS_NOBODY = """
import os, sys
# Before the user changes, who may not read where packages lie.
import mcore.checkpoint.store.folder
from mcore.checkpoint.store.opening import open_store
os.umask(0o002)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    {code}
except Exception as error:
    print(type(error).__name__, error)
"""


def as_nobody(code, *arguments):
    return script(AS_NOBODY.format(code=code.replace("\n", "\n    ")), *arguments)


@as_root
def test_another_user_loads_what_was_saved_with_a_teams_umask(open_folder):
    before = os.umask(0o002)
    try:
        sha256 = put(open_store(open_folder / "a"))
    finally:
        os.umask(before)

    said = as_nobody(f"print(len(open_store(sys.argv[1]).fetch('{sha256}', {len(SOME)})))", open_folder / "a")

    assert said == f"{len(SOME)}\n"


@as_root
def test_another_user_is_told_that_a_file_isnt_theirs_to_read(open_folder):
    before = os.umask(0o077)
    try:
        store = open_store(open_folder / "a")
        sha256 = put(store)
    finally:
        os.umask(before)
    for path, _, _ in os.walk(open_folder / "a"):
        os.chmod(path, 0o755)

    said = as_nobody(f"open_store(sys.argv[1]).fetch('{sha256}', {len(SOME)})", open_folder / "a")

    assert "StorageError" in said
    assert "this user may not read it" in said


@as_root
def test_a_user_who_may_not_write_loads_and_is_told_when_saving(open_folder):
    sha256 = put(open_store(open_folder / "a"))

    said = as_nobody(
        f"store = open_store(sys.argv[1])\nprint(len(store.fetch('{sha256}', {len(SOME)})))\nstore.put([b'x'], 1)",
        open_folder / "a",
    )

    assert said.startswith(f"{len(SOME)}\nStorageError")
    assert "may not be written by this user" in said


@as_root
@pytest.mark.parametrize("mode", [0o777, 0o1777], ids=["shared", "sticky"])
def test_another_user_saves_the_same_bytes_again(open_folder, mode):
    store = open_store(open_folder / "a")
    sha256 = put(store)
    for path, _, _ in os.walk(open_folder / "a"):
        os.chmod(path, mode)

    said = as_nobody(f"print(open_store(sys.argv[1]).put([b'some bytes' * 1000], {len(SOME)}))", open_folder / "a")

    assert said == f"{sha256}\n"
    assert bytes(store.fetch(sha256, len(SOME))) == SOME
    assert leftovers(open_folder) == []


# Threads and forks


def test_threads_save_and_load_at_once(tmp_path):
    store, done = open_store(tmp_path), []

    def work(number):
        for _ in range(3):
            content = bytes([number % 3]) * LARGE
            done.append(bytes(store.fetch(put(store, content), LARGE)) == content)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert done == [True] * 18
    assert len(list(store.files("blobs/"))) == 3


FORKED = """
import os, sys, threading, time
from mcore.checkpoint.store.opening import open_store
store = open_store(sys.argv[1])
content = os.urandom(20_000_000)
busy = threading.Thread(target=lambda: [store.put([content], len(content)) for _ in range(5)])
busy.start()
for number in range(5):
    child = os.fork()
    if child == 0:
        mine = os.urandom(6_000_000)
        store.fetch(store.put([mine], len(mine)), len(mine))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
busy.join()
print(len(list(store.files("blobs/"))))
"""


def test_forked_processes_save_while_a_thread_of_their_parent_does(tmp_path):
    assert script(FORKED, tmp_path) == "6\n"


def test_saving_while_the_interpreter_ends_works(tmp_path):
    code = """
import atexit, sys
from mcore.checkpoint.store.opening import open_store
store = open_store(sys.argv[1])
atexit.register(lambda: print(store.put([bytes(6_000_000)], 6_000_000)))
"""

    assert script(code, tmp_path).strip() == hashlib.sha256(bytes(6_000_000)).hexdigest()


def test_an_object_store_in_a_forked_process_is_an_error_and_no_wait(s3):
    code = """
import os, sys
from tests.checkpoint.places import KEYS
from mcore.checkpoint.store.opening import open_store
store = open_store(sys.argv[2], endpoint=sys.argv[1], **KEYS)
store.create("a", b"")
child = os.fork()
if child == 0:
    try:
        store.create("b", b"")
    except OSError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    store = bucket_at(s3)

    assert "can't be used in a forked process" in script(code, s3, store.url, cwd=Path(__file__).parents[2])


# Networks that break


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(bucket, "WAITS", (0.01, 0.01))


def refusing(method, code, times):
    """Answers the first requests of a method with an error of the server."""
    left = [times]

    def fail(_, handler):
        if handler.command != method or left[0] == 0:
            return False
        left[0] -= 1
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    return fail


@pytest.mark.parametrize("code", [500, 503])
@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD"])
def test_a_server_that_fails_three_times_is_asked_again(s3, quick, method, code):
    with FailingProxy(s3, refusing(method, code, 3)) as proxy:
        store = bucket_at(s3, through=proxy.url, **QUICK)
        sha256 = put(store)

        assert bytes(store.fetch(sha256, len(SOME))) == SOME
        assert store.create("records/one.json", b"{}") is True
        assert store.read("records/one.json") == b"{}"


@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD"])
def test_what_obstore_gives_up_is_asked_again(s3, quick, method):
    once = {"retry_config": {"max_retries": 0, "retry_timeout": timedelta(seconds=10)}}
    with FailingProxy(s3, refusing(method, 503, 2)) as proxy:
        store = bucket_at(s3, through=proxy.url, **once)

        assert store.create("records/one.json", b"{}") is True
        assert store.has("records/one.json")
        assert store.read("records/one.json") == b"{}"


def test_a_server_that_keeps_failing_is_told(s3, quick):
    with FailingProxy(s3, refusing("PUT", 503, -1)) as proxy:
        store = bucket_at(s3, through=proxy.url, **QUICK)

        with pytest.raises(StorageError, match=r"records/one\.json: the store failed: .*503"):
            store.create("records/one.json", b"{}")


def test_a_server_that_isnt_there_is_told(quick):
    pytest.importorskip("obstore", reason="object stores need the extra s3")
    store = open_store("s3://a/b", endpoint="http://127.0.0.1:9", access_key_id="a", secret_access_key="b", **QUICK)

    with pytest.raises(StorageError, match="s3://a/b/x: the store failed"):
        store.read("x")


def test_a_user_whom_the_store_refuses_is_told(s3, quick):
    with FailingProxy(s3, refusing("PUT", 403, -1)) as proxy:
        store = bucket_at(s3, through=proxy.url, **QUICK)

        with pytest.raises(StorageError, match="doesn't let this user"):
            put(store)


@pytest.mark.parametrize("how", ["reset", "short"])
def test_a_connection_that_breaks_in_the_middle_of_a_blob_is_taken_up_again(s3, quick, how):
    content, broken = os.urandom(LARGE), []

    def fail(_, handler):
        if handler.command != "GET" or len(broken) == 3:
            return False
        broken.append(handler.path)
        handler.send_response(206)
        handler.send_header("Content-Length", str(8 << 20))
        handler.send_header("Content-Range", f"bytes 0-{(8 << 20) - 1}/{LARGE}")
        handler.send_header("ETag", '"x"')
        handler.send_header("Last-Modified", "Sat, 28 Nov 2026 20:00:00 GMT")
        handler.end_headers()
        handler.wfile.write(bytes(1000))
        handler.wfile.flush()
        if how == "reset":
            handler.reset()
        handler.close_connection = True
        return True

    with FailingProxy(s3, fail) as proxy:
        store = bucket_at(s3, through=proxy.url, **QUICK)
        sha256 = put(store, content)

        assert bytes(store.fetch(sha256, LARGE)) == content
    assert len(broken) == 3


def test_a_blob_of_which_other_bytes_arrive_is_noticed(s3, quick):
    def fail(_, handler):
        if handler.command != "GET":
            return False
        handler.send_response(206)
        handler.send_header("Content-Length", str(len(SOME)))
        handler.send_header("Content-Range", f"bytes 0-{len(SOME) - 1}/{len(SOME)}")
        handler.send_header("ETag", '"x"')
        handler.send_header("Last-Modified", "Sat, 28 Nov 2026 20:00:00 GMT")
        handler.end_headers()
        handler.wfile.write(SOME[:-1] + b"X")
        return True

    with FailingProxy(s3, fail) as proxy:
        store = bucket_at(s3, through=proxy.url, **QUICK)
        sha256 = put(store)

        with pytest.raises(CorruptCheckpoint, match=f"{sha256} was saved"):
            store.fetch(sha256, len(SOME))


@pytest.mark.parametrize("end", ["reset", "500"])
def test_who_made_a_file_is_told_so_also_when_the_answer_was_lost(s3, quick, end):
    lost = []

    def fail(_, handler):
        if handler.command != "PUT" or lost:
            return False
        lost.append(handler.path)
        answered, handler.wfile = handler.wfile, io.BytesIO()
        handler.passed_on()
        handler.wfile = answered
        if end == "reset":
            handler.reset()
        else:
            handler.send_response(500)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        return True

    with FailingProxy(s3, fail) as proxy:
        store = bucket_at(s3, through=proxy.url, **QUICK)

        assert store.create("versions/x/1", b"mine") is True
        assert store.create("versions/x/1", b"mine") is False
    assert lost


def test_who_comes_second_is_told_though_the_first_came_while_the_server_failed(s3, quick):
    first = []

    def fail(_, handler):
        if handler.command != "PUT" or first:
            return False
        other = bucket_at(s3, bucket=handler.path.split("/")[1])
        first.append(other.create("versions/x/1", b"theirs"))
        handler.send_response(503)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    with FailingProxy(s3, fail) as proxy:
        store = bucket_at(s3, through=proxy.url, **QUICK)

        assert store.create("versions/x/1", b"mine") is False
        assert store.read("versions/x/1") == b"theirs"
    assert first == [True]


def test_a_blob_that_is_large_arrives_in_parts(s3):
    seen, content = [], os.urandom(17 << 20)
    with FailingProxy(s3, lambda _, handler: seen.append(handler.path)) as proxy:
        store = bucket_at(s3, through=proxy.url)
        sha256 = put(store, content)

        assert bytes(store.fetch(sha256, len(content))) == content
    assert sum("partNumber" in path for path in seen) == 3


def test_a_copy_that_a_killed_writer_left_is_swept(s3):
    store = bucket_at(s3)
    store.create("renewing/abc", b"x")

    assert store.sweep(3600) == []
    assert store.sweep(-5) == ["renewing/abc"]
    with pytest.raises(NotFound, match="no such file"):
        store.read("renewing/abc")
