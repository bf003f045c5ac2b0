"""A configuration in full: what extends it merged, values filled in, defaults written out."""

import inspect
from typing import Any

from mcore import specs
from mcore.config import FORMAT, Config
from mcore.registry import Entry, lookup
from mcore.signatures import signature
from models.assembly import check, model_of
from models.component import Part, is_data, plain
from models.graph import COMPUTED, PLACES


def resolved(read: Config) -> dict[str, Any]:
    """The data of a configuration with every default written out, ready to be stored beside weights.

    What an assembling computes (`in_channels` of necks and heads) isn't written.

    Raises:
        ConfigError: every mistake in it.
    """
    model = model_of(read)
    read.refuse(read.located(check(model), ("model",)))
    others = {key: value for key, value in read.data.items() if key not in ("mcore", "vars", "model")}
    return {"mcore": FORMAT, "model": _model(model), **others}


def _model(model: Any) -> dict[str, Any]:
    if specs.type_of(model) is not None:
        return _part(model, None)
    full: dict[str, Any] = {}
    for key, value in model.items():
        if value is None:
            continue
        if key in PLACES:
            full[key] = _part(value, PLACES[key])
        elif key in ("heads", "parts"):
            kind = "head" if key == "heads" else None
            full[key] = {name: _part(maker, kind) for name, maker in value.items()}
        else:
            full[key] = value
    return full


def _part(maker: Any, kind: str | None) -> dict[str, Any]:
    """A part with its defaults, in the order of its constructor; `from`, `weights` and what starts with @ stay."""
    if isinstance(maker, str):
        maker = {"type": maker}
    given = specs.arguments_of(maker)
    entry = lookup(str(specs.type_of(maker)), maker.get("@kind", kind), version=maker.get("@version"))
    full = {key: value for key, value in maker.items() if key.startswith("@") or key in ("type", "from", "weights")}
    # What a backbone or network is fed, nothing computes.
    computed = COMPUTED if issubclass(_class_of(entry), Part) else ()
    for name, parameter in signature(entry.load()).parameters.items():
        if name in given:
            full[name] = given[name]
        elif name not in (*computed, "weights") and is_data(parameter.default):
            full[name] = plain(parameter.default, f"{entry.name}: {name}")
    return full


def _class_of(entry: Entry) -> type:
    constructor = entry.load()
    made = constructor if inspect.isclass(constructor) else signature(constructor).return_annotation
    return made if inspect.isclass(made) else object
