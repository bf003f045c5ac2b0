"""`mcore table`: which part works on which device; only what changed is made again."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.options import add_plugin, import_plugins
from tools.support.units import bytes_of

EXAMPLE = """mcore table --out table/ --only 'resnet*'
  mcore table why RSUNet --out table/
  mcore table --check --out table/"""
ACTIONS = ("why",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="why NAME", help="tell why a row was, or will be, made again")
    parser.add_argument("--out", default="table", metavar="FOLDER", help="the table's folder (default: table)")
    choice = parser.add_argument_group("which rows")
    choice.add_argument("--all", action="store_true", help="rows that haven't changed, too")
    choice.add_argument(
        "--only", action="append", default=[], metavar="GLOB", help="names, or kind/name; may be repeated"
    )
    choice.add_argument("--exclusions", action="store_true", help="an additional run over the excluded names alone")
    choice.add_argument(
        "--since", metavar="COMMIT", help="rows whose code was another then; with --check: compare with it"
    )
    choice.add_argument("--plan", metavar="FILE", help="priority, exclusions and excused cells (default: the zoo's)")
    add_plugin(choice)
    how = parser.add_argument_group("how")
    how.add_argument("--devices", metavar="NAME,NAME", help="devices to check on (default: all); 'list' lists them")
    how.add_argument("--jobs", type=int, metavar="N", help="processes at a time (default: one a processor)")
    how.add_argument("--memory", metavar="BYTES", help="that they may need at once: 8G (default: half of what is free)")
    how.add_argument(
        "--timeout", type=float, default=600.0, metavar="SECONDS", help="for one conversion or check (600)"
    )
    how.add_argument("--slow", type=float, default=30.0, metavar="SECONDS", help="that one data set may take (30)")
    how.add_argument(
        "--keep", choices=("all", "failed", "none"), default="all", help="artifacts that stay in FOLDER/artifacts"
    )
    how.add_argument("--wait", action="store_true", help="for another run on the same table to end")
    parser.add_argument(
        "--check", action="store_true", help="make nothing; end with 1 if a row is missing, stale or has become worse"
    )


def run(arguments: argparse.Namespace) -> int:
    import_plugins(arguments.plugin)
    _refuse(arguments)
    if arguments.words:
        return _why(arguments)
    if arguments.devices == "list":
        return _list()
    return _check(arguments) if arguments.check else _update(arguments)


def _refuse(arguments: argparse.Namespace) -> None:
    """Words that would change nothing, or make no sense."""
    named = {"--only": arguments.only, "--all": arguments.all, "--exclusions": arguments.exclusions,
             "--devices": arguments.devices}  # fmt: skip
    for name, given in named.items():
        if given and (arguments.check or arguments.words):
            raise ValueError(
                f"{name}: {'--check' if arguments.check else 'why'} looks at the whole table; leave it out"
            )
    if arguments.check and arguments.words:
        raise ValueError("--check and why are two commands; give one of them")
    if arguments.since is not None and not arguments.since.strip():
        raise ValueError("--since: write a commit, a branch or a tag, as in --since HEAD~3")
    for name, seconds in (("--timeout", arguments.timeout), ("--slow", arguments.slow)):
        if not seconds > 0:
            raise ValueError(f"{name} {seconds:g}: write a number of seconds above 0")
    if arguments.devices is not None and not arguments.devices.strip(" ,"):
        raise ValueError(
            f"--devices {arguments.devices!r}: write names, with commas between; --devices list lists them"
        )


def _why(arguments: argparse.Namespace) -> int:
    from tools.support import why

    if arguments.words[0] not in ACTIONS or len(arguments.words) != 2:
        raise ValueError(f"{' '.join(arguments.words)}: write: mcore table why NAME")
    for line in why.told(Path(arguments.out), arguments.words[1], plan=_plan(arguments)):
        print(line)
    return 0


def _list() -> int:
    from mcore import devices

    for name, device in devices.devices().items():
        asked = devices.ask(device)
        print(f"{name:24} {device.title:32} {asked.version if asked.available else asked.reason}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from tools.support import gate

    found = gate.problems(Path(arguments.out), since=arguments.since, plan=_plan(arguments))
    for line in found:
        print(line)
    print(
        f"{len(found)} problems; mcore table --out {arguments.out} makes what is stale again" if found else "all well"
    )
    return 1 if found else 0


def _update(arguments: argparse.Namespace) -> int:
    from tools.support import update

    named = arguments.devices and [name.strip() for name in arguments.devices.split(",") if name.strip()]
    options = update.Options(
        Path(arguments.out),
        everything=arguments.all,
        only=arguments.only,
        exclusions=arguments.exclusions,
        devices=named,
        since=arguments.since,
        plugins=arguments.plugin,
        jobs=arguments.jobs,
        memory=None if arguments.memory is None else bytes_of(arguments.memory),
        timeout=arguments.timeout,
        slow=arguments.slow,
        keep=arguments.keep,
        wait=arguments.wait,
        plan=_plan(arguments),
    )
    summary = update.update(options)
    for line in update.told(summary):
        print(line, file=sys.stderr if line in summary.notes else sys.stdout)
    print(f"{arguments.out}/index.html shows it")
    return 0


def _plan(arguments: argparse.Namespace) -> Path:
    from tools.support import plan

    return Path(arguments.plan) if arguments.plan else plan.PLACE
