"""What a part of a network tells of itself, and what its maker tells of it besides, as a component of a record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mcore.checkpoint.errors import SchemaError
from mcore.checkpoint.parts.composition import Part, layers_of, spec_of, state_of, type_of
from mcore.checkpoint.records import channels_of
from mcore.signatures import signature
from mcore.vocabulary import nearest

# What the maker of a network may tell of its parts: of those that see the image, of those that answer, of any.
_OF_IMAGES = ("channels", "mean", "std", "value_range", "in_channels")
_OF_ANSWERS = ("num_classes", "resolution", "out_channels", "tasks")
_BY_PART = ("part_facts",)
KEYWORDS = (*_OF_IMAGES, *_OF_ANSWERS, *_BY_PART)
# Of heads that don't tell their `task`, by the class or one that it is derived from.
_TASKS = {
    **dict.fromkeys(("Classification", "MLPClassification", "CosineClassification", "MultiLabel"), "classification"),
    **dict.fromkeys(("Detection",), "detection"),
    **dict.fromkeys(
        ("Segmentation", "FCN", "DeepLabV3", "DeepLabV3Plus", "FPNDecoder", "LinkNetDecoder"), "segmentation"
    ),
    **dict.fromkeys(("MAnetDecoder", "OCR", "PAN", "PSP", "SegFormer", "UNetDecoder", "UPer"), "segmentation"),
    **dict.fromkeys(("UNetPlusPlusDecoder", "SymmetricDecoder", "DeepSupervision", "Boundary"), "segmentation"),
    "Affinity": "segmentation",
    "Depth": "depth",
    "Regression": "regression",
    "Keypoints": "keypoints",
    **dict.fromkeys(("Embedding", "Projection"), "embedding"),
}
# Of (L), (H, W), (D, H, W): the axis that a resolution is told by.
_AXES = {1: "L", 2: "H", 3: "D"}
_LONGEST = 200


class Told:
    """What is given of the parts of a network.

    Raises:
        SchemaError: a keyword or a part that there isn't.
    """

    def __init__(self, given: Mapping[str, Any], parts: Sequence[Part]) -> None:
        self.parts = parts
        self.given = {key: value for key, value in given.items() if value is not None}
        for key, value in self.given.items():
            if key not in KEYWORDS:
                likely = nearest(str(key), KEYWORDS, most=1)
                meant = f" (did you mean {likely[0]!r}?)" if likely else f"; of parts there are {', '.join(KEYWORDS)}"
                raise SchemaError(f"save: {key!r} is nothing that a checkpoint carries{meant}.")
            if isinstance(value, Mapping) or key in _BY_PART:
                self._check_parts(key, value)

    def component(self, part: Part) -> dict[str, Any]:
        """A component without its blob, as data."""
        own = {**_said(part), **{key: self._of(key, part) for key in KEYWORDS}}
        found = {key: value for key, value in own.items() if value is not None}
        out = {**_known(part, found.get("num_classes")), **found}
        for key in ("mean", "std"):
            if key in out:
                out[key] = [out[key]] if isinstance(out[key], int | float) else [float(one) for one in out[key]]
        if "channels" in out:
            out["channels"] = list(channels_of(out["channels"]))
            out.setdefault("in_channels", len(out["channels"]))
        out["task"] = out.pop("tasks", None) or (task_of(part.module) if part.role == "head" else "")
        out["facts"] = {**out.get("facts", {}), **out.pop("part_facts", {})}
        return out

    def _of(self, key: str, part: Part) -> Any:
        value = self.given.get(key)
        if isinstance(value, Mapping):
            return next((value[name] for name in _names(part) if name in value), None)
        if key in _OF_IMAGES:
            return value if sees(part) else None
        heads = [one for one in self.parts if one.role == "head"]
        return value if part in heads or (not heads and part.role != "part") else None

    def _check_parts(self, key: str, value: Any) -> None:
        known = [name for part in self.parts for name in _names(part)]
        if not isinstance(value, Mapping):
            raise SchemaError(
                f"save: {key} are told by part, as in {{{(known or ['head'])[0]!r}: ...}}, got {value!r:.50}."
            )
        for name in value:
            if name not in known:
                raise SchemaError(f"save: {key} names the part {name!r}; there are {', '.join(dict.fromkeys(known))}.")


def sees(part: Part) -> bool:
    """Whether a part sees the image itself."""
    return part.role in ("backbone", "network") or bool(layers_of(part.module, "first_conv"))


def task_of(module: Any) -> str:
    """The task of a head: what its attribute `task` says, or what its class is known for."""
    told = getattr(module, "task", None)
    if isinstance(told, str):
        return told
    return next((_TASKS[base.__name__] for base in type(module).__mro__ if base.__name__ in _TASKS), "")


def _names(part: Part) -> list[str]:
    """How a part may be called: "heads.mask", "mask", "head"."""
    return list(dict.fromkeys(filter(None, (part.name, part.name.removeprefix("heads."), part.role))))


def _known(part: Part, classes: int | None) -> dict[str, Any]:
    """What there is to tell without anybody's help."""
    module, state = part.module, _state(part)
    spec = spec_of(module)
    layers = {role: _there(layers_of(module, role), state) for role in ("first_conv", "classifier")}
    out: dict[str, Any] = {
        "role": part.role,
        "name": part.name,
        "type": type_of(module)[:_LONGEST] if part.role != "part" or part.name else "",
        "parameters": sum(math.prod(map(int, p.shape)) for p in _parameters(part, state)),
        **layers,
    }
    if part.role == "part" and not part.name:
        return out
    out["arguments"] = {key: value for key, value in spec.items() if key != "type"} if spec else _received(module)
    out["arguments"] = _data(out["arguments"])
    if sees(part):
        out["in_channels"] = _number(module, "in_channels") or _inputs(module, layers["first_conv"], state)
    out["num_classes"] = _number(module, "num_classes")
    out["out_channels"], out["resolution"] = _answer(part, layers["classifier"], state, classes or out["num_classes"])
    maps = _maps(module)
    if maps:
        out["facts"] = {"features": [list(one) for one in maps]}
    return {key: value for key, value in out.items() if value is not None}


def _said(part: Part) -> dict[str, Any]:
    """What timm's networks tell of the images that they were trained on."""
    config = getattr(part.module, "pretrained_cfg", None)
    if not isinstance(config, Mapping) or not sees(part):
        return {}
    return {key: list(config[key]) for key in ("mean", "std") if isinstance(config.get(key), list | tuple)}


def _state(part: Part) -> dict[str, Any]:
    return state_of(part.module)


def _parameters(part: Part, state: Mapping[str, Any]) -> list[Any]:
    if part.prefix or part.role != "part":
        return list(part.module.parameters())
    own = {id(state[name]) for name in part.entries}
    return [parameter for parameter in part.module.parameters() if id(parameter) in own]


def _there(layers: Sequence[str], state: Mapping[str, Any]) -> list[str]:
    """Those of the layers that were built: a class names its classifier also where it has none."""
    return [layer for layer in layers if any(key.startswith(f"{layer}.") for key in state)]


def _number(module: Any, name: str) -> int | None:
    """A count: an attribute, an argument, or the constructor's default."""
    received = getattr(module, "_arguments", {})
    for value in (getattr(module, name, None), received.get(name) if isinstance(received, Mapping) else None):
        if type(value) is int and value > 0:
            return value
    if name in received:
        return None
    try:
        default = signature(type(module)).parameters[name].default
    except (KeyError, ValueError, TypeError):
        return None
    return default if type(default) is int and default > 0 else None


def _inputs(module: Any, first: Sequence[str], state: Mapping[str, Any]) -> int | None:
    """Channels that the first convolution takes."""
    for layer in first:
        weight = state.get(f"{layer}.weight")
        if weight is not None and len(weight.shape) > 2:
            groups = getattr(dict(module.named_modules()).get(layer), "groups", 1)
            return int(weight.shape[1]) * (groups if type(groups) is int else 1)
    return None


def _answer(part: Part, classifiers: Sequence[str], state: Mapping[str, Any], classes: Any) -> tuple[int | None, str]:
    """Channels of what a part gives, and its resolution."""
    module, maps = part.module, _maps(part.module)
    dims = getattr(module, "dims", 2)
    axis = _AXES.get(dims if type(dims) is int else 2, "H")
    if maps:
        wide, stride = maps[-1 if part.role == "backbone" else 0]
        return wide, axis if stride == 1 else f"{axis}/{stride}"
    weights = [state[f"{layer}.weight"] for layer in classifiers if f"{layer}.weight" in state]
    rows = int(weights[0].shape[0]) if len(weights) == 1 else None
    strides = getattr(module, "in_strides", None)
    if task_of(module) == "detection" and isinstance(strides, list | tuple) and strides:
        return rows, f"{axis}/{strides[0]}"
    channels = _number(module, "out_channels") or rows or (classes if type(classes) is int else None)
    if getattr(module, "dense", False) is True:
        return channels, axis
    pools = callable(getattr(module, "pooled", None)) or (part.role == "backbone" and bool(classes))
    return channels, "1" if pools else ""


def _maps(module: Any) -> list[tuple[int, int]]:
    """(channels, stride) of the maps that a part gives, where it tells."""
    told = getattr(module, "features", None)
    if not isinstance(told, list | tuple):
        return []
    pairs = [tuple(one) for one in told if isinstance(one, list | tuple)]
    fit = [one for one in pairs if len(one) == 2 and all(type(n) is int and n > 0 for n in one)]
    return fit if len(fit) == len(told) else []  # type: ignore[return-value]


def _received(module: Any) -> dict[str, Any]:
    received = getattr(module, "_arguments", None)
    return dict(received) if isinstance(received, Mapping) else {}


def _data(value: Any) -> Any:
    """`value` for a record to show: what is no data is told as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_data(item) for item in value]
    # Never its repr: of an object, that has an address, of a network, a thousand lines.
    return f"<{getattr(value, '__qualname__', type(value).__qualname__)}>"


__all__ = ["KEYWORDS", "Told", "sees", "task_of"]
