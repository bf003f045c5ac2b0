"""`mcore show`: the layers of a network or of a configuration's, what each sees, and a drawing of its parts."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mcore
import models
from mcore import registry, signatures
from mcore.exchange.receptive import receptive_fields
from models.component import Unbuilt
from models.utils.summary import Row, parameters, summary
from models.writing.drawing import drawing
from tools.options import add_plugin, add_set, import_plugins, refuse_twice, settings_of

EXAMPLE = "mcore show resnet50 --size 1,3,224,224"
ENDINGS = (".yaml", ".yml", ".json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME|FILE", help="a name of mcore list, or a configuration")
    parser.add_argument(
        "--size",
        action="append",
        help="of the input, as 1,3,224,224; once for each where there are several; without it, parameters only",
    )
    add_set(parser, "an argument of the constructor, or an override of the configuration")
    parser.add_argument("--svg", metavar="FILE", help="also draw the graph of its parts")
    add_plugin(parser)


def run(arguments: argparse.Namespace) -> None:
    import_plugins(arguments.plugin)
    net = network_of(arguments.name, arguments.settings)
    if arguments.svg:
        Path(arguments.svg).write_text(drawing(net), encoding="utf-8")
    if arguments.size is None:
        print(net if arguments.name.endswith(ENDINGS) else _by_part(net))
        print(f"{parameters(net):,} parameters")
        return
    sizes = [size_of(text) for text in arguments.size]
    rows = summary(net, *sizes)
    # Zeros: only shapes matter, and no fallback is needed for what is counted here.
    model = mcore.to_onnx(net.eval(), tuple(mcore.zeros(*size) for size in sizes), dynamic=None)
    print(_table(rows, receptive_fields(model)))
    total = sum(row.multiply_adds or 0 for row in rows)
    print(f"{len(rows)} layers, {parameters(net):,} parameters, {total:,} multiply-adds")


def network_of(name: str, settings: Sequence[str]) -> Any:
    refuse_twice(settings)
    if name.endswith(ENDINGS) or Path(name).is_file():
        return models.from_config(name, overrides=settings)
    given = settings_of(settings)
    constructor = registry.lookup(name).load()
    net = models.create(name, **given)
    if isinstance(net, Unbuilt):
        raise ValueError(
            f"{name} takes its in_channels from what feeds it: show a configuration that holds it; "
            f"its parameters are {signatures.signature(constructor)}"
        )
    return net


def size_of(text: str) -> tuple[int, ...]:
    try:
        size = tuple(int(part) for part in text.split(","))
    except ValueError:
        size = ()
    if len(size) < 2 or min(size) < 1:
        raise ValueError(f"--size {text}: write whole numbers with commas, batch and channels first: 1,3,224,224")
    return size


def _table(rows: Sequence[Row], fields: Mapping[str, tuple[int, ...] | None]) -> str:
    head = ("layer", "class", "result", "sees", "parameters", "multiply-adds")
    cells = [
        (
            row.name,
            row.layer,
            " x ".join(map(str, row.shape)),
            _field(row.name, fields),
            f"{row.parameters:,}",
            _count(row.multiply_adds),
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    right = (False, False, False, False, True, True)
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at_right else cell.ljust(width)
            for cell, width, at_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in [head, *cells]
    )


def _field(name: str, fields: Mapping[str, tuple[int, ...] | None]) -> str:
    """Pixels of the input that a layer's result sees; "all" of them, or nothing where that isn't known."""
    if name not in fields:
        return ""
    field = fields[name]
    return "all" if field is None else " x ".join(map(str, field))


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _by_part(net: Any) -> str:
    rows = [(name, type(part).__name__, f"{parameters(part):,}") for name, part in net.named_children()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(f"{n:{widths[0]}}  {c:{widths[1]}}  {p:>{widths[2]}}" for n, c, p in rows)
