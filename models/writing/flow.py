"""What feeds what inside a module, found by running it once: its modules, and the operators between them."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mcore
from mcore import Module, Tensor
from models.utils.summary import parameters
from models.writing.layout import Box

# Larger graphs are no picture any more.
LARGEST = 28
# Operators that only arrange what another computes.
_SILENT = {
    *("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Cast", "Slice", "Split", "Pad", "Shape", "Gather"),
    *("Flatten", "Expand", "Tile", "Constant", "CastLike"),
}
_LIGHT = {"Relu", "Sigmoid", "HardSigmoid", "HardSwish", "Swish", "LeakyRelu", "Clip", "Tanh", "Gelu", "Softmax"}
_SIGNS = {"Add": "+", "Mul": "×", "Sub": "-", "Div": "÷", "Concat": "concat"}
_HOLDERS = ("ModuleList", "ModuleDict")


def flow(net: Module, shapes: Sequence[Sequence[int]], image: int = 0) -> dict[str, Box]:
    """Boxes of the modules of `net` and of what it computes between them, for inputs of these shapes.

    Empty where there is nothing to tell: one box, or too many. A module that is called several times has as many
    boxes.

    Args:
        net: what to run.
        shapes: of its inputs: one, or of each of the maps that it takes as a tuple.
        image: pixels along an axis of the image that strides are of; 0, those of the first input.
    """
    maps = tuple(mcore.zeros(*shape) for shape in shapes)
    size = image or shapes[0][-1]
    training = net.training
    try:
        given = _given(net.eval(), maps, size)
        model = mcore.to_onnx(_Called(net), maps, dynamic=None)
    finally:
        net.train(training)
    parts = {name: part for name, part in net.named_modules() if name}
    # Rows of layers are opened where that leaves a picture.
    for opened in ((*_HOLDERS, "Sequential"), _HOLDERS):
        closed = {name: part for name, part in parts.items() if type(part).__name__ not in opened}
        steps = _joined(_steps(model.graph, closed, given, maps, size))
        if len(maps) + 1 < len(steps) <= LARGEST:
            return {name: step.box() for name, step in steps.items()}
    return {}


def _steps(
    graph: Any, parts: Mapping[str, Module], given: Mapping[str, list[str]], maps: Sequence[Tensor], size: int
) -> dict[str, "_Step"]:
    """The calls of modules, and the operators outside them, in the order in which they run."""
    steps: dict[str, _Step] = {}
    # Which step gives a value; one that weights alone give has none.
    of: dict[str, str] = {}
    for value, tensor in zip(graph.input, maps, strict=False):
        steps[value.name] = _Step(["input"], "input", label=_label(tuple(tensor.shape), size))
        of[value.name] = value.name
    current, calls = "", dict.fromkeys(given, 0)
    for node in graph.node:
        fed = list(dict.fromkeys(of[name] for name in node.input if name in of))
        if not fed:
            continue
        group = _group(node.name.rpartition("/")[0].removeprefix("part").removeprefix("."), parts)
        if not group and node.op_type in _SILENT and len(fed) == 1:
            of |= dict.fromkeys(node.output, fed[0])
            continue
        if not group or group != current.partition(" ")[0]:
            call = calls.get(group, 0)
            calls[group] = call + 1
            current = f"{group or node.op_type} {call}"
            labels = given.get(group, [])[call : call + 1]
            steps[current] = _step(parts[group], group, "".join(labels)) if group else _word(node.op_type)
        step = steps[current]
        step.sources.extend(name for name in fed if name != current and name not in step.sources)
        of |= dict.fromkeys(node.output, current)
    for value in graph.output:
        if value.name in of:
            shape = tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
            steps[f"{value.name} "] = _Step(["result"], "output", [of[value.name]], label=_label(shape, size))
    return steps


@dataclass
class _Step:
    """A box in the making: a module, or an operator; `light` ones belong to the one before."""

    titles: list[str]
    kind: str
    sources: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    count: int = 0
    label: str = ""
    light: bool = False

    def box(self) -> Box:
        lines = [" · ".join(self.titles), " · ".join(self.classes), f"{self.count:,} parameters" if self.count else ""]
        return Box([line for line in (*lines, self.label) if line], self.sources, self.kind)


def _step(part: Module, group: str, label: str) -> _Step:
    name = type(part).__name__.removeprefix("_")
    light = next(iter(part.children()), None) is None and ("Norm" in name or not parameters(part))
    return _Step([group], "part", classes=[name], count=parameters(part), label=label, light=light)


def _word(operator: str) -> _Step:
    return _Step([_SIGNS.get(operator, operator)], "word", light=operator in _LIGHT)


def _joined(steps: Mapping[str, _Step]) -> dict[str, _Step]:
    """Norms and activations drawn with what they follow, where nothing else takes that."""
    takers = Counter(source for step in steps.values() for source in step.sources)
    joined: dict[str, _Step] = {}
    # What each step was joined to, and the last that was joined to it.
    into: dict[str, str] = {}
    end: dict[str, str] = {}
    for name, step in steps.items():
        step.sources = list(dict.fromkeys(into.get(source, source) for source in step.sources))
        before = joined.get(step.sources[0]) if len(step.sources) == 1 else None
        alone = before is not None and takers[end.get(step.sources[0], step.sources[0])] == 1
        if before is not None and step.light and alone and before.kind == "part" and len(before.titles) < 3:
            into[name], end[step.sources[0]] = step.sources[0], name
            before.titles += [title.lower() for title in step.titles] if step.kind == "word" else step.titles
            before.classes += step.classes
            before.count += step.count
            before.label = step.label or before.label
        else:
            joined[name] = step
    return joined


class _Called(Module):
    """A module with one argument for each input, since a graph's inputs are tensors."""

    def __init__(self, part: Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, *maps: Tensor) -> Any:
        return self.part(maps[0] if len(maps) == 1 else maps)


def _given(net: Module, maps: tuple[Tensor, ...], size: int) -> dict[str, list[str]]:
    """What each module gives at each of its calls, by path."""
    found: dict[str, list[str]] = {}

    def noting(name: str) -> Any:
        def note(layer: Module, args: Any, result: Any) -> None:
            label = _label(tuple(map(int, result.shape)), size) if isinstance(result, Tensor) else ""
            found.setdefault(name, []).append(label)

        return note

    hooks = [module.register_forward_hook(noting(name)) for name, module in net.named_modules() if name]
    try:
        with mcore.no_grad():
            net(maps[0] if len(maps) == 1 else maps)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _group(path: str, parts: Mapping[str, Module]) -> str:
    """The outermost of the modules that a node belongs to; empty, where it is the network's own."""
    names = path.split(".")
    prefixes = (".".join(names[:count]) for count in range(1, len(names) + 1))
    return next((prefix for prefix in prefixes if prefix in parts), "")


def _label(shape: tuple[int, ...], size: int) -> str:
    """Channels, and the stride of a map: "64 at 1/4"; of what is no map, its channels.

    >>> _label((1, 64, 8, 8), 32), _label((1, 10), 32), _label((1, 3, 64, 64), 32)
    ('64 at 1/4', '10', '3 at 2')
    """
    if len(shape) < 2:
        return ""
    if max(shape[2:], default=1) == 1:
        return str(shape[1])
    if len(shape) < 4:
        return ""
    if shape[-1] > size:
        return f"{shape[1]} at {shape[-1] / size:g}"
    return f"{shape[1]} at 1/{math.ceil(size / shape[-1])}" if shape[-1] < size else f"{shape[1]} at 1"
