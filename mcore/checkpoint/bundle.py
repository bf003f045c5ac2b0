"""Checkpoints in a folder, to carry to another repository. The folder is a repository itself, with ids of its own kept.

What comes from elsewhere is read as if its author meant harm: before anything is written, all names, links, records and
events are looked at; then each file's bytes are hashed, and checked to be weights and nothing else.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcore.checkpoint import records
from mcore.checkpoint.addresses import Addresses
from mcore.checkpoint.errors import CorruptCheckpoint, LimitExceeded, NotFound, PathEscape, SchemaError, UnsafeFormat
from mcore.checkpoint.history import History
from mcore.checkpoint.ids import milliseconds, new_id
from mcore.checkpoint.records import LARGEST, Blob, Event, Record
from mcore.checkpoint.store import blobs
from mcore.checkpoint.store.base import Store, blob_key, checked_key, event_key, record_key, version_key
from mcore.checkpoint.store.opening import open_store
from mcore.exchange.atomic import atomic_folder

if TYPE_CHECKING:
    from mcore.checkpoint.repository import Repository

FORMAT, FILE = 1, "format.json"
# Files of a folder, and folders in each other: more are no bundle.
MOST, DEEPEST = 1_000_000, 8
# How far ahead the clock of who saved may be, in milliseconds: an id of the far future would be the last one for good.
_AHEAD = 86_400_000
_ARCHIVES = {b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}

# Wraps what is gone through, to show progress: as tqdm does.
Watch = Callable[[Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True)
class _Coming:
    """A checkpoint of a bundle with its events."""

    record: Record
    events: tuple[Event, ...]


def export(repo: Repository, ids: Sequence[str], folder: str | os.PathLike[str], *, watch: Watch = iter) -> list[str]:
    """Writes checkpoints to a new folder, whole or not at all: records, files, events; their ids.

    Raises:
        FileExistsError: something is there.
        CorruptCheckpoint: a file isn't what was saved; nothing was written.
        StorageError: the folder can't be written.
    """
    target = Path(folder)
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise FileExistsError(f"{target} is there and isn't an empty folder; export to another path.")
    ids = list(dict.fromkeys(ids))
    with atomic_folder(target, overwrite=True, replaceable=lambda _: False) as beside:
        _write(beside, FILE, (json.dumps({"format": FORMAT, "id": new_id()}) + "\n").encode())
        events = repo.history.grouped()
        for id in watch(ids):
            _export_one(repo, id, events.get(id, ()), beside)
    return ids


def import_(repo: Repository, folder: str | os.PathLike[str], *, watch: Watch = iter) -> list[str]:
    """Takes the checkpoints of a folder that `export` wrote, or of a whole repository; the ids of those that are new.

    Ids stay. A version number that is taken here becomes the next free one; an alias that is taken stays where it is.
    What is here already is left as it is, so that an import that was interrupted is simply done again.

    Raises:
        NotFound: there is no such folder, it is no bundle, or a file that a record names is missing.
        UnsafeFormat: it is an archive.
        PathEscape: a link, a device, or a name that leads elsewhere is in it.
        SchemaError: a record or an event doesn't fit, or another one of its id is here.
        CorruptCheckpoint: a file isn't what its record says.
        LimitExceeded: it holds more than any bundle does.
    """
    root = _root(folder)
    _check_files(root)
    source = open_store(str(root), create=False)
    _check_format(source)
    coming = _read(source)
    _check_against(repo, coming)
    done: set[str] = set()
    aliases = repo.history.aliases()
    fresh = [one.record.id for one in watch(coming) if _import_one(repo, source, one, done, aliases)]
    gone = repo.history.deleted()
    for one in coming:
        if one.record.id in gone:
            repo.restore(one.record.id)
    return fresh


# --- out


def _export_one(repo: Repository, id: str, events: Iterable[Event], beside: Path) -> None:
    record = repo.original(id)
    for blob in _blobs(record):
        if not (beside / blob_key(blob.sha256)).exists():
            _write(beside, blob_key(blob.sha256), repo.store.fetch(blob.sha256, blob.size))
    # As Addresses names them, so that the folder can be opened as a repository.
    _write(beside, version_key(record.address, record.version), f"{id}\n".encode())
    for event in events:
        _write(beside, event_key(event.id, id), records.written(event))
    _write(beside, record_key(id), records.written(record))


def _write(beside: Path, key: str, content: bytes | memoryview) -> None:
    path = beside / checked_key(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _blobs(record: Record) -> list[Blob]:
    return list(dict.fromkeys(one.blob for one in record.components if one.blob is not None))


# --- in: what is looked at before anything is written


def _root(folder: str | os.PathLike[str]) -> Path:
    root = Path(folder)
    if root.is_file():
        kind = _archive(root)
        if kind:
            raise UnsafeFormat(
                f"{root} is a {kind} archive, whose members may lead anywhere. Unpack it into an empty folder "
                "yourself, and import that folder."
            )
        raise NotFound(f"{root} is a file; a bundle is a folder with {FILE} in it.")
    if not root.is_dir():
        raise NotFound(f"there is no folder {root}.")
    return root.resolve()


def _archive(file: Path) -> str:
    with open(file, "rb") as content:
        head = content.read(512)
    if head[257:262] == b"ustar":
        return "tar"
    return next((name for magic, name in _ARCHIVES.items() if head.startswith(magic)), "")


def _check_files(root: Path) -> None:
    """Refuses whatever isn't a plain file of its own: it could stand for a file elsewhere."""
    count, waiting = 0, [(root, "", 0)]
    while waiting:
        folder, before, depth = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                count += 1
                key = before + entry.name
                if count > MOST or depth > DEEPEST:
                    raise LimitExceeded(f"{root}: more than {MOST} files, or {DEEPEST} folders deep; no bundle is.")
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    waiting.append((Path(entry.path), f"{key}/", depth + 1))
                elif why := _not_plain(found):
                    raise PathEscape(f"{root}: {key!r:.200} is {why}; a bundle has plain files alone.")
                # Hidden files are what a system leaves in folders, and are never read.
                if not entry.name.startswith("."):
                    checked_key(key)


def _not_plain(found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        return "a link"
    if not stat.S_ISREG(found.st_mode):
        return "a device, a pipe or a socket"
    return "a file that has another name elsewhere (a hard link)" if found.st_nlink > 1 else ""


def _check_format(source: Store) -> None:
    try:
        said = json.loads(source.read(FILE, most=10_000))
        version = said["format"]
    except NotFound:
        raise NotFound(f"{source.url}: no bundle of checkpoints: it has no {FILE}.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SchemaError(f"{source.url}: {FILE} isn't that of checkpoints.") from None
    if version != FORMAT:
        raise SchemaError(f"{source.url}: format {version!r:.50}; this mcore reads {FORMAT}. A newer one may read it.")


def _read(source: Store) -> list[_Coming]:
    """All checkpoints that aren't deleted there, checked, the oldest first."""
    history = History(source)
    events = history.grouped()
    for event in (event for several in events.values() for event in several):
        if not source.has(event_key(event.id, event.checkpoint)):
            raise SchemaError(f"{source.url}: the event {event.id} stands under another's name.")
        _check_moment(source, event.id)
    gone = history.deleted()
    coming = []
    for id in Addresses(source, history).ids():
        where = f"{source.url}: record {id}"
        record = records.read(source.read(record_key(id), most=LARGEST), Record, where)
        if record.id != id:
            raise SchemaError(f"{where}: it says that it is {record.id}.")
        _check_moment(source, id)
        for blob in _blobs(record):
            if not source.has(blob_key(blob.sha256)):
                raise NotFound(f"{where}: its file {blob.sha256} isn't there.")
        one = _Coming(record, tuple(events.get(id, ())))
        for event in one.events:
            # An event could claim any address.
            if event.do == "alias" and event.value != record.address:
                raise SchemaError(f"{where}: {event.name!r:.100} is an alias within {event.value!r:.100}, not its own.")
        if id not in gone:
            coming.append(one)
    return coming


def _check_moment(source: Store, id: str) -> None:
    if milliseconds(id) > time.time_ns() // 1_000_000 + _AHEAD:
        raise SchemaError(f"{source.url}: {id} is of a time that is still to come; is a clock wrong, here or there?")


def _check_against(repo: Repository, coming: Sequence[_Coming]) -> None:
    """Refuses ids under which this repository has something else."""
    here_events = {event.id: event for event in repo.history.all()}
    for one in coming:
        if repo.store.has(record_key(one.record.id)):
            here = repo.original(one.record.id)
            if here.model_copy(update={"version": one.record.version}) != one.record:
                raise SchemaError(
                    f"{repo.store.url}: another checkpoint of the id {here.id} is here; it isn't changed."
                )
        for event in one.events:
            if here_events.get(event.id, event) != event:
                raise SchemaError(f"{repo.store.url}: another event of the id {event.id} is here; it isn't changed.")


# --- in: one after the other


def _import_one(
    repo: Repository, source: Store, one: _Coming, done: set[str], aliases: Mapping[tuple[str, str], str]
) -> bool:
    """Takes a checkpoint, its record last; whether it is new. `aliases` are those that were here before."""
    record = one.record
    is_new = not repo.store.has(record_key(record.id))
    if is_new:
        for blob in _blobs(record):
            if blob.sha256 not in done:
                _take(repo, source, blob)
                done.add(blob.sha256)
    for event in _fitting(one, aliases):
        repo.store.create(event_key(event.id, record.id), records.written(event))
    if is_new:
        version = _version(repo, record)
        repo.store.create(record_key(record.id), records.written(record.model_copy(update={"version": version})))
        for blob in _blobs(record):
            # What was here before, of a deleted checkpoint, may have been collected meanwhile.
            if not repo.store.has(blob_key(blob.sha256)):
                _take(repo, source, blob)
    return is_new


def _take(repo: Repository, source: Store, blob: Blob) -> None:
    where = f"{source.url}: {blob.sha256}"
    content = source.fetch(blob.sha256, blob.size)
    try:
        blobs.arrays_of(content)
    except (CorruptCheckpoint, LimitExceeded) as error:
        raise type(error)(f"{where}: {error}") from error
    if repo.store.put([content], blob.size) != blob.sha256:
        raise CorruptCheckpoint(f"{where}: its bytes changed while they were read.")


def _fitting(one: _Coming, aliases: Mapping[tuple[str, str], str]) -> Iterator[Event]:
    """Its events, but for aliases that mean another checkpoint here."""
    for event in one.events:
        taken = event.do == "alias" and aliases.get((event.value, event.name), one.record.id) != one.record.id
        if not taken:
            yield event


def _version(repo: Repository, record: Record) -> int:
    """Its own version number where that is free, or was claimed for it already; else the next."""
    key = version_key(record.address, record.version)
    if repo.store.create(key, f"{record.id}\n".encode()):
        return record.version
    owner = repo.store.read(key, most=100).decode("utf-8", "replace").strip()
    return record.version if owner == record.id else repo.addresses.claim(record.address, record.id)


__all__ = ["export", "import_"]
