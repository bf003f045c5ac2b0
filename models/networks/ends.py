"""Convolutions that bring an image into a network and results out of it, where they are asked for."""

from collections.abc import Mapping
from typing import Any

from mcore import Conv3d, Module, ModuleDict, Tensor
from models.utils.triples import Triple

# How many channels a result has, of several by name; None leaves it as it is.
Outputs = int | Mapping[str, int] | None


def embedding(in_channels: int | None, channels: int, *, kernel: Triple, padded: bool, of: str) -> Conv3d | None:
    """A convolution from the image to `channels`, or None; `of` is the class that asks, named in errors.

    Raises:
        ValueError: no number of channels, or an even kernel.
    """
    if in_channels is None:
        return None
    _check(in_channels, kernel, of=of, name="in_channels")
    return _conv(in_channels, channels, kernel, padded=padded, bias=False)


def outputs(out_channels: Outputs, channels: int, *, kernel: Triple, padded: bool, of: str) -> Module | None:
    """A convolution from `channels` to the result, several by name, or None.

    Raises:
        ValueError: no number of channels, a name that no part can have, or an even kernel.
    """
    if out_channels is None:
        return None
    if not isinstance(out_channels, Mapping):
        _check(out_channels, kernel, of=of, name="out_channels")
        return _conv(channels, out_channels, kernel, padded=padded, bias=True)
    if not out_channels:
        raise ValueError(f"{of}: out_channels={{}} has no names; give one for each result, or a number.")
    for name, count in out_channels.items():
        if not isinstance(name, str) or not name.isidentifier() or hasattr(ModuleDict(), name):
            raise ValueError(f"{of}: out_channels: {name!r} is no name for a result; take one like 'affinities'.")
        _check(count, kernel, of=of, name=f"out_channels[{name!r}]")
    return ModuleDict(
        {name: _conv(channels, count, kernel, padded=padded, bias=True) for name, count in out_channels.items()}
    )


def classifiers(out_channels: Outputs) -> tuple[str, ...]:
    """Names, in the state, of the layers that `outputs` makes."""
    if out_channels is None:
        return ()
    return tuple(f"out.{name}" for name in out_channels) if isinstance(out_channels, Mapping) else ("out",)


def scores(out: Module | None, x: Tensor) -> Any:
    """What `out` makes of a map: a tensor, or a dict by name."""
    if isinstance(out, ModuleDict):
        return {name: conv(x) for name, conv in out.items()}
    return x if out is None else out(x)


def _conv(fed: int, given: int, kernel: Triple, *, padded: bool, bias: bool) -> Conv3d:
    z, y, x = kernel
    return Conv3d(fed, given, kernel, padding=(z // 2, y // 2, x // 2) if padded else 0, bias=bias)


def _check(count: Any, kernel: Triple, *, of: str, name: str) -> None:
    if type(count) is not int or count < 1:
        raise ValueError(f"{of}: {name}={count!r} is not 1 or more channels.")
    if any(size % 2 == 0 for size in kernel):
        raise ValueError(f"{of}: end_kernel={list(kernel)} has an even number; an odd one has a centre.")
