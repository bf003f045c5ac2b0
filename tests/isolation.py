"""Fresh interpreters: with another engine, or with packages that cannot be imported."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]

# As if the packages were not installed: every finder is asked through one that doesn't know them.
_HIDE = """
import sys


class _Hiding:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {names!r} else self.finder.find_spec(name, path, target)


sys.meta_path[:] = map(_Hiding, sys.meta_path)
"""


def interpret(
    code: str,
    *,
    engine: str | None = None,
    without: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    timeout: float = 240,
) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh interpreter where the packages `without` cannot be imported; whatever comes.

    `engine` is the value of MCORE_BACKEND; None leaves it unset.
    """
    command, variables = _command(code, engine, without, environment)
    return subprocess.run(command, env=variables, cwd=cwd, capture_output=True, text=True, timeout=timeout)


def converse(code: str, *, engine: str, without: Sequence[str] = ()) -> "subprocess.Popen[str]":
    """Start `code` in a fresh interpreter that answers lines on its standard input with lines on its output."""
    command, variables = _command(code, engine, without, None)
    return subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _command(
    code: str, engine: str | None, without: Sequence[str], environment: Mapping[str, str] | None
) -> tuple[list[str], dict[str, str]]:
    variables = {name: value for name, value in os.environ.items() if name != "MCORE_BACKEND"}
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    variables.update({} if engine is None else {"MCORE_BACKEND": engine})
    variables.update(environment or {})
    program = _HIDE.format(names=tuple(without)) + textwrap.dedent(code)
    return [sys.executable, "-c", program], variables


def started(
    command: Sequence[str], environment: Mapping[str, str], *, cwd: str | os.PathLike[str] | None = None
) -> "subprocess.Popen[str]":
    """A program in a session of its own, which hears Ctrl-C, and whose output is read by `communicate`."""
    return subprocess.Popen(
        command,
        env=environment,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_interrupts,
    )


def hear_interrupts() -> None:
    """For `preexec_fn`: a program hears Ctrl-C, though a shell that runs the tests in the background made them deaf."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(code: str, **options) -> str:
    """What `code` prints, without white space at its ends; options are those of `interpret`.

    Raises:
        AssertionError: the interpreter failed; with its traceback.
    """
    done = interpret(code, **options)
    if done.returncode:
        raise AssertionError(f"The interpreter ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout.strip()


def failure(code: str, **options) -> str:
    """The last line of the traceback that `code` ends with; options are those of `interpret`.

    Raises:
        AssertionError: `code` didn't fail.
    """
    done = interpret(code, **options)
    if not done.returncode:
        raise AssertionError(f"The interpreter ended well, and printed:\n{done.stdout}")
    return done.stderr.strip().splitlines()[-1]
