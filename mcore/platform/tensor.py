"""The platform engine's Tensor: data in memory, or a value of the recording that is running.

Arrays are never written in place: a word that changes a tensor gives it a new array or value and raises its
version. Views (`x[0]`, `x.view(...)`, `x.transpose(...)`) remember how to read themselves from their base and
how to write back, so in-place words on views behave as in torch although no memory is shared.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mcore.platform import dtypes, graph
from mcore.platform.borrowed import own
from mcore.platform.graph import Recorder, active

_uids = itertools.count()


class Size(tuple):
    """A shape: a tuple of ints, some symbolic while a graph is recorded."""

    def numel(self) -> int:
        """Number of elements, as a plain number."""
        out = 1
        for size in self:
            out *= int(size)
        return out

    def __getitem__(self, index: Any) -> Any:
        out = tuple.__getitem__(self, index)
        return Size(out) if isinstance(index, slice) else out

    def __add__(self, other: Any) -> Size:
        return Size(tuple.__add__(self, tuple(other)))

    def __repr__(self) -> str:
        return f"mcore.Size({[int(s) for s in self]})"


class device:
    """A device by name: `device("cpu")`, `device("cuda:0")`, `device("cuda", 0)`.

    As a context, `with device("meta"):` builds modules without their numbers, as in torch; parameters here have
    none before they are first read. Other devices as contexts are refused.
    """

    __slots__ = ("index", "type")

    def __init__(self, type: str | device, index: int | None = None) -> None:
        if isinstance(type, device):
            self.type: str = type.type
            self.index: int | None = type.index
            return
        name, _, number = str(type).partition(":")
        if number and not number.isdigit():
            raise RuntimeError(f"Invalid device string: '{type}'; it reads like 'cpu' or 'cuda:0'.")
        self.type = name
        self.index = int(number) if number else index

    def __enter__(self) -> device:
        if self.type != "meta":
            raise NotImplementedError(
                f"device('{self}') as a context is not supported on the platform engine; only 'meta' is. "
                "Move what was made with .to(device)."
            )
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was changed."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index or 0) == (other.type, other.index or 0)

    def __hash__(self) -> int:
        return hash((self.type, self.index or 0))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device(type='{self.type}'" + (")" if self.index is None else f", index={self.index})")


CPU = device("cpu")


class View:
    """How a tensor is read from its base, and how the base changes when the tensor is written."""

    __slots__ = ("base", "read", "strides", "version", "write")

    def __init__(
        self, base: Tensor, read: Callable[[Tensor], Tensor], write: Callable[[Tensor, Tensor], Tensor],
        strides: Callable[[list[int]], list[int]] | None = None,
    ):  # fmt: skip
        self.base, self.read, self.write, self.strides = base, read, write, strides
        self.version = base._version


class Tensor:
    """An n-dimensional array of one element type; methods and operators are torch's.

    Made by `mcore.tensor`, `from_numpy`, `zeros` and their kin, never by this constructor with data in it.
    """

    __slots__ = (
        "__weakref__", "_array", "_device", "_dtype", "_is_state", "_recorder", "_shape", "_uid", "_value",
        "_version", "_view",
    )  # fmt: skip

    if TYPE_CHECKING:
        # Words become methods and operators when their files are imported (word.publish).
        def __getattr__(self, name: str) -> Any: ...

        __add__: Callable[..., Any]
        __radd__: Callable[..., Any]
        __sub__: Callable[..., Any]
        __rsub__: Callable[..., Any]
        __mul__: Callable[..., Any]
        __rmul__: Callable[..., Any]
        __truediv__: Callable[..., Any]
        __rtruediv__: Callable[..., Any]
        __getitem__: Callable[..., Any]
        __setitem__: Callable[..., Any]

    def __init__(self, data: Any = None) -> None:
        array = np.zeros(0, np.float32) if data is None else np.asarray(data, np.float32)
        self._set_data(array, dtypes.float32, CPU)

    def _set_data(self, array: np.ndarray, dtype: dtypes.dtype, where: device) -> None:
        self._array: Any = array
        self._shape: tuple = array.shape
        self._dtype, self._device = dtype, where
        self._recorder: Recorder | None = None
        self._value, self._version = -1, 0
        self._view: View | None = None
        self._is_state, self._uid = graph.PLAIN, next(_uids)

    @classmethod
    def _of(cls, array: np.ndarray, dtype: dtypes.dtype | None = None, where: device = CPU) -> Tensor:
        """A tensor that holds `array` (shared, never written)."""
        out = Tensor.__new__(Tensor)
        out._set_data(array, dtype or dtypes.from_numpy(array.dtype), where)
        return out

    @classmethod
    def _recorded(cls, recorder: Recorder, value: int, dtype: dtypes.dtype, shape: tuple) -> Tensor:
        """A tensor that stands for a value of a recording."""
        out = Tensor.__new__(Tensor)
        out._array, out._recorder, out._value = None, recorder, value
        out._dtype, out._shape, out._device = dtype, shape, CPU
        out._version, out._view, out._is_state, out._uid = 0, None, graph.PLAIN, -1
        return out

    # --- payload

    def _refresh(self) -> None:
        """Reads a view again if its base was written since."""
        view = self._view
        assert view is not None
        base = view.base
        if base._view is not None:
            base._refresh()
        if view.version != base._version:
            self._take(view.read(base))
            view.version = base._version

    def _take(self, new: Tensor) -> None:
        """Becomes what `new` is, keeping identity; within a recording, a caller's tensor is written back after it."""
        recorder = active.recorder
        if recorder is not None and self._recorder is not recorder:
            recorder.mutated[id(self)] = self
        if new._recorder is None:
            self._array, self._recorder, self._value = new._array, None, -1
        else:
            self._recorder, self._value = new._recorder, new._value
        self._shape, self._dtype = new._shape, new._dtype
        self._version += 1

    def _write(self, new: Tensor) -> Tensor:
        """What every in-place word ends with: this tensor, and the base that it views, become `new`."""
        view = self._view
        if view is not None:
            base = view.base
            base._write(view.write(base, new))
            self._take(new)
            view.version = base._version
        else:
            self._take(new)
        return self

    def _data(self) -> np.ndarray:
        """The array; in the middle of a recording it is computed first."""
        if self._view is not None:
            self._refresh()
        recorder = self._recorder
        if recorder is None:
            array = self._array
            if callable(array):
                array = self._array = array()
            return array
        array = recorder.evaluate([self._value], "Reading a tensor's value")[0]
        if active.recorder is not recorder:  # outlived its recording: from now on it is data
            self._array, self._recorder = array, None
            recorder.mutated.pop(id(self), None)
        return array

    @property
    def shape(self) -> Size:
        """Sizes of the axes."""
        if self._view is not None:
            self._refresh()
        shape = self._shape
        return shape if type(shape) is Size else Size(shape)

    @property
    def dtype(self) -> dtypes.dtype:
        """Element type."""
        return self._dtype

    @property
    def device(self) -> device:
        """Where it was put."""
        return self._device

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._shape)

    # --- leaving the engine

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The data, read-only: a session keeps its own copy, so an edit here would not be seen."""
        array = self._data().view()
        array.flags.writeable = False
        return array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy() if not copy else self.numpy().copy()
        return array if dtype is None else array.astype(dtype)

    def item(self) -> Any:
        """The one element as a Python number. Raises RuntimeError where there are more."""
        array = self._data()
        if array.size != 1:
            raise RuntimeError(f"a Tensor with {array.size} elements cannot be converted to Scalar")
        return array.reshape(()).astype(np.float32).item() if self._dtype is dtypes.bfloat16 else array.item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        array = self._data()
        return (array.astype(np.float32) if self._dtype is dtypes.bfloat16 else array).tolist()

    def __bool__(self) -> bool:
        array = self._data()
        if array.size != 1:
            raise RuntimeError(
                "Boolean value of Tensor with no values is ambiguous" if array.size == 0
                else "Boolean value of Tensor with more than one value is ambiguous"
            )  # fmt: skip
        return bool(array.reshape(()))

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        if self._dtype.category == dtypes.FLOAT or self.ndim:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError("len() of a 0-d tensor")
        return int(self._shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        if not self._shape:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))  # type: ignore[attr-defined]

    def __contains__(self, element: Any) -> bool:
        return bool((self == element).any())  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return id(self)

    def __format__(self, spec: str) -> str:
        return format(self.item() if self.ndim == 0 and spec else repr(self), spec)

    def __repr__(self) -> str:
        recorder = self._recorder
        if recorder is not None and (recorder.exporting or active.recorder is recorder):
            sizes = ", ".join(graph.dims.text(graph.dims.expr_of(s)) for s in self._shape)
            return f"tensor(<recorded>, shape=({sizes}), dtype={self._dtype})"
        array = self._data()
        shown = array.astype(np.float32) if self._dtype is dtypes.bfloat16 else array
        body = np.array2string(shown, separator=", ", prefix="tensor(", precision=4, threshold=1000)
        plain = (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool_)
        kind = "" if self._dtype in plain and array.size else f", dtype={self._dtype}"
        return f"tensor({body}{kind}" + (")" if self._device == CPU else f", device='{self._device}')")

    def __deepcopy__(self, memo: dict) -> Tensor:
        out = type(self).__new__(type(self))
        out._set_data(own(self._data()), self._dtype, self._device)
        out._is_state = self._is_state
        memo[id(self)] = out
        return out

    def __reduce__(self) -> tuple:
        return _rebuild, (type(self), np.asarray(self._data()), self._dtype, str(self._device), self._is_state)


def _rebuild(kind: Any, array: np.ndarray, dtype: dtypes.dtype, where: str, is_state: bool) -> Tensor:
    out = kind.__new__(kind)
    out._set_data(array, dtype, device(where))
    out._is_state = is_state
    return out


# --- what the words are written with

_new: Any = object.__new__


def emit(op: str, inputs: Any, shape: tuple, dtype: dtypes.dtype, **attributes: Any) -> Tensor:
    """One ONNX node with one output. `inputs`: tensors, values (int) or None for an absent optional input."""
    r = active.recorder
    assert r is not None
    if attributes and r.sources:
        attributes = r._fixed(op, attributes)
    return emit_plain(op, inputs, shape, dtype, tuple(attributes.items()))


def emit_plain(op: str, inputs: Any, shape: tuple, dtype: dtypes.dtype, attributes: tuple = ()) -> Tensor:
    """`emit` for frequent words: attributes come as pairs, and none of them is a symbolic size."""
    r: Any = active.recorder
    use = r.use
    values = tuple([
        (t._value if t._recorder is r and t._view is None else use(t)) if isinstance(t, Tensor)
        else -1 if t is None else t
        for t in inputs
    ])  # fmt: skip
    out = _new(Tensor)  # as _recorded, written out
    out._array, out._recorder = None, r
    out._value = r.emit_one(op, values, shape, dtype, attributes)
    out._dtype, out._shape, out._device = dtype, shape, CPU
    out._version, out._view, out._is_state, out._uid = 0, None, graph.PLAIN, -1
    return out


def emit_many(op: str, inputs: Any, outputs: list[tuple], **attributes: Any) -> list[Tensor]:
    """One ONNX node with several outputs, each given as (shape, dtype)."""
    r = active.recorder
    assert r is not None
    values = [r.use(t) if isinstance(t, Tensor) else -1 if t is None else t for t in inputs]
    first = r.emit(op, values, outputs, attributes)
    return [Tensor._recorded(r, first + k, dtype, shape) for k, (shape, dtype) in enumerate(outputs)]


def constant(data: Any, dtype: dtypes.dtype | None = None) -> Tensor:
    """A tensor of data known now; within a recording it is a constant of the graph."""
    array = np.asarray(data, dtype.numpy if dtype else None)
    dtype = dtype or dtypes.from_numpy(array.dtype)
    r = active.recorder
    if r is None:
        return Tensor._of(array, dtype)
    return Tensor._recorded(r, r.constant(array, dtype), dtype, array.shape)


def ints(sizes: Any) -> Tensor:
    """A one-dimensional int64 tensor of sizes, computed in the graph where they are symbolic."""
    r = graph.current()
    sizes = tuple(sizes)
    return Tensor._recorded(r, r.ints(sizes), dtypes.int64, (len(sizes),))


def size_tensor(size: int, dtype: dtypes.dtype = dtypes.int64) -> Tensor:
    """A 0-d tensor of one size, computed in the graph where it is symbolic."""
    if type(size) is not graph.Dim:
        return constant(size, dtype)
    out = emit("Squeeze", [ints([size])], (), dtypes.int64)
    return out if dtype is dtypes.int64 else emit("Cast", [out], (), dtype, to=dtype.onnx)


def quotient_tensor(value: graph.dims.DimFloat, dtype: dtypes.dtype) -> Tensor:
    """A 0-d tensor of a float made of sizes (`h / 7`), computed in the graph."""
    r = graph.current()
    wide = Tensor._recorded(r, r._float(value.tree), dtypes.float64, (1,))
    out = emit("Squeeze", [wide], (), dtypes.float64)
    return out if dtype is dtypes.float64 else emit("Cast", [out], (), dtype, to=dtype.onnx)


def unknown_sizes(tensor: Tensor) -> Tensor:
    """`tensor` with the sizes that depend on data (given as None) read by running what was recorded so far."""
    r = graph.current()
    sizes = [r.unknown_size(tensor._value, a) if s is None else s for a, s in enumerate(tensor._shape)]
    tensor._shape = r.shapes[tensor._value] = tuple(sizes)
    return tensor
