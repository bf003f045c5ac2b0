"""The graph of a network's parts as a picture, in SVG."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from mcore import Module
from models.backbones.base import Backbone, Level
from models.component import Component
from models.composite import Composite
from models.darknet.plan import DETECTORS, Plan
from models.utils.summary import parameters
from models.writing.flow import flow
from models.writing.layout import Box, svg

# What only holds others, or is a step without a name of its own.
_HOLDERS = ("Sequential", "ModuleList", "ModuleDict")
# Longer rows of boxes go down the page.
_ROW = 7


def drawing(net: Module, shapes: Sequence[Sequence[int]] | None = None, *, image: int = 0) -> str:
    """The parts of `net` as boxes, from its inputs to its outputs, with what goes between them.

    An assembly shows its graph; a backbone its stages; a Darknet its layers by stride; another network the modules
    that it is made of, in the order they stand in.

    Args:
        net: of which the numbers don't matter.
        shapes: of its inputs; it is run once on zeros then, and drawn with what really feeds what.
        image: pixels along an axis of the image that strides are of; where left out, those of the first input.
    """
    if isinstance(net, Composite):
        return svg(_graph(net))
    if isinstance(net, Backbone):
        boxes = _stages(net)
    elif isinstance(getattr(net, "plan", None), Plan):
        boxes = _layers(net)
    else:
        boxes = (flow(net, shapes, image) if shapes else {}) or _chain(net)
    return svg(boxes, sideways=len(boxes) <= _ROW or isinstance(net, Backbone))


def _graph(net: Composite) -> dict[str, Box]:
    boxes = {name: Box([name], [], "input") for name in net.inputs}
    for node in net._nodes:
        part = net.part(node.name)
        maps = ", ".join(f"{channels} at 1/{stride}" for channels, stride in getattr(part, "features", []))
        kind = "head" if node.name.startswith("heads.") else node.kind or node.name
        lines = [node.name, part.spec()["type"], f"{parameters(part):,} parameters", *([maps] if maps else [])]
        boxes[node.name] = Box(lines, [str(source) for source in node.sources], kind)
    for name, source in net._outputs.items():
        boxes[f"{name or 'output'} "] = Box([name or "output"], [str(source)], "output")
    return boxes


def _chain(net: Module) -> dict[str, Box]:
    boxes, before = {"input": Box(["input"], [], "input")}, "input"
    for name, part in net.named_children():
        boxes[name] = Box([name, type(part).__name__, f"{parameters(part):,} parameters"], [before], "part")
        before = name
    title = str(net.spec()["type"]) if isinstance(net, Component) else type(net).__name__
    boxes["output "] = Box([f"result of {title}"], [before], "output")
    return boxes


def _stages(net: Backbone) -> dict[str, Box]:
    """A box for each stage, with the level that it reaches; equal ones that only lead to a level are one."""
    stages = net.by_stage()
    reached: list[Level | None] = [*net.levels[: net.last_level - net.levels[0].index + 1]]
    reached = [*(None for _ in stages[len(reached) :]), *reached]
    boxes, before, number = {"input": Box(["image"], [], "input")}, "input", 0
    while number < len(stages):
        last = number
        while last + 1 < len(stages) and len(stages) > _ROW + 1 and not _ends(net, reached[last]):
            last += 1
        held = [module for stage in stages[number : last + 1] for module in stage]
        level = reached[last]
        if held:
            title = "stem" if number == 0 else f"stage {number}" if number == last else f"stages {number} to {last}"
            maps = [f"{level.channels} at 1/{level.stride}"] if level else []
            boxes[title] = Box([title, *_contents(held), *maps], [before], "backbone")
            before = title
        number = last + 1
    return boxes


def _ends(net: Backbone, level: Level | None) -> bool:
    return level is None or level.index in (net.out_indices or [net.levels[-1].index])


def _contents(modules: Iterable[Module]) -> list[str]:
    """What a stage consists of: how many of which blocks, or of which layers where it has no blocks."""
    found = list(_unpacked(modules))
    blocks = [module for module in found if next(iter(module.children()), None) is not None]
    counted = Counter(type(module).__name__ for module in blocks or found if parameters(module) or not blocks)
    return [f"{count} × {name}" if count > 1 else name for name, count in counted.most_common(2)]


def _unpacked(modules: Iterable[Module]) -> Iterable[Module]:
    for module in modules:
        if type(module).__name__ in _HOLDERS or type(module).__name__.startswith("_"):
            yield from _unpacked(module.children())
        else:
            yield module


def _layers(net: Any) -> dict[str, Box]:
    """A box for each run of layers at one stride, with the maps that go from run to run."""
    runs: list[list[Any]] = []
    for layer in net.plan.layers:
        before = runs[-1][-1] if runs else layer
        alone = layer.kind in DETECTORS or before.kind in DETECTORS
        if not runs or alone or _stride(layer) != _stride(before):
            runs.append([])
        runs[-1].append(layer)
    boxes = {"input": Box(["image"], [], "input")}
    of: dict[int, str] = {-1: "input"}
    for run in runs:
        first, last = run[0].index, run[-1].index
        name = f"layer {first}" if first == last else f"layers {first} to {last}"
        fed = {of[index]: None for layer in run for index in layer.inputs if index in of}
        of |= {layer.index: name for layer in run}
        if run[0].kind in DETECTORS:
            boxes[f"{name} "] = Box(
                [name, run[0].kind, f"{run[0].channels} at 1/{_stride(run[0])}"], list(fed), "output"
            )
            of[first] = f"{name} "
            continue
        kinds = Counter(layer.kind for layer in run if layer.kind not in ("route", "shortcut"))
        held = [f"{count} × {kind}" if count > 1 else kind for kind, count in kinds.most_common(2)]
        maps = f"{run[-1].channels} at 1/{_stride(run[-1])}"
        boxes[name] = Box([name, *held, maps], list(fed), "part")
    return boxes


def _stride(layer: Any) -> int | None:
    return None if layer.stride is None else int(layer.stride.height)


__all__ = ["Box", "drawing"]
