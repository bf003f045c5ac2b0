"""From a caller's arrays and tensors to what a network takes, and its results back into the caller's kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from types import ModuleType
from typing import Any

import numpy as np

from mcore.exchange import bridge


def check_data(data: Any, who: str) -> None:
    """Raises TypeError where `data` is neither an array of numbers nor a tensor."""
    if not bridge.is_tensor(data):
        raise TypeError(f"{who}: takes a numpy array or a tensor, got {type(data).__name__}.")
    if isinstance(data, np.ndarray) and data.dtype.kind not in "biufV":
        raise TypeError(f"{who}: takes numbers, got an array of {data.dtype}.")


def is_zero(data: Any) -> bool:
    """Whether there is nothing but zeros in `data`."""
    return not bool(data.any())


def given(data: Any, network: Any, engine: ModuleType, device: str) -> Any:
    """`data` as a tensor of the network's engine, on `device`; the caller's own stays as it is, whatever is written.

    Floats narrower than the network's weights are widened to these, which loses nothing; all else keeps its type.
    """
    if engine.is_tensor(data):
        tensor = engine.private(data)
    else:
        array = bridge.array_of(data)
        tensor = engine.tensor_of(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
    wide = float_type(network)
    narrow = wide is not None and tensor.dtype.is_floating_point and tensor.dtype.itemsize < wide.itemsize
    return tensor.to(device=device, dtype=wide) if narrow else tensor.to(device=device)


def returned(result: Any, like: Any, engine: ModuleType, *, dtype: str) -> Any:
    """A tensor of the network as `like` is: an array, or a tensor on its device.

    `dtype` says of which type: "network", as it is; "data", that of `like`; "floats", that of `like` where both are
    floats, and otherwise as it is.
    """
    if isinstance(like, np.ndarray):
        array = bridge.array_of(result)
        if dtype == "data" or (dtype == "floats" and _is_float(array) and _is_float(like)):
            array = array.astype(like.dtype.newbyteorder("="), copy=False)
        return array if array.flags.writeable else array.copy()
    if not engine.is_tensor(like):  # a tensor of the other engine
        owner = next(other for other in bridge.loaded() if other.is_tensor(like))
        result = owner.tensor_of(np.array(bridge.array_of(result)))
    both = result.dtype.is_floating_point and like.dtype.is_floating_point
    cast = dtype == "data" or (dtype == "floats" and both)
    return result.to(device=like.device, dtype=like.dtype if cast else result.dtype)


def _is_float(array: np.ndarray) -> bool:
    # numpy knows bfloat16 and its kin as void.
    return array.dtype.kind in "fV"


def mapped(result: Any, function: Callable[[Any], Any], is_leaf: Callable[[Any], bool] = bridge.is_tensor) -> Any:
    """A network's result with `function` done to each tensor: alone, or in tuples, lists and mappings.

    Raises:
        TypeError: something else is among them.
    """
    if is_leaf(result):
        return function(result)
    if isinstance(result, Mapping):
        return {name: mapped(item, function, is_leaf) for name, item in result.items()}
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*(mapped(item, function, is_leaf) for item in result))
    if isinstance(result, tuple | list):
        return type(result)(mapped(item, function, is_leaf) for item in result)
    raise TypeError(f"the network gives a {type(result).__name__}; tensors, tuples, lists and mappings of them fit.")


def float_type(network: Any) -> Any | None:
    """The type of the network's weights; None where it has none."""
    return next((value.dtype for value in network.parameters() if value.dtype.is_floating_point), None)


def device_of(network: Any, engine: ModuleType) -> str:
    """The device of the network's first parameter or buffer; the CPU where it has none."""
    first = next(chain(network.parameters(), network.buffers()), None)
    return "cpu" if first is None else engine.device_of(first.device)


__all__ = ["check_data", "device_of", "float_type", "given", "is_zero", "mapped", "returned"]
