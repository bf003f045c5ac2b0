"""torch's optimizers, for specs that name them: the torch engine has them, and no other trains."""

import importlib
from typing import Any

from mcore.backend import demand
from mcore.vocabulary import OPTIMIZERS


def __getattr__(name: str) -> Any:
    if name not in OPTIMIZERS:
        raise AttributeError(f"module 'mcore.optimizers' has no {name!r}; it has {', '.join(OPTIMIZERS)}.", name=name)
    demand("torch", f"torch.optim.{name} trains")
    return getattr(importlib.import_module("mcore.torch.optim"), name)
