"""A JSON Schema of configurations, for editors that complete and check while one types.

Source: JSON Schema, draft 2020-12. It is generated from the registry: names, signatures and annotations.
"""

import collections.abc
import inspect
import os
import types
import typing
from typing import Any, Literal, Union

from mcore.config import FORMAT
from mcore.registry import KINDS, available, lookup
from mcore.signatures import signature
from models.component import is_data, plain
from models.writing.docstrings import documentation

# A value may refer to another: "${vars.classes}".
REFERENCE = {"type": "string", "pattern": r"\$\{"}
FROM = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
_PLAIN = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}


def schema() -> dict[str, Any]:
    """The schema of a whole configuration, with every component of the registry."""
    definitions = {kind: _kind(kind) for kind in KINDS}
    definitions |= {f"{kind}.{name}": _part(kind, name) for kind in KINDS for name in available(kind)}
    places = {"backbone": "backbone", "neck": "neck", "head": "head"}
    assembled = {
        "type": "object",
        "properties": {
            **{place: {"$ref": f"#/$defs/{kind}"} for place, kind in places.items()},
            "heads": {"type": "object", "additionalProperties": {"$ref": "#/$defs/head"}},
            "parts": {
                "type": "object",
                "additionalProperties": {"anyOf": [{"$ref": f"#/$defs/{kind}"} for kind in KINDS]},
            },
            "inputs": FROM,
            "outputs": {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]},
        },
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mcore configuration",
        "type": "object",
        "properties": {
            "mcore": {"const": FORMAT, "description": "version of this format"},
            "extends": {**FROM, "description": "files to start from; mappings merge, the later wins"},
            "vars": {"type": "object", "description": "values for ${vars.name}"},
            "model": {"anyOf": [{"$ref": "#/$defs/network"}, assembled]},
            "train": {"type": "object"},
        },
        "$defs": definitions,
    }


def _kind(kind: str) -> dict[str, Any]:
    names = available(kind)
    return {"anyOf": [{"enum": names}, *({"$ref": f"#/$defs/{kind}.{name}"} for name in names), _OF_A_NAMESPACE]}


# Names with their namespace, "convnet/UNet": versions of these differ in their arguments, which building checks.
_OF_A_NAMESPACE = {
    "type": "object",
    "properties": {"type": {"type": "string", "pattern": "/"}},
    "required": ["type"],
}


def _part(kind: str, name: str) -> dict[str, Any]:
    constructor = lookup(name, kind).load()
    said = documentation(constructor)
    properties: dict[str, Any] = {
        "type": {"const": name},
        "@kind": {"const": kind},
        "@version": {"type": "string"},
        "@mode": {"enum": ["regular", "partial"]},
        "from": FROM,
        "weights": {"anyOf": [{"type": "string"}, {"type": "object"}]},
    }
    hints = typing.get_type_hints(constructor.__init__ if inspect.isclass(constructor) else inspect.unwrap(constructor))
    for parameter in signature(constructor).parameters.values():
        one: dict[str, Any] = {"anyOf": [_type(hints.get(parameter.name, Any)), REFERENCE]}
        if parameter.name in said.arguments:
            one["description"] = said.arguments[parameter.name]
        if parameter.default is not None and is_data(parameter.default):
            one["default"] = plain(parameter.default, parameter.name)
        properties[parameter.name] = one
    return {
        "type": "object",
        "title": name,
        "description": said.summary,
        "properties": properties,
        "required": ["type"],
        "additionalProperties": False,
    }


def _type(hint: Any) -> dict[str, Any]:
    """The schema of an annotation; what no schema can tell allows everything."""
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if origin is Literal:
        return {"enum": list(choices)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_type(choice) for choice in choices]}
    base = origin or hint
    if base in (list, tuple, collections.abc.Sequence, collections.abc.Iterable):
        items = [choice for choice in choices if choice is not Ellipsis]
        return {"type": "array", "items": _type(items[0])} if len(set(items)) == 1 else {"type": "array"}
    if base in (dict, collections.abc.Mapping):
        return {"type": "object"}
    return {"type": "string"} if base is os.PathLike else {}
