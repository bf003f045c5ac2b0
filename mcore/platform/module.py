"""Base classes and containers of the platform engine: `mcore.module`."""

from mcore.platform.base import Module
from mcore.platform.containers import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from mcore.platform.parameter import Buffer, Parameter

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
