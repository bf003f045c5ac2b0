"""`mcore config`: checks a configuration, shows it in full, documents it, writes its class or a schema."""

import argparse
import json
from pathlib import Path

import yaml

import models
from mcore import config
from models.utils.summary import parameters
from models.writing.describe import sketched
from models.writing.resolved import resolved
from models.writing.schema import schema
from tools.options import add_plugin, add_set, import_plugins, refuse_twice

EXAMPLE = "mcore config check experiment.yaml --set head.num_classes=5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, help_ in (
        ("check", "every mistake with file, line and column; builds nothing"),
        ("show", "the whole configuration: extended, values filled in, defaults written out"),
        ("describe", "documentation compiled from the parts' own, in Markdown"),
        ("source", "the plain Python class of the network"),
    ):
        action = actions.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
        action.add_argument("file", metavar="FILE", help="a YAML or JSON file")
        add_set(action, "", metavar="PATH=VALUE")
        add_plugin(action)
        if name == "source":
            action.add_argument("--name", default="Net", help="of the class")
    action = actions.add_parser("schema", help="a JSON Schema for editors", description="A JSON Schema for editors.")
    action.add_argument("--out", metavar="FILE", help="where to write it; printed, where left out")


def run(arguments: argparse.Namespace) -> None:
    if arguments.action == "schema":
        _schema(arguments.out)
        return
    import_plugins(arguments.plugin)
    refuse_twice(arguments.settings)
    read = config.read(arguments.file, arguments.settings)
    if arguments.action == "describe":
        print(models.describe(arguments.file, arguments.settings), end="")
    elif arguments.action == "source":
        print(models.to_source(models.from_config(arguments.file, arguments.settings), arguments.name), end="")
    else:
        full = resolved(read)
        if arguments.action == "show":
            print(yaml.safe_dump(full, sort_keys=False, default_flow_style=None, width=120), end="")
        else:
            print(f"{arguments.file}: fits; {parameters(sketched(read)):,} parameters")


def _schema(out: str | None) -> None:
    text = json.dumps(schema(), indent=1)
    if out is None:
        print(text)
    else:
        Path(out).write_text(f"{text}\n", encoding="utf-8")
        print(out)
