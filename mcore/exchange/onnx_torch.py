"""Any ONNX graph as a Module of the torch engine: its nodes run as torch's functions, so it trains.

Float initializers are parameters under their own names, as on the platform engine; those that no gradient should
reach (running statistics of a batch norm, scales of a resize, single numbers that an exporter named) are buffers.
Ints, and what stands in Constant nodes, belong to the graph: they follow the module from device to device, and are
no part of `state_dict`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from mcore.exchange import safety
from mcore.exchange.bridge_torch import tensor_of
from mcore.exchange.operators.reading import Reader
from mcore.exchange.operators.running import OPERATORS, Graph, Run
from mcore.exchange.operators.table import DTYPES, Node
from mcore.exchange.slots import Slot, ordered, own_inputs
from mcore.portable import Arguments
from mcore.torch.module import Module, Parameter


class OnnxModule(Module):
    """A graph from a file, an artifact's folder, bytes or a ModelProto, trainable.

    Shapes: those of the graph's inputs; one tensor returns, or a tuple where the graph has several outputs.

    Args:
        source: a path, bytes or a ModelProto.

    It comes in eval mode, where it computes what the file says. In train mode batch norms go by the batch and their
    running statistics follow, and dropouts drop, as torch's layers do. An initializer that several nodes read is one
    parameter: some exporters store equal weights once, and these are then trained as one.

    Raises:
        ModelFileError: the file is damaged, foreign or unsafe.
        NotImplementedError: operators that have no counterpart in torch; all are listed.
    """

    def __init__(self, source: Any) -> None:
        super().__init__()
        loaded = safety.read_model(source)
        reader = Reader(loaded)
        self._source, self._graph = loaded.source, reader.graph
        self._slots = [Slot(info) for info in own_inputs(reader.model.graph, loaded.arrays)]
        _mark_norms(self._graph, set(loaded.arrays))
        fixed = _fixed(self._graph, loaded.arrays)
        self._held = torch.nn.Module()  # before the weights: one of them may be called so
        self._weights: list[tuple[str, tuple[str, ...]]] = []
        for name, array in loaded.arrays.items():
            self._weights.append((name, _place(self, name, tensor_of(array), trained=name not in fixed)))
        for key, tensor in reader.constants.items():
            self._held._buffers[key] = tensor
            self._held._non_persistent_buffers_set.add(key)
        # Compilers cannot follow arithmetic of sizes and control flow on the host: such graphs run as they are.
        self._followed = not any(n.op in ("Shape", "Size") or OPERATORS[n.op].raw for n in self._graph.nodes)
        # The graph stands for itself: neither a copy nor an artifact needs what it was read from.
        object.__setattr__(self, "_arguments", Arguments())
        self.eval()

    def parameters_by_name(self) -> dict[str, torch.Tensor]:
        """The float initializers: their names in the file, and the parameters or buffers that they are now."""
        return {name: _placed(self, path) for name, path in self._weights}

    @property
    def inputs(self) -> list[str]:
        """Names of the graph's inputs, in order; exports of this module keep them."""
        return [slot.name for slot in self._slots]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The graph's outputs for its inputs, given in order or by name."""
        given = ordered(self._slots, args, kwargs, self._source)
        weights = self.parameters_by_name()
        floats = next((w.dtype for w in weights.values()), None)
        for slot, value in zip(self._slots, given, strict=True):
            _check(slot, value, floats, self._source)
        held = {key: tensor for key, tensor in self._held._buffers.items() if tensor is not None}
        run = Run(self._source, held, self._device(given, weights), training=self.training)
        values = {**run.values(self._graph), **weights}
        values |= {slot.name: value for slot, value in zip(self._slots, given, strict=True)}
        plainly = not self._followed and torch.compiler.is_compiling()
        outputs = _uncompiled(run, self._graph, values) if plainly else run.through(self._graph, values)
        results = [run.tensor(value) for value in outputs]
        return results[0] if len(results) == 1 else tuple(results)

    def _device(self, given: list[Any], weights: dict[str, torch.Tensor]) -> torch.device:
        for value in (*weights.values(), *self._held._buffers.values(), *given):
            if isinstance(value, torch.Tensor):
                return value.device
        return torch.device("cpu")

    def extra_repr(self) -> str:
        """Source, inputs and number of nodes."""
        return f"{self._source}, inputs: {', '.join(map(str, self._slots))}, {len(self._graph.nodes)} nodes"


@torch.compiler.disable
def _uncompiled(run: Run, graph: Graph, values: dict[str, Any]) -> list[Any]:
    return run.through(graph, values)


def _mark_norms(graph: Graph, kept: set[str]) -> None:
    """Says at batch norms whose statistics are computed by other nodes that no train mode can follow them."""
    for node in _all_nodes(graph):
        if node.op == "Identity" and node.inputs[0] in kept:  # exporters hand equal weights on so
            kept.add(node.outputs[0])
        elif node.op == "BatchNormalization" and not kept.issuperset(node.inputs[3:5]):
            node.attributes["computed"] = 1


def _fixed(graph: Graph, arrays: Mapping[str, np.ndarray]) -> set[str]:
    """The weights that no gradient should reach: by what reads them, or as numbers that some line of code wrote."""
    fixed, trained, uses = set[str](), set(graph.outputs), dict[str, set[str]]()
    for node in _all_nodes(graph):
        for index, name in enumerate(node.inputs):
            (fixed if index in OPERATORS[node.op].fixed else trained).add(name)
            uses.setdefault(name, set()).add(node.op)
    numbers = {
        name
        for name, array in arrays.items()
        if "_held." in name  # a constant of such a module that was exported
        or (array.size == 1 and _GENERATED.search(name) and uses.get(name, set()) <= _ARITHMETIC)
    }
    return ((fixed - trained) | numbers) & arrays.keys()


# A single number under a name that an exporter made up, read by arithmetic alone, is an epsilon or a factor that
# stood in the code; a parameter bears the name of its attribute.
_GENERATED = re.compile(r"(^|[/:_.])(const\w*|val|scalar\w*|cst|onnx::\w+)([/:_.\d]|$)", re.IGNORECASE)
_ARITHMETIC = {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mod", "Where", "Clip", "Equal", "Less", "Greater"}


def _all_nodes(graph: Graph) -> Iterator[Node]:
    for node in graph.nodes:
        yield node
        for value in node.attributes.values():
            if isinstance(value, Graph):
                yield from _all_nodes(value)


def _place(root: torch.nn.Module, name: str, tensor: torch.Tensor, *, trained: bool) -> tuple[str, ...]:
    """Puts a weight below `root` under its dotted name, whatever the name; the name's parts.

    Straight into the dictionaries: registering refuses names that aren't identifiers, or that a module has already
    for itself ("train", "/conv/weight", "a..b").
    """
    *path, last = name.split(".")
    at = root
    for part in path:
        below = at._modules.get(part)
        if below is None:
            below = at._modules[part] = Module()
        at = below
    if trained:
        at._parameters[last] = Parameter(tensor)
    else:
        at._buffers[last] = tensor
    return (*path, last)


def _placed(root: torch.nn.Module, path: tuple[str, ...]) -> torch.Tensor:
    """The weight of a dotted name."""
    at: Any = root
    for part in path[:-1]:
        at = at._modules[part]
    last = path[-1]
    if last in at._parameters:
        found = at._parameters[last]
    else:
        found = at._buffers[last] if last in at._buffers else getattr(at, last)
    if found is None:
        raise RuntimeError(f"weight {'.'.join(path)} was set to None, but the graph needs it.")
    return found


def _check(slot: Slot, value: Any, floats: torch.dtype | None, source: str) -> None:
    """Raises TypeError or RuntimeError saying what came and what fits."""
    if not slot.code:  # a sequence, or an optional value
        return
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{source}: input {slot.name} takes a tensor, got {type(value).__name__}.")
    kind = DTYPES.get(slot.code)
    # A module that was turned to another type of floats takes those.
    turned = kind is not None and kind.is_floating_point and value.dtype == floats
    slot.check_type(value.dtype == kind or turned, str(value.dtype).removeprefix("torch."), source)
    slot.check_sizes(value.shape, source)


__all__ = ["OnnxModule"]
