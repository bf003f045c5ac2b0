"""A repository's files in a folder: on a disk of this machine, or one that a team shares.

A file is written beside its place, flushed, and then linked there, which fails where one is; so readers see it whole or
not at all, and a killed writer leaves a hidden sibling, which `sweep` removes. Nothing is mapped into memory: a file
that another process truncates is an error here, never a signal that ends the process.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from mcore.checkpoint.errors import CorruptCheckpoint, LimitExceeded, NotFound, PathEscape
from mcore.checkpoint.store import disk
from mcore.checkpoint.store.base import Kept, Store, blob_key, checked_key
from mcore.checkpoint.store.hashing import PIECE, Sha256, pieces
from mcore.exchange.errors import StorageError, storage_error

_BLOBS = "blobs/sha256"
# Ends of hidden names: what is being written, the right to a name, what is being removed.
_TEMPORARY, _CLAIM, _GONE = ".tmp", ".claim", ".gone"
# What `link` answers on file systems without links (FAT, some network shares).
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EXDEV}


class Folder(Store):
    """Files by key in a folder.

    Args:
        path: of the folder.
        create: makes it where there is none.

    Raises:
        NotFound: there is no such folder, and `create` is false.
        StorageError: it can't be made.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = True) -> None:
        self.url = os.fspath(path)
        self.path = Path(os.path.abspath(self.url))
        try:
            if not create and not self.path.is_dir():
                raise NotFound(f"{self.path}: there is no such folder.")
            _made(self.path)
        except OSError as error:
            raise storage_error(error, self.path) from error

    @property
    def is_network(self) -> bool:
        """Whether other machines may write it: locks and mapped files of databases don't hold there."""
        return disk.is_network(self.path)

    def create(self, key: str, content: bytes) -> bool:
        target = self._at(key)
        beside = _sibling(target, _TEMPORARY)
        try:
            if os.path.lexists(target):
                return False
            _made(target.parent)
            with _removed_at_last(beside):
                _write_small(beside, content)
                if not _linked(beside, target):
                    return False
            _flush_or_take_back(target)
        except OSError as error:
            raise disk.told(error, target, len(content)) from error
        return True

    def put(self, chunks: Iterable[bytes | memoryview], size: int) -> str:
        folder = self.path / _BLOBS
        beside = folder / f".{os.getpid()}-{secrets.token_hex(8)}{_TEMPORARY}"
        try:
            _made(folder)
            disk.check_room(folder, size)
            with _removed_at_last(beside):
                sha256 = _write_hashed(beside, chunks, size)
                target = self.path / blob_key(sha256)
                _made(target.parent)
                self._place(beside, target, sha256, size)
                _flush_folder(target.parent)
        except OSError as error:
            raise disk.told(error, beside.with_name(f"a blob of {size} bytes"), size) from error
        return sha256

    def _place(self, beside: Path, target: Path, sha256: str, size: int) -> None:
        """Takes the place also of the same bytes: that renews their time whoever owns them, and heals them if rotten.

        Readers keep the file that they have open.
        """
        try:
            os.replace(beside, target)
        except PermissionError:
            # A folder in which each may only remove what is theirs: what another has put there serves, if it's right.
            if not target.exists():
                raise
            self.fetch(sha256, size)

    def read(self, key: str, *, most: int | None = None) -> bytes:
        target = self._at(key)
        with _reading(target, f"{key}: there is no such file in {self.path}.") as (handle, size):
            if most is not None and size > most:
                raise LimitExceeded(f"{target}: {size} bytes; at most {most} are read.")
            content = bytearray()
            while len(content) < size and (more := os.read(handle, size - len(content))):
                content += more
            return bytes(content)

    def fetch(self, sha256: str, size: int) -> memoryview:
        try:
            return self._fetch(sha256, size)
        except StorageError as error:
            # On a network disk the open file is gone where another machine has put the same bytes in its place.
            if error.errno != errno.ESTALE:
                raise
            return self._fetch(sha256, size)

    def _fetch(self, sha256: str, size: int) -> memoryview:
        target = self._at(blob_key(sha256))
        with _reading(target, f"the blob {sha256} is missing in {self.path}.") as (handle, there):
            if there != size:
                raise CorruptCheckpoint(f"{target}: {there} bytes; {size} were saved, with SHA-256 {sha256}.")
            disk.start_reading(handle)
            buffer = disk.memory(size)
            with Sha256(size) as hashed:
                for start in range(0, size, PIECE):
                    piece = buffer[start : start + PIECE]
                    if not _filled(handle, piece):
                        raise CorruptCheckpoint(f"{target}: it ends early; {size} bytes were saved. It was cut short.")
                    hashed.update(piece)
                found = hashed.hexdigest()
        if found != sha256:
            raise CorruptCheckpoint(f"{target}: its SHA-256 is {found}; {sha256} was saved. Its bytes were changed.")
        return buffer

    def files(self, prefix: str, *, after: str = "") -> Iterator[Kept]:
        if prefix and not prefix.endswith("/"):
            raise ValueError(f'files: a prefix is a folder and ends with "/", got {prefix!r}.')
        if prefix:
            checked_key(prefix[:-1])
        try:
            yield from _walked(self.path / prefix, prefix, after)
        except OSError as error:
            raise disk.unreadable(error, self.path / prefix) from error

    def delete(self, key: str) -> None:
        target = self._at(key)
        try:
            target.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(error, target) from error

    def expire(self, key: str, made_before: float) -> bool:
        """Removes a file that was last made or renewed before then; whether it went.

        It stays also where a save makes the same bytes in this very moment: the time is looked at once more where no
        writer finds the file, and one that comes then puts its own in place.

        Raises:
            StorageError: it can't be removed.
        """
        target = self._at(key)
        gone = _sibling(target, _GONE)
        try:
            if os.lstat(target).st_mtime >= made_before:
                return False
            os.rename(target, gone)
            if os.lstat(gone).st_mtime >= made_before:
                os.rename(gone, target)
                return False
            os.unlink(gone)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise storage_error(error, target) from error
        return True

    def sweep(self, age: float) -> list[str]:
        oldest, swept = time.time() - age, []
        try:
            for entry in _leftovers(self.path):
                # Another process sweeps too.
                with contextlib.suppress(FileNotFoundError):
                    if entry.name.endswith(_GONE):
                        _come_back(Path(entry.path))
                    elif entry.stat(follow_symlinks=False).st_mtime <= oldest:
                        os.unlink(entry.path)
                        swept.append(os.path.relpath(entry.path, self.path))
        except OSError as error:
            raise storage_error(error, self.path / "its leftovers") from error
        return sorted(swept)

    def has(self, key: str) -> bool:
        return self._at(key).is_file()

    def _at(self, key: str) -> Path:
        return self.path / checked_key(key)


def _made(folder: Path) -> None:
    """Makes a folder and those above it, and makes their names last."""
    new = []
    while not folder.is_dir():
        new.append(folder)
        folder = folder.parent
    for one in reversed(new):
        try:
            os.mkdir(one)
        except FileExistsError:
            # Another writer may have made it in this moment.
            if not one.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(one)) from None
        _flush_folder(one.parent)


def _write_small(beside: Path, content: bytes) -> None:
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        _write_all(handle, memoryview(content))
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_hashed(beside: Path, chunks: Iterable[bytes | memoryview], size: int) -> str:
    # Read-only from its beginning: only this handle ever writes it. Not by tempfile, which leaves the umask out.
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
    try:
        with Sha256(size) as hashed:
            written = 0
            for piece in pieces(chunks, size):
                hashed.update(piece)
                _write_all(handle, piece)
                disk.start_writing(handle, written, len(piece))
                written += len(piece)
            os.fsync(handle)
            return hashed.hexdigest()
    finally:
        os.close(handle)


def _write_all(handle: int, content: memoryview) -> None:
    while content:
        content = content[os.write(handle, content) :]


def _filled(handle: int, piece: memoryview) -> bool:
    """Reads until `piece` is full; False where the file ends before."""
    while piece:
        count = os.readv(handle, [piece])
        if not count:
            return False
        piece = piece[count:]
    return True


def _linked(beside: Path, target: Path) -> bool:
    """Gives `beside` the name `target`, if nothing has it."""
    try:
        os.link(beside, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _claimed(beside, target)
    return True


def _claimed(beside: Path, target: Path) -> bool:
    """As `_linked`, without links: who makes the claim of a name, which only one can, renames to it.

    Not the name itself: it would stand there empty for a moment, or for ever. A writer that is killed in between leaves
    its claim, by which the name is taken until it's swept.
    """
    claim = target.with_name(f".{target.name}{_CLAIM}")
    try:
        os.close(os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        return False
    with _removed_at_last(claim):
        if os.path.lexists(target):
            return False
        os.rename(beside, target)
        return True


def _flush_or_take_back(target: Path) -> None:
    """Makes a new name last; one that may not is taken back, so that what is told to fail hasn't happened."""
    try:
        _flush_folder(target.parent)
    except OSError:
        target.unlink(missing_ok=True)
        raise


def _flush_folder(folder: Path) -> None:
    # Elsewhere folders can't be opened, and the system flushes them by itself.
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _removed_at_last(path: Path) -> Iterator[None]:
    """Removes a hidden file when the block ends, however; where that fails it's left to `sweep`."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)


@contextlib.contextmanager
def _reading(path: Path, missing: str) -> Iterator[tuple[int, int]]:
    """A handle of a file, and its size.

    Raises:
        NotFound: there is none.
        PathEscape: it is a link: what is read lies in the repository.
        CorruptCheckpoint: it is no file.
        StorageError: the system can't read it.
    """
    handle = None
    try:
        # Not blocking: a pipe that someone put there would wait for a writer for ever.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise CorruptCheckpoint(f"{path} is no regular file.")
        yield handle, status.st_size
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(missing) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise PathEscape(f"{path} is a link; the files of a repository lie in it.") from None
        raise disk.unreadable(error, path) from error
    finally:
        if handle is not None:
            os.close(handle)


def _walked(folder: Path, prefix: str, after: str) -> Iterator[Kept]:
    try:
        with os.scandir(folder) as found:
            # A folder sorts with the "/" that follows it in keys.
            entries = sorted((entry.name + "/" * entry.is_dir(follow_symlinks=False), entry) for entry in found)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name, entry in entries:
        key = prefix + name
        if not _is_key(key.rstrip("/")):
            continue  # hidden ones of ours, and what file systems and people leave
        if name.endswith("/"):
            # Whole folders before `after` aren't looked into.
            if key > after[: len(key)] or after.startswith(key):
                yield from _walked(folder / entry.name, key, after)
        elif key > after and entry.is_file(follow_symlinks=False):
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                yield Kept(key, status.st_size, status.st_mtime)


def _is_key(key: str) -> bool:
    try:
        checked_key(key)
    except PathEscape:
        return False
    return True


def _leftovers(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _leftovers(Path(entry.path))
        elif entry.name.startswith(".") and entry.name.endswith((_TEMPORARY, _CLAIM, _GONE)):
            yield entry


def _sibling(target: Path, end: str) -> Path:
    # A step of a key has at most 200 characters, so that this has less than the 255 that file systems take.
    return target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}{end}")


def _come_back(gone: Path) -> None:
    """Puts back what a killed `expire` left between two names; the next one decides anew.

    A running one isn't disturbed: it finds its file gone, and says that it stayed.
    """
    target = gone.with_name(gone.name[1:].rpartition(".")[0].rpartition(".")[0])
    if target.exists():
        os.unlink(gone)
    else:
        os.rename(gone, target)


__all__ = ["Folder"]
