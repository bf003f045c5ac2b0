"""From targets to networks: with their weights, in eval mode, where they shall run, and with data to run them on."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import mcore
from mcore.config import Config
from mcore.exchange import bridge
from mcore.signatures import signature
from models.sizing import Sized, valid_sizes
from tools.support.targets import Shape, Target

# Bytes that a process holds before it has a network, and how often it holds those of a network meanwhile: itself, the
# graph, its file, and the runtime's copy.
_BASE, _TIMES = 600 << 20, 5
# Pixels to try, by axes: of a network that takes any; then of those that take one size only, as published.
_PUBLISHED = {1: (224, 256, 512), 2: (224, 256, 300, 384, 512), 3: (64, 96, 128)}


class TargetError(ValueError):
    """A target that can't be built; the message begins with its name."""


def build(target: Target) -> Any:
    """The network of a target: the same random weights each time, or a file's; in eval mode, on its device.

    Raises:
        TargetError: its constructor refuses its arguments, or the weights don't fit.
    """
    mcore.manual_seed(0)
    with _told(target):
        net = _whole(target)
        if target.weights is not None:
            _load(net, target.weights)
        net = net.eval()
        return (net.half() if target.half else net).to(bridge.this().device_of(target.device))


def inputs_of(target: Target, net: Any) -> list[tuple[Any, ...]]:
    """Data sets for `toplatform`, three at least, but for sizes that were given: it adds what is missing.

    Raises:
        TargetError: the network takes none of the sizes that were tried.
    """
    sets = target.sizes or _example(target, net) or _tried(target, net)
    return [_drawn(target, shapes, seed) for seed, shapes in enumerate(sets)]


def memory_of(target: Target) -> int:
    """Bytes that making it will need, roughly; for a single part, those of a small one.

    Raises:
        TargetError: its constructor refuses its arguments.
    """
    if target.model is None:
        return memory(0)
    with _told(target), mcore.device("meta"):
        net = _whole(Target(target.names, _without_weights(target.model)))
    return memory(sum(value.numel() * 4 for value in net.state_dict().values() if mcore.is_tensor(value)))


def memory(held: int) -> int:
    """Bytes that making an artifact takes, of a network whose state has `held`.

    >>> memory(0) >> 20
    600
    """
    return _BASE + _TIMES * held


@contextlib.contextmanager
def _told(target: Target) -> Iterator[None]:
    """Whatever is wrong with what was asked for is told with its name, in the words of whoever noticed."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError, OSError) as error:
        # Of a KeyError, text is the key alone, in quotes.
        text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        raise TargetError(f"{target.title}: {text or type(error).__name__}") from error


def _whole(target: Target) -> Any:
    if target.single is not None:
        from models.examples import built

        return built(*target.single)
    from models.assembly import build as assembled

    return assembled(Config({"model": dict(target.model or {})}))


def _load(net: Any, weights: Any) -> None:
    """Loads a file; entries that would keep random values are refused: nobody would see it in an artifact."""
    from models.utils.weights import load_weights

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # told below
        report = load_weights(net, weights)
    left = [*report.missing, *report.skipped]
    if left:
        some = ", ".join(left[:3]) + (", ..." if len(left) > 3 else "")
        raise ValueError(f"{report}; {len(left)} entries would keep random values: {some}")


def _without_weights(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_weights(item) for key, item in value.items() if key != "weights"}
    return [_without_weights(item) for item in value] if isinstance(value, list | tuple) else value


# --- sizes


def _example(target: Target, net: Any) -> list[list[Shape]] | None:
    if target.single is None:
        return None
    from models.examples import sizes_of

    return sizes_of(*target.single, net)


def _tried(target: Target, net: Any) -> list[list[Shape]]:
    """Three sizes that the network takes."""
    first, images = _first(net), max(1, len(getattr(net, "inputs", ("input",))))
    wrong: Exception | None = None
    for channels in _channels(first):
        for pixels in _pixels(target, net, getattr(net, "dims", None) or getattr(first, "dims", None) or 2):
            # Several images make one of more channels.
            sets = [[(size[0], channels // images, *size[1:])] * images for size in pixels]
            try:
                with mcore.no_grad():
                    for shapes in sets:
                        net(*_drawn(target, shapes, 0))
            # What a network raises at a size that it doesn't take is its own choice.
            except Exception as error:
                wrong = wrong or error
                continue
            return sets
    raise TargetError(f"{target.title}: it takes none of the sizes that were tried; give sizes. The first: {wrong}")


def _pixels(target: Target, net: Any, dims: int) -> Iterator[Sequence[Shape]]:
    """Batch and pixels of three data sets, to be tried in order."""
    from models.examples.pixels import IMAGES, wanted

    model = target.model or {}
    known = wanted(str(model.get("@kind", "network")), str(model.get("type", "")))
    for sizes in (known.get(dims), IMAGES.get(dims)):
        if sizes and isinstance(net, Sized):
            yield [(size[0], *(next(iter(axis)) for axis in valid_sizes(net, size[1:], count=1))) for size in sizes]
        elif sizes:
            yield sizes
    for pixels in _PUBLISHED.get(dims, ()):
        yield [(batch, *[pixels] * dims) for batch in (1, 2, 3)]


def _first(net: Any) -> Any:
    """The part that sees the image."""
    nodes = getattr(net, "_nodes", None)
    return _first(net.part(nodes[0].name)) if nodes else net


def _channels(net: Any) -> list[int]:
    """Of the image that a network takes: as it says, as its constructor received them, or as its first layer looks."""
    received = getattr(net, "_arguments", {})
    default = signature(type(net)).parameters.get("in_channels")
    said = (getattr(net, "num_in_channels", None), getattr(net, "in_channels", None), received.get("in_channels"))
    for number in (*said, default.default if default else None):
        if type(number) is int:
            return [number]
    # Without a first convolution, that is a norm.
    weight = next(iter(net.state_dict().values()), None)
    seen = [] if weight is None else [int(weight.shape[1 if weight.ndim > 2 else 0])]
    return list(dict.fromkeys([*seen, 3, 1]))


def _drawn(target: Target, shapes: Sequence[Shape], seed: int) -> tuple[Any, ...]:
    random = np.random.default_rng(seed)
    drawn = (random.standard_normal(shape, np.float32) for shape in shapes)
    tensors = (mcore.from_numpy(array.astype(np.float16) if target.half else array) for array in drawn)
    return tuple(tensor.to(target.device) for tensor in tensors)


__all__ = ["TargetError", "build", "inputs_of", "memory", "memory_of"]
