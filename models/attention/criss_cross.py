"""Criss-cross attention.

Source: Huang et al., "CCNet: Criss-Cross Attention for Semantic Segmentation", arXiv:1811.11721, section 3.2.
Names: attributes are the authors' (github.com/speedinghzl/CCNet), so their weights load as they are.
"""

import math

import mcore
from mcore import Module, Parameter, Tensor, ones, zeros
from models.basicblocks.layers import layers


class CrissCross(Module):
    """Adds to every pixel a mean of those on its row and column, each as much as it is attended to.

    Shapes:
        x: (n, channels, *size)
        returns: the same

    Args:
        channels: of what comes and goes.
        reduction: channels of queries and keys are `channels // reduction`, at least 1.
        recurrence: how often; twice, every pixel reaches every other in 2-D, and so on for each axis more.
        zero_init: starts as the identity, with zero for gamma, as published.
        dims: 1, 2 or 3; lines through a pixel along every axis.
    """

    def __init__(
        self, channels: int, reduction: int = 8, *, recurrence: int = 2, zero_init: bool = False, dims: int = 2
    ) -> None:
        if recurrence < 1:
            raise ValueError(f"CrissCross: recurrence={recurrence} is not 1 or more.")
        conv, between = layers(dims, of="CrissCross").conv, max(1, channels // reduction)
        super().__init__()
        self.recurrence = recurrence
        self.query_conv, self.key_conv = conv(channels, between, 1), conv(channels, between, 1)
        self.value_conv = conv(channels, channels, 1)
        self.gamma = Parameter(zeros(1) if zero_init else ones(1))

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.recurrence):
            x = x + self.gamma * self._attended(x)
        return x

    def _attended(self, x: Tensor) -> Tensor:
        # Channels last: (n, *size, channels).
        queries, keys, values = (conv(x).movedim(1, -1) for conv in (self.query_conv, self.key_conv, self.value_conv))
        axes = range(1, x.ndim - 1)
        products = [_line(queries, axis) @ _line(keys, axis).transpose(-1, -2) for axis in axes]
        # Its own place is on every line of a pixel, and counts once: on the last.
        products = [_without_self(product) for product in products[:-1]] + products[-1:]
        energies = [product.movedim(-2, axis) for product, axis in zip(products, axes, strict=True)]
        weights = mcore.cat(energies, dim=-1).softmax(-1).split([*x.shape[2:]], dim=-1)
        lines = zip(weights, axes, strict=True)
        means = [(_line(weight, axis) @ _line(values, axis)).movedim(-2, axis) for weight, axis in lines]
        return sum(means[1:], start=means[0]).movedim(-1, 1)

    def extra_repr(self) -> str:
        return f"recurrence={self.recurrence}"


def _line(x: Tensor, axis: int) -> Tensor:
    """Pixels along `axis` as rows of a matrix for each line: (n, *other axes, pixels, channels)."""
    return x.movedim(axis, -2)


def _without_self(products: Tensor) -> Tensor:
    """Products of pairs on a line, so that softmax leaves out those of a pixel with itself."""
    places = mcore.arange(products.shape[-1], device=products.device)
    return products.masked_fill(places.unsqueeze(0) == places.unsqueeze(1), -math.inf)
