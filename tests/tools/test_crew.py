"""Crews: jobs apart from each other, within time and memory; nothing stays behind."""

import os
import signal
import sys
import time

import psutil
import pytest

from tests.isolation import ROOT, started
from tests.tools import jobs
from tools.support.crew import Crew, Job


@pytest.fixture(scope="module")
def crew():
    with Crew(2, 1 << 30) as crew:
        yield crew


def done(crew, *wanted):
    for job in wanted:
        crew.add(job)
    return {outcome.job.name: outcome for outcome in crew.outcomes()}


def assert_gone(pid, seconds=10.0):
    """Waits until a process has ended; raises AssertionError where it doesn't."""
    limit = time.monotonic() + seconds
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < limit, f"process {pid} still runs"
        time.sleep(0.05)


def test_values_come_back(crew):
    found = done(crew, *(Job(str(number), jobs.double, (number,)) for number in range(5)))

    assert {name: outcome.value for name, outcome in found.items()} == {str(n): 2 * n for n in range(5)}
    assert {outcome.kind for outcome in found.values()} == {"done"}


@pytest.mark.parametrize(
    ("function", "arguments", "kind", "error"),
    [
        (jobs.refuse, ("no such size\nmore of it",), "raised", "ValueError: no such size"),
        (sys.exit, (3,), "raised", "SystemExit: 3"),
        (jobs.unsendable, (), "raised", "unsendable"),
        (jobs.end, (0,), "crashed", "its process was lost: it ended itself, with code 0"),
        (jobs.end, (7,), "crashed", "its process was lost: it ended itself, with code 7"),
        (jobs.die, (signal.SIGKILL,), "crashed", "its process was lost: SIGKILL, perhaps for want of memory"),
        (jobs.die, (signal.SIGSEGV, "at 0x0"), "crashed", "its process was lost: SIGSEGV: at 0x0"),
    ],
    ids=["raises", "exits", "unsendable", "code-0", "code-7", "SIGKILL", "SIGSEGV"],
)
def test_what_goes_wrong_is_an_outcome_and_the_others_go_on(crew, function, arguments, kind, error):
    found = done(crew, Job("bad", function, arguments), Job("good", jobs.double, (4,)), Job("next", jobs.double, (5,)))

    assert found["bad"].kind == kind
    assert error in found["bad"].error
    assert (found["good"].value, found["next"].value) == (8, 10)


def test_a_job_that_hangs_is_killed_with_all_it_started(crew, tmp_path):
    found = done(crew, Job("hangs", jobs.hang, (str(tmp_path / "pids"),), timeout=2.0), Job("good", jobs.double, (4,)))

    assert (found["hangs"].kind, found["hangs"].error) == ("timed out", "not done after 2 s")
    assert found["good"].value == 8
    for pid in (tmp_path / "pids").read_text().split():
        assert_gone(int(pid))


def test_time_counts_from_the_moment_a_job_begins():
    with Crew(1, 1 << 30) as crew:
        found = done(crew, *(Job(str(number), jobs.interval, (0.4,), timeout=1.0) for number in range(4)))

    assert {outcome.kind for outcome in found.values()} == {"done"}


def overlap(one, other):
    return one.value[0] < other.value[1] and other.value[0] < one.value[1]


def test_jobs_whose_memory_fits_run_at_once_and_others_wait(crew):
    done(crew, Job("a", jobs.interval, (0.3,)), Job("b", jobs.interval, (0.3,)))  # both workers are up

    fit = done(crew, *(Job(name, jobs.interval, (0.4,), memory=1 << 29) for name in "ab"))
    large = done(crew, *(Job(name, jobs.interval, (0.2,), memory=(1 << 29) + 1) for name in "ab"))

    assert overlap(fit["a"], fit["b"])
    assert not overlap(large["a"], large["b"])


def test_a_job_larger_than_the_budget_runs_alone(crew):
    found = done(
        crew,
        Job("small", jobs.interval, (0.2,), memory=1),
        Job("huge", jobs.interval, (0.2,), memory=1 << 40),
        Job("after", jobs.interval, (0.2,), memory=1),
    )

    assert not overlap(found["huge"], found["small"])
    assert not overlap(found["huge"], found["after"])


def test_jobs_may_be_added_while_others_come_back():
    with Crew(1, 1 << 30) as crew:
        crew.add(Job("made", jobs.double, (1,)))
        crew.add(Job("last", jobs.double, (0,)))
        order = []
        for outcome in crew.outcomes():
            order.append(outcome.job.name)
            if outcome.job.name == "made":
                crew.add(Job("checked", jobs.double, (outcome.value,)), first=True)

    # The worker had "last" already when "made" came back.
    assert sorted(order) == ["checked", "last", "made"]


def test_first_is_before_all_that_wait():
    with Crew(1, 1 << 30) as crew:
        for name in ("running", "waiting"):
            crew.add(Job(name, jobs.interval, (0.1,)))
        crew.add(Job("urgent", jobs.interval, (0.1,)), first=True)

        assert [outcome.job.name for outcome in crew.outcomes()] == ["running", "urgent", "waiting"]


def test_libraries_of_workers_have_one_thread_and_this_process_keeps_its_variables(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")

    with Crew(1, 1 << 30, environment={"MCORE_NOTE": "yes"}, modules=["wave"]) as crew:
        names = ("OMP_NUM_THREADS", "MCORE_NOTE")
        found = done(
            crew,
            *(Job(name, jobs.variable, (name,)) for name in names),
            Job("plugin", jobs.loaded, ("wave",)),
            Job("engine", jobs.loaded, ("torch",)),
        )

    assert {name: outcome.value for name, outcome in found.items()} == {
        "OMP_NUM_THREADS": "1",
        "MCORE_NOTE": "yes",
        "plugin": True,
        "engine": False,
    }
    assert (os.environ["OMP_NUM_THREADS"], os.environ.get("MCORE_NOTE")) == ("5", None)


def test_a_worker_that_is_killed_between_jobs_is_replaced():
    with Crew(1, 1 << 30) as crew:
        pid = done(crew, Job("who", jobs.who))["who"].value
        os.kill(pid, signal.SIGKILL)
        assert_gone(pid)

        assert done(crew, Job("after", jobs.double, (3,)))["after"].value == 6


def test_a_job_whose_worker_died_before_it_took_it_goes_to_another():
    with Crew(1, 1 << 30) as crew:
        pid = done(crew, Job("who", jobs.who))["who"].value
        os.kill(pid, signal.SIGSTOP)  # it can't take what it is sent now
        crew.add(Job("after", jobs.double, (3,)))
        os.kill(pid, signal.SIGKILL)

        (outcome,) = crew.outcomes()

    assert (outcome.kind, outcome.value) == ("done", 6)


def left_at_the_first_outcome(crew, *wanted):
    with crew:
        for job in wanted:
            crew.add(job)
        for outcome in crew.outcomes():
            raise LookupError(outcome.job.name)


def test_leaving_kills_what_runs(tmp_path):
    crew, path = Crew(2, 1 << 30), str(tmp_path / "pids")

    with pytest.raises(LookupError, match="soon"):
        left_at_the_first_outcome(crew, Job("hangs", jobs.hang, (path,)), Job("soon", jobs.seen, (path,)))

    assert crew.running == []
    for pid in (tmp_path / "pids").read_text().split():
        assert_gone(int(pid))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 1), "workers=0 and memory=1 are to be at least 1"), ((1, 0), "workers=1 and memory=0")],
)
def test_no_workers_and_no_memory_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Crew(*arguments)


def test_a_job_that_cannot_be_sent_is_refused_when_it_is_added(crew):
    with pytest.raises((AttributeError, TypeError), match="lambda"):
        crew.add(Job("lambda", lambda: 1))

    assert crew.running == []


def test_outside_of_with_nothing_starts():
    with pytest.raises(RuntimeError, match="with Crew"):
        Crew(1, 1).add(Job("a", jobs.double, (1,)))


_SCRIPT = """
import sys
from tests.tools import jobs
from tools.support.crew import Crew, Job

def go():
    with Crew(2, 1 << 30) as crew:
        crew.add(Job("hangs", jobs.hang, (sys.argv[1],)))
        for outcome in crew.outcomes():
            print(outcome)
"""


def script(tmp_path, end):
    """A program with a crew, started in a session of its own."""
    path = tmp_path / "program.py"
    path.write_text(f"{_SCRIPT}\n{end}\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return started([sys.executable, str(path), str(tmp_path / "pids")], environment)


def pids(tmp_path, program):
    limit = time.monotonic() + 60
    while not (tmp_path / "pids").exists() or len((tmp_path / "pids").read_text().split()) < 2:
        assert time.monotonic() < limit
        assert program.poll() is None, program.stderr.read()
        time.sleep(0.05)
    return [int(pid) for pid in (tmp_path / "pids").read_text().split()]


def test_ctrl_c_leaves_nothing_running(tmp_path):
    program = script(tmp_path, 'if __name__ == "__main__":\n    go()')
    started = pids(tmp_path, program)

    os.killpg(program.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, error = program.communicate(timeout=60)

    assert error.strip().endswith("KeyboardInterrupt")
    assert error.count("Traceback") == 1
    for pid in started:
        assert_gone(pid)


def test_a_worker_ends_with_the_process_that_started_it(tmp_path):
    program = script(tmp_path, 'if __name__ == "__main__":\n    go()')
    worker, child = pids(tmp_path, program)

    program.kill()
    program.communicate(timeout=60)

    assert_gone(worker)
    os.kill(child, signal.SIGKILL)  # what a job started knows nothing of crews


def test_a_script_without_a_guard_is_told_so(tmp_path):
    program = script(tmp_path, "go()")

    _, error = program.communicate(timeout=120)

    assert program.returncode == 1
    assert 'does so below `if __name__ == "__main__":`' in error
