"""`mcore convert`: artifacts of networks, backbones with necks and heads, and configurations, each in its folder."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tools.options import add_plugin, add_set, refuse_twice, settings_of
from tools.support.conversion import TIMEOUT, Result, convert
from tools.support.units import bytes_of

EXAMPLE = "mcore convert --network LeNet --set num_classes=10 --sizes 1,1,32,32 --out exports/"
_STATUSES = ("made", "updated", "current", "failed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--network", nargs="+", metavar="NAME", help="networks of mcore list")
    what.add_argument("--backbone", nargs="+", metavar="NAME", help="backbones, each with the neck and the head given")
    what.add_argument("--config", nargs="+", metavar="FILE", help="configurations")
    parser.add_argument("--neck", metavar="NAME", help="behind the backbones")
    parser.add_argument("--head", metavar="NAME", help="behind the backbones or the neck")
    add_set(
        parser,
        "of networks argument=value; of parts head.num_classes=10; an override of configurations",
    )
    parser.add_argument("--out", default="exports", metavar="FOLDER", help="where their folders stand (exports)")
    parser.add_argument("--overwrite", action="store_true", help="make again what is current, too")
    parser.add_argument(
        "--sizes",
        action="append",
        help="to record with and verify at, as 1,3,64,64, of several inputs 1,3,64,64+1,10; once for each data set; "
        "three that the network takes, where left out",
    )
    parser.add_argument("--opset", type=int, help="version of ONNX's operators")
    parser.add_argument("--half", action="store_true", help="in numbers of 16 bits")
    parser.add_argument("--device", default="cpu", help="where the network runs: cpu, cuda:0")
    parser.add_argument("--weights", metavar="FILE", help="what mcore weights try reads; all entries must be in it")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes at a time (one for each processor)")
    parser.add_argument("--memory", metavar="SIZE", help="that they may need, as 8G (half of what is available)")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help=f"for each target ({TIMEOUT:g} of several)")
    add_plugin(parser)


def run(arguments: argparse.Namespace) -> int:
    """The exit code: 0 where all went well, 1 where all failed, 3 where some did."""
    refuse_twice(arguments.settings)
    settings = {"overrides": arguments.settings} if arguments.config else {"parameters": _settings(arguments)}
    results = convert(
        network=arguments.network,
        backbone=arguments.backbone,
        neck=arguments.neck,
        head=arguments.head,
        config=arguments.config,
        **settings,
        out=arguments.out,
        overwrite=arguments.overwrite,
        sizes=None if arguments.sizes is None else [_shapes(text) for text in arguments.sizes],
        opset=arguments.opset,
        half=arguments.half,
        device=arguments.device,
        weights=arguments.weights,
        jobs=arguments.jobs,
        memory=None if arguments.memory is None else bytes_of(arguments.memory),
        timeout=arguments.timeout,
        plugins=arguments.plugin,
        progress=True,
    )
    failed = [result for result in results if result.status == "failed"]
    if failed and len(results) == 1:
        raise ValueError(failed[0].error)
    print("\n".join(_summary(results, arguments.out)))
    return 0 if not failed else 1 if len(failed) == len(results) else 3


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Parameters as `convert` takes them: of parts, by part."""
    if not arguments.backbone:
        return settings_of(arguments.settings)
    given: dict[str, Any] = {}
    fits = "part.argument=value, as in head.num_classes=10"
    for path, value in settings_of(arguments.settings, fits=fits).items():
        part, dot, key = path.partition(".")
        if not (dot and key):
            raise ValueError(f"--set {path}: write {fits}")
        given.setdefault(part, {})[key] = value
    return given


def _shapes(text: str) -> list[tuple[int, ...]]:
    try:
        shapes = [tuple(int(size) for size in shape.split(",")) for shape in text.split("+")]
    except ValueError:
        shapes = [()]
    if any(not shape or min(shape) < 1 for shape in shapes):
        raise ValueError(f"--sizes {text}: write whole numbers with commas, batch first, as in 1,3,64,64")
    return shapes


def _summary(results: Sequence[Result], out: str) -> Iterator[str]:
    width = max(len(result.name) for result in results)
    for result in results:
        found, *more = result.error.split("\n") if result.status == "failed" else [_verified(result.report)]
        yield f"{result.name:{width}}  {result.status:7}  {result.seconds:6.1f} s  {found}"
        # That nothing was built is what "failed" says.
        yield from (f"  {line.strip()}" for line in more if not line.endswith("nothing was built"))
        yield from (f"  note: {note}" for note in result.notes)
    if len(results) > 1:
        counts = ((status, sum(one.status == status for one in results)) for status in _STATUSES)
        yield f"{len(results)} targets in {out}: " + ", ".join(f"{n} {status}" for status, n in counts if n)


def _verified(report: Mapping[str, Any]) -> str:
    found = [one["largest_relative_difference"] for one in report.get("differences", ())]
    return f"{len(found)} sizes, largest difference {max(found):.1e}" if found else ""


__all__ = ["EXAMPLE", "Result", "add_arguments", "convert", "run"]
