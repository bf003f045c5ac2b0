"""What checkpoints need of the torch engine: weights put in place, networks made without drawing them, passes timed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from mcore.exchange import bridge_torch
from mcore.exchange.recorded import leaves_of

# What draws, or fills, a parameter that is about to be loaded.
_DRAWS = {
    *(getattr(torch.Tensor, name) for name in ("normal_", "uniform_", "exponential_", "log_normal_", "cauchy_")),
    *(getattr(torch.nn.init, name) for name in ("uniform_", "normal_", "trunc_normal_", "xavier_uniform_")),
    *(getattr(torch.nn.init, name) for name in ("xavier_normal_", "kaiming_uniform_", "kaiming_normal_")),
    *(getattr(torch.nn.init, name) for name in ("orthogonal_", "sparse_")),
}


class _Undrawn(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        first = args[0] if args else (kwargs or {}).get("tensor")
        if func in _DRAWS and isinstance(first, torch.nn.Parameter):
            return first
        return func(*args, **(kwargs or {}))


def building() -> contextlib.AbstractContextManager[Any]:
    """A block in which parameters aren't drawn: their memory isn't touched before the weights come."""
    return _Undrawn()


def is_float(tensor: torch.Tensor) -> bool:
    """Whether its elements are real numbers."""
    return tensor.dtype.is_floating_point


def check_holds(name: str, tensor: torch.Tensor) -> None:
    """Refuses what has no memory to load into."""
    if tensor.is_meta:
        raise ValueError(
            f"{name} is on the device 'meta' and holds nothing; make the network on another, or to_empty it."
        )


def take(net: torch.nn.Module, given: Mapping[str, tuple[torch.Tensor, np.ndarray]]) -> None:
    """Copies arrays into tensors of the state, all or none; the arrays are used up.

    Old numbers move to where the new ones came from, so that they can be put back without a third copy.
    """
    if any(module._load_state_dict_pre_hooks or module._load_state_dict_post_hooks for module in net.modules()):
        # Somebody wants to be told: torch's own way, which needs a copy more.
        state = {name: bridge_torch.tensor_of(array) for name, (_, array) in given.items()}
        bridge_torch.load_state(net, state, strict=False)
        return
    done: list[tuple[torch.Tensor, torch.Tensor]] = []
    with torch.no_grad():
        try:
            for tensor, array in given.values():
                source = bridge_torch.tensor_of(array)
                old = tensor.detach().clone()
                done.append((tensor, old))  # before anything changes
                tensor.copy_(source)
                if source.dtype == old.dtype:
                    source.copy_(old)
                    done[-1] = (tensor, source)
        except BaseException:
            # The last first: a tensor of two names was changed twice.
            for tensor, old in reversed(done):
                tensor.copy_(old)
            raise


def assign(tensor: torch.Tensor, array: np.ndarray) -> None:
    """Gives a tensor of a network that was just made the memory of an array, and its type."""
    with torch.no_grad():
        tensor.data = bridge_torch.tensor_of(array).to(tensor.device)


def place_of(net: torch.nn.Module) -> str:
    """The device of a network. Raises ValueError where it lies on several."""
    places = {str(tensor.device) for tensor in (*net.parameters(), *net.buffers())}
    if len(places) > 1:
        raise ValueError(f"measure: the network lies on {', '.join(sorted(places))}; move it to one device.")
    return places.pop() if places else "cpu"


def title_of(device: str) -> str:
    """What the hardware behind a GPU is called; "" of others."""
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else ""


def threads_of(device: str) -> int | None:
    """How many threads compute; None of a GPU."""
    return torch.get_num_threads() if torch.device(device).type == "cpu" else None


def precision_of(net: torch.nn.Module) -> str:
    """The type of the first parameter that has a real one."""
    kinds = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float64: "fp64"}
    found = next((tensor.dtype for tensor in net.parameters() if tensor.is_floating_point()), torch.float32)
    return "mixed" if torch.is_autocast_enabled(place_of(net).partition(":")[0]) else kinds.get(found, "fp32")


def input_of(net: torch.nn.Module, shape: Sequence[int], device: str) -> torch.Tensor:
    """Numbers between -1 and 1, the same each time, in the type of the network."""
    drawn = np.random.default_rng(0).uniform(-1, 1, tuple(shape)).astype(np.float32)
    kind = next((tensor.dtype for tensor in net.parameters() if tensor.is_floating_point()), torch.float32)
    return torch.from_numpy(drawn).to(device=device, dtype=kind)


@contextlib.contextmanager
def kept(net: torch.nn.Module, device: str) -> Iterator[None]:
    """A block after which modes, buffers, the device and the random state are what they were before."""
    before = place_of(net)
    modes = [(module, module.training) for module in net.modules()]
    buffers = [(module, dict(module._buffers)) for module in net.modules()]
    values = {id(b): (b, b.detach().clone()) for _, held in buffers for b in held.values() if b is not None}
    gradients = [(parameter, parameter.grad) for parameter in net.parameters()]
    cuda = [torch.device(device).index or 0] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        try:
            for parameter, _ in gradients:
                parameter.grad = None
            if device != before:
                net.to(device)
            yield
        finally:
            if device != before:
                net.to(before)
            # The tensors of before, also where the network put others in their place.
            with torch.no_grad():
                for buffer, value in values.values():
                    buffer.copy_(value)
            for module, held in buffers:
                module._buffers.clear()
                module._buffers.update(held)
            for module, mode in modes:
                module.training = mode
            for parameter, gradient in gradients:
                parameter.grad = gradient


def forward(net: torch.nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """A pass without a graph."""

    def run() -> None:
        with torch.no_grad():
            net(x)

    return run


def training(net: torch.nn.Module, x: torch.Tensor) -> Callable[[], None] | None:
    """A pass and the gradient of the mean of all that it gives; None where nothing of it is trained.

    The gradients are given back, never added to those that parameters hold.
    """
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    if not trained:
        return None

    def run() -> None:
        found, _ = leaves_of(net(x), torch.Tensor)
        answers = [leaf for leaf in found if leaf.requires_grad]
        if not answers:
            raise ValueError("nothing that the network gives in training mode depends on its parameters")
        mean = sum(leaf.sum() for leaf in answers) / sum(leaf.numel() for leaf in answers)
        torch.autograd.grad(mean, trained, allow_unused=True)

    return run


def clocked(run: Callable[[], None], device: str) -> float:
    """Seconds of a call, until the device is done."""
    wait = torch.cuda.synchronize if torch.device(device).type == "cuda" else None
    if wait:
        wait(device)
    start = time.perf_counter()
    run()
    if wait:
        wait(device)
    return time.perf_counter() - start


def memory_of(run: Callable[[], None], device: str) -> int | None:
    """The most bytes that a call takes besides what there was before; None where it isn't told."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        torch.cuda.synchronize(device)
        return max(torch.cuda.max_memory_allocated(device) - before, 0)
    if torch.device(device).type != "cpu":
        return None
    from mcore.devices.memory import Peak

    peak = Peak()
    run()
    return peak.above()
