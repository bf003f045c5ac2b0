"""A graph that is ready to run: its nodes in order, constants read, and how values go through them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mcore.exchange.operators import (  # noqa: F401  # each enters its operators into the table
    activation,
    control,
    convolution,
    elementwise,
    host,
    indexing,
    linear,
    loss,
    normalization,
    pooling,
    quantization,
    random,
    recurrent,
    reduction,
    resize,
    shape,
)
from mcore.exchange.operators.host import MOST
from mcore.exchange.operators.table import HOST, OPERATORS, UNSIGNED, Host, Node, Operator


@dataclass
class Graph:
    """A graph of a file, or of a node in it.

    Attributes:
        inputs, outputs: names of values.
        nodes: in the order in which they run.
        constants: numbers on the host by name; larger ones by the key of the buffer that holds them.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: list[Node]
    constants: dict[str, Host | str]


class Run:
    """One call of the module: what operators may ask for."""

    def __init__(self, source: str, constants: dict[str, Tensor], device: torch.device, *, training: bool) -> None:
        self.source, self.constants, self.device, self.training = source, constants, device, training
        self.outer: dict[str, Any] = {}

    def values(self, graph: Graph) -> dict[str, Any]:
        """The graph's constants."""
        return {
            name: self.constants[value] if isinstance(value, str) else value for name, value in graph.constants.items()
        }

    def through(self, graph: Graph, values: dict[str, Any]) -> list[Any]:
        """The graph's outputs; `values`: all that it starts from."""
        for node in graph.nodes:
            try:
                results = self._step(node, values)
            except NotImplementedError as error:
                error.add_note(f"in {node.label()} of {self.source}")
                raise
            except (RuntimeError, ValueError, TypeError, IndexError, KeyError, ArithmeticError) as error:
                if getattr(error, "told", None):
                    raise
                raise _told(f"{self.source}: {node.label()}: {error}") from error
            for name, value in zip(node.outputs, results, strict=False):
                if name:
                    values[name] = value
            if any(node.outputs[len(results) :]):
                raise NotImplementedError(f"{self.source}: {node.label()}: its output {len(results)} is not computed.")
            for name in node.drops:
                values.pop(name, None)  # an output that may be left out
        return [values[name] for name in graph.outputs]

    def inside(self, graph: Graph, given: Sequence[Any]) -> list[Any]:
        """The outputs of a node's own graph, which sees the names around it."""
        outer = self.outer
        values = {**outer, **self.values(graph), **dict(zip(graph.inputs, given, strict=False))}
        try:
            return self.through(graph, values)
        finally:
            self.outer = outer

    def _step(self, node: Node, values: dict[str, Any]) -> Sequence[Any]:
        given = [values[name] if name else None for name in node.inputs]
        results = on_host(node, given)
        if results is not None:
            return results
        entry = OPERATORS[node.op]
        if entry.raw:
            self.outer = values
            results = entry.function(node, *given, run=self)
        else:
            results = self._on_device(node, entry, given)
        return results if isinstance(results, tuple) else (results,)

    def _on_device(self, node: Node, entry: Operator, given: list[Any]) -> Any:
        tensors = [value for value in given if isinstance(value, Tensor)]
        where = tensors[0].device if tensors else self.device
        floats = next((t.dtype for t in tensors if t.dtype.is_floating_point), None)
        arguments: list[Any] = []
        for k, value in enumerate(given):
            if k in entry.numbers:
                arguments.append(None if value is None else self.numbers(value))
            elif not isinstance(value, Host):
                arguments.append(value)
            elif k in entry.either and not value.ndim:
                arguments.append(value.flat())
            else:
                arguments.append(self._as_tensor(value, where, floats))
        options: dict[str, Any] = {"training": self.training} if entry.training else {}
        options |= {"device": self.device} if entry.places else {}
        if entry.wide:
            return _widened(node, entry, arguments)
        return entry.function(node, *arguments, **options)

    # --- what operators ask for

    def _as_tensor(self, value: Host, where: torch.device, floats: torch.dtype | None) -> Tensor:
        if value.buffer is not None:
            return self.constants[value.buffer]
        # Floats follow those beside them: the module may have been turned to another type.
        kind = floats if floats is not None and value.dtype.is_floating_point else value.dtype
        return value.tensor(dtype=kind, device=where)

    def tensor(self, value: Any) -> Any:
        """A value as a tensor of this run's device; sequences as they are."""
        return self._as_tensor(value, self.device, None) if isinstance(value, Host) else value

    def numbers(self, value: Any) -> tuple[Any, ...]:
        """A value's numbers, flat; of a tensor they are read."""
        if isinstance(value, Host):
            return value.flat()
        read = value.reshape(-1).tolist()
        return tuple(read)

    def truth(self, value: Any) -> bool:
        """A condition."""
        return bool(value.flat()[0]) if isinstance(value, Host) else bool(value)


def on_host(node: Node, given: Sequence[Any]) -> tuple[Any, ...] | None:
    """What a node makes of numbers that are on the host, there; None where it has to be run on the device."""
    function = HOST.get(node.op)
    # Arrays double in a chain of joins: those that are no sizes any more go to the device.
    fits = all(value is None or (isinstance(value, Host) and value.array.size <= MOST) for value in given)
    if function is None or not given or not fits:
        return None
    results = function(node, *given)
    if results is NotImplemented:
        return None
    return results if isinstance(results, tuple) else (results,)


def _told(message: str) -> RuntimeError:
    error = RuntimeError(message)
    error.told = True  # type: ignore[attr-defined]  # graphs inside of nodes: the innermost node is named, once
    return error


def _widened(node: Node, entry: Operator, arguments: list[Any]) -> Any:
    """Unsigned integers of 16 bits and more as int64, for which torch has kernels."""
    kind = next((a.dtype for a in arguments if isinstance(a, Tensor) and a.dtype in UNSIGNED), None)
    if kind is None:
        return entry.function(node, *arguments)
    wide = [a.to(torch.int64) if isinstance(a, Tensor) and a.dtype in UNSIGNED else a for a in arguments]
    result = entry.function(node, *wide)
    return result.to(kind) if result.dtype is torch.int64 else result


def plan_drops(nodes: Iterable[Node], kept: Iterable[str]) -> None:
    """Notes at each node which values nothing reads after it."""
    read: set[str] = set(kept)
    for node in reversed(list(nodes)):
        here = {name for name in (*node.inputs, *free_names(node)) if name}
        made = {name for name in node.outputs if name}
        node.drops = tuple(sorted((here | made) - read))
        read |= here | made


def free_names(node: Node) -> set[str]:
    """Names that a node's own graphs take from around it."""
    found: set[str] = set()
    for value in node.attributes.values():
        if isinstance(value, Graph):
            own = {*value.inputs, *value.constants, *(name for inner in value.nodes for name in inner.outputs)}
            used = {*value.outputs, *(name for inner in value.nodes for name in (*inner.inputs, *free_names(inner)))}
            found |= used - own
    return found
