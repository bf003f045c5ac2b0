"""What feeds what inside a module, found by running it once: its modules, and the operators between them."""

import math
from collections.abc import Collection, Mapping, Sequence
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
    holders = {"", *(name for name, part in net.named_modules() if type(part).__name__ in _HOLDERS)}
    boxes: dict[str, Box] = {}
    # Which box gives a value; one that weights alone give has none.
    of: dict[str, str] = {}
    for value, tensor in zip(model.graph.input, maps, strict=False):
        boxes[value.name] = Box([*_shown("input", _label(tuple(tensor.shape), size))], [], "input")
        of[value.name] = value.name
    current, calls = "", dict.fromkeys(given, 0)
    for node in model.graph.node:
        fed = list(dict.fromkeys(of[name] for name in node.input if name in of))
        if not fed:
            continue
        group = _group(node.name.rpartition("/")[0].removeprefix("part").removeprefix("."), holders)
        if not group and node.op_type in _SILENT and len(fed) == 1:
            of |= dict.fromkeys(node.output, fed[0])
            continue
        if not group or group != current.partition(" ")[0] or group not in given:
            call = calls.get(group, 0)
            calls[group] = call + 1
            current = f"{group or node.op_type} {call}"
            boxes[current] = _box(net, group, call, given, node, size)
        box = boxes[current]
        box.sources.extend(name for name in fed if name != current and name not in box.sources)
        of |= dict.fromkeys(node.output, current)
    if not 2 < len(boxes) <= LARGEST:
        return {}
    for value in model.graph.output:
        if value.name in of:
            shape = tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
            boxes[f"{value.name} "] = Box(_shown("result", _label(shape, size)), [of[value.name]], "output")
    return boxes if len(boxes) <= LARGEST else {}


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


def _group(path: str, holders: Collection[str]) -> str:
    """The module of the network that a node belongs to; what only holds modules is looked into."""
    group, _, rest = path.partition(".")
    while group in holders and rest:
        more, _, rest = rest.partition(".")
        group = f"{group}.{more}"
    return "" if group in holders else group


def _box(net: Module, group: str, call: int, given: Mapping[str, list[str]], node: Any, size: int) -> Box:
    if not group:
        return Box([_SIGNS.get(node.op_type, node.op_type)], [], "word")
    part = net.get_submodule(group)
    labels = given.get(group, [])
    count = parameters(part)
    lines = [group, type(part).__name__, *([f"{count:,} parameters"] if count else [])]
    return Box([*lines, *filter(None, labels[call : call + 1])], [], "part")


def _shown(*lines: str) -> list[str]:
    return [line for line in lines if line]


def _label(shape: tuple[int, ...], size: int) -> str:
    """Channels, and the stride of a map: "64 at 1/4"; of what is no map, its channels.

    >>> _label((1, 64, 8, 8), 32), _label((1, 10), 32), _label((1, 3, 64, 64), 32)
    ('64 at 1/4', '10', '3 at 2')
    """
    if len(shape) < 4 or shape[-1] == 1:
        return str(shape[1]) if len(shape) == 2 or shape[2:] == (1,) * len(shape[2:]) and len(shape) > 1 else ""
    if shape[-1] > size:
        return f"{shape[1]} at {shape[-1] / size:g}"
    return f"{shape[1]} at 1/{math.ceil(size / shape[-1])}" if shape[-1] < size else f"{shape[1]} at 1"
