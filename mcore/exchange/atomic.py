"""Writing all or nothing: beside the target, flushed to the disk, then renamed over it.

Whatever happens (an exception, a full disk, a killed process, a power cut), the target is the old one or the
new one, whole. What a killed process leaves behind is a hidden sibling, swept when the target is next written.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from mcore.exchange.errors import storage_error

# Age in seconds from which a hidden sibling is a leftover and not another process's work.
STALE = 3600.0
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux's renameat2
_HERE = -100  # AT_FDCWD


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write to that takes its place at `path` when the block ends well, and vanishes otherwise.

    Raises:
        StorageError: the target cannot be written; what was there is unchanged.
    """
    target = _real(path)
    with _telling(target):
        if target.is_dir():
            raise IsADirectoryError(21, "is a folder")
        _sweep(target)
        beside = _sibling(target)
        try:
            # Not by tempfile: its files are private, these follow the umask as any new file does.
            with open(beside, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        _flush_folder(target.parent)


@contextlib.contextmanager
def atomic_folder(
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    replaceable: Callable[[Path], bool] = lambda _: True,
) -> Iterator[Path]:
    """An empty folder to fill that takes its place at `path` when the block ends well, and vanishes otherwise.

    Args:
        path: where the folder shall stand; its parents are made.
        overwrite: an existing folder is replaced.
        replaceable: tells of an existing folder whether it may be replaced: it's deleted with all it holds.

    Raises:
        FileExistsError: something is there, and `overwrite` is false or it isn't replaceable.
        StorageError: the target cannot be written; what was there is unchanged.
    """
    target = _real(path)
    _refuse_existing(target, overwrite, replaceable)
    with _telling(target):
        made = _make_parents(target.parent)
        try:
            _sweep(target)
            beside = _sibling(target)
            try:
                beside.mkdir()
                yield beside
                for file in sorted(beside.rglob("*"), reverse=True):
                    _flush_folder(file) if file.is_dir() else _flush_file(file)
                _flush_folder(beside)
                _refuse_existing(target, overwrite, replaceable)  # it may have come meanwhile
                _put(beside, target)
            finally:
                shutil.rmtree(beside, ignore_errors=True)  # gone by now if all went well, or the old folder
            _flush_folder(target.parent)
        except BaseException:
            for folder in made:
                with contextlib.suppress(OSError):  # another process may have filled it
                    folder.rmdir()
            raise


@contextlib.contextmanager
def _telling(target: Path) -> Iterator[None]:
    """Errors of the file system become a StorageError of `target`; others, and those about other files, pass."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        about = error.filename
        if isinstance(about, str | Path) and not os.path.abspath(about).startswith(str(target.parent)):
            raise
        raise storage_error(error, target) from error


def _real(path: str | os.PathLike[str]) -> Path:
    # Through links: the link stays, what it points at is replaced.
    return Path(os.path.realpath(os.fspath(path)))


def _sibling(target: Path) -> Path:
    return target.with_name(f".{target.name[:180]}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _sweep(target: Path) -> None:
    """Removes what killed processes left beside `target`."""
    prefix = f".{target.name[:180]}."
    try:
        entries = list(os.scandir(target.parent))
    except FileNotFoundError:
        return  # the error that says so comes from making the file
    for entry in entries:
        if entry.name.startswith(prefix) and entry.name.endswith(".tmp"):
            with contextlib.suppress(OSError):  # another process sweeps too
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE:
                    shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)


def _refuse_existing(target: Path, overwrite: bool, replaceable: Callable[[Path], bool]) -> None:
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise FileExistsError(f"{target} is there and is a file, not a folder; choose another path.")
    if not overwrite:
        raise FileExistsError(f"{target} is there already; give overwrite=True to replace it, or another path.")
    if any(target.iterdir()) and not replaceable(target):
        raise FileExistsError(
            f"{target} holds other things than an artifact; overwrite=True would delete them. Choose another path."
        )


def _make_parents(folder: Path) -> list[Path]:
    """Makes `folder` and its parents; those that are new, innermost first."""
    made = []
    while not folder.exists():
        made.append(folder)
        folder = folder.parent
    for new in reversed(made):
        new.mkdir(exist_ok=True)
    return made


def _put(beside: Path, target: Path) -> None:
    """Renames `beside` to `target`; a folder that was there is afterwards at `beside`."""
    if not target.exists():
        os.rename(beside, target)
    elif not _exchange(beside, target):
        # Without an exchange in one step there is a moment in which neither stands at `target`.
        old = _sibling(target)
        os.rename(target, old)
        try:
            os.rename(beside, target)
        except BaseException:
            os.rename(old, target)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swaps two names in one step; False where the system cannot."""
    function: Any = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    return function is not None and function(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0


def _flush_file(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(path: Path) -> None:
    """Makes names last; where folders cannot be opened (Windows), the system does so by itself."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
