"""A repository's files in an object store: S3 and what speaks like it; and in memory, for tests.

An object is there whole or not at all by the store's own promise, and made once by its conditional writes
(`If-None-Match: *`). What a reset connection leaves open, whether a write arrived, is told by a mark on each object.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import obstore
from obstore import exceptions as failures
from obstore.store import MemoryStore, S3Store

from mcore.checkpoint.errors import CorruptCheckpoint, LimitExceeded, NotFound
from mcore.checkpoint.store import disk
from mcore.checkpoint.store.base import Kept, Store, blob_key, checked_key
from mcore.checkpoint.store.hashing import Sha256, pieces
from mcore.exchange.errors import StorageError, first_line

# Seconds to wait before a request that failed is made again; obstore itself has retried it by then.
WAITS = (0.2, 1.0)
# Bytes of a request, requests at once, and bytes above which a blob is sent in parts: S3 takes none of less than 5 MB.
_PART, _AT_ONCE, _PARTS = 8 << 20, 4, 16 << 20
# Where copies lie for a moment; whose object one is.
_RENEWING, _MARK = "renewing/", "mcore-writer"
Answer = TypeVar("Answer")
# Stores in memory by name: two repositories of one name see the same files.
_memories: dict[str, MemoryStore] = {}
# The process whose threads speak for obstore, which a forked one lacks.
_speaker: list[int] = []


class Bucket(Store):
    """Files by key in a bucket.

    Args:
        url: "s3://bucket/folder"; "memory://name" is in this process, and gone with it.
        create: false refuses a place in which there is nothing. Buckets themselves are never made.
        options: of obstore's S3Store: `endpoint`, `region`, `access_key_id`, `secret_access_key`, ...; those that
            aren't given come from the environment (AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, ...).

    Raises:
        ValueError: the address or an option isn't understood.
        NotFound: nothing is there, and `create` is false.
    """

    # Never a place for the files of a database.
    is_network = True

    def __init__(self, url: str, *, create: bool = True, **options: Any) -> None:
        self.url = url
        self._objects = _objects_of(url, options)
        if not create and self._asked("", lambda: next(self._listed(None, None), None)) is None:
            raise NotFound(f"{url}: nothing is there.")

    def create(self, key: str, content: bytes) -> bool:
        mark = secrets.token_hex(16)

        def write() -> bool:
            try:
                obstore.put(self._objects, key, content, mode="create", attributes={_MARK: mark}, use_multipart=False)
            except failures.AlreadyExistsError:
                # Perhaps by a try of ours of which no answer came.
                return obstore.get(self._objects, key).attributes.get(_MARK) == mark
            return True

        return self._asked(checked_key(key), write)

    def put(self, chunks: Iterable[bytes | memoryview], size: int) -> str:
        # The key is the hash, and needed first; chunks are views of arrays that are there anyway.
        kept = list(pieces(chunks, size))
        with Sha256(size) as hashed:
            for piece in kept:
                hashed.update(piece)
            sha256 = hashed.hexdigest()
        key = blob_key(sha256)
        if not self._renewed(key, size):
            self._asked(
                key,
                lambda: obstore.put(self._objects, key, iter(kept), use_multipart=size > _PARTS, chunk_size=_PART),
            )
        return sha256

    def _renewed(self, key: str, size: int) -> bool:
        """Whether the blob is there, and has a new time now: by copies within the store, since none takes a time."""
        aside = _RENEWING + secrets.token_hex(16)

        def copy() -> bool:
            if obstore.head(self._objects, key)["size"] != size:
                return False
            try:
                # Not onto itself, which S3 refuses.
                obstore.copy(self._objects, key, aside)
                obstore.copy(self._objects, aside, key)
            finally:
                with contextlib.suppress(failures.BaseError):  # `sweep` takes it
                    obstore.delete(self._objects, aside)
            return True

        try:
            return self._asked(key, copy)
        except NotFound:
            return False

    def read(self, key: str, *, most: int | None = None) -> bytes:
        def get() -> bytes:
            found = obstore.get(self._objects, key)
            if most is not None and found.meta["size"] > most:
                raise LimitExceeded(f"{self.url}/{key}: {found.meta['size']} bytes; at most {most} are read.")
            return bytes(found.bytes())

        return self._asked(checked_key(key), get)

    def fetch(self, sha256: str, size: int) -> memoryview:
        key = checked_key(blob_key(sha256))
        there = self._asked(key, lambda: obstore.head(self._objects, key)["size"])
        if there != size:
            raise CorruptCheckpoint(f"{self.url}/{key}: {there} bytes; {size} were saved, with SHA-256 {sha256}.")
        buffer = disk.memory(size)
        with Sha256(size) as hashed:
            for start, content in self._pieces_of(key, size):
                piece = buffer[start : start + len(content)]
                piece[:] = content
                hashed.update(piece)
            found = hashed.hexdigest()
        if found != sha256:
            raise CorruptCheckpoint(
                f"{self.url}/{key}: its SHA-256 is {found}; {sha256} was saved. Its bytes were changed."
            )
        return buffer

    def _pieces_of(self, key: str, size: int) -> Iterator[tuple[int, memoryview]]:
        """The object in order, of which some pieces are always on their way."""

        def get(start: int) -> memoryview:
            length = min(_PART, size - start)
            content = obstore.get_range(self._objects, key, start=start, length=length)
            if len(content) != length:
                raise failures.GenericError(f"{len(content)} bytes came of {length}")
            return memoryview(content)

        waiting: deque[tuple[int, Future[memoryview]]] = deque()
        with ThreadPoolExecutor(_AT_ONCE, "mcore-fetch") as threads:
            try:
                for start in range(0, size, _PART):
                    waiting.append((start, threads.submit(self._asked, key, lambda start=start: get(start))))
                    if len(waiting) >= _AT_ONCE:
                        first, arriving = waiting.popleft()
                        yield first, arriving.result()
                for first, arriving in waiting:
                    yield first, arriving.result()
            finally:
                threads.shutdown(wait=False, cancel_futures=True)

    def files(self, prefix: str, *, after: str = "") -> Iterator[Kept]:
        if prefix and not prefix.endswith("/"):
            raise ValueError(f'files: a prefix is a folder and ends with "/", got {prefix!r}.')
        found = self._asked(prefix, lambda: list(self._listed(prefix[:-1] or None, after or None)))
        # Not by the offset alone, from which obstore takes a "/" at its end.
        yield from sorted((kept for kept in found if kept.key > after), key=lambda kept: kept.key)

    def _listed(self, prefix: str | None, offset: str | None) -> Iterator[Kept]:
        for some in obstore.list(self._objects, prefix=prefix, offset=offset, chunk_size=1000):
            for one in some:
                yield Kept(one["path"], one["size"], one["last_modified"].timestamp())

    def delete(self, key: str) -> None:
        with contextlib.suppress(NotFound):
            self._asked(checked_key(key), lambda: obstore.delete(self._objects, key))

    def expire(self, key: str, made_before: float) -> bool:
        """Removes a file that was last made or renewed before then; whether it went.

        Object stores can't do both in one step: a save that makes the same bytes between two requests may lose them.
        """

        def remove() -> bool:
            if obstore.head(self._objects, key)["last_modified"].timestamp() >= made_before:
                return False
            obstore.delete(self._objects, key)
            return True

        try:
            return self._asked(checked_key(key), remove)
        except NotFound:
            return False

    def sweep(self, age: float) -> list[str]:
        # Parts of uploads that were never finished can't be seen from here; a bucket has a rule of its own for them.
        oldest = time.time() - age
        left = [kept.key for kept in self.files(_RENEWING) if kept.made <= oldest]
        for key in left:
            self.delete(key)
        return left

    def has(self, key: str) -> bool:
        try:
            self._asked(checked_key(key), lambda: obstore.head(self._objects, key))
        except NotFound:
            return False
        return True

    def _asked(self, key: str, request: Callable[[], Answer]) -> Answer:
        """The answer to a request that may be made twice; tries again where the network or the store failed.

        Raises:
            NotFound: there is no such object.
            StorageError: the store refuses, or can't be reached.
        """
        _refuse_forked(self.url)
        where = f"{self.url}/{key}"
        for wait in (*WAITS, None):
            try:
                return request()
            except (failures.NotFoundError, FileNotFoundError):
                raise NotFound(f"{where}: there is no such file, or no such bucket.") from None
            except (failures.PermissionDeniedError, failures.UnauthenticatedError) as error:
                why = f"the store doesn't let this user: {first_line(error)}"
                raise StorageError(errno.EACCES, f"{where}: {why}. Nothing was changed.") from error
            except failures.BaseError as error:
                if wait is None:
                    raise StorageError(errno.EIO, f"{where}: the store failed: {first_line(error)}") from error
                time.sleep(wait)
        raise AssertionError("the last wait is None")


def _objects_of(url: str, options: dict[str, Any]) -> Any:
    scheme, _, rest = url.partition("://")
    if scheme == "memory":
        return _memories.setdefault(rest, MemoryStore()) if rest else MemoryStore()
    endpoint = str(options.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL", ""))
    if endpoint.startswith("http://"):
        # Whoever writes so means it.
        options = {**options, "client_options": {"allow_http": True, **options.get("client_options", {})}}
    try:
        return S3Store.from_url(url, **options)
    except failures.BaseError as error:
        raise ValueError(f"{url}: not understood: {first_line(error)}") from error


def _refuse_forked(url: str) -> None:
    """Raises StorageError in a forked process, where obstore's threads are missing and a request would never end."""
    if not _speaker:
        _speaker.append(os.getpid())
    if _speaker[0] != os.getpid():
        raise StorageError(
            errno.EDEADLK,
            f"{url}: object stores can't be used in a forked process once its parent used one; start workers with "
            'multiprocessing\'s "spawn", or save in the parent. Nothing was changed.',
        )


__all__ = ["WAITS", "Bucket"]
