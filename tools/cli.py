"""The `mcore` command: `mcore list`, `mcore show NAME`, and others, each in its own file."""

import argparse
import contextlib
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from mcore.vocabulary import nearest

# Commands, their modules and a line of help each; a module is imported when its command is given.
COMMANDS = {
    "checkpoints": ("tools.checkpoints", "find, show, compare, carry and keep the checkpoints of a repository"),
    "config": ("tools.config", "check a configuration, show it in full, write a schema for editors"),
    "convert": ("tools.convert", "artifacts of networks, assemblies and configurations, with their histories"),
    "gallery": ("tools.gallery", "pages of every part, with drawings, counts and options"),
    "list": ("tools.list_", "names of backbones, necks, heads, networks, ..."),
    "train": ("tools.train", "train the network of a configuration, or go on where its training stopped"),
    "weights": ("tools.weights", "what a file of weights would do, and tables of names for unknown layouts"),
    "table": ("tools.table", "which part works on which device; only what changed is made again"),
    "show": ("tools.show", "layers, shapes, parameters and multiply-adds of a network"),
}


class Parser(argparse.ArgumentParser):
    """Bad arguments end with one line and the exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; 0 when it went well, 1 when it was refused, 2 when it was called wrongly."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_help())
        return 0 if words else 2
    if words[0] == "--version":
        import mcore

        print(f"mcore {mcore.__version__}")
        return 0
    if words[0] not in COMMANDS:
        likely = nearest(words[0], COMMANDS, least=0.0, most=1)[0]
        print(f"mcore: no command {words[0]!r} (did you mean {likely!r}?); see mcore --help", file=sys.stderr)
        return 2
    return _run(words[0], words[1:])


def _run(name: str, words: Sequence[str]) -> int:
    module, summary = COMMANDS[name]
    command = importlib.import_module(module)
    parser = Parser(
        prog=f"mcore {name}",
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n  {command.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    try:
        given = parser.parse_args(words)
        with _unwinding():
            return command.run(given) or 0
    except SystemExit as end:
        # A text is a reason to end, as what is imported may have one.
        if isinstance(end.code, str):
            print(f"mcore {name}: {end.code}", file=sys.stderr)
        return 1 if isinstance(end.code, str) else int(end.code or 0)
    except BrokenPipeError:
        # Whoever read the output, `head` for example, has enough; nothing more can be written there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(f"mcore {name}: stopped", file=sys.stderr)
        return 130
    except _Terminated:
        print(f"mcore {name}: terminated", file=sys.stderr)
        return 143
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, ImportError) as error:
        # Mistakes in what was given; any other error is ours, and shows where it happened.
        if os.environ.get("MCORE_TRACEBACK"):
            raise
        text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        # A function of the command's name says so itself.
        print(f"mcore {name}: {text.removeprefix(f'{name}: ')}", file=sys.stderr)
        return 1


class _Terminated(BaseException):
    """The process was asked to end, as a scheduler does: what is open is closed on the way out."""


@contextlib.contextmanager
def _unwinding() -> Iterator[None]:
    """Has SIGTERM unwind the block as Ctrl-C does; signals are the main thread's."""

    def end(number: int, frame: Any) -> NoReturn:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _help() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: mcore COMMAND ...",
            "",
            *rows,
            "",
            "mcore COMMAND --help tells more, with an example.",
            "MCORE_TRACEBACK=1 shows where an error came from.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
