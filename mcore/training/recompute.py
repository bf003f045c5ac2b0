"""Activation checkpointing by the names of stages: their activations are computed again in the backward pass.

Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174.
Differs: batch norms count each batch once, though they see it twice, so that the trained network is the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import torch
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint

from mcore.training.errors import TrainingError
from mcore.vocabulary import nearest


def chosen(net: torch.nn.Module, patterns: Sequence[str]) -> list[str]:
    """The paths of submodules that patterns mean, without those within another that is meant.

    A list or a dict of modules is never called itself: it means all that it holds.

    >>> net = torch.nn.ModuleDict({"a": torch.nn.Sequential(torch.nn.ReLU()), "b": torch.nn.ReLU()})
    >>> chosen(net, ["a*", "b"])
    ['a', 'b']

    Raises:
        TrainingError: a pattern means none; with the nearest paths.
    """
    paths = [path for path, _ in net.named_modules() if path]
    for pattern in patterns:
        if not any(fnmatchcase(path, pattern) for path in paths):
            likely = ", ".join(nearest(pattern, paths)) or ", ".join(path for path in paths if "." not in path)
            raise TrainingError(f"train.recompute: no part of the network is called {pattern!r}; there are {likely}.")
    meant = [path for path in paths if any(fnmatchcase(path, pattern) for pattern in patterns)]
    called = [inner for path in meant for inner in _called(net.get_submodule(path), path)]
    return [path for path in dict.fromkeys(called) if not any(path.startswith(f"{other}.") for other in called)]


def _called(module: torch.nn.Module, path: str) -> Iterator[str]:
    """The path of a module, or of those that a list or a dict of modules holds."""
    if not isinstance(module, torch.nn.ModuleList | torch.nn.ModuleDict):
        yield path
        return
    for name, inner in module.named_children():
        yield from _called(inner, f"{path}.{name}")


@contextlib.contextmanager
def recomputed(net: torch.nn.Module, patterns: Sequence[str], *, compiled: bool = False) -> Iterator[list[str]]:
    """A block in which stages of `net` keep their inputs alone for the backward pass; the paths of these stages.

    The modules stay where they are and names stay the same.

    Args:
        net: whose stages they are.
        patterns: paths of submodules, or patterns of them: "backbone.layer*".
        compiled: whether torch.compile reads the network, which keeps a batch norm's statistics apart by itself.
    """
    paths = chosen(net, patterns)
    for path in paths:
        module = net.get_submodule(path)
        contexts = {} if compiled else {"context_fn": partial(_contexts, module)}
        module.forward = partial(_again, module.forward, contexts)  # type: ignore[method-assign]
    try:
        yield paths
    finally:
        for path in paths:
            del net.get_submodule(path).__dict__["forward"]


def _again(forward: Any, contexts: dict[str, Any], *inputs: Any, **named: Any) -> Any:
    # Without gradients there is nothing to compute again.
    if not torch.is_grad_enabled():
        return forward(*inputs, **named)
    return checkpoint(forward, *inputs, use_reentrant=False, **contexts, **named)


def _contexts(module: torch.nn.Module) -> tuple[Any, Any]:
    """For the first pass and for the second one."""
    return contextlib.nullcontext(), _unmoved(module)


@contextlib.contextmanager
def _unmoved(module: torch.nn.Module) -> Iterator[None]:
    """A block in which norms leave their running statistics as they are."""
    norms = [inner for inner in module.modules() if isinstance(inner, _NormBase) and inner.track_running_stats]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count


__all__ = ["chosen", "recomputed"]
