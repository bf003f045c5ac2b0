"""What `Repository.save` is told in passing (`metrics={"val.miou": 0.7}`, `tags=["em"]`), as a record has it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mcore.checkpoint.errors import SchemaError
from mcore.checkpoint.records import Metric

# How many mappings in each other are metrics: split, then name.
_LEVELS = 2


def metrics_of(said: Any) -> list[Any]:
    """Metrics by name, by "split.name", by split and name, or as they are in a record.

    What isn't finite is left out, with a warning: no comparison with it means anything.

    >>> metrics_of({"miou": 0.71, "val": {"loss": 0.3}, "train.loss": 0.2})
    [{'name': 'miou', 'value': 0.71}, {'name': 'loss', 'value': 0.3, 'split': 'val'}, \
{'name': 'loss', 'value': 0.2, 'split': 'train'}]

    Raises:
        SchemaError: a value is no number.
    """
    if said is None:
        return []
    if isinstance(said, Mapping):
        found = [_metric(name, value) for name, value in _flat(said, "", 0)]
    elif isinstance(said, Iterable) and not isinstance(said, str | bytes):
        found = [one.model_dump() if isinstance(one, Metric) else one for one in said]
    else:
        raise SchemaError(f"save: metrics are numbers by name, got a {type(said).__name__}.")
    for one in found:
        if isinstance(one, Mapping) and isinstance(one.get("value"), float) and not math.isfinite(one["value"]):
            warnings.warn(f"save: the metric {one.get('name')!r} is {one['value']}; it is left out.", stacklevel=4)
    return [
        one
        for one in found
        if not (isinstance(one, Mapping) and isinstance(one.get("value"), float) and not math.isfinite(one["value"]))
    ]


def tags_of(said: Any) -> dict[str, str]:
    """Tags from one, from several, or from values by key.

    >>> tags_of(["em", "domain=brain"]), tags_of({"domain": "brain"}), tags_of("em")
    ({'em': '', 'domain': 'brain'}, {'domain': 'brain'}, {'em': ''})

    Raises:
        SchemaError: something else than text.
    """
    if isinstance(said, Mapping):
        return {str(key): "" if value is None else str(value) for key, value in said.items()}
    words = [said] if isinstance(said, str) else list(said or ())
    if not all(isinstance(word, str) for word in words):
        raise SchemaError(f"save: tags are words, or values by word, got {said!r:.100}.")
    pairs = (word.partition("=") for word in words)
    return {key: value for key, _, value in pairs}


def datasets_of(said: Any) -> list[Any]:
    """Data sets from a name, a mapping, or several of these."""
    several = said if isinstance(said, list | tuple) else [] if said is None else [said]
    return [{"name": one} if isinstance(one, str) else one for one in several]


def loss_of(said: Any) -> dict[str, Any]:
    """A loss from its name, its parameters, or the object that computes it."""
    if said is None:
        return {}
    if isinstance(said, Mapping):
        return dict(said)
    if isinstance(said, str):
        return {"name": said}
    return {"name": getattr(said, "__name__", type(said).__name__)}


def resolutions_of(said: Any) -> list[Any]:
    """Sizes from one size or several: `(64, 48)`, `[(64, 48), (96, 96)]`, `128`."""
    if said is None or (isinstance(said, Sequence) and not said):
        return []
    if isinstance(said, int):
        return [(said,)]
    return [tuple(said)] if all(isinstance(size, int) for size in said) else [tuple(size) for size in said]


def plain(value: Any) -> Any:
    """Numpy's numbers and tuples, as JSON has them."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def _flat(said: Mapping[Any, Any], before: str, level: int) -> Iterable[tuple[str, Any]]:
    for key, value in said.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            if level + 1 >= _LEVELS:
                raise SchemaError(f"save: the metric {name!r} is a mapping; metrics are numbers by split and name.")
            yield from _flat(value, f"{name}.", level + 1)
        else:
            yield name, value


def _metric(name: str, value: Any) -> dict[str, Any]:
    split, _, leaf = name.rpartition(".")
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SchemaError(f"save: the metric {name!r} is a {type(value).__name__}, no number.")
    return {"name": leaf, "value": float(value), **({"split": split} if split else {})}


__all__ = ["datasets_of", "loss_of", "metrics_of", "plain", "resolutions_of", "tags_of"]
