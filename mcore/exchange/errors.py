"""What goes wrong with files: bad content, places that cannot be written, operators that a runtime lacks."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path


class ModelFileError(ValueError):
    """A file of weights or a model that is damaged, foreign, unsafe or of another shape than needed."""


class UnsupportedOperator(NotImplementedError):
    """A graph has operators that the runtime at hand knows no way to compute.

    Attributes:
        operators: their names, each once; those that aren't ONNX's own with their domain ("my.ops:Fold").
        why: what the runtime doesn't take of them; "" where it doesn't know them at all.
    """

    def __init__(self, message: str, operators: Iterable[str], why: str = "") -> None:
        super().__init__(message)
        self.operators = tuple(dict.fromkeys(operators))
        self.why = why


class StorageError(OSError):
    """A target that cannot be written: no room, no permission, no such place. What was there is unchanged."""

    def __str__(self) -> str:
        return str(self.args[1]) if len(self.args) > 1 else super().__str__()


_NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)


def storage_error(error: OSError, target: Path) -> StorageError:
    """The error of writing `target`, told by what the user can do about it."""
    if isinstance(error, StorageError):
        return error
    where = target.parent
    if error.errno in _NO_ROOM:
        why = f"no room is left on the disk of {where}{_free(where)}; free some, or write elsewhere"
    elif error.errno in (errno.EACCES, errno.EPERM):
        why = f"{where} may not be written by this user"
    elif error.errno == errno.EROFS:
        why = f"the file system of {where} is read-only"
    elif error.errno == errno.ENOENT:
        why = f"the folder {where} does not exist"
    elif error.errno in (errno.ENOTDIR, errno.EISDIR):
        why = f"{target} or a part of its path is a {'folder' if error.errno == errno.EISDIR else 'file'}"
    elif error.errno == errno.ENAMETOOLONG:
        why = "the name is too long"
    else:
        why = os.strerror(error.errno) if error.errno else str(error)
    return StorageError(error.errno, f"{target} cannot be written: {why}. Nothing was changed.")


def _free(folder: Path) -> str:
    try:
        return f" ({shutil.disk_usage(folder).free / 1e6:.1f} MB free)"
    except OSError:
        return ""  # the message only lacks a number


def first_line(error: BaseException) -> str:
    r"""What an error says, in one line; its class where it says nothing.

    >>> first_line(ValueError("  one\ntwo"))
    'one'
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]
