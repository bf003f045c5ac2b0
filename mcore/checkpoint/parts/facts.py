"""What a network tells about itself, without being asked: its parts, how it is built, its code, its weights."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcore.checkpoint import records
from mcore.checkpoint.errors import SchemaError
from mcore.checkpoint.parts.builders import builder_for
from mcore.checkpoint.parts.code_facts import code_of
from mcore.checkpoint.parts.composition import Part, components_of, spec_of, state_of, type_of, unwrapped
from mcore.checkpoint.parts.optimiser_facts import optimiser_of
from mcore.checkpoint.parts.part_facts import Told, task_of
from mcore.checkpoint.records import Code, Component, Structure
from mcore.exchange import bridge

# Elements looked at together, so that looking takes no second copy.
_CHUNK = 1 << 20
# Types of two bytes: where their exponent is, all ones in what isn't finite.
_EXPONENTS = {"bfloat16": 0x7F80, "float16": 0x7C00}


@dataclass(frozen=True)
class Described:
    """What a record tells of a network itself, and the arrays of each component by their names below it."""

    kind: str
    network: str
    task: str
    structure: Structure
    code: Code
    components: list[tuple[Component, dict[str, np.ndarray]]]
    shared: dict[str, str]
    has_nan: bool
    training: bool


def described(net: Any, given: Mapping[str, Any] | None = None) -> Described:
    """A network as a record has it. The arrays share memory with it, where they can.

    `given` is what only its maker knows. Each value holds for the parts that it concerns, or is a mapping by part:
    `channels="RGB+mask"`, or `channels={"backbone": "RGB+mask"}`.

    - `channels`: what the channels of the image mean: "RGB", "BGR", "RGBI", "RGB+mask", ["em", "mask"];
    - `mean`, `std`: numbers by channel, or one; `value_range`: (lowest, highest);
    - `in_channels`, `out_channels`, `num_classes`, `resolution` ("1", "H/8"): where the network doesn't tell;
    - `tasks`: by head: {"heads.mask": "segmentation"}; `part_facts`: by part: {"head": {"anchors": [...]}}.

    Resolution and `out_channels` are those of the coarsest map of a backbone, of the finest of a neck.

    Raises:
        SchemaError: a keyword or a part that there isn't, a value that doesn't fit, an entry that is no plain tensor.
        TypeError: `net` is no module.
    """
    engine, net = bridge.of_module(net), unwrapped(net)
    parts, state = components_of(net), state_of(net)
    told = Told(given or {}, parts)
    shared = shared_of(state)
    components, has_nan = [], False
    for part in parts:
        arrays = {
            name.removeprefix(part.prefix): _array(name, state[name], engine)
            for name in part.entries
            if name not in shared
        }
        has_nan = has_nan or any(not finite(array) for array in arrays.values())
        components.append((records.checked(told.component(part), Component, f"save: {_title(part)}"), arrays))
    tasks = [component.task for component, _ in components if component.task]
    return Described(
        kind="backbone" if [part.role for part in parts] == ["backbone"] else "network",
        network=_name(net, parts),
        task=tasks[0] if tasks else task_of(net),
        structure=_structure(net),
        code=code_of(net),
        components=components,
        shared=shared,
        has_nan=has_nan,
        training=bool(net.training),
    )


def shared_of(state: Mapping[str, Any]) -> dict[str, str]:
    """Entries that are one tensor under two names, as tied weights are: {second: first}."""
    first: dict[int, str] = {}
    return {name: first[id(value)] for name, value in state.items() if first.setdefault(id(value), name) != name}


def finite(array: np.ndarray) -> bool:
    """Whether no element is NaN or infinite.

    >>> finite(np.ones(3, np.float32)), finite(np.array([1, np.inf, -np.inf], np.float16))
    (True, False)
    """
    mask = _EXPONENTS.get(array.dtype.name)
    if mask is not None:
        return all((chunk.view(np.uint16) & mask).max(initial=0) != mask for chunk in _chunks(array))
    if array.dtype.kind in "biu" or not array.size:
        return True
    if array.dtype.kind in "fc":
        # One pass that keeps nothing: a sum is finite only if all of it is. It may overflow where nothing is wrong.
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(array.sum()):
                return True
    return all(bool(np.isfinite(chunk).all()) for chunk in _chunks(array))


def _chunks(array: np.ndarray) -> Sequence[np.ndarray]:
    flat = np.ascontiguousarray(array).reshape(-1)
    return [flat[start : start + _CHUNK] for start in range(0, flat.size, _CHUNK)]


def _array(name: str, value: Any, engine: Any) -> np.ndarray:
    if not engine.is_tensor(value):
        raise SchemaError(f"save: the entry {name!r} of the state is a {type(value).__name__}; tensors are kept.")
    try:
        return engine.array_of(value)
    except (TypeError, RuntimeError, NotImplementedError) as error:  # sparse, quantized, on meta, not made yet
        raise SchemaError(f"save: the entry {name!r} has no plain array: {records.first(error)}") from error


def _title(part: Part) -> str:
    return f"component {part.name or part.role!r}" if part.name else f"the {part.role}"


def _structure(net: Any) -> Structure:
    builder, config, why = builder_for(net)
    # A class of somebody else's isn't expected to have one; a part of the zoo that can't be built again is.
    if not builder and spec_of(net):
        warnings.warn(
            f"save: {type(net).__name__} can't be built again from the checkpoint alone ({why}): make it anew, and "
            "call its load_from.",
            stacklevel=4,
        )
    return Structure(builder=builder, config=config, title=f"{type(net).__module__}.{type(net).__qualname__}"[:200])


def _name(net: Any, parts: Sequence[Part]) -> str:
    """A name for the trees: its type; of an assembly, those of its parts: "resnet50-FPN-Segmentation"."""
    if len(parts) > 1 and not spec_of(net).get("type") and spec_of(net):
        heads = "+".join(type_of(part.module) for part in parts if part.role == "head")
        others = [type_of(part.module) for part in parts if part.role in ("backbone", "neck")]
        name = "-".join(filter(None, [*others, heads])) or type_of(net)
    else:
        name = type_of(net)
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name).lstrip("._+-")[:100] or "network"


__all__ = ["Described", "Part", "components_of", "described", "finite", "optimiser_of", "shared_of"]
