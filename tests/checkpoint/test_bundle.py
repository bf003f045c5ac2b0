"""Bundles: what is exported comes in whole, once, with its ids; what is hostile, or damaged, doesn't."""

import json
import os
import shutil
import socket
import stat
import tarfile
import zipfile

import numpy as np
import pytest

from mcore.checkpoint import (
    CorruptCheckpoint,
    LimitExceeded,
    NotFound,
    PathEscape,
    Repository,
    SchemaError,
    UnsafeFormat,
    bundle,
    records,
)
from mcore.checkpoint.ids import first_id, new_id
from mcore.checkpoint.records import Event
from mcore.checkpoint.store.base import blob_key, event_key, record_key
from mcore.checkpoint.store.blobs import write
from mcore.exchange.errors import StorageError
from tests.checkpoint.made import put, repository, weights


@pytest.fixture
def repo(tmp_path):
    return repository(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path):
    return repository(tmp_path / "theirs")


@pytest.fixture
def exported(theirs, tmp_path):
    """A bundle of one checkpoint with two components, a tag and an alias."""
    id = put(theirs, {"backbone": weights(1), "head": weights(2)}, tags={"em": ""})
    theirs.tag(id, "domain", "brain")
    theirs.alias(id, "best")
    theirs.export([id], tmp_path / "bundle")
    return tmp_path / "bundle"


def only(repo):
    (id,) = repo.ids()
    return repo.record(id)


def files_of(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def record_file(folder):
    return next(folder.glob("records/*/*.json"))


def blob_file(folder):
    return sorted(folder.glob("blobs/sha256/*/*"))[0]


def edited(folder, **changes):
    """The bundle with other values in its record."""
    path = record_file(folder)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def refused(repo, folder, error, message):
    """What is refused leaves the repository as it was."""
    before = files_of(repo.store.path)
    with pytest.raises(error, match=message):
        repo.import_(folder)
    assert files_of(repo.store.path) == before


# --- carrying


def test_what_was_exported_comes_in_with_its_id_weights_and_events(repo, exported, theirs):
    ids = repo.import_(exported)

    assert ids == theirs.ids() == repo.ids()
    ours, their = only(repo), only(theirs)
    assert ours == their
    assert ours.tags == {"em": "", "domain": "brain"}
    assert repo.resolve("networks/segmentation/UNet@best") == ids[0]
    for component in ours.components:
        for name, array in theirs.arrays(component).items():
            np.testing.assert_array_equal(repo.arrays(component)[name], array)
    assert repo.verify() == []


def test_a_bundle_is_a_repository_itself(exported):
    opened = Repository(exported, create=False)

    assert opened.resolve("networks/segmentation/UNet@1") == only(opened).id
    assert opened.verify() == []


def test_importing_twice_changes_nothing(repo, exported):
    repo.import_(exported)
    before = files_of(repo.store.path)

    assert repo.import_(exported) == []

    assert files_of(repo.store.path) == before


def test_object_stores_give_and_take_bundles_too(exported, tmp_path):
    pytest.importorskip("obstore", reason="obstore isn't installed; the extra s3 has it")
    repo = Repository(f"memory://{new_id().lower()}", author="ann")

    ids = repo.import_(exported)
    repo.export(ids, tmp_path / "again")

    assert files_of(tmp_path / "again") == files_of(exported)
    assert only(Repository(tmp_path / "again")) == only(repo)


def test_a_shared_component_is_carried_once(theirs, tmp_path):
    ids = [put(theirs, {"backbone": weights(1), "head": weights(seed)}) for seed in (2, 3)]

    theirs.export(ids, tmp_path / "bundle")

    assert len(list((tmp_path / "bundle").glob("blobs/sha256/*/*"))) == 3


def test_only_what_was_named_is_exported(theirs, tmp_path):
    ids = [put(theirs, {"": weights(seed)}) for seed in (1, 2)]

    assert theirs.export([ids[0], ids[0]], tmp_path / "bundle") == [ids[0]]

    assert Repository(tmp_path / "bundle").ids() == [ids[0]]


def test_a_version_that_is_taken_here_becomes_the_next(repo, exported):
    own = put(repo, {"": weights(7)})

    (id,) = repo.import_(exported)

    assert repo.resolve("networks/segmentation/UNet@1") == own
    assert repo.resolve("networks/segmentation/UNet@2") == id
    assert repo.record(id).version == 2
    assert repo.import_(exported) == []


def test_a_free_version_number_stays(repo, theirs, tmp_path):
    ids = [put(theirs, {"": weights(seed)}) for seed in (1, 2)]
    theirs.export([ids[1]], tmp_path / "bundle")

    repo.import_(tmp_path / "bundle")

    assert only(repo).version == 2


def test_an_alias_that_is_taken_here_stays_where_it_is(repo, exported):
    own = put(repo, {"": weights(7)})
    repo.alias(own, "best")

    repo.import_(exported)

    assert repo.resolve("networks/segmentation/UNet@best") == own


def test_a_whole_repository_is_imported_without_what_is_deleted_there(repo, theirs):
    ids = [put(theirs, {"": weights(seed)}) for seed in (1, 2)]
    theirs.delete(ids[0])

    assert repo.import_(theirs.store.path) == [ids[1]]


@pytest.mark.parametrize("freed", [False, True])
def test_what_was_deleted_here_comes_back(repo, exported, freed):
    (id,) = repo.import_(exported)
    repo.delete(id)
    if freed:
        repo.gc(grace=0)

    repo.import_(exported)

    assert repo.ids() == [id]
    assert repo.verify() == []


def test_an_import_that_stopped_half_way_is_done_again(repo, theirs, tmp_path, monkeypatch):
    ids = [put(theirs, {"": weights(seed)}) for seed in (1, 2)]
    theirs.export(ids, tmp_path / "bundle")
    calls = []

    def fails(chunks, size, put=repo.store.put):
        calls.append(size)
        if len(calls) == 2:
            raise StorageError(28, "no room")
        return put(chunks, size)

    monkeypatch.setattr(repo.store, "put", fails)
    with pytest.raises(StorageError, match="no room"):
        repo.import_(tmp_path / "bundle")
    assert repo.ids() == [ids[0]]
    monkeypatch.undo()

    assert repo.import_(tmp_path / "bundle") == [ids[1]]
    assert repo.verify() == []


def test_a_folder_that_holds_something_is_not_exported_to(theirs, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")

    with pytest.raises(FileExistsError, match="isn't an empty folder; export to another path"):
        theirs.export([put(theirs)], tmp_path / "full")

    assert files_of(tmp_path / "full") == ["mine.txt"]


def test_an_empty_folder_is_exported_to(theirs, tmp_path):
    (tmp_path / "empty").mkdir()

    theirs.export([put(theirs)], tmp_path / "empty")

    assert (tmp_path / "empty" / "format.json").is_file()


def test_a_damaged_file_is_not_exported_and_nothing_is_left(theirs, tmp_path):
    id = put(theirs)
    damage(blob_file(theirs.store.path))

    with pytest.raises(CorruptCheckpoint, match="SHA-256"):
        theirs.export([id], tmp_path / "bundle")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["theirs"]


def test_exported_files_follow_the_umask(theirs, tmp_path):
    before = os.umask(0o027)
    try:
        theirs.export([put(theirs)], tmp_path / "bundle")
    finally:
        os.umask(before)

    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "bundle").rglob("*.json")} == {0o640}


# --- what is damaged


def damage(path):
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def test_a_flipped_bit_is_noticed(repo, exported):
    damage(blob_file(exported))

    with pytest.raises(CorruptCheckpoint, match="SHA-256"):
        repo.import_(exported)

    assert repo.ids() == []


def test_a_missing_file_is_noticed_before_anything_is_written(repo, exported):
    blob_file(exported).unlink()

    refused(repo, exported, NotFound, "its file [0-9a-f]{64} isn't there")


def test_a_blob_that_is_no_weights_is_refused_though_its_hash_is_right(repo, exported):
    source = repository(exported)
    content = b"\x80\x04cos\nsystem\n" * 10
    blob = {"sha256": source.store.put([content], len(content)), "size": len(content)}
    record = json.loads(record_file(exported).read_text())
    record["components"][0]["blob"] = blob
    edited(exported, components=record["components"])

    with pytest.raises((CorruptCheckpoint, LimitExceeded), match=blob["sha256"]):
        repo.import_(exported)

    assert repo.ids() == []


def test_a_size_that_is_not_the_files_is_refused(repo, exported):
    record = json.loads(record_file(exported).read_text())
    record["components"][0]["blob"]["size"] += 1
    edited(exported, components=record["components"])

    with pytest.raises(CorruptCheckpoint, match="were saved"):
        repo.import_(exported)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"structure": {"builder": "os.system", "config": {}}}, "structure.builder"),
        ({"_target_": "os.system"}, "_target_: Extra inputs"),
        ({"network": "../../etc"}, "network: String should match"),
        ({"network": ".."}, "network: String should match"),
        ({"task": "a/b"}, "task: String should match"),
        ({"version": 0}, "version"),
        ({"format": 2}, "format 2; this mcore reads 1"),
        ({"metrics": [{"name": "miou", "value": "high"}]}, r"metrics\.0\.value"),
        ({"id": "01M8HYK99SSVPK5KZG9AJX08P3"}, "it says that it is 01M8HYK99SSVPK5KZG9AJX08P3"),
    ],
)
def test_a_record_that_does_not_fit_is_refused_by_field(repo, exported, changes, message):
    refused(repo, edited(exported, **changes), SchemaError, message)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b'{"a": 1, "a": 2}', SchemaError, "'a' is there twice"),
        (b"[" * 200_000, LimitExceeded, "nested more than"),
        (b'{"a": NaN}', SchemaError, "NaN is no finite number"),
        (b" " * (2 << 20), LimitExceeded, "at most 1048576"),
        (b"\xff\xfe", SchemaError, "not the JSON of a record"),
    ],
)
def test_a_record_that_is_no_data_is_refused(repo, exported, content, error, message):
    record_file(exported).write_bytes(content)

    refused(repo, exported, error, message)


def test_another_checkpoint_of_an_id_that_is_here_is_refused(repo, exported):
    repo.import_(exported)

    refused(repo, edited(exported, notes="another"), SchemaError, "another checkpoint of the id")


def event(exported, checkpoint, **more):
    """An event of a bundle, put there by hand."""
    id = more.pop("id", None) or new_id()
    data = {"id": id, "checkpoint": checkpoint, "do": "tag", "name": "x", "created": "2026-11-28T17:00:00Z", **more}
    path = exported / event_key(id, checkpoint)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(records.written(records.checked(data, Event, "made")))
    return path


def test_another_event_of_an_id_that_is_here_is_refused(repo, exported, theirs):
    id, stamp = theirs.ids()[0], new_id()
    event(exported, id, id=stamp, value="1")
    repo.import_(exported)
    event(exported, id, id=stamp, value="2")

    refused(repo, exported, SchemaError, "another event of the id")


def test_an_alias_of_another_address_is_refused(repo, exported, theirs):
    event(exported, theirs.ids()[0], do="alias", name="best", value="networks/detection/yolov4")

    refused(repo, exported, SchemaError, "'best' is an alias within 'networks/detection/yolov4', not its own")


def test_an_event_under_anothers_name_is_refused(repo, exported, theirs):
    path = event(exported, theirs.ids()[0])
    path.rename(path.with_name(f"{new_id()}-{theirs.ids()[0]}.json"))

    refused(repo, exported, SchemaError, "stands under another's name")


def test_events_of_checkpoints_that_are_not_in_the_bundle_are_left(repo, exported):
    other = put(repo, {"": weights(9)})
    event(exported, other, do="delete", name="")

    repo.import_(exported)

    assert other in repo.ids()


@pytest.mark.parametrize("what", ["record", "event"])
def test_an_id_of_the_far_future_is_refused_since_none_could_follow_it(repo, exported, theirs, what):
    far = first_id((1 << 48) - 1)
    if what == "event":
        event(exported, theirs.ids()[0], id=far)
    else:
        path = record_file(exported)
        record = json.loads(path.read_text()) | {"id": far}
        path.unlink()
        shutil.rmtree(exported / "events")
        target = exported / record_key(far)
        target.parent.mkdir(parents=True)
        target.write_text(json.dumps(record))

    refused(repo, exported, SchemaError, "of a time that is still to come")


# --- what is hostile, or no bundle


def test_a_link_is_refused(repo, exported, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    path = blob_file(exported)
    path.unlink()
    path.symlink_to(secret)

    refused(repo, exported, PathEscape, "is a link; a bundle has plain files alone")


def test_a_folder_that_is_a_link_is_refused(repo, exported, tmp_path):
    (exported / "records").rename(tmp_path / "elsewhere")
    (exported / "records").symlink_to(tmp_path / "elsewhere")

    refused(repo, exported, PathEscape, "'records' is a link")


def test_a_hard_link_is_refused(repo, exported, tmp_path):
    os.link(record_file(exported), tmp_path / "another-name")

    refused(repo, exported, PathEscape, "hard link")


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_pipe_or_a_socket_is_refused(repo, exported, kind, monkeypatch):
    if kind == "pipe":
        os.mkfifo(exported / "pipe")
    else:
        monkeypatch.chdir(exported)
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind("socket")

    refused(repo, exported, PathEscape, "is a device, a pipe or a socket")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root makes device nodes")
def test_a_device_is_refused(repo, exported):
    try:
        os.mknod(exported / "zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("device nodes can't be made here")

    refused(repo, exported, PathEscape, "is a device, a pipe or a socket")


@pytest.mark.parametrize("name", ["a b", "--help", "café", "a\nb", "x" * 201])
def test_a_name_that_no_file_of_a_repository_has_is_refused(repo, exported, name):
    (exported / name).write_text("")

    refused(repo, exported, PathEscape, "is no key of a repository")


def test_hidden_files_are_passed_over(repo, exported):
    (exported / "records" / ".DS_Store").write_text("of a system")

    assert len(repo.import_(exported)) == 1


def test_folders_that_go_too_deep_are_refused(repo, exported):
    (exported / "/".join("abcdefghijkl")).mkdir(parents=True)

    refused(repo, exported, LimitExceeded, "or 8 folders deep")


def test_too_many_files_are_refused(repo, exported, monkeypatch):
    monkeypatch.setattr(bundle, "MOST", 5)

    refused(repo, exported, LimitExceeded, "more than 5 files")


def packed(folder, path):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("../../escaped", "x")
    else:
        with tarfile.open(path, {".tar": "w", ".tgz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}[path.suffix]) as archive:
            archive.add(folder, "../../escaped")
    return path


@pytest.mark.parametrize("name", ["b.zip", "b.tar", "b.tgz", "b.xz", "b.bz2"])
def test_an_archive_is_refused_with_what_to_do_and_nothing_is_unpacked(repo, exported, tmp_path, name):
    kind = {".tgz": "gzip", ".bz2": "bzip2"}.get(os.path.splitext(name)[1], name[2:])
    path = packed(exported, tmp_path / name)

    refused(repo, path, UnsafeFormat, rf"is a {kind} archive, .* Unpack it into an empty folder yourself")

    assert not [*tmp_path.parent.glob("escaped*")]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, NotFound, "no bundle of checkpoints: it has no format.json"),
        ("{", SchemaError, "format.json isn't that of checkpoints"),
        ("[]", SchemaError, "format.json isn't that of checkpoints"),
        ('{"format": 2}', SchemaError, "format 2; this mcore reads 1"),
        ("[" * 9_000, SchemaError, "format.json isn't that of checkpoints"),
    ],
)
def test_a_folder_that_is_no_bundle_is_refused(repo, exported, content, error, message):
    path = exported / "format.json"
    path.unlink() if content is None else path.write_text(content)

    refused(repo, exported, error, message)


def test_what_is_not_there_and_what_is_no_folder_are_told(repo, tmp_path):
    (tmp_path / "file").write_text("text")

    refused(repo, tmp_path / "none", NotFound, "there is no folder")
    refused(repo, tmp_path / "file", NotFound, "is a file; a bundle is a folder with format.json in it")


def test_blobs_that_nobody_names_are_not_taken(repo, exported):
    source = repository(exported)
    lonely = write(source.store, weights(77))

    repo.import_(exported)

    assert not repo.store.has(blob_key(lonely.sha256))
