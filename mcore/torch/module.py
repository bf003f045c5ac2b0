"""Containers of the torch engine: torch's own, which also travel to the platform."""

from abc import ABCMeta
from collections.abc import Iterable
from typing import Any

import torch
from torch.nn import Buffer, Parameter, ParameterDict, ParameterList

from mcore.portable import Portable, remember

__all__ = [
    "Buffer",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "Sequential",
]

# Kept, since `patched_torch` puts mcore's in its place for a while.
_TORCHS = torch.nn.Module


class _ModuleType(ABCMeta):
    """Keeps what a constructor received, and counts every torch module as a Module.

    Derives from ABCMeta, so that a Module may have abstract methods, as a torch module may.
    """

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        instance: Any = cls.__new__(cls, *args, **kwargs)  # type: ignore[arg-type]  # a metaclass's own class
        if isinstance(instance, cls):
            remember(instance, args, kwargs)
            instance.__init__(*args, **kwargs)
        return instance

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _TORCHS) if _is_module(cls) else super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _TORCHS) if _is_module(cls) else super().__subclasscheck__(subclass)


def _is_module(cls: type) -> bool:
    # By name and place: the metaclass answers before the class exists.
    return cls.__name__ == "Module" and cls.__module__ == __name__


class Module(Portable, torch.nn.Module, metaclass=_ModuleType):
    """`torch.nn.Module` with `toplatform`, `fromplatform`, `load_platform` and `load_from`.

    Every torch module is an instance of it, a bare layer too; export one with `mcore.toplatform(layer)`.

    >>> isinstance(torch.nn.Linear(2, 3), Module)
    True
    """


class Sequential(Module, torch.nn.Sequential):
    """`torch.nn.Sequential`, whose slices, sums and products are mcore's too."""

    def __add__(self, other: torch.nn.Sequential) -> "Sequential":
        return Sequential(*super().__add__(other))

    def __mul__(self, other: int) -> "Sequential":
        return Sequential(*super().__mul__(other))

    def __rmul__(self, other: int) -> "Sequential":
        return self * other


class ModuleList(Module, torch.nn.ModuleList):
    """`torch.nn.ModuleList`, whose slices and sums are mcore's too."""

    def __add__(self, other: Iterable[torch.nn.Module]) -> "ModuleList":
        return ModuleList(super().__add__(other))


class ModuleDict(Module, torch.nn.ModuleDict):
    """`torch.nn.ModuleDict`."""
