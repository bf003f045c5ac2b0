"""Non-local block.

Source: Wang et al., "Non-local Neural Networks", arXiv:1711.07971, sections 3.2 and 3.3.
Names: attributes are mmcv's, so its weights load as they are.
"""

from typing import Any, Literal

from mcore import Module, Sequential, Tensor, init
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.layers import Choice, layers
from models.utils.arguments import one_of

Pairing = Literal["gaussian", "embedded", "dot", "concat"]


class NonLocal(Module):
    """Adds to every pixel a mean of all others, each as much as the two go together.

    Shapes:
        x: (n, channels, *size); the weights of pairs take (size of all axes, multiplied) squared numbers
        returns: the same

    Args:
        channels: of what comes and goes.
        reduction: channels inside are `channels // reduction`, at least 1.
        pairing: how much two pixels go together: "gaussian", softmax of x_i . x_j; "embedded", of
            theta(x_i) . phi(x_j); "dot", that product by the number of pixels; "concat", a learned weight of
            both side by side (equations 2 to 6).
        subsample: takes maxima over 2x2 pixels of what is attended to, a quarter of the work in 2-D.
        scaled: divides embedded products by the root of their channels, as the authors' code does.
        norm: behind the last convolution; "batch" in the paper's experiments.
        zero_init: starts as the identity (section 4.1), with zeros for the last weights.
        dims: 1, 2 or 3.

    Differs: with `subsample`, odd sizes round up.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 2,
        *,
        pairing: Pairing = "embedded",
        subsample: bool = False,
        scaled: bool = True,
        norm: Choice = None,
        zero_init: bool = False,
        dims: int = 2,
    ) -> None:
        one_of(("gaussian", "embedded", "dot", "concat"), of="NonLocal", pairing=pairing)
        kit, between = layers(dims, of="NonLocal"), max(1, channels // reduction)
        super().__init__()
        self.pairing, self.scale = pairing, between**-0.5 if scaled else 1.0
        pool = kit.max_pool(2, ceil_mode=True) if subsample else None
        self.g = _pooled(_linear(channels, between, dims=dims), pool)
        self.theta = self.phi = self.concat_project = None
        if pairing == "gaussian":
            self.phi = pool
        else:
            self.theta = _linear(channels, between, dims=dims)
            self.phi = _pooled(_linear(channels, between, dims=dims), pool)
        if pairing == "concat":
            # mmcv's is of two dimensions whatever the block's.
            self.concat_project = _linear(2 * between, 1, bias=False, dims=2)
        self.conv_out = _linear(between, channels, norm=norm, dims=dims)
        if zero_init:
            last: Any = self.conv_out.conv if norm is None else self.conv_out.bn
            init.zeros_(last.weight)
            init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        # (n, pixels, channels inside) of what attends, (n, channels inside, pixels) of what is attended to.
        theta = (x if self.theta is None else self.theta(x)).flatten(2).transpose(1, 2)
        phi = (x if self.phi is None else self.phi(x)).flatten(2)
        values = self.g(x).flatten(2).transpose(1, 2)
        y = (self._weights(theta, phi) @ values).transpose(1, 2)
        return x + self.conv_out(y.unflatten(2, tuple(x.shape[2:])))

    def _weights(self, theta: Tensor, phi: Tensor) -> Tensor:
        """(n, pixels, pixels): of each pixel for each it attends to."""
        if self.pairing == "gaussian":
            return (theta @ phi).softmax(2)
        if self.pairing == "embedded":
            return (theta @ phi * self.scale).softmax(2)
        if self.pairing == "dot":
            return theta @ phi / phi.shape[2]
        # A weight of two vectors side by side is the sum of a weight of each, so pairs needn't be written out.
        project: Any = self.concat_project
        of_theta, of_phi = project.conv.weight.flatten(1).chunk(2, dim=1)
        return (theta @ of_theta.transpose(0, 1) + of_phi @ phi).relu() / phi.shape[2]

    def extra_repr(self) -> str:
        return f"pairing={self.pairing!r}, scale={self.scale:.4g}"


def _linear(
    in_channels: int,
    out_channels: int,
    *,
    norm: Choice = None,
    bias: bool | None = None,
    dims: int,
) -> ConvNormAct:
    return ConvNormAct(
        in_channels, out_channels, 1, norm=norm, activation=None, bias=bias, names=CONV_BN_ACT, dims=dims
    )


def _pooled(convolution: ConvNormAct, pool: Module | None) -> Module:
    return convolution if pool is None else Sequential(convolution, pool)
