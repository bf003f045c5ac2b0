"""`mcore weights`: writes the table of names for a file of weights, or tells what a file would do."""

import argparse
from pathlib import Path

import mcore
from models.utils.align import align
from models.utils.layouts import layouts, unwrapped, write_table
from models.utils.weights import load_weights
from tools.options import add_set
from tools.show import network_of, size_of

EXAMPLE = "mcore weights align resnet50 theirs.pth --set num_classes=1000 --out table.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, help_ in (
        ("align", "write the table of names by which a file of an unknown layout loads, by order of execution"),
        ("try", "load a file and tell what became of each entry; writes nothing"),
    ):
        action = actions.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
        action.add_argument("model", metavar="MODEL", help="a name of mcore list, or a configuration")
        action.add_argument("file", metavar="FILE", help="weights: .safetensors, .pth or .pt")
        add_set(action, "")
        if name == "align":
            action.add_argument("--size", help="of an image the network takes; its layers are then read as they run")
            action.add_argument("--out", metavar="FILE", default="table.json", help="where to write the table")
        else:
            action.add_argument("--rename", help="a table by its name or file; the best of all, where left out")
    actions.add_parser("layouts", help="names of the tables that are there", description="Names of all tables.")


def run(arguments: argparse.Namespace) -> int:
    if arguments.action == "layouts":
        print("\n".join(sorted(layouts())))
        return 0
    net = network_of(arguments.model, arguments.settings)
    if arguments.action == "try":
        chosen = {"rename": arguments.rename} if arguments.rename else {}
        report = load_weights(net, {"file": arguments.file, **chosen})
        print(report)
        for what in ("adapted", "skipped", "missing", "unexpected"):
            for key in getattr(report, what):
                print(f"{what:10}  {key}")
        return 0
    size = size_of(arguments.size) if arguments.size else None
    found = align(net, unwrapped(mcore.load(arguments.file)), size)
    write_table(found.table, Path(arguments.out))
    for whose, names in (("ours", found.ours), ("theirs", found.theirs)):
        for name in names:
            print(f"left of {whose}: {name}")
    print(f"{found}; wrote {arguments.out}")
    return 1 if found.ours else 0
