"""Global context.

Source: Cao et al., "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond", arXiv:1904.11492,
figure 4d and section 3.3.
Names: attributes are timm's, so its weights load as they are.
"""

from collections import OrderedDict
from typing import Literal

from mcore import Module, Sequential, Tensor, init
from models.basicblocks.layers import Choice, activation_layer, layers
from models.basicblocks.norm import ChannelNorm
from models.utils.arguments import one_of


class GlobalContext(Module):
    """Adds to every pixel what all pixels hold, each as much as it is attended to: the GC block.

    Shapes:
        x: (n, channels, *size)
        returns: the same

    Args:
        channels: of what comes and goes.
        reduction: channels between the two convolutions are `channels / reduction`, rounded, at least 2, since
            the norm between leaves nothing of one; timm's is 8.
        reduced: those channels themselves.
        fuse: what is done with the context: "add" it, as the paper does, "scale" by its gate, or "both".
        pool: "attention" weighs pixels, "mean" takes all alike.
        gate: where it scales, "sigmoid" or "hardsigmoid".
        zero_init: starts as the identity, with zeros for the last weights; only with `fuse="add"`.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        *,
        reduced: int | None = None,
        fuse: Literal["add", "scale", "both"] = "add",
        pool: Literal["attention", "mean"] = "attention",
        gate: Choice = "sigmoid",
        zero_init: bool = False,
        dims: int = 2,
    ) -> None:
        one_of(("add", "scale", "both"), of="GlobalContext", fuse=fuse)
        one_of(("attention", "mean"), of="GlobalContext", pool=pool)
        if zero_init and fuse != "add":
            raise ValueError(f"GlobalContext: zero_init=True gives the identity with fuse='add', not {fuse!r}.")
        conv = layers(dims, of="GlobalContext").conv
        between = max(2, int(channels / reduction + 0.5)) if reduced is None else reduced
        super().__init__()
        self.conv_attn = conv(channels, 1, 1) if pool == "attention" else None
        self.mlp_add = None if fuse == "scale" else _mlp(channels, between, zero=zero_init, dims=dims)
        self.mlp_scale = None if fuse == "add" else _mlp(channels, between, dims=dims)
        self.gate = None if fuse == "add" else activation_layer(gate, of="GlobalContext")

    def forward(self, x: Tensor) -> Tensor:
        context = self._context(x)
        if self.mlp_scale is not None and self.gate is not None:
            x = x * self.gate(self.mlp_scale(context))
        return x if self.mlp_add is None else x + self.mlp_add(context)

    def _context(self, x: Tensor) -> Tensor:
        """(n, channels, 1, ...): the weighted mean of all pixels."""
        if self.conv_attn is None:
            return x.mean(tuple(range(2, x.ndim)), keepdim=True)
        weights = self.conv_attn(x).flatten(2).softmax(2)
        mean = (x.flatten(2) @ weights.transpose(1, 2)).squeeze(2)
        return mean[(..., *(None for _ in range(x.ndim - 2)))]


def _mlp(channels: int, between: int, *, zero: bool = False, dims: int) -> Sequential:
    conv = layers(dims, of="GlobalContext").conv
    row = {"fc1": conv(channels, between, 1), "norm": ChannelNorm(between)}
    row |= {"act": activation_layer("relu", of="GlobalContext"), "fc2": conv(between, channels, 1)}
    if zero:
        init.zeros_(row["fc2"].weight)
        init.zeros_(row["fc2"].bias)
    return Sequential(OrderedDict(row))
