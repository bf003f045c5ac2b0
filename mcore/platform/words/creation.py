"""Creation: tensors from data, from one value, from a range.

Outside a recording numpy makes the data at once. Within one, sizes may be symbolic and are computed in the
graph; what is known stays data, fed to the session, and is a constant of the file when a graph is exported.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mcore.platform import dtypes
from mcore.platform.borrowed import lend
from mcore.platform.devices import available
from mcore.platform.dim import Dim, DimFloat
from mcore.platform.dtypes import dtype
from mcore.platform.errors import no_gradients
from mcore.platform.graph import active
from mcore.platform.tensor import CPU, Tensor, constant, device, ints
from mcore.platform.word import publish, word
from mcore.platform.words._common import as_tensor, cast, is_number
from mcore.platform.words._elementwise import check_fits
from mcore.platform.words._pieces import (
    concat,
    expand,
    filled,
    flat,
    reshape,
    unsqueeze,
)

# --- options that all share


def options(given: dict, like: Tensor | None = None, kind: dtype | None = None) -> tuple[dtype, device]:
    """Element type and device from the keywords of a creation word.

    Raises:
        RuntimeError: `requires_grad=True`.
        TypeError: a keyword that no creation word has.
    """
    if given.get("requires_grad"):
        raise no_gradients("requires_grad=True")
    for name in given:
        if name not in (
            "dtype",
            "device",
            "requires_grad",
            "layout",
            "pin_memory",
            "memory_format",
            "names",
            "out",
        ):
            raise TypeError(f"got an unexpected keyword argument '{name}'")
    found = given.get("dtype") or (like._dtype if like is not None else kind or dtypes.get_default_dtype())
    where = given.get("device")
    if where is None:
        return found, like._device if like is not None else CPU
    return found, available(device(where))


def sizes_of(size: tuple, given: dict) -> tuple:
    """Sizes given one by one, as one sequence, or as `size=`."""
    if "size" in given:
        size = (given.pop("size"),)
    if len(size) == 1 and not isinstance(size[0], int | np.integer):
        size = tuple(size[0]) if isinstance(size[0], Sequence | np.ndarray) else (size[0],)
    out = []
    for s in size:
        if not isinstance(s, int | np.integer):
            if not hasattr(s, "__index__"):
                raise TypeError(f"argument 'size' must be tuple of ints, but found element of type {type(s).__name__}")
            s = s.__index__()
        if int(s) < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {int(s)}: {[int(v) for v in size]}")
        out.append(s)
    return tuple(out)


def known(array: np.ndarray, kind: dtype, where: device = CPU) -> Tensor:
    """Data that is known now: a constant of an exported graph, else plain data."""
    recorder = active.recorder
    if recorder is not None and recorder.exporting:
        return constant(array, kind)
    return Tensor._of(array, kind, where)


def fill_shape(shape: Sequence[int], value: Any, kind: dtype, where: device = CPU) -> Tensor:
    """A tensor of one value, which may be symbolic or a tensor."""
    if active.recorder is None and isinstance(value, Tensor):
        value = value.item()
    if is_number(value) and not isinstance(value, Dim | DimFloat):
        check_fits(value, kind)
        if active.recorder is None:
            return Tensor._of(np.full(shape, value).astype(kind.numpy, copy=False), kind, where)
        return filled(value, shape, kind)
    return expand(as_tensor(value, kind), shape)


# --- of one value


@word("torch.zeros", ready=True)
def zeros(*size: Any, **given: Any) -> Tensor:
    """Zeros."""
    return fill_shape(sizes_of(size, given), 0, *options(given))


@word("torch.ones", ready=True)
def ones(*size: Any, **given: Any) -> Tensor:
    """Ones."""
    return fill_shape(sizes_of(size, given), 1, *options(given))


@word("torch.empty", ready=True)
def empty(*size: Any, **given: Any) -> Tensor:
    """A tensor whose content is not to be relied on; here it is zeros."""
    return fill_shape(sizes_of(size, given), 0, *options(given))


@word("torch.full", ready=True)
def full(size: Any, fill_value: Any, **given: Any) -> Tensor:
    """One value everywhere; its own type decides where none is given."""
    kind = fill_value._dtype if isinstance(fill_value, Tensor) else dtypes.of_scalar(fill_value)
    return fill_shape(sizes_of((size,), {}), fill_value, *options(given, kind=kind))


@word("torch.zeros_like", ready=True)
def zeros_like(input: Tensor, **given: Any) -> Tensor:
    """Zeros in the shape and type of the input."""
    return fill_shape(input.shape, 0, *options(given, input))


@word("torch.ones_like", ready=True)
def ones_like(input: Tensor, **given: Any) -> Tensor:
    """Ones in the shape and type of the input."""
    return fill_shape(input.shape, 1, *options(given, input))


@word("torch.empty_like", ready=True)
def empty_like(input: Tensor, **given: Any) -> Tensor:
    """A tensor in the shape and type of the input; here it is zeros."""
    return fill_shape(input.shape, 0, *options(given, input))


@word("torch.full_like", ready=True)
def full_like(input: Tensor, fill_value: Any, **given: Any) -> Tensor:
    """One value in the shape and type of the input."""
    return fill_shape(input.shape, fill_value, *options(given, input))


@word("Tensor.new_zeros", ready=True)
def new_zeros(self: Tensor, *size: Any, **given: Any) -> Tensor:
    """Zeros of this tensor's type."""
    return fill_shape(sizes_of(size, given), 0, *options(given, self))


@word("Tensor.new_ones", ready=True)
def new_ones(self: Tensor, *size: Any, **given: Any) -> Tensor:
    """Ones of this tensor's type."""
    return fill_shape(sizes_of(size, given), 1, *options(given, self))


@word("Tensor.new_empty", ready=True)
def new_empty(self: Tensor, *size: Any, **given: Any) -> Tensor:
    """A tensor of this one's type; here it is zeros."""
    return fill_shape(sizes_of(size, given), 0, *options(given, self))


@word("Tensor.new_full", ready=True)
def new_full(self: Tensor, size: Any, fill_value: Any, **given: Any) -> Tensor:
    """One value, in this tensor's type."""
    return fill_shape(sizes_of((size,), {}), fill_value, *options(given, self))


@word("Tensor.new_tensor", ready=True)
def new_tensor(self: Tensor, data: Any, **given: Any) -> Tensor:
    """A tensor of `data` in this tensor's type."""
    kind, where = options(given, self)
    return from_data(data, kind, where)


def _fill_(self: Tensor, value: Any) -> Tensor:
    """Writes one value everywhere."""
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions.")
    return self._write(full_like(self, value))


def _zero_(self: Tensor) -> Tensor:
    """Writes zeros everywhere."""
    return self._write(zeros_like(self))


publish(_fill_, "torch.fill_", "Tensor.fill_")
publish(_zero_, "torch.zero_", "Tensor.zero_")


# --- from data


def _leaves(data: Any, depth: int, shape: list[int], found: list) -> None:
    """Numbers and tensors of nested lists in order; `shape` takes the sizes of the nest."""
    if isinstance(data, list | tuple | range):
        if depth == len(shape):
            shape.append(len(data))
        elif shape[depth] != len(data):
            raise ValueError(f"expected sequence of length {shape[depth]} at dim {depth} (got {len(data)})")
        for item in data:
            _leaves(item, depth + 1, shape, found)
    else:
        found.append(data)


def _is_graph(value: Any) -> bool:
    return isinstance(value, Dim | DimFloat) or (isinstance(value, Tensor) and value._recorder is not None)


def from_data(data: Any, kind: dtype | None, where: device = CPU) -> Tensor:
    """A new tensor of numbers, nested lists, arrays or tensors; symbolic sizes among them stay symbolic."""
    if isinstance(data, Tensor):
        return data.detach().clone().to(dtype=kind or data._dtype)  # type: ignore[attr-defined]
    if not isinstance(data, np.ndarray | np.generic):
        shape: list[int] = []
        leaves: list = []
        _leaves(data, 0, shape, leaves)
        if any(_is_graph(v) for v in leaves):
            return _joined(leaves, shape, kind)
        if any(isinstance(v, Tensor | np.ndarray) for v in leaves):
            data = [v.numpy() if isinstance(v, Tensor) else v for v in leaves]
            data = np.array(data).reshape(*shape, *np.shape(data[0]))
        else:
            return known(_array_of(data, leaves, kind), kind or _kind_of(leaves), where)
    array = np.array(data)
    if array.dtype == np.uint16 and kind is dtypes.bfloat16:
        array = array.view(kind.numpy)
    kind = kind or dtypes.from_numpy(array.dtype)
    return known(array.astype(kind.numpy, copy=False), kind, where)


def _kind_of(leaves: list) -> dtype:
    """The type that torch infers: of numpy numbers their own, else by the widest category."""
    if leaves and isinstance(leaves[0], np.generic):
        return dtypes.from_numpy(np.asarray(leaves).dtype)
    kind = dtypes.bool_ if leaves else dtypes.get_default_dtype()
    for value in leaves:
        try:
            other = dtypes.of_scalar(value)
        except TypeError:
            raise TypeError(f"must be real number, not {type(value).__name__}") from None
        kind = dtypes.promote_types(kind, other)
    return kind


def _array_of(data: Any, leaves: list, kind: dtype | None) -> np.ndarray:
    inferred = kind or _kind_of(leaves)
    if inferred.category == dtypes.INTEGER:
        for value in leaves:
            if is_number(value) and not isinstance(value, bool):
                check_fits(value, inferred)
    try:
        return np.array(data).astype(inferred.numpy)
    except (ValueError, TypeError) as error:
        raise TypeError(f"could not make a tensor of this data: {error}") from None


def _joined(leaves: list, shape: list[int], kind: dtype | None) -> Tensor:
    """Numbers of which some are known to the graph alone."""
    if kind is None:
        kind = dtypes.bool_
        for value in leaves:
            own = value._dtype if isinstance(value, Tensor) else dtypes.of_scalar(value)
            kind = dtypes.promote_types(kind, own)
    if all(isinstance(v, int) for v in leaves):
        return reshape(cast(ints(leaves), kind), shape)
    parts = [_in_one_axis(value, kind) for value in leaves]
    return reshape(concat(parts, 0), (*shape, *leaves[0].shape) if isinstance(leaves[0], Tensor) else shape)


def _in_one_axis(value: Any, kind: dtype) -> Tensor:
    x = as_tensor(value, kind)
    return flat(x) if x.ndim else unsqueeze(x, 0)


@word("torch.tensor", ready=True)
def tensor(data: Any, **given: Any) -> Tensor:
    """A new tensor of numbers, nested lists or an array, which is copied."""
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).",
            stacklevel=4,
        )
    options(given)
    return from_data(data, given.get("dtype"), device(given.get("device") or CPU))


@word("torch.as_tensor", ready=True)
def as_tensor_word(data: Any, dtype: dtype | None = None, device: Any = None) -> Tensor:
    """`data` as a tensor: itself where it is one of that type; an array without a copy."""
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)  # type: ignore[attr-defined]
    where = _device(device or CPU)
    if isinstance(data, np.ndarray) and dtype is None:
        return known(lend(data), dtypes.from_numpy(data.dtype), where)
    return from_data(data, dtype, where)


_device = device


@word("torch.asarray", ready=True)
def asarray(
    obj: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """`obj` as a tensor, copied where `copy` says so or the type must change."""
    options({"requires_grad": requires_grad})
    if copy:
        return from_data(obj, dtype, _device(device or CPU))
    return as_tensor_word(obj, dtype, device)


@word("torch.from_numpy", ready=True)
def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor of an array, not copied.

    Differs: in-place words leave the array as it is, and views of the tensor may miss later edits of the array.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    native = ndarray.astype(ndarray.dtype.newbyteorder("="), copy=False)
    return known(lend(native), dtypes.from_numpy(native.dtype))


@word("torch.scalar_tensor", ready=True)
def scalar_tensor(s: Any, **given: Any) -> Tensor:
    """A number as a tensor without axes; float unless a type is given."""
    return fill_shape((), s, *options(given))
