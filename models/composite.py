"""Networks that are put together from parts: the wiring that assemblies and named networks share.

A network is made in three passes over its plan. The first builds every part without numbers, to learn what
each one gives and to collect everything that doesn't fit. The second goes back from the outputs and finds
which maps nobody needs. The third builds for good, without the layers that only those maps would need.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mcore
from mcore import Module, ModuleDict, specs
from mcore.config import ConfigError, Mistake
from mcore.registry import UnknownComponent, lookup
from mcore.signatures import Problem, signature
from models.component import Component, Feeds, Unbuilt, feeds_of, is_data, plain
from models.functional.maps import as_channels, as_maps
from models.graph import Node, Plan, Source, plan_of
from models.utils.weights import Report, load_weights

# What makes a part: an object, an unbuilt part, a mapping with a type, or a name.
Maker = Module | Unbuilt | Mapping[str, Any] | str


@dataclass
class Stage:
    """A part as it will be built: what feeds it, and which maps of each source it is called with."""

    node: Node
    # For each source, the positions of the maps meant among those that the source gives; None: all it gives.
    picks: list[list[int] | None] = field(default_factory=list)
    # Of the maps of all sources: which comes first, second, ..., finest first.
    order: list[int] = field(default_factory=list)
    feeds: Feeds | None = None
    #: What it gives, (channels, stride) of each map; empty for a part that gives no maps.
    features: list[tuple[int, int]] = field(default_factory=list)
    dims: int = 2
    # Positions among the maps it is fed that it uses; None: all.
    used: list[int] | None = None
    # Positions among its own maps that somebody needs; None: all.
    needed: list[int] | None = None
    #: The part without numbers; a given object stands for itself.
    sketch: Any = None


class Composite(Component):
    """A network of named parts: `backbone`, `neck`, `head` or `heads`, or those that `parts` names.

    Channels, strides and dimensions of a part come from what feeds it; results of dense heads are brought to
    the size of the image. A stage of a backbone or neck that nothing needs isn't built.

    Args:
        model: the mapping that stands under `model` in a configuration; its values may be objects too.

    Raises:
        ConfigError: parts that don't exist, arguments, channels or dimensions that don't fit; all at once,
            before anything is allocated.
    """

    def __init__(self, model: Mapping[str, Any]) -> None:
        plan = plan_of(model)
        stages = sketch(plan)
        if plan.problems:
            raise ConfigError([Mistake(None, problem.path, problem.message) for problem in plan.problems])
        super().__init__()
        self._nodes = plan.nodes
        for slot in ("backbone", "neck", "head"):  # asked for, a part that isn't there is None
            setattr(self, slot, None)
        given: dict[str, Stage] = {}
        for node in plan.nodes:
            stage = _stage(node, given, stages)
            part = _built(stage, stages[node.name])
            stage.features, stage.dims = list(getattr(part, "features", ())), getattr(part, "dims", 2)
            self._place(node.name, part)
            given[node.name] = stage
        self._stages = [given[node.name] for node in plan.nodes]
        self._outputs = {name: _output(source, stages[source.name]) for name, source in plan.outputs.items()}
        self.inputs = plan.inputs
        single = self._outputs.get(None)
        if single is not None and given[single.name].features:
            #: (channels, stride) of each map, where maps are what it returns.
            self.features = single.of(given[single.name].features)
            self.dims = given[single.name].dims
        for node in plan.nodes:
            node.maker = None

    def forward(self, *inputs: Any) -> Any:
        if len(inputs) != len(self.inputs):
            raise ValueError(
                f"{type(self).__name__}: {len(inputs)} inputs came, but it takes {len(self.inputs)}: "
                f"{', '.join(self.inputs)}."
            )
        return self._run(inputs, inputs[0].shape[2:])

    def spec(self) -> dict[str, Any]:
        """The type and the arguments; a part that came as an object has all of its own, so that none is added.

        Raises:
            ValueError: an argument is no plain data.
        """
        spec = super().spec()
        received: Mapping[str, Any] = self._arguments  # type: ignore[assignment]  # kept by the metaclass
        for name, value in received.items():
            if isinstance(value, Component):
                spec[name] = _defaults(value) | spec[name]
        return spec

    def _run(self, inputs: Sequence[Any], size: Sequence[int]) -> Any:
        """What the parts make of the inputs; dense results are for an image of `size`, in pixels."""
        values: dict[str, Any] = dict(zip(self.inputs, inputs, strict=True))
        for stage in self._stages:
            node = stage.node
            part, fed = self.part(node.name), _fed(stage, values)
            values[node.name] = part(fed, size=size) if getattr(part, "dense", False) else part(fed)
        given = {name: _chosen(source, values) for name, source in self._outputs.items()}
        return given.get(None, given)

    def part(self, name: str) -> Any:
        """The part of this name: "backbone", or "heads.mask"."""
        return self.heads[name.removeprefix("heads.")] if name.startswith("heads.") else getattr(self, name)

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
            if not hasattr(self, "heads"):
                self.heads = ModuleDict()
            self.heads[name.removeprefix("heads.")] = part
        else:
            setattr(self, name, part)


def with_arguments(maker: Maker, **arguments: Any) -> Maker:
    """A maker with more arguments, for a network that decides some of its backbone's.

    A name or mapping takes those that its constructor knows and that it doesn't set itself; an object has its
    own already.

    Raises:
        ConfigError: no such backbone.

    >>> with_arguments("resnet18", in_channels=1, patch_size=4)
    {'type': 'resnet18', 'in_channels': 1}
    """
    if isinstance(maker, str):
        maker = {"type": maker}
    if not isinstance(maker, Mapping):
        return maker
    try:
        known = signature(lookup(str(specs.type_of(maker)), "backbone").load()).parameters
    except UnknownComponent as error:
        raise ConfigError([Mistake(None, ("backbone",), str(error).rstrip("."))]) from None
    return {**maker, **{key: value for key, value in arguments.items() if key in known and key not in maker}}


def sketch(plan: Plan) -> dict[str, Stage]:
    """Every part without numbers, in the order of the plan; what doesn't fit is added to the plan's problems."""
    stages: dict[str, Stage] = {}
    for node in plan.nodes if not plan.problems else ():
        if all(source.name in stages or source.name in plan.inputs for source in node.sources):
            try:
                stage = _stage(node, stages, stages)
                with mcore.device("meta"):
                    stage.sketch = _made(stage)
                stage.features = list(getattr(stage.sketch, "features", ()))
                stage.dims = getattr(stage.sketch, "dims", 2)
                stage.used = _positions_used(stage)
            except ConfigError as error:
                plan.problems += [Problem(mistake.path, mistake.message, ValueError) for mistake in error.mistakes]
            # What a constructor refuses is the configuration's mistake; it names its class and what fits.
            except (ValueError, TypeError, NotImplementedError) as error:
                plan.problems.append(Problem(node.path, str(error).rstrip("."), ValueError))
            else:
                stages[node.name] = stage
    for name, source in plan.outputs.items() if not plan.problems else ():
        count = len(stages[source.name].features)
        path = ("outputs",) if name is None else ("outputs", name)
        if not count and source.pick is not None:
            plan.refuse(path, f"{source.name!r} gives no maps to choose from; leave the [...] out")
        elif count and not _picked(source, count):
            plan.refuse(path, f"{source} is none of the {count} maps of {source.name!r}")
    if not plan.problems:
        _need(plan, stages)
    return stages


def _picked(source: Source, count: int) -> list[int]:
    """Which of `count` maps a source means; none where it goes beyond them."""
    try:
        return list(source.of(range(count)))
    except IndexError:
        return []


def _stage(node: Node, given: Mapping[str, Stage], sketched: Mapping[str, Stage]) -> Stage:
    """A node with what feeds it, out of the stages before it; `sketched` tells which of their maps were meant."""
    stage, features, dims = Stage(node), [], set()
    for source in node.sources:
        if source.name not in given:
            stage.picks.append(None)
            continue
        fed = given[source.name]
        if not fed.features:
            if getattr(fed.sketch, "num_classes", None) is not None and fed.node.kind == "backbone":
                raise _refusal(
                    fed.node, f"{_title(fed.sketch)} is a classifier and gives no maps; leave num_classes out"
                )
            raise _refusal(node, f"{source.name!r} gives no maps, so it can't feed {node.name!r}", "from")
        whole = sketched[source.name]
        meant = _positions(node, source, len(whole.features))
        if fed is not whole:
            # Built for good: without the maps that nobody needs, and this part takes those it uses.
            kept = range(len(whole.features)) if whole.needed is None else whole.needed
            own = _used(sketched[node.name], source, whole)
            meant = [list(kept).index(position) for position in meant if position in own]
        stage.picks.append(meant)
        features += [fed.features[position] for position in meant]
        dims.add(fed.dims)
    if len(dims) > 1:
        raise _refusal(node, f"{node.name!r} is fed by parts of {' and '.join(map(str, sorted(dims)))} dimensions", "from")
    if dims and len(node.sources) != sum(source.name in given for source in node.sources):
        raise _refusal(node, f"{node.name!r} is fed by an input and by maps; feed it with one or the other", "from")
    if dims:
        stage.order = sorted(range(len(features)), key=lambda index: features[index][1])
        stage.feeds = feeds_of([features[index] for index in stage.order], dims.pop())
    return stage


def _positions(node: Node, source: Source, count: int) -> list[int]:
    """Which of `count` maps a source means."""
    meant = _picked(source, count)
    if not meant:
        raise _refusal(node, f"{source} is none of the {count} maps of {source.name!r}", "from")
    return meant


def _positions_used(stage: Stage) -> list[int] | None:
    """Positions among the maps that a stage is fed which its part uses; None: all."""
    if not isinstance(stage.node.maker, Module):
        return getattr(stage.sketch, "used", None)
    # An object takes what it was made for: the maps that come, or the coarsest alone.
    made_for = len(as_channels(stage.sketch._arguments.get("in_channels") or ()))
    return [len(stage.order) - 1] if made_for == 1 and stage.order else None


def _used(stage: Stage, source: Source, fed: Stage) -> list[int]:
    """Positions among the maps of `fed` that the part of `stage` uses of what `source` means."""
    if stage.used is None:
        return source.of(range(len(fed.features)))
    numbered = [(index, position) for index, picks in enumerate(stage.picks) if picks is not None for position in picks]
    kept = {numbered[stage.order[position]] for position in stage.used}
    own = next(index for index, other in enumerate(stage.node.sources) if other is source)
    return [position for index, position in numbered if index == own and (index, position) in kept]


def _output(source: Source, stage: Stage) -> Source:
    """An output among the maps that are left of those that it was written for."""
    if stage.needed is None or source.pick is None:
        return source
    meant = [stage.needed.index(position) for position in source.of(range(len(stage.features)))]
    return Source(source.name, meant[0] if isinstance(source.pick, int) else slice(meant[0], meant[-1] + 1))


def _need(plan: Plan, stages: Mapping[str, Stage]) -> None:
    """Tells every stage which of its maps an output or a later part uses; refuses one of which none is."""
    wanted: dict[str, set[int]] = {name: set() for name in stages}
    for source in plan.outputs.values():
        if stages[source.name].features:
            wanted[source.name] |= set(source.of(range(len(stages[source.name].features))))
    for node in reversed(plan.nodes):
        for source in node.sources:
            if source.name in stages:
                wanted[source.name] |= set(_used(stages[node.name], source, stages[source.name]))
    for name, stage in stages.items():
        if stage.features and not wanted[name]:
            fed = [node.name for node in plan.nodes if any(source.name == name for source in node.sources)]
            plan.refuse(
                stage.node.path,
                f"{' and '.join(map(repr, fed))} uses none of the maps of {name!r}; "
                "merge them, as with merge: concat, or take it away",
            )
        # A part that can't leave out maps gives all of them.
        if 0 < len(wanted[name]) < len(stage.features) and "out_indices" in _parameters(stage.sketch):
            needed = sorted(wanted[name])
            # A given object is used as it is, unless some of its layers would get no gradient.
            if not isinstance(stage.node.maker, Module) or _lighter(stage, needed):
                stage.needed = needed


def _lighter(stage: Stage, needed: Sequence[int]) -> bool:
    """Whether a given part would have fewer parameters if it gave only the maps needed."""
    with mcore.device("meta"):
        part = _reduced(stage.node.maker, stage, needed)
    return len(part.state_dict()) < len(stage.node.maker.state_dict())


def _reduced(part: Any, stage: Stage, needed: Sequence[int]) -> Any:
    """A given part, built again by its arguments to give only the maps needed."""
    received = {key: value for key, value in part._arguments.items() if key != "weights"}
    return type(part)(**{**received, "out_indices": _indices(stage, needed)})


def _indices(stage: Stage, needed: Sequence[int]) -> list[int]:
    """What `out_indices` says of these positions: levels of a backbone, places of a neck."""
    levels = getattr(stage.sketch, "out_indices", None) or range(len(stage.features))
    return [levels[position] for position in needed]


def _parameters(part: Any) -> Mapping[str, Any]:
    return signature(type(part)).parameters if isinstance(part, Component) else {}


def _built(stage: Stage, sketched: Stage) -> Any:
    """The part for good, without the maps that nobody needs, and with its weights from a file."""
    if sketched.needed is None:
        return _made(stage, final=True)
    node = stage.node
    if not isinstance(node.maker, Module):
        return _made(stage, {"out_indices": _indices(sketched, sketched.needed)}, final=True)
    # A given object keeps the weights of what is left of it.
    part, state = _reduced(node.maker, sketched, sketched.needed), node.maker.state_dict()
    part.load_state_dict({key: state[key] for key in part.state_dict()})
    return part.train(node.maker.training)


def _made(stage: Stage, more: dict[str, Any] | None = None, *, final: bool = False) -> Any:
    """The part of a stage: built from its feeds where it isn't whole yet; weights are read for good only."""
    node, feeds, maker = stage.node, stage.feeds, stage.node.maker
    weights = None
    if isinstance(maker, Mapping):
        arguments = {key: value for key, value in maker.items() if key != "weights"} | (more or {})
        weights = maker.get("weights")
        maker = specs.build(arguments, kind=node.kind)
    elif isinstance(maker, Unbuilt) and more:
        maker = Unbuilt(maker.constructor, maker.arguments | more)
    if isinstance(maker, Unbuilt):
        if feeds is None:
            raise _refusal(node, f"{node.name} is fed by the input, so it needs in_channels")
        maker = maker.build(feeds)
    elif isinstance(maker, Composite) and "type" not in maker.spec():
        raise _refusal(node, "an assembly is no part of another, as no configuration could name it; give its parts")
    elif feeds is not None:
        _check_channels(node, maker, feeds)
    dims = None if feeds is None else feeds.dims
    if dims is not None and getattr(maker, "dims", dims) != dims:
        raise _refusal(node, f"{_title(maker)} has dims={maker.dims}, but what feeds it has {dims}")
    if final and weights is not None:
        maker.weights_report = _loaded(node, maker, weights)
    return maker


def _loaded(node: Node, part: Module, weights: Any) -> Report:
    try:
        return load_weights(part, weights)
    # What a file holds is the configuration's mistake too.
    except (ValueError, OSError) as error:
        raise _refusal(node, str(error).rstrip("."), "weights") from error


def _check_channels(node: Node, part: Any, feeds: Feeds) -> None:
    """Refuses a part whose own channels aren't those of what feeds it, nor of the coarsest map alone."""
    expected = getattr(part, "_arguments", {}).get("in_channels")
    if expected is not None and as_channels(expected) not in (feeds.channels, feeds.channels[-1:]):
        fed = " + ".join(map(str, node.sources))
        raise _refusal(
            node,
            f"{_title(part)} was made for in_channels={list(as_channels(expected))}, but {fed} gives "
            f"{list(feeds.channels)}; leave in_channels out to have it computed",
        )


def _refusal(node: Node, message: str, *key: str) -> ConfigError:
    return ConfigError([Mistake(None, (*node.path, *key), message)])


def _fed(stage: Stage, values: Mapping[str, Any]) -> Any:
    """What a part is called with: the tensor of one input, all that one part gives, or a tuple of maps."""
    sources = stage.node.sources
    if not stage.order:
        # Several inputs make one image of more channels.
        images = [values[source.name] for source in sources]
        return images[0] if len(images) == 1 else mcore.cat(images, dim=1)
    maps: list[Any] = []
    for source, picks in zip(sources, stage.picks, strict=True):
        given = as_maps(values[source.name])
        maps += [given[position] for position in picks or ()]
    return tuple(maps[index] for index in stage.order)


def _chosen(source: Source, values: Mapping[str, Any]) -> Any:
    value = values[source.name]
    return value if source.pick is None else value[source.pick]


def spec_of(part: Any, name: str) -> dict[str, Any]:
    """A maker as data.

    Raises:
        ValueError: it is no component of the registry.
    """
    if isinstance(part, Mapping):
        return {key: plain(value, f"{name}: {key}") for key, value in part.items() if key != "weights"}
    if isinstance(part, Unbuilt | Component):
        return part.spec()
    raise ValueError(f"{name}: {type(part).__name__} is no component of the registry.")


def _defaults(part: Component) -> dict[str, Any]:
    """What a part's constructor takes where nothing is given, as far as a configuration can hold it."""
    parameters = {name: parameter.default for name, parameter in _parameters(part).items() if name != "weights"}
    return {"type": ""} | {name: plain(value, name) for name, value in parameters.items() if is_data(value)}


def _title(part: Any) -> str:
    spec = part.spec() if isinstance(part, Component) else {"type": type(part).__name__}
    shown = {key: value for key, value in spec.items() if key not in ("type", "in_strides")}
    return f"{spec['type']}({', '.join(f'{key}={value!r}' for key, value in shown.items())})"


__all__ = ["Composite", "Maker", "Stage", "sketch", "spec_of", "with_arguments"]
