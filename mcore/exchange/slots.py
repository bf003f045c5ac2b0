"""What a graph of a file takes: its inputs, with their types and sizes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import onnx


class Slot:
    """One input of a graph: what it takes."""

    def __init__(self, info: onnx.ValueInfoProto) -> None:
        self.name = info.name
        kind = info.type.tensor_type if info.type.HasField("tensor_type") else None
        self.code = kind.elem_type if kind is not None else 0
        self.shape: list[int | str | None] | None = None
        if kind is not None and kind.HasField("shape"):
            self.shape = [
                axis.dim_value if axis.HasField("dim_value") else axis.dim_param or None for axis in kind.shape.dim
            ]

    def check_type(self, fits: bool, name: str, source: str) -> None:
        """Raises RuntimeError saying which type came and which fits."""
        if not fits:
            wanted = onnx.TensorProto.DataType.Name(self.code).lower()
            raise RuntimeError(f"{source}: input {self.name} takes {wanted}, got {name}.")

    def check_sizes(self, got: Sequence[int], source: str) -> None:
        """Raises RuntimeError saying which sizes came and which fit."""
        if self.shape is not None and (
            len(got) != len(self.shape)
            or any(isinstance(n, int) and n != m for n, m in zip(self.shape, got, strict=True))
        ):
            wanted = "x".join("?" if n is None else str(n) for n in self.shape) or "scalar"
            raise RuntimeError(
                f"{source}: input {self.name} takes {wanted}, got {'x'.join(map(str, got)) or 'scalar'}."
            )

    def __str__(self) -> str:
        sizes = "?" if self.shape is None else "x".join("?" if n is None else str(n) for n in self.shape)
        return f"{self.name} ({sizes})"


def own_inputs(graph: onnx.GraphProto, weights: Collection[str]) -> list[onnx.ValueInfoProto]:
    """The inputs that are no weights: old files list initializers too; in newer ones that makes them defaults."""
    held = {t.name for t in graph.initializer} | set(weights)
    held |= {s.values.name for s in graph.sparse_initializer}
    return [info for info in graph.input if info.name not in held]


def ordered(slots: Sequence[Slot], args: tuple, kwargs: Mapping[str, Any], source: str) -> list[Any]:
    """What was given for each input. Raises TypeError where inputs are missing, unknown or given twice."""
    names = [slot.name for slot in slots]
    given = dict(zip(names, args, strict=False))
    unknown = [name for name in kwargs if name not in names]
    twice = [name for name in kwargs if name in given]
    given.update(kwargs)
    if len(args) > len(names) or unknown or twice or len(given) < len(names):
        raise TypeError(
            f"{source}: the graph takes {len(names)} inputs ({', '.join(names)}); got {len(args)} in order"
            + (f" and {', '.join(kwargs)} by name." if kwargs else ".")
        )
    return [given[name] for name in names]
