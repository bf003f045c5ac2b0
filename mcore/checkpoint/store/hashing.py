"""Hashing in step with reading and writing: bytes flow in pieces, a second thread hashes the one before."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

# Bytes of a piece: large enough that handing it to another thread costs nothing beside hashing it.
PIECE = 2 << 20
# Pieces that may wait for their hash; a writer that is faster than that waits, since pieces may be copies.
_WAITING = 4


class Sha256:
    """The SHA-256 of pieces, taken in a second thread: hashlib lets the others run meanwhile.

    A block: `with Sha256(size) as hashed: hashed.update(piece); ...; hashed.hexdigest()`. Less than a piece is hashed
    in place, as is everything where no thread can be started any more: while the interpreter ends, or in a process at
    its limit.
    """

    def __init__(self, size: int) -> None:
        self._hash = hashlib.sha256()
        self._waiting: deque[Future[None]] = deque()
        self._thread = _thread() if size > PIECE else None

    def __enter__(self) -> Sha256:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)

    def update(self, piece: bytes | memoryview) -> None:
        """Adds a piece, which mustn't change any more."""
        if self._thread is None:
            self._hash.update(piece)
            return
        self._waiting.append(self._thread.submit(self._hash.update, piece))
        if len(self._waiting) > _WAITING:
            self._waiting.popleft().result()

    def hexdigest(self) -> str:
        """The hash of all that came."""
        while self._waiting:
            self._waiting.popleft().result()
        return self._hash.hexdigest()


def pieces(chunks: Iterable[bytes | memoryview], size: int) -> Iterator[memoryview]:
    """The same bytes in pieces of about one size: the many small arrays of a network come together.

    Raises:
        ValueError: they aren't `size` bytes.
    """
    found, small = 0, bytearray()
    for chunk in chunks:
        view = memoryview(chunk).cast("B") if len(chunk) else memoryview(b"")
        found += len(view)
        if found > size:
            break
        if len(small) + len(view) <= PIECE // 4:
            small += view
            continue
        if small:
            yield memoryview(small)
            small = bytearray()
        for start in range(0, len(view), PIECE):
            yield view[start : start + PIECE]
    if found != size:
        raise ValueError(f"put: {'more than ' if found > size else ''}{found} bytes came where {size} were said.")
    if small:
        yield memoryview(small)


def _thread() -> ThreadPoolExecutor | None:
    thread = ThreadPoolExecutor(1, "mcore-sha256")
    try:
        thread.submit(int)
    except RuntimeError:
        return None
    return thread


__all__ = ["PIECE", "Sha256", "pieces"]
