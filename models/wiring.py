"""How the parts of a network are wired: what feeds each, which maps anybody needs, and building them.

A network is made in three passes over its plan. `sketch` builds every part without numbers, to learn what each one
gives and to collect everything that doesn't fit. `need` goes back from the outputs and finds which maps nobody
needs. `built` makes a part for good, without the layers that only those maps would need.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mcore
from mcore import Module, specs
from mcore.config import ConfigError, Mistake
from mcore.signatures import Problem, signature
from models.component import Component, Feeds, Unbuilt, feeds_of
from models.functional.maps import as_channels
from models.graph import Node, Plan, Source
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


def sketch(plan: Plan) -> dict[str, Stage]:
    """Every part without numbers, in the order of the plan; what doesn't fit is added to the plan's problems."""
    stages: dict[str, Stage] = {}
    for node in plan.nodes if not plan.problems else ():
        if all(source.name in stages or source.name in plan.inputs for source in node.sources):
            try:
                stage = stage_of(node, stages, stages)
                with mcore.device("meta"):
                    stage.sketch = _made(stage)
                stage.features = list(getattr(stage.sketch, "features", ()))
                stage.dims = getattr(stage.sketch, "dims", 2)
                stage.used = _positions_used(stage)
            except ConfigError as error:
                plan.problems += [Problem(mistake.path, mistake.message, ValueError) for mistake in error.mistakes]
            # What a constructor refuses is the configuration's mistake; it names its class and what fits.
            except (ValueError, TypeError, NotImplementedError, RuntimeError) as error:
                plan.problems.append(Problem(node.path, refusal(error), ValueError))
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
        need(plan, stages)
    return stages


def refusal(error: Exception) -> str:
    """What a constructor says that doesn't build a sketch, whose tensors have shapes and no numbers.

    Raises:
        RuntimeError: the error itself, where it isn't about the configuration.
    """
    if isinstance(error, RuntimeError | NotImplementedError) and "meta tensor" in str(error):
        return (
            "its constructor reads numbers out of a tensor, and there are none while a configuration is checked: "
            f"compute them with Python or numpy ({str(error).rstrip('.')})"
        )
    if isinstance(error, RuntimeError) and not isinstance(error, NotImplementedError):
        raise error
    return str(error).rstrip(".")


def _picked(source: Source, count: int) -> list[int]:
    """Which of `count` maps a source means; none where it goes beyond them."""
    try:
        return list(source.of(range(count)))
    except IndexError:
        return []


def stage_of(node: Node, given: Mapping[str, Stage], sketched: Mapping[str, Stage]) -> Stage:
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
                    fed.node, f"{title_of(fed.sketch)} is a classifier and gives no maps; leave num_classes out"
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
        raise _refusal(
            node, f"{node.name!r} is fed by parts of {' and '.join(map(str, sorted(dims)))} dimensions", "from"
        )
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
    maker = stage.node.maker
    received: Any = getattr(maker, "_arguments", {}) if isinstance(maker, Module) else maker
    given = received.get("in_channels") if isinstance(received, Mapping) else None
    if given is None or not stage.order:
        return getattr(stage.sketch, "used", None)
    # What was told its channels takes the maps that it was made for: those that come, or the coarsest alone.
    return [len(stage.order) - 1] if len(as_channels(given)) == 1 else None


def _used(stage: Stage, source: Source, fed: Stage) -> list[int]:
    """Positions among the maps of `fed` that the part of `stage` uses of what `source` means."""
    if stage.used is None:
        return source.of(range(len(fed.features)))
    numbered = [(index, position) for index, picks in enumerate(stage.picks) if picks is not None for position in picks]
    kept = {numbered[stage.order[position]] for position in stage.used}
    own = next(index for index, other in enumerate(stage.node.sources) if other is source)
    return [position for index, position in numbered if index == own and (index, position) in kept]


def output_of(source: Source, stage: Stage) -> Source:
    """An output among the maps that are left of those that it was written for."""
    if stage.needed is None or source.pick is None:
        return source
    meant = [stage.needed.index(position) for position in source.of(range(len(stage.features)))]
    return Source(source.name, meant[0] if isinstance(source.pick, int) else slice(meant[0], meant[-1] + 1))


def need(plan: Plan, stages: Mapping[str, Stage]) -> None:
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
        if 0 < len(wanted[name]) < len(stage.features) and "out_indices" in parameters_of(stage.sketch):
            needed = sorted(wanted[name])
            # A given object is used as it is, unless some of its layers would get no gradient.
            if not isinstance(stage.node.maker, Module) or _lighter(stage, needed):
                stage.needed = needed


def _lighter(stage: Stage, needed: Sequence[int]) -> bool:
    """Whether a given part would have fewer parameters if it gave only the maps needed."""
    with mcore.device("meta"):
        part = _reduced(stage.node.maker, _fewer(stage, needed))
    return len(part.state_dict()) < len(stage.node.maker.state_dict())


def _reduced(part: Any, fewer: Mapping[str, Any]) -> Any:
    """A given part, built again by its arguments but for those of `fewer`."""
    received = {key: value for key, value in part._arguments.items() if key != "weights"}
    return type(part)(**{**received, **fewer})


def _fewer(stage: Stage, needed: Sequence[int]) -> dict[str, Any]:
    """Arguments by which a part gives only the maps at these positions: levels of a backbone, places of a neck."""
    whole = stage.sketch
    levels = getattr(whole, "out_indices", None) or range(len(stage.features))
    fewer: dict[str, Any] = {"out_indices": [levels[position] for position in needed]}
    if getattr(whole, "frozen_stages", -1) > 0:
        # Of the stages to freeze, those that are left.
        with mcore.device("meta"):
            left = _reduced(whole, fewer | {"frozen_stages": -1})
        fewer["frozen_stages"] = min(whole.frozen_stages, len(left.by_stage()) - 1)
    return fewer


def parameters_of(part: Any) -> Mapping[str, Any]:
    return signature(type(part)).parameters if isinstance(part, Component) else {}


def built(stage: Stage, sketched: Stage) -> Any:
    """The part for good, without the maps that nobody needs, and with its weights from a file."""
    if sketched.needed is None:
        return _made(stage, final=True)
    node = stage.node
    if not isinstance(node.maker, Module):
        return _made(stage, _fewer(sketched, sketched.needed), final=True)
    # A given object keeps the weights of what is left of it.
    part, state = _reduced(node.maker, _fewer(sketched, sketched.needed)), node.maker.state_dict()
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
    elif isinstance(maker, Component) and "type" not in maker.spec():
        raise _refusal(node, "an assembly is no part of another, as no configuration could name it; give its parts")
    elif feeds is not None:
        _check_channels(node, maker, feeds)
    dims = None if feeds is None else feeds.dims
    if dims is not None and getattr(maker, "dims", dims) != dims:
        raise _refusal(node, f"{title_of(maker)} has dims={maker.dims}, but what feeds it has {dims}")
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
            f"{title_of(part)} was made for in_channels={list(as_channels(expected))}, but {fed} gives "
            f"{list(feeds.channels)}; leave in_channels out to have it computed",
        )


def _refusal(node: Node, message: str, *key: str) -> ConfigError:
    return ConfigError([Mistake(None, (*node.path, *key), message)])


def title_of(part: Any) -> str:
    spec = part.spec() if isinstance(part, Component) else {"type": type(part).__name__}
    shown = {key: value for key, value in spec.items() if key not in ("type", "in_strides")}
    return f"{spec['type']}({', '.join(f'{key}={value!r}' for key, value in shown.items())})"
