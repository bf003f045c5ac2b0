"""Convolutions that bring an image into a network and results out of it, where they are asked for."""

from collections.abc import Mapping
from typing import Any

from mcore import Conv3d, Module, ModuleDict, Tensor
from models.utils.triples import Triple

# How many channels a result has, of several by name; None leaves it as it is.
Outputs = int | Mapping[str, int] | None


def add_embedding(net: Module, in_channels: int | None, channels: int, *, kernel: Triple, padded: bool) -> None:
    """Gives `net` the attribute `embed`: a convolution from the image to `channels`, or None.

    Raises:
        ValueError: no number of channels, or an even kernel.
    """
    title = type(net).__name__
    _check(title, in_channels is not None, kernel)
    if in_channels is None:
        net.embed = None
        return
    _positive(title, "in_channels", in_channels)
    net.embed = _conv(in_channels, channels, kernel, padded=padded, bias=False)


def add_outputs(net: Module, out_channels: Outputs, channels: int, *, kernel: Triple, padded: bool) -> None:
    """Gives `net` the attribute `out`: a convolution from `channels` to the result, several by name, or None.

    Raises:
        ValueError: no number of channels, a name that no part can have, or an even kernel.
    """
    title = type(net).__name__
    _check(title, out_channels is not None, kernel)
    net.classifier = ()
    if out_channels is None:
        net.out = None
        return
    named = out_channels if isinstance(out_channels, Mapping) else {"": out_channels}
    if not named:
        raise ValueError(f"{title}: out_channels={{}} has no names; give one for each result, or a number.")
    for name, count in named.items():
        _positive(title, f"out_channels[{name!r}]" if name else "out_channels", count)
    if not isinstance(out_channels, Mapping):
        net.classifier = "out"
        net.out = _conv(channels, out_channels, kernel, padded=padded, bias=True)
        return
    for name in out_channels:
        if not isinstance(name, str) or not name.isidentifier() or hasattr(ModuleDict(), name):
            raise ValueError(f"{title}: out_channels: {name!r} is no name for a result; take one like 'affinities'.")
    net.classifier = tuple(f"out.{name}" for name in out_channels)
    net.out = ModuleDict(
        {name: _conv(channels, count, kernel, padded=padded, bias=True) for name, count in out_channels.items()}
    )


def scores(out: Any, x: Tensor) -> Any:
    """What `out` makes of a map: a tensor, or a dict by name."""
    if isinstance(out, ModuleDict):
        return {name: conv(x) for name, conv in out.items()}
    return x if out is None else out(x)


def _conv(fed: int, given: int, kernel: Triple, *, padded: bool, bias: bool) -> Conv3d:
    around = tuple(size // 2 if padded else 0 for size in kernel)
    return Conv3d(fed, given, kernel, padding=around, bias=bias)


def _check(title: str, wanted: bool, kernel: Triple) -> None:
    if wanted and any(size % 2 == 0 for size in kernel):
        raise ValueError(f"{title}: end_kernel={list(kernel)} has an even number; an odd one has a centre.")


def _positive(title: str, name: str, count: Any) -> None:
    if type(count) is not int or count < 1:
        raise ValueError(f"{title}: {name}={count!r} is not 1 or more channels.")
