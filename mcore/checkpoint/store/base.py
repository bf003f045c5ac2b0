"""Where the files of a repository lie: what a folder and an object store have in common.

Keys are paths of names with "/" between ("records/01J...json"). A file is made once, whole, and never changed: to be
there is to be complete, for every reader, whatever became of the writer.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mcore.checkpoint.errors import PathEscape

# Characters of an id that name a folder of records or events.
SHARD = 4
VERSIONS = "versions/"
_STEP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,199}")


@dataclass(frozen=True)
class Kept:
    """A file of a store: its key, its bytes, and when it was made, in seconds since 1970 by the store's clock."""

    key: str
    size: int
    made: float


class Store(abc.ABC):
    """Files by key, each made once.

    Attributes:
        url: how the store was named.
    """

    url: str

    @abc.abstractmethod
    def create(self, key: str, content: bytes) -> bool:
        """Makes a small file, whole and flushed; False where there is one of this key, which stays as it is.

        Raises:
            StorageError: it can't be written: no room, no permission; nothing was changed.
        """

    @abc.abstractmethod
    def put(self, chunks: Iterable[bytes | memoryview], size: int) -> str:
        """Makes the file `blobs/sha256/ab/cdef...` of `size` bytes; the SHA-256 of what it holds.

        It is hashed while it is written. Where the file is there already, what was written goes, and its time is
        renewed, so that `gc` doesn't take it from the checkpoint that is being saved.

        Raises:
            StorageError: as `create`.
        """

    @abc.abstractmethod
    def read(self, key: str, *, most: int | None = None) -> bytes:
        """A small file.

        Raises:
            NotFound: no such file.
            LimitExceeded: it has more than `most` bytes.
            StorageError: it can't be read.
        """

    @abc.abstractmethod
    def fetch(self, sha256: str, size: int) -> memoryview:
        """The bytes of a blob in memory of our own, of which every one was hashed.

        Raises:
            NotFound: no such blob.
            CorruptCheckpoint: its bytes, or their number, aren't those of this hash.
            StorageError: it can't be read.
        """

    @abc.abstractmethod
    def files(self, prefix: str, *, after: str = "") -> Iterator[Kept]:
        """Files whose key begins with `prefix` (a folder: it ends with "/"), behind the key `after`, sorted by key."""

    @abc.abstractmethod
    def delete(self, key: str) -> None:
        """Removes a file; where there is none, nothing happens."""

    @abc.abstractmethod
    def expire(self, key: str, made_before: float) -> bool:
        """Removes a file that was last made or renewed before a moment, in seconds since 1970; whether it went.

        A save that puts the same bytes meanwhile keeps them: see `put`.
        """

    @abc.abstractmethod
    def sweep(self, age: float) -> list[str]:
        """Removes what writers that were killed left half-written at least `age` seconds ago; names of it."""

    def has(self, key: str) -> bool:
        """Whether there is a file of this key."""
        folder = key.rpartition("/")[0]
        return any(kept.key == key for kept in self.files(f"{folder}/" if folder else ""))


def blob_key(sha256: str) -> str:
    """The key of a blob.

    >>> blob_key("ab" + 62 * "0")[:20]
    'blobs/sha256/ab/0000'
    """
    return f"blobs/sha256/{sha256[:2]}/{sha256[2:]}"


def record_key(id: str) -> str:
    """The key of a record. Its folder is the id's beginning, another every twelve days, so that what is new is near.

    >>> record_key("01J5ZK3V7Q8W9XTBYAZCDEFGHJ")
    'records/01J5/01J5ZK3V7Q8W9XTBYAZCDEFGHJ.json'
    """
    return f"records/{id[:SHARD]}/{id}.json"


def event_key(id: str, checkpoint: str) -> str:
    """The key of an event, which names the checkpoint too: the events of one are found without reading the others."""
    return f"events/{id[:SHARD]}/{id}-{checkpoint}.json"


def version_key(address: str, number: int) -> str:
    """The key of a claim to a version number.

    >>> version_key("backbones/resnet50", 3)
    'versions/backbones/resnet50/000003'
    """
    # With zeros before it, so that keys sort as numbers do.
    return f"{VERSIONS}{address}/{number:06d}"


def checked_key(key: str) -> str:
    """`key`, if it stays inside the store.

    Raises:
        PathEscape: a step of it is empty, hidden, "..", or has other characters than names have.
    """
    if len(key) > 500 or not all(_STEP.fullmatch(step) for step in key.split("/")):
        raise PathEscape(f"{key!r:.100} is no key of a repository: steps of letters, digits and '._@+-' are.")
    return key


__all__ = ["VERSIONS", "Kept", "Store", "blob_key", "checked_key", "event_key", "record_key", "version_key"]
