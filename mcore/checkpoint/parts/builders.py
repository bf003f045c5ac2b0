"""What builds a network from the configuration in a record: installed entry points, by name, and nothing else.

A record is data from anywhere. It names a builder of the group "mcore.builders" and the data that this takes; neither
can name code, files, or what works with whole models.
"""

from __future__ import annotations

import copy
import importlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mcore.checkpoint.errors import SchemaError
from mcore.registry import kinds_of
from mcore.vocabulary import nearest

GROUP = "mcore.builders"
# A clone that isn't installed has no entry points; this project's own builder is found all the same.
OWN = {"models": "models.assembly:from_config"}
# Kinds of components that read files or train, which no configuration of a record may name.
_REFUSED = ("tool", "optimizer")
# Keys that would have a builder read files.
_FILES = ("weights", "extends")

Builder = Callable[[dict[str, Any]], Any]


def installed() -> dict[str, str]:
    """Builders by name, and where each is: "package.module:function"; nothing is imported to find out."""
    own = {name: place for name, place in OWN.items() if importlib.util.find_spec(place.partition(".")[0]) is not None}
    return own | {point.name: point.value for point in importlib.metadata.entry_points(group=GROUP)}


def builder_of(name: str, builders: Mapping[str, Builder] | None = None) -> Builder:
    """The builder of this name.

    Raises:
        SchemaError: none that is installed, or given, is called so; nothing was imported.
    """
    if builders is not None and name in builders:
        return builders[name]
    known = installed()
    if name not in known:
        names = [*known, *(builders or ())]
        likely = nearest(name, names, most=1)
        meant = f" (did you mean {likely[0]!r}?)" if likely else ""
        raise SchemaError(
            f"no builder {name!r} is installed{meant}; there are {', '.join(map(repr, names)) or 'none'}. A package "
            f"announces one as an entry point of the group {GROUP!r}."
        )
    module, _, attribute = known[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def built(name: str, config: Mapping[str, Any], builders: Mapping[str, Builder] | None = None) -> Any:
    """The network that a builder makes of a configuration.

    Raises:
        SchemaError: no such builder; the configuration names what it may not, or the builder refuses it.
    """
    check_config(config)
    build = builder_of(name, builders)
    try:
        return build(copy.deepcopy(dict(config)))
    # What a constructor refuses is the configuration's mistake, and so is what it lacks.
    except (ValueError, TypeError, LookupError, NotImplementedError, OSError, AttributeError) as error:
        raise SchemaError(f"builder {name!r} makes nothing of the configuration in the record: {error}") from error


def check_config(config: Any) -> None:
    """Refuses a configuration that would have files read, or that names more than parts of networks.

    Raises:
        SchemaError: where it does.
    """
    spaces = {""} | {name.rpartition("/")[0] for _, name in _types(config)}
    for path, name in _types(config):
        kinds = {kind for space in spaces for kind in kinds_of(name.rpartition("/")[2], namespace=space)}
        refused = sorted(kinds.intersection(_REFUSED))
        if refused:
            raise SchemaError(
                f"the configuration in a record names {name!r} at {path}, which is a {refused[0]}; records name parts "
                "of networks alone."
            )
    for path, key, value in _items(config, "config"):
        if key in _FILES and isinstance(value, str | Mapping | list) and value:
            raise SchemaError(
                f"the configuration in a record has {key}={value!r:.80} at {path}; a record reads no file."
            )


def builder_for(net: Any) -> tuple[str, dict[str, Any], str]:
    """The builder of a network and its configuration; or "", {} and why it can't be built from data.

    A network has a builder if it tells its `config()`, by a method that the builder's own package defines, and all
    that the configuration names is in the registry.
    """
    told = getattr(type(net), "config", None)
    package = getattr(told, "__module__", "").partition(".")[0]
    names = [name for name, place in installed().items() if place.partition(".")[0] == package]
    if not callable(told) or not names:
        return "", {}, f"no builder that is installed knows {type(net).__name__}"
    try:
        config = net.config()
        check_config(config)
        if json.loads(json.dumps(config, allow_nan=False)) != config:
            return "", {}, "its configuration isn't the same once it was written as JSON"
    except (ValueError, TypeError) as error:  # SchemaError is one
        return "", {}, str(error).rstrip(".")
    text = next((path for path, _, value in _items(config, "config") if isinstance(value, str) and "${" in value), None)
    if text is not None:
        return "", {}, f"{text} has '${{', which a configuration reads as a reference"
    strange = _unregistered(net)
    return ("", {}, f"{strange} is in no registry") if strange else (names[0], config, "")


def _unregistered(net: Any) -> str:
    """The class of a network, or of a part, that no registry has under its name."""
    from mcore.checkpoint.parts.composition import components_of, kind_of, spec_of

    modules = [part.module for part in components_of(net) if part.name or part.role != "part"]
    whole = [net] if spec_of(net).get("type") else []
    return next((type(one).__name__ for one in [*whole, *modules] if not kind_of(one)), "")


def _types(config: Any) -> list[tuple[str, str]]:
    """Where names of components stand in a configuration, and the names."""
    found = _items(config, "config")
    return [(path, value) for path, key, value in found if key in ("type", "@type") and isinstance(value, str)]


def _items(value: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Everything in nested data: where, under which key, what."""
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, item in pairs:
        yield f"{path}.{key}", key, item
        yield from _items(item, f"{path}.{key}")


__all__ = ["GROUP", "builder_for", "builder_of", "built", "check_config", "installed"]
