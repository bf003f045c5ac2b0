"""Element types: torch's names, their numpy and ONNX counterparts, and torch's promotion rules.

Source: torch's documentation, "Tensor Attributes", type promotion. The promotion of two types is a lattice:
bool < integers < floats; between uint8 and a signed type the smallest signed type that holds both.
"""

from __future__ import annotations

import functools

import ml_dtypes
import numpy as np


class dtype:
    """An element type, as `torch.dtype`: `is_floating_point`, `is_signed`, `itemsize`, and a numpy twin."""

    __slots__ = ("category", "itemsize", "name", "numpy", "onnx", "rank")

    def __init__(self, name: str, numpy: type, onnx: int, *, category: int, rank: int) -> None:
        self.name, self.numpy, self.onnx = name, np.dtype(numpy), onnx
        self.category, self.rank, self.itemsize = category, rank, self.numpy.itemsize

    @property
    def is_floating_point(self) -> bool:
        """True for the float types."""
        return self.category == FLOAT

    @property
    def is_complex(self) -> bool:
        """Always False: ONNX has no complex arithmetic."""
        return False

    @property
    def is_signed(self) -> bool:
        """True where negative values exist."""
        return self.category == FLOAT or (self.category == INTEGER and self.name != "uint8")

    @property
    def title(self) -> str:
        """The name that torch's messages use: "Float", "Long"."""
        return _TITLES[self.name]

    def to_complex(self) -> dtype:
        """Refused: ONNX has no complex arithmetic."""
        raise NotImplementedError(f"{self}: ONNX has no complex types. Run it with MCORE_BACKEND=torch.")

    def __repr__(self) -> str:
        return f"mcore.{self.name}"

    def __reduce__(self) -> tuple:
        return _by_name, (self.name,)


BOOL, INTEGER, FLOAT = 0, 1, 2

# ONNX's own numbers (TensorProto.DataType), written out so that building a model needs no onnx import.
bool_ = dtype("bool", np.bool_, 9, category=BOOL, rank=0)
uint8 = dtype("uint8", np.uint8, 2, category=INTEGER, rank=1)
int8 = dtype("int8", np.int8, 3, category=INTEGER, rank=1)
int16 = dtype("int16", np.int16, 5, category=INTEGER, rank=2)
int32 = dtype("int32", np.int32, 6, category=INTEGER, rank=3)
int64 = dtype("int64", np.int64, 7, category=INTEGER, rank=4)
float16 = dtype("float16", np.float16, 10, category=FLOAT, rank=5)
bfloat16 = dtype("bfloat16", ml_dtypes.bfloat16, 16, category=FLOAT, rank=5)
float32 = dtype("float32", np.float32, 1, category=FLOAT, rank=6)
float64 = dtype("float64", np.float64, 11, category=FLOAT, rank=7)

ALL = (bool_, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64)
NAMES = {t.name: t for t in ALL} | {
    "float": float32, "double": float64, "half": float16, "int": int32, "long": int64, "short": int16,
}  # fmt: skip
_TITLES = {
    "float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long",
    "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool",
}  # fmt: skip
_FROM_NUMPY = {t.numpy: t for t in ALL}
_FROM_ONNX = {t.onnx: t for t in ALL}
_default = float32


def _by_name(name: str) -> dtype:
    return NAMES[name]


def from_numpy(numpy_dtype: np.dtype) -> dtype:
    """The element type of a numpy array. Raises TypeError for types that no engine knows (uint16, complex)."""
    found = _FROM_NUMPY.get(numpy_dtype)
    if found is None:
        found = _FROM_NUMPY.get(np.dtype(numpy_dtype).newbyteorder("="))
    if found is None:
        known = ", ".join(str(t.numpy) for t in ALL)
        raise TypeError(f"can't convert np.ndarray of type {numpy_dtype}. The supported types are: {known}.")
    return found


def from_onnx(code: int) -> dtype:
    """The element type of an ONNX `TensorProto.DataType` number."""
    if code not in _FROM_ONNX:
        raise TypeError(f"ONNX element type {code} has no counterpart; known: {sorted(_FROM_ONNX)}.")
    return _FROM_ONNX[code]


def get_default_dtype() -> dtype:
    """The type of new float tensors; float32 unless `set_default_dtype` said otherwise."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Sets the type of new float tensors. Raises TypeError unless `d` is a float type."""
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, got {d}.")
    _default = d


def of_scalar(value: object) -> dtype:
    """The type that torch gives a bare Python number."""
    if isinstance(value, bool | np.bool_):
        return bool_
    if isinstance(value, int | np.integer):
        return int64
    if isinstance(value, float | np.floating):
        return _default
    raise TypeError(f"expected a number or a Tensor, got {type(value).__name__}.")


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest type that both fit, as `torch.promote_types`."""
    if type1 is type2:
        return type1
    low, high = sorted((type1, type2), key=lambda t: t.rank)
    if low.rank == high.rank:  # uint8 with int8; float16 with bfloat16
        return int16 if low.category == INTEGER else float32
    return high


def result_type_of(tensors: list[tuple[dtype, int]], scalars: list[dtype]) -> dtype:
    """Type of an operation over tensors, each (dtype, rank), and bare numbers, as `torch.result_type`.

    Tensors with axes decide first, then tensors without (rank 0), then numbers; a lower class counts only
    where it is of a higher category.
    """
    with_axes = [kind for kind, rank in tensors if rank]
    without = [kind for kind, rank in tensors if not rank]
    result: dtype | None = None
    for kinds in (with_axes, without, scalars):
        if not kinds:
            continue
        kind = functools.reduce(promote_types, kinds)
        if result is None:
            result = kind
        elif kind.category > result.category:
            result = _default if kinds is scalars and kind.category == FLOAT else kind
    if result is None:
        raise ValueError("result_type of nothing: give at least one tensor or number.")
    return result
