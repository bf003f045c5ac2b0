"""Networks that are put together from parts: what assemblies and named networks share."""

from collections.abc import Mapping, Sequence
from typing import Any

import mcore
from mcore import Module, ModuleDict, specs
from mcore.config import ConfigError, Mistake
from mcore.registry import UnknownComponent, lookup
from mcore.signatures import signature
from models.component import Component, Unbuilt, is_data, plain
from models.functional.maps import as_maps
from models.graph import Source, plan_of
from models.wiring import Maker, Stage, built, output_of, parameters_of, sketch, stage_of, title_of


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
            stage = stage_of(node, given, stages)
            part = built(stage, stages[node.name])
            stage.features, stage.dims = list(getattr(part, "features", ())), getattr(part, "dims", 2)
            self._place(node.name, part)
            given[node.name] = stage
        self._stages = [given[node.name] for node in plan.nodes]
        self._outputs = {name: output_of(source, stages[source.name]) for name, source in plan.outputs.items()}
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
            lines.append(f"  {node.name}: {title_of(part)} from {fed}, {count:,} parameters{maps and f'; maps {maps}'}")
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
    parameters = {name: parameter.default for name, parameter in parameters_of(part).items() if name != "weights"}
    return {"type": ""} | {name: plain(value, name) for name, value in parameters.items() if is_data(value)}


__all__ = ["Composite", "Maker", "spec_of", "with_arguments"]
