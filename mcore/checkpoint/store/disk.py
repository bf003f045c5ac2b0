"""What the system tells of disks: room, kind of file system; and how its errors read."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mcore.checkpoint.errors import LimitExceeded
from mcore.exchange.errors import StorageError, storage_error

# File systems that several machines write, as /proc/self/mountinfo names them; those of FUSE behind "fuse.".
_NETWORK = frozenset(
    "9p afs beegfs ceph cifs coda gcsfuse gfs2 glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 orangefs panfs pvfs2 rclone "
    "s3fs smb3 smbfs sshfs vboxsf virtiofs wekafs".split()
)
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_OCTAL = re.compile(r"\\([0-7]{3})")
_WRITE_OUT = 2  # SYNC_FILE_RANGE_WRITE


def check_room(folder: Path, need: int) -> None:
    """Looks whether `need` bytes fit, before any is written.

    Raises:
        StorageError: they don't; the message names the mount, what is needed and what is there.
    """
    usage = shutil.disk_usage(folder)
    # Some file systems of a network don't know.
    if usage.total and usage.free < need:
        raise _no_room(errno.ENOSPC, folder, need)


def told(error: OSError, target: Path, need: int) -> StorageError:
    """The error of writing `need` bytes to `target`, by what the user can do about it."""
    if isinstance(error, StorageError):
        return error
    if error.errno in _NO_ROOM:
        return _no_room(error.errno or errno.ENOSPC, target.parent, need)
    return storage_error(error, target)


def unreadable(error: OSError, target: Path) -> StorageError:
    """The error of reading `target`."""
    if isinstance(error, StorageError):
        return error
    why = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in (errno.EACCES, errno.EPERM):
        why = "this user may not read it; who saved it can change that (chmod, or a umask such as 002)"
    return StorageError(error.errno, f"{target} can't be read: {why}.")


def _no_room(number: int, folder: Path, need: int) -> StorageError:
    mount = mount_of(folder)
    why = "a quota or a limit stands against it"
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(mount).free
        if number == errno.ENOSPC or free < need:
            why = f"{free / 1e6:.1f} MB are free"
    return StorageError(
        number,
        f"No room is left on {mount}: {need / 1e6:.1f} MB are needed, {why}. Free some, or run `mcore checkpoints gc`. "
        "Nothing was changed.",
    )


def mount_of(path: Path) -> Path:
    """Where the file system is mounted that holds `path`, or would."""
    path = Path(os.path.realpath(path))
    while path != path.parent and not (path.exists() and path.is_mount()):
        path = path.parent
    return path


def is_network(path: Path) -> bool:
    """Whether `path` lies on a file system that other machines write too; False where the system doesn't tell."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False  # no Linux
    mount, found = str(mount_of(path)), ""
    for line in lines:
        place, _, kind = line.partition(" - ")
        # Spaces and the like are written as octal numbers; of two mounts at one place the last is seen.
        if _OCTAL.sub(lambda number: chr(int(number[1], 8)), place.split(" ")[4]) == mount:
            found = kind.split(" ")[0]
    return found.removeprefix("fuse.") in _NETWORK


def start_writing(handle: int, start: int, size: int) -> None:
    """Has the system write these bytes out now, so that they needn't be waited for at the end; a hint, no promise."""
    function = _sync_file_range()
    if function is not None:
        function(handle, ctypes.c_int64(start), ctypes.c_int64(size), _WRITE_OUT)


def start_reading(handle: int) -> None:
    """Has the system read a file from its disk ahead of us; a hint too."""
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):  # what comes is the same, later
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_WILLNEED)


@cache
def _sync_file_range() -> Any:
    return getattr(ctypes.CDLL(None), "sync_file_range", None) if os.name == "posix" else None


def memory(size: int) -> memoryview:
    """`size` bytes to be written to, not yet touched.

    Raises:
        LimitExceeded: there isn't as much memory.
    """
    try:
        return np.empty(size, np.uint8).data
    except MemoryError:
        raise LimitExceeded(f"{size / 1e6:.1f} MB don't fit into the memory of this machine.") from None


__all__ = ["check_room", "is_network", "memory", "mount_of", "start_reading", "start_writing", "told", "unreadable"]
