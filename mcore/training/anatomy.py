"""The layers of a network, as a page shows them: what each gives, its parameters and its multiply-adds."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


def anatomy(net: torch.nn.Module, image: torch.Tensor) -> dict[str, Any]:
    """The table of a network for one image.

    Args:
        net: the network; it computes in eval mode, without gradients, and is as it was afterwards.
        image: (1, c, *size), where the network is.

    Returns:
        "layers": for each module without children, in the order in which they compute, "path", "type", "out" (shapes
        as text), "parameters" and "macs" (multiply-adds of convolutions and products of matrices); "parameters" and
        "macs" of the whole.
    """
    rows: list[dict[str, Any]] = []
    paths = {module: path for path, module in net.named_modules()}

    def note(module: torch.nn.Module, inputs: Any, output: Any) -> None:
        own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        after = counter.get_total_flops() // 2
        rows.append(
            {
                "path": paths[module],
                "type": type(module).__name__,
                "out": _shapes(output),
                "parameters": own,
                "macs": after - before.pop(module, after),
            }
        )

    def begin(module: torch.nn.Module, inputs: Any) -> None:
        before[module] = counter.get_total_flops() // 2

    before: dict[torch.nn.Module, int] = {}
    leaves = [module for module in paths if not any(True for _ in module.children())]
    hooks = [leaf.register_forward_pre_hook(begin) for leaf in leaves]
    hooks += [leaf.register_forward_hook(note) for leaf in leaves]
    modes = {module: module.training for module in net.modules()}
    try:
        # Not compiled: seen for the first time while it is counted, a network would never be compiled after that.
        with torch.compiler.set_stance("force_eager"), FlopCounterMode(display=False) as counter, torch.no_grad():
            net.eval()(image)
            macs = counter.get_total_flops() // 2
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    return {"layers": rows, "parameters": sum(p.numel() for p in net.parameters()), "macs": macs}


def _shapes(output: Any) -> str:
    if isinstance(output, torch.Tensor):
        return " x ".join(map(str, output.shape))
    if isinstance(output, dict):
        return ", ".join(f"{name} {_shapes(value)}" for name, value in output.items())
    return ", ".join(_shapes(value) for value in output) if isinstance(output, list | tuple) else ""


__all__ = ["anatomy"]
