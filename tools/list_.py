"""`mcore list`: names of components, by kind."""

import argparse
import sys

from mcore import registry

EXAMPLE = "mcore list backbone 'resnet*'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", help=f"one of {', '.join(registry.KINDS)}; all, where left out")
    parser.add_argument(
        "pattern", nargs="?", default="*", help="names to list: 'resnet*', or 'convnet/*' of a namespace"
    )


def run(arguments: argparse.Namespace) -> int:
    namespace, _, pattern = arguments.pattern.rpartition("/")
    kinds = [arguments.kind] if arguments.kind else registry.KINDS
    found = {kind: registry.available(kind, pattern, namespace=namespace) for kind in kinds}
    for kind, names in found.items():
        indent = "" if arguments.kind else "  "
        if names and not arguments.kind:
            print(f"{kind}:")
        for name in names:
            print(indent + name)
    if not any(found.values()):
        print(f"mcore list: no {arguments.kind or 'name'} is like {arguments.pattern!r}", file=sys.stderr)
        return 1
    return 0
