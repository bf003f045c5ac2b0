"""Stores: a folder, an object store, one in memory: the same promises."""

import hashlib
import os
import subprocess
import sys
import threading
import time

import pytest

from mcore.checkpoint.errors import CorruptCheckpoint, LimitExceeded, NotFound, PathEscape
from mcore.checkpoint.store.base import blob_key
from mcore.checkpoint.store.hashing import PIECE, pieces
from mcore.checkpoint.store.opening import open_store
from mcore.exchange.errors import StorageError
from tests.checkpoint.places import KEYS, bucket_at, damage

SOME = b"some bytes" * 1000


def put(store, content=SOME):
    return store.put([content], len(content))


def test_a_file_is_read_as_it_was_made(store):
    assert store.create("records/one.json", b"{}") is True
    assert store.read("records/one.json") == b"{}"


def test_a_file_is_made_once_and_the_first_stays(store):
    store.create("records/one.json", b"first")

    assert store.create("records/one.json", b"second") is False
    assert store.read("records/one.json") == b"first"


def test_the_same_content_is_no_second_time_either(store):
    store.create("versions/x/1", b"same")

    assert store.create("versions/x/1", b"same") is False


def test_of_many_that_make_one_file_at_once_one_is_told_that_it_did(store):
    ready, won = threading.Barrier(8), []

    def race(number):
        ready.wait()
        if store.create("versions/networks/x/1", b"%d" % number):
            won.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert [b"%d" % number for number in won] == [store.read("versions/networks/x/1")]


def test_a_missing_file_is_not_found(store):
    with pytest.raises(NotFound, match=r"records/none\.json: there is no such file"):
        store.read("records/none.json")


def test_a_file_that_is_larger_than_asked_for_is_refused(store):
    store.create("records/one.json", b"x" * 100)

    with pytest.raises(LimitExceeded, match="100 bytes; at most 99 are read"):
        store.read("records/one.json", most=99)


@pytest.mark.parametrize(
    "key", ["", "../x", "a/../b", "/etc/passwd", "a//b", ".hidden", "a/.hidden", "a\\b", "a\0b", "x" * 300, "a b", "a/"]
)
def test_a_key_that_leads_elsewhere_is_refused(store, key):
    for act in (
        store.read,
        store.delete,
        store.has,
        lambda key: store.create(key, b""),
        lambda key: store.expire(key, 0),
    ):
        with pytest.raises(PathEscape, match="is no key of a repository"):
            act(key)


@pytest.mark.parametrize("size", [0, 1, 1000, (1 << 20) + 1, (9 << 20) + 5])
def test_a_blob_comes_back_in_memory_of_our_own(store, size):
    content = os.urandom(size)
    sha256 = put(store, content)

    back = store.fetch(sha256, size)

    assert sha256 == hashlib.sha256(content).hexdigest()
    assert bytes(back) == content
    assert not back.readonly


def test_a_blob_of_many_small_pieces_and_large_ones_is_their_sum(store):
    chunks = [os.urandom(size) for size in (3, 0, 70_000, 5 << 20, 1, 2 << 20, 17)]
    content = b"".join(chunks)

    assert bytes(store.fetch(store.put(iter(chunks), len(content)), len(content))) == content


def test_small_chunks_come_together_in_pieces_of_a_bounded_size():
    lengths = [len(piece) for piece in pieces([b"x" * 1000] * 10_000, 10_000_000)]

    assert sum(lengths) == 10_000_000
    assert len(lengths) < 100
    assert max(lengths) <= PIECE


@pytest.mark.parametrize("said", [len(SOME) - 1, len(SOME) + 1])
def test_a_blob_of_another_size_than_said_is_not_kept(store, said):
    with pytest.raises(ValueError, match=f"bytes came where {said} were said"):
        store.put([SOME], said)

    assert list(store.files("blobs/")) == []


def test_a_blob_that_is_there_is_kept_once_and_its_time_renewed(store):
    sha256 = put(store)
    (before,) = store.files("blobs/")
    time.sleep(1.1)  # S3 counts seconds

    assert put(store) == sha256

    (after,) = store.files("blobs/")
    assert (after.key, after.size) == (before.key, before.size) == (blob_key(sha256), len(SOME))
    assert after.made > before.made
    assert store.sweep(0) == []


def test_saving_again_heals_a_blob_that_was_cut_short(store):
    sha256 = put(store)
    damage(store, blob_key(sha256), SOME[:-1])

    put(store)

    assert bytes(store.fetch(sha256, len(SOME))) == SOME


def test_a_missing_blob_is_not_found(store):
    with pytest.raises(NotFound, match=r"missing|no such file"):
        store.fetch("ab" * 32, 10)


def test_a_blob_of_another_length_is_told_with_both_lengths(store):
    sha256 = put(store)
    damage(store, blob_key(sha256), SOME[:5000])

    with pytest.raises(CorruptCheckpoint, match=f"5000 bytes; {len(SOME)} were saved, with SHA-256 {sha256}"):
        store.fetch(sha256, len(SOME))


def test_a_blob_of_other_bytes_is_told_with_both_hashes(store):
    sha256, other = put(store), SOME[:-1] + b"X"
    damage(store, blob_key(sha256), other)

    with pytest.raises(CorruptCheckpoint, match=f"SHA-256 is {hashlib.sha256(other).hexdigest()}; {sha256} was saved"):
        store.fetch(sha256, len(SOME))


def test_files_come_sorted_with_size_and_time(store):
    keys = ["v/UNet/1", "v/UNet-2/1", "v/UNet.a/1", "v/UNet/2", "v/a", "w/x"]
    for number, key in enumerate(keys):
        store.create(key, b"x" * number)

    found = list(store.files("v/"))

    assert [kept.key for kept in found] == sorted(keys[:-1])
    assert {kept.key: kept.size for kept in found} == {key: number for number, key in enumerate(keys[:-1])}
    assert all(abs(kept.made - time.time()) < 60 for kept in found)


@pytest.mark.parametrize("after", ["v/UNet", "v/UNet-2/1", "v/UNet/1", "v/UNet/2", "v/a", "v/zzz", "a", "v/UNet/"])
def test_files_after_a_key_are_those_that_sort_behind_it(store, after):
    keys = ["v/UNet/1", "v/UNet-2/1", "v/UNet.a/1", "v/UNet/2", "v/a"]
    for key in keys:
        store.create(key, b"")

    assert [kept.key for kept in store.files("v/", after=after)] == sorted(key for key in keys if key > after)


def test_where_nothing_is_no_files_come(store):
    assert list(store.files("records/")) == []


def test_a_prefix_is_a_folder(store):
    store.create("recordsother/one", b"")

    assert list(store.files("records/")) == []
    with pytest.raises(ValueError, match='ends with "/"'):
        next(store.files("records"))


def test_what_is_deleted_is_gone_and_deleting_it_again_is_nothing(store):
    store.create("records/one.json", b"{}")
    store.delete("records/one.json")
    store.delete("records/one.json")

    assert not store.has("records/one.json")
    assert store.create("records/one.json", b"again") is True


def test_a_store_has_what_was_made(store):
    store.create("records/one.json", b"{}")

    assert store.has("records/one.json")
    assert not store.has("records/two.json")
    assert not store.has("records")


def test_expiring_removes_what_is_older_and_leaves_what_was_renewed(store):
    key = blob_key(put(store))
    (kept,) = store.files("blobs/")

    assert store.expire(key, kept.made) is False
    assert store.expire(key, kept.made + 1) is True
    assert store.expire(key, kept.made + 1) is False
    assert list(store.files("blobs/")) == []


def test_two_stores_of_one_address_see_the_same_files(tmp_path, s3):
    for one, other in (
        (open_store(tmp_path / "a"), open_store(f"file://{tmp_path}/a")),
        (open_store("memory://shared"), open_store("memory://shared")),
        ((first := bucket_at(s3)), bucket_at(s3, bucket=first.url.split("/")[2])),
    ):
        one.create("records/one.json", b"{}")

        assert other.read("records/one.json") == b"{}"


def test_a_folder_that_is_not_there_is_made_only_if_it_may_be(tmp_path):
    with pytest.raises(NotFound, match="there is no such folder"):
        open_store(tmp_path / "a" / "b", create=False)

    open_store(tmp_path / "a" / "b")

    assert open_store(tmp_path / "a" / "b", create=False).path.is_dir()


def test_a_bucket_in_which_nothing_is_isnt_opened_without_create(s3):
    empty = bucket_at(s3)
    name = empty.url.split("/")[2]
    with pytest.raises(NotFound, match="nothing is there"):
        open_store(empty.url, create=False, endpoint=s3, **KEYS)

    empty.create("format.json", b"{}")

    assert open_store(f"s3://{name}/team/weights", create=False, endpoint=s3, **KEYS).has("format.json")


def test_a_bucket_that_is_not_there_is_told(s3):
    with pytest.raises(NotFound, match="no such bucket"):
        bucket_at(s3, bucket="nobody-made-it").create("format.json", b"{}")


def test_a_file_in_the_folders_place_is_told(tmp_path):
    (tmp_path / "a").write_text("")

    with pytest.raises(StorageError, match="is a file"):
        open_store(tmp_path / "a")


@pytest.mark.parametrize("url", ["gs://a/b", "http://a/b", "ftp://x"])
def test_another_kind_of_address_is_refused_with_those_that_are(url):
    with pytest.raises(ValueError, match="isn't known; a path, file://, s3:// and memory:// are"):
        open_store(url)


def test_an_option_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a folder takes no region"):
        open_store(tmp_path, region="x")
    with pytest.raises(ValueError, match="s3://a/b: not understood"):
        open_store("s3://a/b", colour="red")


def test_a_file_address_of_another_machine_is_refused():
    with pytest.raises(ValueError, match="another machine"):
        open_store("file://server/path")


def test_an_address_may_have_blanks(tmp_path):
    assert open_store(f"file://{tmp_path}/a%20b").path == tmp_path / "a b"


def test_a_folder_needs_neither_obstore_nor_torch(tmp_path):
    code = """
import sys
for name in ("obstore", "torch", "sqlalchemy"):
    sys.modules[name] = None
from mcore.checkpoint.store.opening import open_store
store = open_store(sys.argv[1])
store.create("a/b", b"x"); store.fetch(store.put([b"y"], 1), 1)
try:
    open_store("s3://a/b")
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a"],
        capture_output=True,
        text=True,
        env={**os.environ, "MCORE_BACKEND": "platform"},
    )

    assert done.returncode == 0, done.stderr
    assert 'pip install ".[s3]"' in done.stdout


def test_what_other_programs_leave_in_a_folder_is_no_file_of_it(tmp_path):
    store = open_store(tmp_path)
    store.create("records/one.json", b"{}")
    for name in (".DS_Store", ".nfs0001", "a copy (1).json"):
        (tmp_path / "records" / name).write_text("")
    (tmp_path / "records" / "link.json").symlink_to("/etc/passwd")

    assert [kept.key for kept in store.files("records/")] == ["records/one.json"]


def test_a_link_in_a_folder_is_not_followed(tmp_path):
    store = open_store(tmp_path)
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "one.json").symlink_to("/etc/passwd")

    with pytest.raises(PathEscape, match="is a link"):
        store.read("records/one.json")


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path):
    store = open_store(tmp_path)
    (tmp_path / "records").mkdir()
    os.mkfifo(tmp_path / "records" / "one.json")

    with pytest.raises(CorruptCheckpoint, match="no regular file"):
        store.read("records/one.json")


def test_blobs_are_read_only_and_the_umask_counts(tmp_path):
    before = os.umask(0o027)
    try:
        store = open_store(tmp_path / "a")
        store.create("records/one.json", b"{}")
        key = blob_key(put(store))
    finally:
        os.umask(before)

    assert (store.path / key).stat().st_mode & 0o777 == 0o440
    assert (store.path / "records/one.json").stat().st_mode & 0o777 == 0o640
    assert (store.path / "blobs").stat().st_mode & 0o777 == 0o750


def test_a_disk_of_this_machine_is_no_network(tmp_path):
    assert open_store(tmp_path).is_network is False


@pytest.mark.parametrize(
    ("kind", "network"), [("nfs4", True), ("fuse.sshfs", True), ("lustre", True), ("ext4", False), ("tmpfs", False)]
)
def test_a_network_disk_is_known_by_its_kind(tmp_path, monkeypatch, kind, network):
    from pathlib import Path

    from mcore.checkpoint.store import disk

    place = disk.mount_of(tmp_path)
    line = rf"36 35 98:0 / {place} rw,noatime master:1 - {kind} server:/x rw"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: f"22 1 0:1 / /a\\040b rw - ext4 x rw\n{line}\n")

    assert open_store(tmp_path).is_network is network
