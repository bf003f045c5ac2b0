"""How much memory a piece of work took at most, as Linux counts it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import re
from pathlib import Path

_PROCESS = Path("/proc/self")
# Resets the highest mark of resident memory to what is resident now (proc(5)).
_RESET = "5"


class Peak:
    """The most memory that this process held since `Peak()` was called, above what it held then."""

    def __init__(self) -> None:
        _release()
        self.before = _reset()

    def above(self) -> int | None:
        """Bytes; None where this system doesn't tell."""
        highest = None if self.before is None else _bytes("VmHWM")
        return None if highest is None or self.before is None else max(highest - self.before, 0)


def _release() -> None:
    """Gives back what this process has freed: kept, it would take the place of what is to be measured."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError, TypeError):  # C libraries other than glibc keep little
        ctypes.CDLL(None).malloc_trim(0)


def _reset() -> int | None:
    try:
        (_PROCESS / "clear_refs").write_text(_RESET)
    except OSError:  # no Linux, or a container that forbids it
        return None
    return _bytes("VmRSS")


def _bytes(field: str) -> int | None:
    try:
        found = re.search(rf"^{field}:\s+(\d+) kB$", (_PROCESS / "status").read_text(), re.MULTILINE)
    except OSError:
        return None
    return 1024 * int(found[1]) if found else None
