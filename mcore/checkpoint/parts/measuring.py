"""What a network costs on a device: time and memory of a pass, and of a pass with its gradient."""

from __future__ import annotations

import importlib
import platform
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcore.exchange import bridge

if TYPE_CHECKING:
    from mcore.checkpoint.records import Cost


def measure(
    net: Any,
    sizes: Sequence[Sequence[int]] | Sequence[int],
    batch: int = 1,
    *,
    device: Any = None,
    runs: int = 20,
    warmup: int = 5,
    training: bool = True,
) -> list[Cost]:
    """Times and memory of a network, for each size of its input, as `Repository.save(costs=...)` takes them.

    The forward pass runs in eval mode and keeps nothing for gradients; the time is the median of `runs`, after
    `warmup` others. The second time is of the same in training mode, with the gradient of the mean of all outputs by
    all parameters; the platform engine has none, nor has a network all of which is frozen. Afterwards the network is
    what it was: mode, statistics of norms, gradients, device, and the random state.

    Args:
        net: a module of either engine that takes one tensor.
        sizes: of the input without its batch, channels first: `[(3, 224, 224), (3, 512, 512)]`; one may stand alone.
        batch: how many images at once.
        device: "cpu", "cuda:0", ...; where the network is, if left out.
        runs: how many passes are timed.
        warmup: how many come before, and don't count.
        training: also time training; False for networks that can't be trained by one tensor.

    Raises:
        ValueError: a size, a batch or a count that isn't positive; the network lies on several devices; or it can't be
            run in training mode on this batch.
        RuntimeError: there is no such device.
        TypeError: `net` is no module.
    """
    engine = bridge.of_module(net)
    shapes = [(_count(batch, "batch"), *size) for size in _sizes(sizes)]
    _count(runs, "runs")
    if type(warmup) is not int or warmup < 0:
        raise ValueError(f"measure: warmup={warmup!r} is no number of passes.")
    # Not at the top: composition reads the registry.
    from mcore.checkpoint.parts.composition import unwrapped

    net, hands = unwrapped(net), importlib.import_module(f"mcore.checkpoint.parts.on_{engine.NAME}")
    where = hands.place_of(net) if device is None else engine.device_of(device)
    with hands.kept(net, where):
        return [_cost(net, shape, where, hands, runs, warmup, training) for shape in shapes]


def _cost(net: Any, shape: tuple[int, ...], where: str, hands: Any, runs: int, warmup: int, training: bool) -> Cost:
    from mcore.checkpoint.records import Cost

    x = hands.input_of(net, shape, where)
    net.eval()
    run = hands.forward(net, x)
    seconds, memory = _measured(run, where, hands, runs, warmup)
    low, middle, high = (1e3 * float(value) for value in np.percentile(seconds, (10, 50, 90)))
    net.train()
    train = hands.training(net, x) if training else None
    trained, training_memory = None, None
    if train is not None:
        taken, training_memory = _trained(train, shape, net, where, hands, runs, warmup)
        trained = 1e3 * float(np.median(taken))
    return Cost(
        device=_title(where, hands),
        shape=shape,
        precision=hands.precision_of(net),
        forward_ms=middle,
        forward_backward_ms=trained,
        spread_ms=high - low,
        memory_bytes=memory,
        training_memory_bytes=training_memory,
        runs=runs,
        threads=hands.threads_of(where),
    )


def _measured(
    run: Callable[[], None], where: str, hands: Any, runs: int, warmup: int
) -> tuple[list[float], int | None]:
    for _ in range(warmup):
        run()
    seconds = [hands.clocked(run, where) for _ in range(runs)]
    return seconds, hands.memory_of(run, where)


def _trained(
    run: Callable[[], None], shape: Sequence[int], net: Any, where: str, hands: Any, runs: int, warmup: int
) -> tuple[list[float], int | None]:
    try:
        return _measured(run, where, hands, runs, warmup)
    # Norms that need two values of a channel, networks that want targets, answers that are no tensors.
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"measure: {type(net).__name__} can't be trained on a single tensor of {tuple(shape)}: "
            f"{str(error).rstrip('.')}. Give a larger batch (batch=2), or training=False for the forward pass alone."
        ) from error


def _sizes(sizes: Any) -> list[tuple[int, ...]]:
    if not isinstance(sizes, list | tuple) or not sizes:
        raise ValueError(f"measure: sizes are shapes without the batch, as in [(3, 224, 224)], got {sizes!r:.100}.")
    alone = all(isinstance(one, int) for one in sizes)
    found = [tuple(sizes)] if alone else [tuple(one) if isinstance(one, list | tuple) else () for one in sizes]
    for size in found:
        if not size or not all(type(one) is int and one > 0 for one in size):
            raise ValueError(f"measure: a size has positive whole numbers, as in (3, 224, 224), got {sizes!r:.100}.")
    return found


def _count(value: Any, name: str) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"measure: {name}={value!r} is not 1 or more.")
    return value


def _title(where: str, hands: Any) -> str:
    hardware = hands.title_of(where) or (_processor() if where == "cpu" else "")
    return (f"{where} ({hardware})" if hardware else where)[:200]


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:  # no Linux
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


__all__ = ["measure"]
