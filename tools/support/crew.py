"""Processes that do jobs one after another, each apart from the others and from this one.

A job that raises, ends its process or takes too long is an outcome; the others go on. All that runs at once stays
within a budget of memory.

No library's pool: of pebble's (5.2), tried, a job that ends its process with code 0 hangs until its time is over, and a
worker that is killed while none has a job breaks the pool. Here each worker has a pipe of its own, and one loop without
threads looks at pipes, ends and clocks.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from tools.support import worker
from tools.support.extras import needed

Kind = Literal["done", "raised", "crashed", "timed out"]
# Read by numpy's, torch's and ONNX Runtime's libraries when they are loaded.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
# Seconds in which a worker is up, however loaded the machine is.
STARTING = 300.0
# A worker that holds more than its share of the memory after a job is replaced: what a large one took, allocators
# rarely give back. Less than this is never too much: what a new worker imports and reads first takes seconds.
KEPT = 1 << 30


@dataclass(frozen=True)
class Job:
    """A function of a module, to be called in another process; its arguments and its result are sent by pickle.

    Attributes:
        memory: bytes that it is expected to need.
        timeout: seconds after which its process is killed.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    memory: int = 0
    timeout: float = 600.0


@dataclass(frozen=True)
class Outcome:
    """What became of a job: its value, or in one line what went wrong."""

    job: Job
    kind: Kind
    value: Any = None
    error: str = ""
    seconds: float = 0.0


class Crew:
    """Up to `workers` processes, which start when there are jobs for them; use it in a `with` statement.

    Args:
        workers: by default as many as there are processors.
        memory: bytes that all jobs at once may need; by default half of what is available. A job that needs more
            than all of it runs alone.
        environment: variables that the processes get besides those that hold libraries to one thread.
        modules: what they import first.

    Raises:
        ImportError: the extra `tools` isn't installed.
    """

    def __init__(
        self,
        workers: int | None = None,
        memory: int | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        modules: Sequence[str] = (),
    ) -> None:
        self._psutil = needed("psutil")
        self.most = _processors() if workers is None else workers
        self.memory = self._psutil.virtual_memory().available // 2 if memory is None else memory
        if self.most < 1 or self.memory < 1:
            raise ValueError(f"Crew: workers={self.most} and memory={self.memory} are to be at least 1.")
        self._environment = {**ONE_THREAD, **(environment or {})}
        self._modules = tuple(modules)
        self._waiting: deque[Job] = deque()
        self._workers: list[_Worker] = []
        self._logs: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        self._logs = tempfile.TemporaryDirectory(prefix="mcore-crew-")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Whatever runs is killed, and nothing stays behind."""
        self._waiting.clear()
        for one in self._workers:
            self._kill(one)
        self._workers.clear()
        if self._logs is not None:
            self._logs.cleanup()
            self._logs = None

    def add(self, job: Job, *, first: bool = False) -> None:
        """Gives the crew a job, which starts at once where there is room; with `first`, before all that wait."""
        pickle.dumps((job.function, job.arguments))  # what can't be sent is refused here, where it comes from
        (self._waiting.appendleft if first else self._waiting.append)(job)
        self._assign()

    @property
    def running(self) -> list[Job]:
        """The jobs that are being done now."""
        return [one.job for one in self._workers if one.job is not None]

    def outcomes(self) -> Iterator[Outcome]:
        """Outcomes as they come, until there is neither a job that waits nor one that runs; more may be added.

        Raises:
            RuntimeError: a worker doesn't come up.
        """
        self._assign()
        while self.running:
            for one in self._news():
                outcome = self._heard(one)
                if outcome is not None:
                    self._assign()
                    yield outcome
            self._assign()

    # --- who does what

    def _assign(self) -> None:
        """Gives jobs to workers that are free, in order, as far as memory goes."""
        if self._logs is None:
            raise RuntimeError("Crew: jobs are done inside a with statement: with Crew() as crew: ...")
        while self._waiting and self._fits(self._waiting[0]):
            one = self._free()
            if one is None:
                return
            one.job = self._waiting.popleft()
            if one.ready:
                self._send(one)

    def _fits(self, job: Job) -> bool:
        # A large job isn't passed over by smaller ones: it would wait to the end, and then run alone.
        running = self.running
        return not running or sum(other.memory for other in running) + job.memory <= self.memory

    def _free(self) -> _Worker | None:
        """A worker without a job, a new one where there may be one more."""
        for one in [one for one in self._workers if one.job is None]:
            if one.process.is_alive():
                return one
            self._dismiss(one)
        return self._started() if len(self._workers) < self.most else None

    def _started(self) -> _Worker:
        assert self._logs is not None
        log = Path(self._logs.name, f"{time.monotonic_ns()}.log")
        one = _Worker(log, self._environment, self._modules)
        self._workers.append(one)
        return one

    def _send(self, one: _Worker) -> None:
        assert one.job is not None
        one.since, one.begun = time.monotonic(), False
        # A worker that has just died is seen by its end.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            one.pipe.send((one.job.function, one.job.arguments))

    # --- what came of it

    def _news(self) -> list[_Worker]:
        """Workers with something to tell: a message, an end, or that their time is over."""
        busy = [one for one in self._workers if one.job is not None]
        patience = max(0.0, min(one.deadline for one in busy) - time.monotonic())
        told = connection.wait([thing for one in self._workers for thing in one.waitable], patience)
        now = time.monotonic()
        return [one for one in self._workers if any(thing in told for thing in one.waitable) or one.overdue(now)]

    def _heard(self, one: _Worker) -> Outcome | None:
        """The outcome of a worker's job, if that is what it has to tell."""
        try:
            # What it sent before its end comes first.
            message = one.pipe.recv() if one.pipe.poll() else None
        except (EOFError, OSError):
            message = None
        if message is not None:
            return self._told(one, *message)
        overdue = one.overdue(time.monotonic())
        # A pipe at its end has a process that nearly is; how it ended is known within the moment.
        one.process.join(0.0 if overdue else 1.0)
        return self._ended(one, overdue=overdue)

    def _told(self, one: _Worker, kind: Kind | Literal["ready", "begun"], value: Any) -> Outcome | None:
        if kind == "begun":
            one.begun = True
            return None
        if kind == "ready":
            one.ready = True
            if one.job is not None:
                self._send(one)
            return None
        assert one.job is not None
        outcome = Outcome(one.job, kind, seconds=time.monotonic() - one.since, **{_FIELDS[kind]: value})
        one.job = None
        if self._resident(one) > max(KEPT, self.memory // (2 * self.most)):
            self._dismiss(one)
        return outcome

    def _ended(self, one: _Worker, *, overdue: bool) -> Outcome | None:
        """The outcome of a worker that has ended, or is over its time and ends here."""
        job, seconds, last = one.job, time.monotonic() - one.since, one.last_words()
        end = worker.end_of(one.process.exitcode) + (f": {last}" if last else "")
        self._dismiss(one)
        if not one.ready:
            raise RuntimeError(
                f"Crew: a worker process can't start ({end}). A script that starts a crew does so below "
                '`if __name__ == "__main__":`, since each worker imports it.'
            )
        if job is None:
            return None
        if not one.begun and not overdue:
            # It was killed while it had none, and never saw this one.
            self._waiting.appendleft(job)
            return None
        if overdue:
            return Outcome(job, "timed out", error=f"not done after {job.timeout:g} s", seconds=seconds)
        return Outcome(job, "crashed", error=f"its process was lost: {end}", seconds=seconds)

    def _resident(self, one: _Worker) -> int:
        try:
            return self._psutil.Process(one.process.pid).memory_info().rss
        except self._psutil.Error:
            return 0  # it has ended, which is heard of next

    def _dismiss(self, one: _Worker) -> None:
        self._kill(one)
        self._workers.remove(one)

    def _kill(self, one: _Worker) -> None:
        """Kills a worker and all that it has started. Not politely: native code that hangs doesn't listen."""
        with contextlib.suppress(self._psutil.Error):
            for child in self._psutil.Process(one.process.pid).children(recursive=True):
                with contextlib.suppress(self._psutil.Error):
                    child.kill()
        one.process.kill()
        one.process.join()
        one.pipe.close()


def _processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_FIELDS = {"done": "value", "raised": "error"}


class _Worker:
    """A process, this end of its pipe, and the job that it has."""

    def __init__(self, log: Path, environment: Mapping[str, str], modules: Sequence[str]) -> None:
        from multiprocessing import get_context

        # Not fork: a copy of a process with threads and loaded runtimes hangs sooner or later.
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=worker.work, args=(theirs, str(log), tuple(modules)), daemon=True)
        self.job: Job | None = None
        self.ready = False
        # Whether it has taken the job that it was sent.
        self.begun = False
        self.since = time.monotonic()
        self.log = log
        with _variables(environment), _interrupts_held():
            self.process.start()
        theirs.close()

    @property
    def waitable(self) -> tuple[Any, int]:
        return self.pipe, self.process.sentinel

    @property
    def deadline(self) -> float:
        return self.since + (self.job.timeout if self.ready and self.job is not None else STARTING)

    def overdue(self, now: float) -> bool:
        return self.job is not None and now >= self.deadline

    def last_words(self) -> str:
        """The last line that it, or a library in it, printed."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return ""  # it never came so far as to open it
        return lines[-1].strip()[:300] if lines else ""


@contextlib.contextmanager
def _variables(environment: Mapping[str, str]) -> Iterator[None]:
    """Variables that a process started meanwhile inherits: libraries read them when they are loaded, before any code
    of ours could set them.
    """
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """A process started meanwhile doesn't hear Ctrl-C, which the terminal sends to all: this one decides who ends."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


__all__ = ["Crew", "Job", "Kind", "Outcome"]
