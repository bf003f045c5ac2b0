"""What submodules give, read while the network runs: for losses `of:` a part."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from mcore.vocabulary import nearest


class Taps:
    """Hooks on submodules that keep what each gave last in a forward pass of the network.

    Only what the pass itself computes is kept: what activation checkpointing computes again in the backward pass is
    not, so that it can be freed.

    Args:
        net: the network itself, not what wraps it for several processes.
        paths: of submodules.

    Raises:
        LookupError: there is no such submodule.
    """

    def __init__(self, net: torch.nn.Module, paths: Iterable[str]) -> None:
        self._given: dict[str, Any] = {}
        self._open = False
        self._handles: list[Any] = []
        parts = {path: submodule(net, path) for path in dict.fromkeys(paths)}
        if parts:
            self._handles += [net.register_forward_pre_hook(self._begin), net.register_forward_hook(self._end)]
        for path, part in parts.items():
            self._handles.append(part.register_forward_hook(self._keeper(path)))

    def __getitem__(self, path: str) -> Any:
        """What the submodule gave; LookupError where the forward pass didn't come through it."""
        if path not in self._given:
            raise LookupError(f"the forward pass didn't call {path!r}, so that nothing is known of what it gives")
        return self._given[path]

    def close(self) -> None:
        """Takes the hooks off."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._given.clear()

    def _begin(self, module: Any, inputs: Any) -> None:
        self._given.clear()
        self._open = True

    def _end(self, module: Any, inputs: Any, output: Any) -> None:
        self._open = False

    def _keeper(self, path: str) -> Any:
        def keep(module: Any, inputs: Any, output: Any) -> None:
            if self._open:
                self._given[path] = output

        return keep


def submodule(net: torch.nn.Module, path: str) -> torch.nn.Module:
    """The submodule at a path, such as "backbone.layer3".

    Raises:
        LookupError: there is none; the nearest are told.
    """
    parts = dict(net.named_modules())
    if path in parts and path:
        return parts[path]
    likely = nearest(path, [name for name in parts if name], least=0.5, most=1)
    there = ", ".join(name for name, _ in net.named_children())
    hint = f"did you mean {likely[0]!r}? At" if likely else "at"
    raise LookupError(f"the network has no submodule {path!r}; {hint} the top are {there}")


__all__ = ["Taps", "submodule"]
