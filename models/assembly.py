"""The ways to put a network together from parts.

1. A network is whole by itself: `UNet(in_channels=1, num_classes=2)`.
2. `assemble(backbone, head=...)`, 3. `assemble(backbone, neck, head)`: objects, names or mappings.
4. `from_config`: any of these, and any graph of parts, from a file or a mapping.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mcore import Module, ModuleDict, Tensor, config, specs
from mcore.config import FORMAT, ConfigError, Mistake
from models.component import Component, Feeds, Unbuilt, feeds_of, plain
from models.functional.maps import as_channels, as_maps
from models.graph import INPUT, Node, Plan, Source, plan_of

Maker = Module | Unbuilt | Mapping[str, Any] | str


class Assembly(Component):
    """A network of named parts: `backbone`, `neck`, `head` or `heads`, or those that `parts` names.

    Shapes:
        x: (n, in_channels, *size), the image
        returns: what the head gives; a dict by name of several; without a head, maps, finest first

    Channels, strides and dimensions of a part come from what feeds it; results of dense heads are brought to
    the size of the image.

    Args:
        model: the mapping that stands under `model` in a configuration; its values may be objects too.
    """

    def __init__(self, model: Mapping[str, Any]) -> None:
        plan = plan_of(model)
        if plan.problems:
            raise ConfigError([Mistake(None, problem.path, problem.message) for problem in plan.problems])
        super().__init__()
        self._nodes, self._outputs = plan.nodes, plan.outputs
        if any(node.name.startswith("heads.") for node in plan.nodes):
            self.heads = ModuleDict()
        for slot in ("backbone", "neck", "head"):  # asked for, a part that isn't there is None
            setattr(self, slot, None)
        given: dict[str, Feeds] = {}
        for node in plan.nodes:
            part = _made(node, given)
            self._place(node.name, part)
            features = getattr(part, "features", None)
            if features:
                given[node.name] = feeds_of(features, part.dims)
        # What was received may be objects; kept is the data that builds the same again.
        self._arguments = {"model": _spec(plan, self, model)}
        for node in plan.nodes:
            node.maker = None

    def forward(self, x: Tensor) -> Any:
        values: dict[str, Any] = {INPUT: x}
        for node in self._nodes:
            part = self.part(node.name)
            fed = _fed(node, values)
            dense = getattr(part, "dense", False)
            values[node.name] = part(fed, size=x.shape[2:]) if dense else part(fed)
        given = {name: _chosen(source, values) for name, source in self._outputs.items()}
        return given.get(None, given)

    def part(self, name: str) -> Any:
        """The part of this name: "backbone", or "heads.mask"."""
        return self.heads[name.removeprefix("heads.")] if name.startswith("heads.") else getattr(self, name)

    def spec(self) -> dict[str, Any]:
        """What stands under `model` in the configuration that builds this again."""
        return self._arguments["model"]

    def __repr__(self) -> str:
        lines = []
        for node in self._nodes:
            part = self.part(node.name)
            count = sum(parameter.numel() for parameter in part.parameters())
            maps = ", ".join(f"{c} at 1/{s}" for c, s in getattr(part, "features", []))
            fed = " + ".join(map(str, node.sources))
            lines.append(f"  {node.name}: {_title(part)} from {fed}, {count:,} parameters{maps and f'; maps {maps}'}")
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])

    def _place(self, name: str, part: Module) -> None:
        if name.startswith("heads."):
            self.heads[name.removeprefix("heads.")] = part
        else:
            setattr(self, name, part)


def assemble(
    backbone: Maker,
    neck: Maker | None = None,
    head: Maker | None = None,
    *,
    heads: Mapping[str, Maker] | None = None,
) -> Assembly:
    """A network of a backbone, a neck where there is one, and one head or several by name.

    Each is an object, a name, or a mapping with `type`. Objects that know their channels are used as they
    are, with their weights; of unbuilt ones, a copy is built.

    >>> from models.backbones import resnet18
    >>> from models.heads import Classification
    >>> assemble(resnet18(in_channels=1), head=Classification(10)).head.fc.in_features
    512

    Raises:
        ConfigError: parts that don't exist, arguments or channels that don't fit; all at once.
    """
    given = {"backbone": backbone, "neck": neck, "head": head, "heads": heads}
    return Assembly({name: maker for name, maker in given.items() if maker is not None})


def from_config(source: str | os.PathLike[str] | Mapping[str, Any], overrides: Sequence[str] = ()) -> Any:
    """The network that a configuration describes under `model`, checked whole before anything is built.

    Args:
        source: a YAML or JSON file, or what one would hold.
        overrides: `path=value`, for example "head.num_classes=5"; see `mcore.config.read`.

    Raises:
        ConfigError: every mistake in the file, with file, line and column.
        FileNotFoundError: no such file.
    """
    return build(config.read(source, overrides))


def build(read: config.Config) -> Any:
    """The network under `model` of a configuration that was read already.

    Raises:
        ConfigError: every mistake in that section.
    """
    model = read.data.get("model")
    if isinstance(model, str):
        model = {"type": model}
    if not isinstance(model, Mapping):
        wrong = "no section 'model'" if model is None else f"a model is a mapping, not {model!r}"
        raise ConfigError([read.mistake(("model",), wrong)])
    if specs.type_of(model) is not None:
        problems = specs.check(model)
    else:
        problems = plan_of(model).problems
    read.refuse(read.located(problems, ("model",)))
    return specs.build(model) if specs.type_of(model) is not None else Assembly(model)


def _made(node: Node, given: Mapping[str, Feeds]) -> Any:
    """The part of a node: built from its feeds where it isn't whole yet."""
    feeds = _feeds(node, given)
    maker = node.maker
    if isinstance(maker, Mapping):
        maker = specs.build(maker, kind=node.kind)
    if isinstance(maker, Unbuilt):
        if feeds is None:
            raise _refusal(node, f"{node.name} is fed by the input, so it needs in_channels")
        return maker.build(feeds)
    if getattr(maker, "num_classes", None) is not None and node.kind == "backbone":
        raise _refusal(node, f"{_title(maker)} is a classifier and gives no maps; leave num_classes out")
    if feeds is not None:
        _check_whole(node, maker, feeds)
    return maker


def _feeds(node: Node, given: Mapping[str, Feeds]) -> Feeds | None:
    """What the sources of a node give together; None where it is the input."""
    features: list[tuple[int, int]] = []
    dims = set()
    for source in node.sources:
        if source.name == INPUT:
            continue
        if source.name not in given:
            raise _refusal(node, f"{source.name!r} tells no features, so it can't feed {node.name!r}")
        feeds = given[source.name]
        try:
            features += source.of(feeds.features)
        except IndexError:
            count = len(feeds.features)
            raise _refusal(node, f"{source} is none of the {count} maps of {source.name!r}") from None
        dims.add(feeds.dims)
    if len(dims) > 1:
        raise _refusal(node, f"{node.name!r} is fed by parts of {' and '.join(map(str, sorted(dims)))} dimensions")
    if not dims:
        return None
    if not features:
        raise _refusal(node, f"{' + '.join(map(str, node.sources))} holds no map")
    # Finest first, also when several parts feed this one.
    node.order = tuple(sorted(range(len(features)), key=lambda index: features[index][1]))
    return feeds_of([features[index] for index in node.order], dims.pop())


def _check_whole(node: Node, part: Any, feeds: Feeds) -> None:
    """Refuses a part whose own channels or dimensions aren't those of what feeds it."""
    arguments = getattr(part, "_arguments", {})
    expected = arguments.get("in_channels")
    if expected is not None:
        channels = as_channels(expected)
        # A head may be made for the one map that it takes.
        if channels not in (feeds.channels, feeds.channels[-1:]):
            fed = " + ".join(map(str, node.sources))
            raise _refusal(
                node,
                f"{_title(part)} was made for in_channels={list(channels)}, but {fed} gives "
                f"{list(feeds.channels)}; leave in_channels out to have it computed",
            )
    dims = getattr(part, "dims", feeds.dims)
    if dims != feeds.dims:
        raise _refusal(node, f"{_title(part)} has dims={dims}, but what feeds it has {feeds.dims}")


def _refusal(node: Node, message: str) -> ConfigError:
    return ConfigError([Mistake(None, node.path, message)])


def _fed(node: Node, values: Mapping[str, Any]) -> Any:
    """What a part is called with: the tensor of one input, else a tuple of maps."""
    first = node.sources[0]
    if len(node.sources) == 1 and first.pick is None:
        return values[first.name]
    maps = [x for source in node.sources for x in source.of(as_maps(values[source.name]))]
    return tuple(maps[index] for index in node.order)


def _chosen(source: Source, values: Mapping[str, Any]) -> Any:
    value = values[source.name]
    return value if source.pick is None else value[source.pick]


def _spec(plan: Plan, net: Assembly, model: Mapping[str, Any]) -> dict[str, Any]:
    """The model as data: parts as they were given, without what was computed and without weights."""
    spec: dict[str, Any] = {}
    for node in plan.nodes:
        maker = node.maker
        if isinstance(maker, Mapping):
            part = {key: plain(value, f"{node.name}: {key}") for key, value in maker.items() if key != "weights"}
        elif isinstance(maker, Unbuilt | Component):
            part = maker.spec()
        else:
            raise ValueError(f"{node.name}: {type(maker).__name__} is no component of the registry.")
        *outer, name = map(str, node.path)
        given, place = (model[outer[0]], spec.setdefault(outer[0], {})) if outer else (model, spec)
        if isinstance(given[name], Mapping) and "from" in given[name]:
            part["from"] = plain(given[name]["from"], node.name)
        place[name] = part
    if model.get("outputs") is not None:
        spec["outputs"] = plain(model["outputs"], "outputs")
    return spec


def _title(part: Any) -> str:
    spec = part.spec() if isinstance(part, Component) else {"type": type(part).__name__}
    shown = {key: value for key, value in spec.items() if key not in ("type", "in_strides")}
    return f"{spec['type']}({', '.join(f'{key}={value!r}' for key, value in shown.items())})"


__all__ = ["FORMAT", "Assembly", "assemble", "build", "from_config"]
