"""Batch norms taken into the convolutions before them, for inference on the torch engine and for counting.

The platform does the same by itself when it runs, and `to_onnx(..., fold=True)` when it exports.
"""

import copy
from collections.abc import Sequence
from typing import Any, TypeVar

import mcore
from mcore import Identity, Module, Parameter

Net = TypeVar("Net", bound=Module)


def fused(net: Net, size: Sequence[int]) -> Net:
    """A copy of `net` in eval mode in which convolutions do what their batch norms did.

    Which norm follows which convolution is seen on one image; a convolution that is called twice, or whose
    result something else reads too, stays as it is.

    Args:
        net: a network; it is left as it is.
        size: of an image that it takes, (n, channels, *size).

    Raises:
        RuntimeError: the result differs by more than 1e-3 of the largest value: a convolution's result is read
            where no hook sees it.
    """
    result = copy.deepcopy(net).eval()
    x = mcore.rand(*size)
    with mcore.no_grad():
        before = _arrays(result(x))
        for convolution, norm in _pairs(result, x):
            _fuse(result.get_submodule(convolution), result.get_submodule(norm))
            outer, _, name = norm.rpartition(".")
            setattr(result.get_submodule(outer), name, Identity())
        after = _arrays(result(x))
    for expected, got in zip(before, after, strict=True):
        if abs(got - expected).max() > 1e-3 * abs(expected).max():
            raise RuntimeError(
                f"fused: {type(net).__name__} gives something else afterwards: the result of a convolution is read "
                "beside its norm. Fuse its parts one by one."
            )
    return result


def _pairs(net: Module, x: Any) -> list[tuple[str, str]]:
    """Names of convolutions and of the norms that read their results, each called once."""
    made: dict[int, tuple[str, Any]] = {}
    calls: dict[str, int] = {}
    readers: dict[str, list[str]] = {}

    def note(name: str) -> Any:
        def noting(module: Module, args: tuple[Any, ...], result: Any) -> None:
            calls[name] = calls.get(name, 0) + 1
            fed = made.get(id(args[0])) if args else None
            if fed is not None:
                readers.setdefault(fed[0], []).append(name)
            # The result is kept, so that its id is nobody else's.
            made[id(result)] = (name, result)

        return noting

    # Layers, and not what holds them: a container returns what its last layer made.
    hooks = [
        module.register_forward_hook(note(name))
        for name, module in net.named_modules()
        if next(iter(module.children()), None) is None
    ]
    try:
        net(x)
    finally:
        for hook in hooks:
            hook.remove()
    pairs = []
    for name, read_by in readers.items():
        alone = calls[name] == 1 and len(read_by) == 1 and calls[read_by[0]] == 1
        if alone and _is_convolution(net.get_submodule(name)) and _is_norm(net.get_submodule(read_by[0])):
            pairs.append((name, read_by[0]))
    return pairs


def _is_convolution(module: Module) -> bool:
    return type(module).__name__ in ("Conv1d", "Conv2d", "Conv3d")


def _is_norm(module: Module) -> bool:
    return type(module).__name__.startswith("BatchNorm") and getattr(module, "running_mean", None) is not None


def _fuse(convolution: Any, norm: Any) -> None:
    """Source: Jacob et al., arXiv:1712.05877, section 3.2, equation 14."""
    scale = (norm.running_var + norm.eps) ** -0.5
    shift = -norm.running_mean * scale
    if norm.weight is not None:
        scale, shift = scale * norm.weight, shift * norm.weight + norm.bias
    if convolution.bias is not None:
        shift = shift + convolution.bias * scale
    wide = scale.reshape(-1, *(1 for _ in range(convolution.weight.ndim - 1)))
    convolution.weight = Parameter((convolution.weight * wide).detach(), requires_grad=False)
    convolution.bias = Parameter(shift.detach(), requires_grad=False)


def _arrays(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [array for item in value.values() for array in _arrays(item)]
    return [a for item in value for a in _arrays(item)] if isinstance(value, tuple | list) else [value.numpy()]
