"""Sources by name, as the section `train.data` of a configuration has them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch.utils.data import Dataset

from mcore.config import Config
from mcore.training.data.base import Source
from mcore.training.data.importing import attribute_of, called, is_import_path
from mcore.training.data.mistakes import Fail, Where
from mcore.training.errors import DataError
from mcore.training.settings import Typed
from mcore.vocabulary import nearest

# By name where each is: none is imported before it is asked for.
SOURCES = {
    "folder": "mcore.training.data.folder:Folder",
    "csv": "mcore.training.data.table:Table",
    "numpy": "mcore.training.data.arrays:Arrays",
    "zarr": "mcore.training.data.patches:Patches",
}


def open_source(
    typed: Typed, *, base: Path, config: Config | None = None, where: Where = ("train", "data")
) -> Source | Dataset[Any]:
    """The source that a configuration names.

    `typed.type` is a name of `SOURCES`, whose arguments are told by its `Options`; or an import path
    "package.module:name" of a Source, a torch Dataset, or what makes one of the other keys. Paths are relative to
    `base`. `config` and `where` say where it was written, for errors.

    Raises:
        ConfigError: there is none of this name, or its arguments don't fit; all mistakes at once.
        DataError: what its files hold isn't fit for it.
    """
    fail = Fail(config, where)
    if is_import_path(typed.type):
        return _foreign(typed, fail)
    if typed.type not in SOURCES:
        likely = nearest(typed.type, SOURCES, least=0.5, most=1)
        meant = f"did you mean {likely[0]!r}? There" if likely else "there"
        known = f"{', '.join(SOURCES)}, and import paths 'package.module:name'"
        fail(("type",), f"no source of data is called {typed.type!r}; {meant} are {known}")
    module, _, name = SOURCES[typed.type].partition(":")
    source = getattr(importlib.import_module(module), name)
    try:
        options = source.Options.model_validate(typed.arguments)
    except ValidationError as error:
        fail.all(_mistakes(error, typed.type, fields=source.Options.model_fields))
    return source(options, base=Path(base))


def _foreign(typed: Typed, fail: Fail) -> Any:
    """A source or dataset of an import path."""
    found = attribute_of(typed, fail)
    made = found if isinstance(found, Source | Dataset) else called(found, typed, fail)
    if made is found and typed.arguments:
        fail((), f"{typed.type} is made already, and takes no arguments ({', '.join(typed.arguments)})")
    if not isinstance(made, Source) and not hasattr(made, "__getitem__"):
        told = f"it is of {type(made).__name__}; a Source or a torch Dataset that is read by number fits"
        fail(("type",), f"{typed.type}: {told}")
    return made


def check_alike(training: Any, validation: Any) -> None:
    """That labels mean the same in both.

    Raises:
        DataError: they name other classes, or in another order; the message has those that differ.
    """
    one, two = getattr(training, "classes", None), getattr(validation, "classes", None)
    if one is None or two is None or list(one) == list(two):
        return
    only = [_listed(set(first) - set(second)) for first, second in ((one, two), (two, one))]
    parts = [
        f"{names} only in the {side} data"
        for names, side in zip(only, ("training", "validation"), strict=True)
        if names
    ]
    told = "; ".join(parts) or f"in another order, {', '.join(one)} and {', '.join(two)}"
    raise DataError(f"Training and validation data have other classes: {told}. Name them in both by `classes`.")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _mistakes(error: ValidationError, type_: str, *, fields: Mapping[str, Any]) -> list[tuple[Where, str]]:
    """What is wrong with each argument, once, whatever parts of a choice of types it doesn't fit."""
    found: dict[Where, list[str]] = {}
    for one in error.errors(include_url=False):
        key = one["loc"][:1]
        if one["type"] == "extra_forbidden":
            likely = nearest(str(key[0]), fields, least=0.5, most=1)
            hint = f"did you mean {likely[0]!r}? It has" if likely else "it has"
            told = f"{type_!r} has no argument {key[0]!r}; {hint} {', '.join(fields)}"
        elif one["type"] == "missing":
            told = f"{type_!r} needs the argument {key[0]!r}"
        else:
            told = one["msg"].removeprefix("Value error, ")
            told = f"{told[0].lower()}{told[1:]}" + (f", got {one['input']!r}" if key else "")
        messages = found.setdefault(key if one["type"] != "missing" else (), [])
        if told[:300] not in messages:
            messages.append(told[:300])
    return [(key, "; or ".join(messages) if key else "; ".join(messages)) for key, messages in found.items()]


__all__ = ["SOURCES", "check_alike", "open_source"]
