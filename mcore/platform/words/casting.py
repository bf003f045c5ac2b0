"""Element types, devices, identity, gradients (there are none), and questions about tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.borrowed import own
from mcore.platform.devices import available
from mcore.platform.dtypes import dtype
from mcore.platform.errors import no_gradients
from mcore.platform.graph import active
from mcore.platform.tensor import CPU, Tensor, device
from mcore.platform.word import publish, speak_alone, view_of, word
from mcore.platform.words._common import axis_of, cast, result_type
from mcore.platform.words._elementwise import both, same_value
from mcore.platform.words._pieces import expand
from mcore.platform.words._views import lies_in_order, strides_of

# --- element types and devices


def _asked(args: tuple, kwargs: dict) -> tuple[dtype | None, device | None]:
    """Element type and device of a call of `to`, whichever of torch's forms it has."""
    kind, where = kwargs.get("dtype"), kwargs.get("device")
    other = kwargs.get("other")
    for value in (*args[:2], *([other] if other is not None else [])):
        if isinstance(value, Tensor):
            kind, where = value._dtype, value._device
        elif isinstance(value, dtype):
            kind = value
        elif isinstance(value, str | device):
            where = value
        elif value is not None and not isinstance(value, bool):
            raise TypeError(
                "to() received an invalid combination of arguments: it takes a dtype, a device or a Tensor, "
                f"got {type(value).__name__}"
            )
    return kind, None if where is None else device(where)


def _unknown_keywords(kwargs: dict) -> None:
    for name in kwargs:
        if name not in ("dtype", "device", "other", "copy", "non_blocking", "memory_format"):
            raise TypeError(f"to() got an unexpected keyword argument '{name}'")


@word("Tensor.to", ready=True)
def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The tensor in another type or on another device: itself where it is so already and `copy` is false."""
    if kwargs:
        _unknown_keywords(kwargs)
    kind, where = _asked(args, kwargs)
    copies = kwargs.get("copy", False) or (len(args) > 3 and args[3])
    return _moved(self, kind or self._dtype, where or self._device, copies)


def _moved(x: Tensor, kind: dtype, where: device, copies: bool = False) -> Tensor:
    changes = kind is not x._dtype
    if where != x._device and active.recorder is None:
        available(where)
        return Tensor._of((_cast(x, kind) if changes else x)._data(), kind, where)
    if changes:
        return _cast(x, kind)
    return _twin(x) if copies else x


def _cast(x: Tensor, kind: dtype) -> Tensor:
    return cast(x, kind) if active.recorder is not None else speak_alone(cast, "to", (x, kind), {})


def _twin(x: Tensor) -> Tensor:
    """A tensor of the same value; the engine never writes an array, so only the caller's own are copied."""
    if active.recorder is not None:
        return same_value(x)
    return Tensor._of(own(x._data()), x._dtype, x._device)


@word("Tensor.type_as", ready=True)
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor in the other's type."""
    return _moved(self, other._dtype, self._device)


_TYPE_NAMES = {
    f"torch.{t.title}Tensor": t for t in dtypes.ALL
} | {f"torch.{name}": t for name, t in dtypes.NAMES.items()}  # fmt: skip


@word("Tensor.type", ready=True)
def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The name of this tensor's type; with a type, this tensor in it."""
    if dtype is None:
        return f"torch.{self._dtype.title}Tensor"
    if isinstance(dtype, str):
        if dtype not in _TYPE_NAMES:
            raise ValueError(f"invalid type: '{dtype}'")
        dtype = _TYPE_NAMES[dtype]
    return _moved(self, dtype, self._device)


def _conversion(name: str, kind: dtype) -> None:
    @word(f"Tensor.{name}", ready=True)
    def convert(self: Tensor, memory_format: Any = None) -> Tensor:
        return self if self._dtype is kind else _cast(self, kind)

    convert.__name__, convert.__doc__ = name, f"The tensor in {kind.name}."


for _name, _kind in (
    ("float", dtypes.float32), ("double", dtypes.float64), ("half", dtypes.float16),
    ("bfloat16", dtypes.bfloat16), ("int", dtypes.int32), ("long", dtypes.int64),
    ("short", dtypes.int16), ("char", dtypes.int8), ("byte", dtypes.uint8), ("bool", dtypes.bool_),
):  # fmt: skip
    _conversion(_name, _kind)


@word("Tensor.cpu", ready=True)
def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor on the CPU."""
    return _moved(self, self._dtype, CPU)


@word("Tensor.cuda", ready=True)
def cuda(self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
    """The tensor on a CUDA device."""
    where = _device("cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device)
    return _moved(self, self._dtype, where)


_device = device


# --- identity


@word("Tensor.contiguous", ready=True)
def contiguous(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor where torch's lies in order in memory, else a copy: what is written to that stays in it."""
    return self if lies_in_order(self) else _twin(self)


@word(*both("clone"), ready=True)
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A tensor of its own with the same value."""
    return _twin(input)


def _alias(x: Tensor) -> Tensor:
    """What a tensor holds now, as data or as a value of its recording."""
    if x._view is not None:
        x._refresh()
    if x._recorder is not None:
        return Tensor._recorded(x._recorder, x._value, x._dtype, x._shape)
    return Tensor._of(x._data(), x._dtype, x._device)


@word(*both("detach"), ready=True)
def detach(input: Tensor) -> Tensor:
    """A view without gradients, which there never are: what is written to one is in the other."""
    return view_of(input, _alias(input), _alias, lambda base, new: new, lambda strides: strides)


@word(*both("detach_"), ready=True)
def detach_(input: Tensor) -> Tensor:
    """The tensor."""
    return input


@word(*both("conj", "resolve_conj", "resolve_neg"), "torch.real", ready=True)
def real(input: Tensor) -> Tensor:
    """The tensor: there are no complex numbers here."""
    return input


def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Writes another tensor's numbers here, broadcast and cast to this one's shape and type."""
    if active.recorder is None:
        return self._write(speak_alone(_fitted, "copy_", (src, self), {}))
    return self._write(_fitted(src, self))


def _fitted(source: Any, like: Tensor) -> Tensor:
    """`source` in the shape and type of `like`."""
    shape, theirs = [int(s) for s in like.shape], [int(s) for s in source.shape]
    lined = [1] * (len(shape) - len(theirs)) + theirs
    if len(theirs) > len(shape) or any(t not in (1, s) for s, t in zip(shape, lined, strict=True)):
        at = next((k for k, (s, t) in enumerate(zip(shape, lined, strict=False)) if t not in (1, s)), 0)
        raise RuntimeError(
            f"The size of tensor a ({shape[at] if shape else 0}) must match the size of tensor b "
            f"({lined[at]}) at non-singleton dimension {at}"
            if len(theirs) <= len(shape)
            else f"output with shape {shape} doesn't match the broadcast shape {theirs}"
        )
    out = expand(cast(source, like._dtype), like.shape)
    return same_value(out) if out is source else out


publish(copy_, "Tensor.copy_")


def _data(self: Tensor) -> Tensor:
    return detach(self)


def _set_data(self: Tensor, new: Tensor) -> None:
    self._take(_alias(new))
    self._array = own(self._array)


_DATA = property(_data, _set_data, doc="The tensor without gradients; assigning replaces what it holds.")


# --- gradients


@word("Tensor.requires_grad_", ready=True)
def requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    """The tensor. Raises RuntimeError where gradients are asked for."""
    if requires_grad:
        raise no_gradients("requires_grad_(True)")
    return self


def _no_grad_attribute(self: Tensor) -> bool:
    return False


def _set_requires_grad(self: Tensor, value: bool) -> None:
    if value:
        raise no_gradients("requires_grad = True")


def _refused(name: str) -> None:
    @word(f"Tensor.{name}", ready=True)
    def refuse(self: Tensor, *args: Any, **kwargs: Any) -> None:
        raise no_gradients(f"{name}()")

    refuse.__name__, refuse.__doc__ = name, "Refused: this engine computes no gradients."


for _name in ("backward", "retain_grad", "register_hook"):
    _refused(_name)

_ATTRIBUTES: dict[str, Any] = {
    "data": _DATA,
    "requires_grad": property(_no_grad_attribute, _set_requires_grad, doc="False: there are no gradients here."),
    "grad": property(lambda self: None, lambda self, value: None, doc="None: there are no gradients here."),
    "grad_fn": property(lambda self: None, doc="None: there are no gradients here."),
    "real": property(lambda self: self, doc="The tensor: there are no complex numbers here."),
    "is_leaf": property(lambda self: True, doc="True: nothing is recorded for gradients."),
    "is_cuda": property(lambda self: self._device.type == "cuda", doc="Whether it is on a CUDA device."),
    "is_cpu": property(lambda self: self._device.type == "cpu", doc="Whether it is on the CPU."),
    "is_sparse": property(lambda self: False, doc="False: all tensors are dense here."),
    "is_quantized": property(lambda self: False, doc="False: there are no quantised types here."),
    "is_nested": property(lambda self: False, doc="False: there are no nested tensors here."),
    "is_meta": property(lambda self: False, doc="False: every tensor has data."),
    "itemsize": property(lambda self: self._dtype.itemsize, doc="Bytes of one element."),
    "nbytes": property(lambda self: self._dtype.itemsize * _numel(self), doc="Bytes of all elements."),
}
for _name, _attribute in _ATTRIBUTES.items():
    if not hasattr(Tensor, _name):
        setattr(Tensor, _name, _attribute)


class _Setting:
    """A context and decorator that changes nothing: gradients are never computed here."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        # `@no_grad` without parentheses is handed the function itself.
        if len(args) == 1 and not kwargs and callable(args[0]) and not isinstance(args[0], bool):
            return self(args[0])
        return self

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        return None

    def __call__(self, function: Callable) -> Callable:
        if isinstance(function, type):
            return function

        @functools.wraps(function)
        def unchanged(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return unchanged


class no_grad(_Setting):
    """A context or decorator without gradients, as everything is here."""


class enable_grad(_Setting):
    """A context or decorator that does nothing: there are no gradients here."""


class inference_mode(_Setting):
    """A context or decorator without gradients, as everything is here."""

    def __init__(self, mode: Any = True) -> None:
        del mode


class set_grad_enabled(_Setting):
    """A context that does nothing: there are no gradients here."""

    def __init__(self, mode: bool) -> None:
        del mode


def is_grad_enabled() -> bool:
    """False: there are no gradients here."""
    return False


for _entry in (no_grad, enable_grad, inference_mode, set_grad_enabled, is_grad_enabled):
    publish(_entry, f"torch.{_entry.__name__}")


# --- questions


@word("torch.is_tensor", ready=True)
def is_tensor(obj: Any, /) -> bool:
    """Whether `obj` is a tensor."""
    return isinstance(obj, Tensor)


def _numel(x: Tensor) -> int:
    return dims.product(x.shape)


@word(*both("numel"), "Tensor.nelement", ready=True)
def numel(input: Tensor) -> int:
    """Number of elements."""
    return _numel(input)


@word("Tensor.dim", "Tensor.ndimension", ready=True)
def dim(self: Tensor) -> int:
    """Number of axes."""
    return len(self._shape)


@word("Tensor.size", ready=True)
def size(self: Tensor, dim: int | None = None) -> Any:
    """The shape, or the size of one axis."""
    return self.shape if dim is None else self.shape[axis_of(dim, self.ndim)]


@word("Tensor.stride", ready=True)
def stride(self: Tensor, dim: int | None = None) -> Any:
    """How far apart neighbours are in torch's memory."""
    if not lies_in_order(self):
        apart = strides_of(self)
        return tuple(apart) if dim is None else apart[axis_of(dim, self.ndim)]
    steps: list[int] = []
    step: int = 1
    for s in reversed(self.shape):
        steps.insert(0, step)
        step = s * step
    return tuple(steps) if dim is None else steps[axis_of(dim, self.ndim)]


@word("Tensor.storage_offset", ready=True)
def storage_offset(self: Tensor) -> int:
    """0: every tensor starts at the beginning of its data."""
    return 0


@word("Tensor.element_size", ready=True)
def element_size(self: Tensor) -> int:
    """Bytes of one element."""
    return self._dtype.itemsize


@word("Tensor.is_contiguous", ready=True)
def is_contiguous(self: Tensor, memory_format: Any = None) -> bool:
    """Whether torch's tensor lies in order in memory; of another memory format it is said of each."""
    return "channels_last" in str(memory_format) or lies_in_order(self)


@word("Tensor.is_pinned", "Tensor.is_shared", ready=True)
def is_shared(self: Tensor, device: Any = None) -> bool:
    """False."""
    return False


@word("Tensor.get_device", ready=True)
def get_device(self: Tensor) -> int:
    """The number of its device; -1 on the CPU."""
    return -1 if self._device.type == "cpu" else self._device.index or 0


@word(*both("is_floating_point"), ready=True)
def is_floating_point(input: Tensor) -> bool:
    """Whether its type is a float type."""
    return input._dtype.is_floating_point


@word(*both("is_complex", "is_conj", "is_neg"), ready=True)
def is_complex(input: Tensor) -> bool:
    """False: there are no complex numbers here."""
    return False


@word(*both("is_signed"), ready=True)
def is_signed(input: Tensor) -> bool:
    """Whether its type has negative numbers."""
    return input._dtype.is_signed


@word(*both("is_same_size"), ready=True)
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two shapes are equal."""
    return tuple(input.shape) == tuple(other.shape)


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero: a Python bool, so it reads the value."""
    return bool(input)


publish(is_nonzero, *both("is_nonzero"))


@word("torch.result_type", ready=True)
def result_type_word(tensor1: Any, tensor2: Any) -> dtype:
    """The type of an operation of two tensors or numbers."""
    return result_type(tensor1, tensor2)


@word("torch.promote_types", ready=True)
def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest type that both fit."""
    return dtypes.promote_types(type1, type2)


@word("torch.can_cast", ready=True)
def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether results of one type may be written into another: not into a lower category."""
    return from_.category <= to.category


publish(dtypes.get_default_dtype, "torch.get_default_dtype")
publish(dtypes.set_default_dtype, "torch.set_default_dtype")


class finfo:
    """Limits of a float type, as `torch.finfo`."""

    def __init__(self, type: dtype | None = None) -> None:
        self._kind = type or dtypes.get_default_dtype()
        if not self._kind.is_floating_point:
            raise TypeError(
                f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle '{self._kind}'"
            )
        found = ml_dtypes.finfo(self._kind.numpy)
        self.bits, self.dtype = 8 * self._kind.itemsize, self._kind.name
        self.eps, self.max, self.min = float(found.eps), float(found.max), float(found.min)
        self.tiny = self.smallest_normal = float(found.smallest_normal)
        self.resolution = 10.0**-found.precision

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer type, as `torch.iinfo`."""

    def __init__(self, type: dtype) -> None:
        if type.category != dtypes.INTEGER:
            raise TypeError(f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{type}'")
        found: Any = np.iinfo(type.numpy)  # type: ignore[type-var]
        self.bits, self.dtype = found.bits, type.name
        self.max, self.min = int(found.max), int(found.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


publish(finfo, "torch.finfo")
publish(iinfo, "torch.iinfo")
