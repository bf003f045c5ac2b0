"""An index in a file of SQLite's, in the user's cache.

A file beside it, the seal, says which file is the index, what its SHA-256 is and what it looked like. Whoever opens the
index hashes it whole, and looks at its time and size before each question: SQLite itself answers from flipped bits
without a word. What differs is left and made anew, under another name, from the records. So the file needn't be
flushed either: what a power cut leaves isn't what was sealed.

Differs from SQLite's usual advice: no write-ahead log. The file has to be whole when it's hashed, and a home folder on
a network disk, where caches often lie, can't have that log at all. Who writes has a lock beside it; who reads has none.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from mcore.checkpoint.errors import Busy
from mcore.checkpoint.extras import needed
from mcore.checkpoint.search import schema
from mcore.checkpoint.search.places import Missing
from mcore.exchange.atomic import atomic_file
from mcore.exchange.errors import StorageError, storage_error

# Seconds that one writer waits for another; making an index of a million checkpoints takes minutes.
PATIENCE = 600.0
_PIECE = 1 << 20


class SQLite:
    """An index in a file.

    Args:
        base: its path without an ending: `base`.json is the seal, `base`.lock the writers' lock, and
            `base`.*.sqlite the index.
    """

    sqlite = True

    def __init__(self, base: Path) -> None:
        filelock = needed("filelock")
        self.base = base
        try:
            base.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._cannot(error) from error
        self._lock = filelock.FileLock(f"{base}.lock", timeout=PATIENCE)
        self._busy = filelock.Timeout
        self._mutex = threading.RLock()
        self._engine: sa.Engine | None = None
        # Whose engine it is, which file it has open, and the seal with which it was found right.
        self._owner, self._open, self._trusted = 0, "", ""

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with self._opened().connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self, *, anew: bool = False) -> Iterator[sa.Connection]:
        with self._mutex, self._locked():
            if anew:
                with self._anew() as connection:
                    yield connection
                return
            engine = self._opened()
            with engine.connect() as connection:
                connection.execute(sa.text("BEGIN IMMEDIATE"))
                before = connection.connection.driver_connection.total_changes  # type: ignore[union-attr]
                yield connection
                changed = connection.connection.driver_connection.total_changes != before  # type: ignore[union-attr]
                connection.commit()
            if changed:
                self._seal(self._open, self.remembered())

    @contextlib.contextmanager
    def _anew(self) -> Iterator[sa.Connection]:
        name = f"{self.base.name}.{secrets.token_hex(4)}.sqlite"
        # Here whoever is alone in writing is, so other files are older ones, or what killed writers left.
        self._sweep(keep=[(self._read_seal() or {}).get("file", "")])
        try:
            (self.base.parent / name).touch(exist_ok=False)
        except OSError as error:
            raise self._cannot(error) from error
        engine = _engine(self.base.parent / name)
        try:
            with engine.connect() as connection:
                connection.execute(sa.text("BEGIN IMMEDIATE"))
                schema.metadata.create_all(connection)
                yield connection
                connection.execute(sa.text("ANALYZE"))
                connection.commit()
        except BaseException:
            engine.dispose()
            (self.base.parent / name).unlink(missing_ok=True)
            raise
        self._close()
        self._seal(name, {})
        self._engine, self._owner, self._open = engine, os.getpid(), name
        self._sweep(keep=[name])

    def remembered(self) -> dict[str, Any]:
        known = (self._read_seal() or {}).get("known")
        return known if isinstance(known, dict) else {}

    def remember(self, known: dict[str, Any]) -> None:
        with self._mutex, self._locked():
            seal = self._read_seal()
            # Not of another index, which somebody made anew meanwhile: it may know less.
            if seal is not None and seal["file"] == self._open:
                self._write_seal({**seal, "known": known})

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        with self._mutex, self._locked():
            yield

    def drop(self) -> None:
        with self._mutex, self._locked():
            self._close()
            self._file(".json").unlink(missing_ok=True)
            self._sweep(keep=[])

    # --- the seal

    def _opened(self) -> sa.Engine:
        """The index, if it's whole: hashed when it's opened, and when it looks otherwise than when it was sealed."""
        with self._mutex:
            seal = self._read_seal()
            if seal is None:
                raise Missing(f"{self.base}: no index")
            if not self._is_trusted(seal):
                with self._locked():
                    # Again: whoever had the lock may have been writing.
                    seal = self._read_seal()
                    if seal is None or not self._is_whole(seal):
                        raise Missing(f"{self.base}: not what was sealed")
                self._trusted = seal["sha256"]
            if self._engine is None or self._open != seal["file"] or self._owner != os.getpid():
                self._close()
                self._engine = _engine(self.base.parent / seal["file"])
                self._owner, self._open = os.getpid(), seal["file"]
            return self._engine

    def _is_trusted(self, seal: dict[str, Any]) -> bool:
        """Whether it looks as sealed, and it was hashed here once, since when every writer sealed what it wrote."""
        return (
            bool(self._trusted)
            and self._open == seal["file"]
            and _look(self.base.parent / seal["file"]) == seal["look"]
        )

    def _is_whole(self, seal: dict[str, Any]) -> bool:
        return _hashed(self.base.parent / seal["file"]) == seal["sha256"]

    def _seal(self, name: str, known: dict[str, Any]) -> None:
        path = self.base.parent / name
        sha256 = _hashed(path)
        seal = {"schema": schema.VERSION, "file": name, "sha256": sha256, "look": _look(path), "known": known}
        self._write_seal(seal)
        self._trusted = str(sha256)

    def _write_seal(self, seal: dict[str, Any]) -> None:
        # What it says of itself is checked too: a flipped bit in it is no other truth.
        content = json.dumps(seal, sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()
        try:
            with atomic_file(self._file(".json")) as file:
                file.write(f"{digest}\n{content}\n".encode())
        except OSError as error:
            raise self._cannot(error) from error

    def _read_seal(self) -> dict[str, Any] | None:
        """What the seal says; None where there is none, it is damaged, or of another version."""
        try:
            digest, content = self._file(".json").read_bytes().rstrip(b"\n").split(b"\n")
            if hashlib.sha256(content).hexdigest().encode() != digest:
                return None
            seal = json.loads(content)
        except (OSError, ValueError):
            return None
        return seal if seal["schema"] == schema.VERSION else None

    # --- files

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._lock.acquire()
        except self._busy:
            raise Busy(
                f"{self._file('.lock')}: another process has been writing this index for {PATIENCE:.0f} s; wait for it."
            ) from None
        except OSError as error:
            raise self._cannot(error) from error
        try:
            yield
        finally:
            self._lock.release()

    def _sweep(self, keep: list[str]) -> None:
        """Removes other files of this index; a process that reads one of them still can, to the end of its reading."""
        for path in self.base.parent.glob(f"{glob.escape(self.base.name)}.*.sqlite*"):
            if not any(name and path.name.startswith(name) for name in keep):
                path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._engine is not None:
            # A child of fork has its parent's connections, which it may not even close.
            self._engine.dispose(close=self._owner == os.getpid())
        self._engine, self._open = None, ""

    def _file(self, ending: str) -> Path:
        return self.base.with_name(self.base.name + ending)

    def _cannot(self, error: OSError) -> StorageError:
        told = storage_error(error, self._file(".json"))
        return StorageError(
            told.errno, f"{told} The index of a repository lies there; MCORE_CACHE names another folder."
        )


def _engine(path: Path) -> sa.Engine:
    # A file that went since its seal was read isn't made anew by opening it.
    made = f"sqlite:///file:{quote(str(path))}?mode=rw&uri=true"
    engine = sa.create_engine(made, connect_args={"timeout": 30}, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def _prepared(connection: Any, _: Any) -> None:
        # Transactions are begun by us, at once for writing: Python's sqlite3 begins them late, and then may not write.
        connection.isolation_level = None
        for pragma in ("foreign_keys = ON", "journal_mode = DELETE", "synchronous = OFF", "cache_size = -65536"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _look(path: Path) -> list[int]:
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def _hashed(path: Path) -> str | None:
    """The SHA-256 of a file, or None where it isn't there."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    except OSError:
        return None
    return digest.hexdigest()


__all__ = ["SQLite"]
