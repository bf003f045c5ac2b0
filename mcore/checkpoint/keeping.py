"""Whether a repository is whole, and freeing what nothing in it needs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mcore.checkpoint.addresses import RECORDS
from mcore.checkpoint.errors import CorruptCheckpoint, LimitExceeded, NotFound, SchemaError
from mcore.checkpoint.moments import seconds
from mcore.checkpoint.records import Blob, Record
from mcore.checkpoint.store.base import blob_key, record_key

if TYPE_CHECKING:
    from mcore.checkpoint.repository import Repository

BLOBS = "blobs/sha256/"
# What reading a record or a blob raises where it isn't as it was saved.
WRONG = (CorruptCheckpoint, LimitExceeded, NotFound, SchemaError)


def verify(repo: Repository, ids: Sequence[str] | None = None) -> list[str]:
    """Reads records and blobs, each blob once; what is wrong, a line each."""
    wrong: list[str] = []
    seen: dict[Blob, str] = {}
    for id in repo.ids(deleted=True) if ids is None else ids:
        try:
            record = repo.original(id)
            repo.history.state(record)
        except WRONG as error:
            wrong.append(str(error))
            continue
        for component in record.components:
            blob = component.blob
            if blob is None:
                continue
            if blob not in seen:
                seen[blob] = _fault(repo, blob)
            if seen[blob]:
                wrong.append(f"{id}, component {component.name or component.role!r}: {seen[blob]}")
    return wrong


def collect(repo: Repository, *, grace: float, dry_run: bool = False) -> list[str]:
    """Frees what nothing needs and is older than `grace` seconds; its keys.

    Blobs are listed before records are read: one that a save uses in between is young, or its record is seen.

    Raises:
        SchemaError: a record can't be read, so that nobody knows which blobs it names; nothing was freed.
    """
    if grace < 0:
        raise ValueError(f"gc: grace is a number of seconds, got {grace}.")
    before = time.time() - grace
    blobs = [kept for kept in repo.store.files(BLOBS) if kept.made <= before]
    gone = _deleted(repo, before)
    needed = {
        blob_key(component.blob.sha256)
        for record in _readable(repo, skip=gone)
        for component in record.components
        if component.blob is not None
    }
    unneeded = [kept for kept in blobs if kept.key not in needed]
    if dry_run:
        return [*(record_key(id) for id in gone), *(kept.key for kept in unneeded)]
    # Records first: a checkpoint without its record is nobody's, one without its weights is broken.
    out = []
    for id in gone:
        repo.store.delete(record_key(id))
        out.append(record_key(id))
    out += [kept.key for kept in unneeded if repo.store.expire(kept.key, before)]
    return [*out, *repo.store.sweep(grace)]


def _deleted(repo: Repository, before: float) -> list[str]:
    """Checkpoints that were deleted before a moment, and whose records are there still."""
    there = {*repo.ids(deleted=True)}
    return [id for id, moment in repo.history.deleted().items() if id in there and seconds(moment) <= before]


def _readable(repo: Repository, *, skip: Iterable[str]) -> list[Record]:
    skipped, found = {*skip}, []
    for id in repo.ids(deleted=True):
        if id in skipped:
            continue
        try:
            found.append(repo.original(id))
        except NotFound:
            continue  # another collector took it meanwhile
        except (SchemaError, LimitExceeded) as error:
            raise SchemaError(
                f"gc: {error} Nobody knows which blobs it names, so none are freed: put a copy in its place, or take "
                f"it out of {RECORDS}."
            ) from error
    return found


def _fault(repo: Repository, blob: Blob) -> str:
    try:
        repo.store.fetch(blob.sha256, blob.size)
    except WRONG as error:
        return str(error)
    return ""


__all__ = ["collect", "verify"]
