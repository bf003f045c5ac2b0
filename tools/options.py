"""Options that several commands have, and what is read out of them."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterable, Sequence
from typing import Any

from mcore.config import parse


def add_set(parser: argparse._ActionsContainer, meaning: str, *, metavar: str = "ARGUMENT=VALUE") -> None:
    """`--set`, as `settings`: an argument of a constructor, or an override of a configuration."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar=metavar,
        dest="settings",
        help=f"{meaning}{'; ' if meaning else ''}may be repeated",
    )


def add_plugin(parser: argparse._ActionsContainer) -> None:
    """`--plugin`, as `plugin`."""
    parser.add_argument("--plugin", action="append", default=[], metavar="MODULE", help="a module that registers parts")


def import_plugins(names: Iterable[str]) -> None:
    """Imports modules, which register their parts.

    Raises:
        ImportError: one can't be imported; whatever it raises, in one line.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            # Somebody else's code: any error of it is one line.
            lines = str(error).splitlines() or [""]
            raise ImportError(f"--plugin {name}: {type(error).__name__}: {lines[0]}") from error


def settings_of(texts: Sequence[str], *, fits: str = "argument=value") -> dict[str, Any]:
    """Values by path, in the order in which they came; values are YAML's scalars.

    >>> settings_of(["num_classes=10", "norm=batch"])
    {'num_classes': 10, 'norm': 'batch'}

    Raises:
        ValueError: one is written otherwise, or two are of one path.
    """
    refuse_twice(texts)
    found: dict[str, Any] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        if not equals or not path:
            raise ValueError(f"--set {text}: write {fits}")
        found[path], _ = parse(value, f"--set {text}")
    return found


def refuse_twice(texts: Sequence[str]) -> None:
    """Raises ValueError where two settings are of one path: which of them is meant, nobody can know."""
    seen: dict[str, str] = {}
    for text in texts:
        path, _, value = text.partition("=")
        if path in seen:
            raise ValueError(f"--set {path}: it stands there twice, with {seen[path]} and {value}; give one")
        seen[path] = value


__all__ = ["add_plugin", "add_set", "import_plugins", "refuse_twice", "settings_of"]
