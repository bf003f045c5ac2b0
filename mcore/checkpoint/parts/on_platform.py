"""What checkpoints need of the platform engine: weights put in place, passes timed. Nothing here trains."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mcore.exchange import bridge_platform
from mcore.exchange.recorded import leaves_of
from mcore.platform.base import Module
from mcore.platform.parameter import become
from mcore.platform.session import get_num_threads
from mcore.platform.tensor import Tensor


def building() -> contextlib.AbstractContextManager[Any]:
    """Nothing to switch: numbers are drawn here when they are first read."""
    return contextlib.nullcontext()


def is_float(tensor: Tensor) -> bool:
    """Whether its elements are real numbers."""
    return tensor.dtype.is_floating_point


def check_holds(name: str, tensor: Tensor) -> None:
    """Refuses what has no memory to load into."""
    if str(tensor.device) == "meta":
        raise ValueError(f"{name} is on the device 'meta' and holds nothing; make the network on another.")


def take(net: Module, given: Mapping[str, tuple[Tensor, np.ndarray]]) -> None:
    """Gives tensors of the state the numbers of arrays, all or none; the arrays are used up, not copied."""
    net.load_state_dict({name: bridge_platform.tensor_of(array) for name, (_, array) in given.items()}, strict=False)


def assign(tensor: Tensor, array: np.ndarray) -> None:
    """Gives a tensor of a network that was just made the memory of an array, and its type."""
    new = bridge_platform.tensor_of(array)
    new._device = tensor._device
    become(tensor, new)


def place_of(net: Module) -> str:
    """The device of a network."""
    places = {str(tensor.device) for tensor in (*net.parameters(), *net.buffers())}
    if len(places) > 1:
        raise ValueError(f"measure: the network lies on {', '.join(sorted(places))}; move it to one device.")
    return places.pop() if places else "cpu"


def title_of(device: str) -> str:
    """ONNX Runtime doesn't tell what a GPU is called."""
    return ""


def threads_of(device: str) -> int | None:
    """How many threads compute; None of a GPU, and where the runtime decides."""
    return get_num_threads() or None if device == "cpu" else None


def precision_of(net: Module) -> str:
    """The type of the first parameter that has a real one."""
    kinds = {"float16": "fp16", "bfloat16": "bf16", "float64": "fp64"}
    return kinds.get(_kind(net).rpartition(".")[2], "fp32")


def input_of(net: Module, shape: Sequence[int], device: str) -> Tensor:
    """Numbers between -1 and 1, the same each time, in the type of the network."""
    drawn = np.random.default_rng(0).uniform(-1, 1, tuple(shape)).astype(np.float32)
    kind = next((tensor.dtype for tensor in net.parameters() if tensor.dtype.is_floating_point), None)
    x = bridge_platform.tensor_of(drawn)
    return (x if kind is None else x.to(kind)).to(device)


@contextlib.contextmanager
def kept(net: Module, device: str) -> Iterator[None]:
    """A block after which modes, buffers and the device are what they were before."""
    before = place_of(net)
    modes = [(module, module.training) for module in net.modules()]
    state = {name: value.detach().clone() for name, value in net.named_buffers()}
    held = dict(net.named_buffers())
    try:
        if device != before:
            net.to(device)
        yield
    finally:
        if device != before:
            net.to(before)
        for name, value in state.items():
            become(held[name], value)
        for module, mode in modes:
            module.training = mode


def forward(net: Module, x: Tensor) -> Callable[[], None]:
    """A pass: all that it gives is read, since an answer may be computed when it is read."""

    def run() -> None:
        for leaf in leaves_of(net(x), Tensor)[0]:
            leaf.numpy()

    return run


def training(net: Module, x: Tensor) -> None:
    """No pass: this engine has no gradients."""


def clocked(run: Callable[[], None], device: str) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def memory_of(run: Callable[[], None], device: str) -> int | None:
    """The most bytes that a call takes besides what there was before; None where it isn't told."""
    if device != "cpu":
        return None
    from mcore.devices.memory import Peak

    # What the runtime's arena holds already would be used again, and not be seen.
    bridge_platform.free_memory(device)
    run()
    peak = Peak()
    run()
    return peak.above()


def _kind(net: Module) -> str:
    return str(next((tensor.dtype for tensor in net.parameters() if tensor.dtype.is_floating_point), "float32"))
