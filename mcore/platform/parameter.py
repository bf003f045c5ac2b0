"""State of modules: Parameter, Buffer, and arrays that are made when first read.

A network whose weights come from a file never draws the random numbers they replace: an initialiser only notes
what to draw (`Lazy`), and whoever writes the parameter first throws the note away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mcore.platform import dtypes, errors, graph
from mcore.platform.borrowed import own
from mcore.platform.dtypes import dtype
from mcore.platform.tensor import CPU, Tensor, View, _uids, device


class Lazy:
    """An array that is made at the first reading; `Tensor._data` calls it."""

    __slots__ = ("_array", "_make")

    def __init__(self, make: Callable[[], np.ndarray]) -> None:
        self._make: Callable[[], np.ndarray] | None = make
        self._array: Any = None

    def __call__(self) -> np.ndarray:
        make = self._make  # read once: another thread may finish in between
        if make is not None:
            self._array = make()
            self._make = None
        return self._array


class _State(Tensor):
    """What Parameter and Buffer share: a tensor held by sessions, with attributes of its own as in torch."""

    def _adopt(self, data: Tensor | None) -> None:
        """Becomes a state with the data of another tensor; only an array of the caller's is copied."""
        if data is None:
            self._set_data(np.zeros(0, np.float32), dtypes.float32, CPU)
        elif not isinstance(data, Tensor):
            raise TypeError(
                f"{type(self).__name__}(): argument 'data' must be Tensor, not {type(data).__name__}; "
                "make one with mcore.tensor or mcore.from_numpy."
            )
        else:
            # A recorded value is read now: what a module owns outlives the recording.
            pending = data._recorder is None and data._view is None and callable(data._array)
            array = own(data._array if pending else data._data())
            self._set_lazy(array, tuple(map(int, data._shape)), data._dtype, data._device)
        self._is_state = graph.BAKED

    def _set_lazy(self, array: Any, shape: tuple, kind: dtype, where: device) -> None:
        self._array, self._shape, self._dtype, self._device = array, shape, kind, where
        self._recorder = None
        self._value, self._version, self._view = -1, 0, None
        self._is_state, self._uid = graph.BAKED, next(_uids)

    def __deepcopy__(self, memo: dict) -> Any:
        out = type(self).__new__(type(self))
        pending = self._recorder is None and self._view is None and callable(self._array)
        array = self._array if pending else self._data()
        out._set_lazy(array, tuple(map(int, self._shape)), self._dtype, self._device)
        out._is_state = self._is_state
        memo[id(self)] = out
        out.__dict__.update(self.__dict__)
        return out

    def __reduce__(self) -> tuple:
        array = np.asarray(self._data())
        return _rebuild, (
            type(self),
            array,
            self._dtype,
            str(self._device),
            self._is_state,
            dict(self.__dict__),
        )


def _rebuild(
    kind: type[_State],
    array: np.ndarray,
    dtype: dtype,
    where: str,
    is_state: int,
    attributes: Mapping[str, Any],
) -> _State:
    out = kind.__new__(kind)
    out._set_data(array, dtype, device(where))
    out._is_state = is_state
    out.__dict__.update(attributes)
    return out


class Parameter(_State):
    """A tensor that a module lists among its parameters when it is assigned as an attribute.

    `requires_grad` is a flag that models set to freeze parts; no gradient is ever computed on this engine.
    """

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        self._adopt(data)
        if requires_grad and not self._dtype.is_floating_point:
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        self.__dict__["requires_grad"] = bool(requires_grad)

    @property
    def requires_grad(self) -> bool:
        """The flag, as the model set it."""
        return self.__dict__.get("requires_grad", True)

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        self.__dict__["requires_grad"] = bool(flag)

    def requires_grad_(self, requires_grad: bool = True) -> Parameter:
        """Clears the flag. Raises RuntimeError when asked for gradients: this engine has none."""
        if requires_grad:
            raise errors.no_gradients("requires_grad_(True)")
        self.requires_grad = False
        return self

    def __repr__(self) -> str:
        text = super().__repr__()
        return "Parameter containing:\n" + (f"{text[:-1]}, requires_grad=True)" if self.requires_grad else text)


class Buffer(_State):
    """A tensor that a module lists among its buffers when it is assigned as an attribute."""

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        self._adopt(data)
        self.__dict__["persistent"] = bool(persistent)

    @property
    def persistent(self) -> bool:
        """Whether `state_dict` holds it."""
        return self.__dict__.get("persistent", True)


# --- making and changing states


def empty(
    shape: int | Sequence[int], where: Any = None, kind: dtype | None = None, *, requires_grad: bool = True
) -> Parameter:
    """A parameter of zeros that nobody made yet; an initialiser writes it next."""
    out = Parameter.__new__(Parameter)
    shape = (int(shape),) if isinstance(shape, int) else tuple(map(int, shape))
    kind = kind or dtypes.get_default_dtype()
    if any(size < 0 for size in shape):
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    out._set_lazy(Lazy(lambda: np.zeros(shape, kind.numpy)), shape, kind, CPU if where is None else device(where))
    out.__dict__["requires_grad"] = requires_grad
    return out


def filled(tensor: Tensor, make: Callable[[], np.ndarray]) -> Tensor:
    """Writes what `make` returns into `tensor`: when it is first read, or at once where others look on."""
    if graph.active.recorder is None and tensor._view is None and tensor._recorder is None:
        tensor._array = Lazy(make)
        tensor._version += 1
        return tensor
    return tensor._write(Tensor._of(make(), tensor._dtype, tensor._device))


def converted(tensor: Tensor, kind: dtype | None = None, where: device | None = None) -> Tensor:
    """A tensor with the same numbers in another type or place, made when it is read."""
    kind, where = kind or tensor._dtype, where or tensor._device
    if kind is tensor._dtype and where == tensor._device:
        return tensor
    source = tensor._array if tensor._recorder is None and tensor._view is None else tensor._data()
    out = Tensor.__new__(Tensor)
    shape = tuple(map(int, tensor._shape))
    if kind is tensor._dtype:
        array = source
    elif callable(source):
        array = Lazy(lambda: cast_array(source(), kind))
    else:
        array = cast_array(source, kind)
    out._array, out._recorder, out._value = array, None, -1
    out._shape, out._dtype, out._device = shape, kind, where
    out._version, out._view, out._is_state, out._uid = 0, None, tensor._is_state, next(_uids)
    return out


def cast_array(array: np.ndarray, kind: dtype) -> np.ndarray:
    """An array in another element type, with what C does to numbers that don't fit, in silence as torch does."""
    if array.dtype == kind.numpy:
        return array
    with np.errstate(invalid="ignore", over="ignore"):
        return array.astype(kind.numpy)


def become(state: Tensor, new: Tensor) -> None:
    """Gives `state` the data of `new`, keeping identity; outside a recording nothing is read or copied."""
    if state is new:
        return
    if graph.active.recorder is not None or new._recorder is not None or new._view is not None:
        state._take(new)
    else:
        state._array, state._recorder, state._value, state._view = new._array, None, -1, None
        state._shape, state._dtype = new._shape, new._dtype
        state._version += 1
    state._device = new._device


def alias(base: Tensor) -> Tensor:
    """A plain tensor over the same data: what is written into either shows in the other."""
    out = Tensor.__new__(Tensor)
    out._array, out._recorder, out._value = base._array, base._recorder, base._value
    out._shape, out._dtype, out._device = base._shape, base._dtype, base._device
    out._version, out._is_state, out._uid = 0, graph.PLAIN, next(_uids)
    out._view = View(base, _same, _new)
    return out


def _same(base: Tensor) -> Tensor:
    return base


def _new(base: Tensor, new: Tensor) -> Tensor:
    return new


__all__ = ["Buffer", "Lazy", "Parameter", "alias", "become", "cast_array", "converted", "empty", "filled"]
