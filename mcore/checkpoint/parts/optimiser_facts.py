"""How a network was trained, as its optimiser tells it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mcore.checkpoint import records
from mcore.checkpoint.errors import SchemaError
from mcore.checkpoint.records import Optimiser

_OWN = ("params", "lr", "weight_decay", "name", "initial_lr", "param_names")


def optimiser_of(said: Any, max_start_lr: float | None = None, *, scheduler: Any = None) -> Optimiser | None:
    """An optimiser as a record has it: from the object (anything with `param_groups`), a mapping, or its name.

    Learning rates and weight decays are those that it has now; other settings of a group are among its facts.

    Args:
        said: the optimiser; or a mapping of `records.Optimiser`, whose `optimiser` may be the object.
        max_start_lr: the largest learning rate to start from that doesn't spoil the weights.
        scheduler: of the learning rate: the object, or its name.

    Raises:
        SchemaError: it is none of these, or a value doesn't fit.
    """
    data: dict[str, Any] = {}
    if isinstance(said, Optimiser):
        data = said.model_dump()
    elif isinstance(said, str):
        data = {"name": said}
    elif isinstance(said, Mapping):
        data = dict(said)
        held = data.pop("optimiser", None)
        if held is not None:
            data = {**_of_object(held), **data}
    elif said is not None:
        data = _of_object(said)
    if max_start_lr is not None:
        data["max_start_lr"] = _number(max_start_lr)
    if scheduler is not None:
        data["scheduler"] = scheduler
    if not isinstance(data.get("scheduler", ""), str):
        data["scheduler"] = type(data["scheduler"]).__name__
    if "lr" in data:
        data.setdefault("groups", [{"lr": data.pop("lr"), "weight_decay": data.pop("weight_decay", 0.0)}])
    return records.checked(data, Optimiser, "save: optimiser") if data else None


def _of_object(optimiser: Any) -> dict[str, Any]:
    groups = getattr(optimiser, "param_groups", None)
    if not isinstance(groups, list | tuple) or not all(isinstance(group, Mapping) for group in groups):
        raise SchemaError(
            f"save: optimiser is a {type(optimiser).__name__}; give the optimiser (it has param_groups), its name, or "
            'a mapping such as {"name": "AdamW", "lr": 0.001, "weight_decay": 0.01}.'
        )
    return {"name": type(optimiser).__name__, "groups": [_group(group) for group in groups]}


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    facts = {key: plain for key, value in group.items() if key not in _OWN and (plain := _plain(value)) is not None}
    count = sum(math.prod(map(int, one.shape)) for one in group.get("params", ()))
    return {
        "lr": _number(group.get("lr", 0.0)),
        "weight_decay": _number(group.get("weight_decay", 0.0)),
        "name": str(group.get("name") or ""),
        "facts": {**facts, "parameters": count},
    }


def _number(value: Any) -> float:
    # A tensor, where the step runs on the GPU alone.
    return float(value)


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple) and all(isinstance(one, bool | int | float | str) for one in value):
        return list(value)
    return None


__all__ = ["optimiser_of"]
