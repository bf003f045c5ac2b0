"""The table: operator -> function, and what functions are handed.

A function takes its node and the node's inputs. Inputs are tensors; those named in `numbers` are plain numbers on
the host (a flat tuple: sizes, axes, pads), read from the tensor where they are computed on the device; those named in
`either` are plain numbers where the host has them, else tensors. What isn't given is None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

# Element types of ONNX that torch has.
DTYPES: dict[int, torch.dtype] = {
    getattr(onnx.TensorProto, name): kind
    for name, kind in {
        "FLOAT": torch.float32, "DOUBLE": torch.float64, "FLOAT16": torch.float16, "BFLOAT16": torch.bfloat16,
        "INT8": torch.int8, "INT16": torch.int16, "INT32": torch.int32, "INT64": torch.int64,
        "UINT8": torch.uint8, "UINT16": torch.uint16, "UINT32": torch.uint32, "UINT64": torch.uint64,
        "BOOL": torch.bool, "COMPLEX64": torch.complex64, "COMPLEX128": torch.complex128,
        "FLOAT8E4M3FN": torch.float8_e4m3fn, "FLOAT8E4M3FNUZ": torch.float8_e4m3fnuz,
        "FLOAT8E5M2": torch.float8_e5m2, "FLOAT8E5M2FNUZ": torch.float8_e5m2fnuz,
    }.items()
    if hasattr(onnx.TensorProto, name)
}  # fmt: skip
# Types that few of torch's kernels know: what computes with them does so in int64.
UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)


class Host:
    """Numbers on the host: sizes and what is computed of them. Sizes that are symbolic stay so, as objects.

    `buffer`: the key of a buffer of the module that holds the same numbers on its device.
    """

    __slots__ = ("array", "buffer", "dtype", "listed", "ndim")

    def __init__(self, array: np.ndarray, dtype: torch.dtype, buffer: str | None = None) -> None:
        self.array, self.dtype, self.buffer, self.ndim = array, dtype, buffer, array.ndim
        self.listed: tuple[Any, ...] | None = None

    def flat(self) -> tuple[Any, ...]:
        """The numbers, as Python's own or symbolic ones."""
        if self.listed is None:
            self.listed = tuple(self.array.reshape(-1).tolist())
        return self.listed

    def tensor(self, *, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The same numbers as a tensor."""
        # One number after another: an object of numpy's would lose what is symbolic in it.
        return torch.tensor(self.array.tolist(), dtype=dtype, device=device)


@dataclass(slots=True)
class Node:
    """One node of a graph. `version`: of the operator set that the file was written in."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    version: int
    domain: str = ""
    # Values that no later node reads.
    drops: tuple[str, ...] = ()

    def get(self, key: str, default: Any = None) -> Any:
        """An attribute, or its default."""
        return self.attributes.get(key, default)

    def wants(self, index: int) -> bool:
        """Whether something reads this output."""
        return len(self.outputs) > index and bool(self.outputs[index])

    def label(self) -> str:
        """`node 'relu3' (Relu)`."""
        return f"node {self.name!r:.80} ({f'{self.domain}.' if self.domain else ''}{self.op})"


@dataclass(slots=True)
class Operator:
    """How an operator is run."""

    function: Callable[..., Any]
    numbers: tuple[int, ...] = ()
    either: tuple[int, ...] = ()
    # Whether unsigned integers of 16 bits and more are computed in int64.
    wide: bool = False
    # Handed values as they are, and the run: control flow, sequences.
    raw: bool = False
    # Told whether the module is in train mode; told the module's device.
    training: bool = False
    places: bool = False
    # Says why a node cannot be run, or None.
    refuses: Callable[[Node], str | None] | None = None
    # Inputs that no gradient reaches: running statistics, scales of sizes.
    fixed: tuple[int, ...] = field(default=())


OPERATORS: dict[str, Operator] = {}
# Operators on numbers that are on the host: each takes and gives arrays; NotImplemented sends it to the device.
HOST: dict[str, Callable[..., Any]] = {}


def operator(*names: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enters a function into the table under the operators' names."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            OPERATORS[name] = Operator(function, **options)
        return function

    return enter


def simple(functions: dict[str, Callable[..., Any]], **options: Any) -> None:
    """Enters torch's own functions, which take the inputs as they are."""
    for name, function in functions.items():
        OPERATORS[name] = Operator(_bare(function), **options)


def _bare(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda node, *inputs: function(*inputs)


def on_host(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enters a function of numbers on the host into the table under the operators' names."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        HOST.update(dict.fromkeys(names, function))
        return function

    return enter


def plain(value: Any) -> bool:
    """Whether a number is Python's own, not a symbolic one."""
    return type(value) in (int, float, bool)


def axis_of(axis: int, rank: int) -> int:
    """A counted-from-behind axis counted from the front. Raises IndexError for one that isn't there."""
    if not -rank <= axis < max(rank, 1):
        raise IndexError(f"axis {axis} of a tensor with {rank} axes")
    return axis % rank if rank else 0


def torch_dtype(code: int) -> torch.dtype:
    """Torch's element type for ONNX's code. Raises NotImplementedError where there is none."""
    if code not in DTYPES:
        raise NotImplementedError(f"the element type {onnx.TensorProto.DataType.Name(code)}")
    return DTYPES[code]
