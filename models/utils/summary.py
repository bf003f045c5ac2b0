"""What a network consists of, layer by layer: shapes, parameters, multiply-adds."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import mcore
from mcore import Module, Tensor


class Row(NamedTuple):
    """A layer: its name and class, the shape of its result, its parameters and its multiply-adds.

    `multiply_adds` is None where they aren't counted: products with weights are, and nothing else.
    """

    name: str
    layer: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int | None


def parameters(net: Module) -> int:
    """How many numbers training changes.

    >>> parameters(mcore.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in net.parameters())


def summary(net: Module, *sizes: Sequence[int]) -> list[Row]:
    """The layers of `net` in the order in which they run, in eval mode, on images of these shapes, one for each input.

    >>> [row.multiply_adds for row in summary(mcore.Conv2d(3, 8, 3, bias=False), (1, 3, 10, 10))]
    [13824]
    """
    return rows_of(net, [mcore.zeros(*size) for size in sizes])


def rows_of(net: Module, inputs: Sequence[Tensor]) -> list[Row]:
    """As `summary`, for inputs of any type and on any device."""
    rows: list[Row] = []
    hooks = [
        module.register_forward_hook(_noting(rows, name))
        for name, module in net.named_modules()
        if next(iter(module.children()), None) is None
    ]
    training = net.training
    try:
        with mcore.no_grad():
            net.eval()(*inputs)
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    return rows


def _noting(rows: list[Row], name: str) -> Any:
    def note(layer: Module, args: tuple[Any, ...], result: Any) -> None:
        if isinstance(result, Tensor):
            shape = tuple(map(int, result.shape))
            row = Row(name, type(layer).__name__, shape, parameters(layer), _multiply_adds(layer, args[0], shape))
            rows.append(row)

    return note


def _multiply_adds(layer: Module, x: Tensor, shape: tuple[int, ...]) -> int | None:
    """Products of a layer's weight: of a convolution, one for each pixel of its result and each weight."""
    weight = getattr(layer, "weight", None)
    if weight is None or weight.ndim < 2:
        return None
    if "ConvTranspose" in type(layer).__name__:
        # Each pixel that comes meets every weight of its channel.
        return _product(x.shape) * _product(weight.shape[1:])
    if weight.ndim == 2:
        return _product(shape) * int(weight.shape[1]) if type(layer).__name__ == "Linear" else None
    return _product(shape) * _product(weight.shape[1:])


def _product(sizes: Sequence[int]) -> int:
    result = 1
    for size in sizes:
        result *= int(size)
    return result
