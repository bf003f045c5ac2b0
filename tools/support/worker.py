"""The other end of a crew: a process that takes jobs from a pipe until there are no more."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import signal
import sys
import threading
from collections.abc import Sequence
from multiprocessing import connection, parent_process


def work(pipe: connection.Connection, log: str, modules: Sequence[str]) -> None:
    """Does jobs as they come: `(function, arguments)` is answered with `("begun", None)`, and then with
    `("done", value)` or `("raised", line)`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    _print_to(log)
    for name in modules:
        importlib.import_module(name)
    pipe.send(("ready", None))
    known = 0
    # The end of the pipe is the end of the work.
    with contextlib.suppress(EOFError, OSError):
        while True:
            sent = pipe.recv_bytes()
            pipe.send(("begun", None))
            os.ftruncate(1, 0)  # what is printed from here on belongs to this job
            pipe.send_bytes(_answer(sent))
            gc.collect()
            if len(sys.modules) > known:
                # What imports leave is never garbage, and looking through it takes a third of a second each time.
                gc.freeze()
                known = len(sys.modules)


def _answer(sent: bytes) -> bytes:
    """What a job came to, as bytes; an error of any kind is an answer."""
    try:
        # It comes from the process that started this one.
        function, arguments = pickle.loads(sent)  # noqa: S301
        return pickle.dumps(("done", function(*arguments)))
    except BaseException as error:
        return pickle.dumps(("raised", first_line(error)))


def first_line(error: BaseException) -> str:
    r"""An error in one line, with its class.

    >>> first_line(ValueError("no such name\nand more"))
    'ValueError: no such name'
    """
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].strip()}" if lines else type(error).__name__


def end_of(code: int | None) -> str:
    """How a process ended, in words.

    >>> end_of(-11), end_of(0)
    ('SIGSEGV', 'it ended itself, with code 0')
    """
    if code is None or code >= 0:
        return "it doesn't answer" if code is None else f"it ended itself, with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}, perhaps for want of memory" if name == "SIGKILL" else name


def _print_to(log: str) -> None:
    """What is printed here, by native libraries too, goes to a file: the terminal has a progress bar.

    For append: emptied between jobs, it begins anew.
    """
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(handle, 1)
    os.dup2(handle, 2)


def _leave_with_parent() -> None:
    """Ends this process when the one that started it is gone, whatever a job is at."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
