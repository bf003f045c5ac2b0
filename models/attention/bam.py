"""Bottleneck attention.

Source: Park et al., "BAM: Bottleneck Attention Module", arXiv:1807.06514, section 3.
Names: attributes are the authors' (github.com/Jongchan/attention-module), so their weights load as they are.
"""

from collections import OrderedDict
from typing import Literal

from mcore import BatchNorm1d, Linear, Module, ReLU, Sequential, Tensor
from models.basicblocks.layers import layers
from models.utils.arguments import one_of


class BAM(Module):
    """Weighs every value by its channel's mean and by what lies around its pixel: `x * (1 + sigmoid(c + s))`.

    Shapes:
        x: (n, channels, *size)
        returns: the same

    Args:
        channels: of what comes and goes.
        reduction: channels inside both branches are `channels // reduction`, at least 1.
        dilation: of the two 3x3 convolutions that look around.
        join: "sum" of the two branches, as in the paper (equation 2), or "product", as in the authors' code
            and weights.
        dims: 1, 2 or 3.

    Differs: norms stand behind all layers but the last of each branch, as in the authors' code.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        *,
        dilation: int = 4,
        join: Literal["sum", "product"] = "sum",
        dims: int = 2,
    ) -> None:
        one_of(("sum", "product"), of="BAM", join=join)
        layers(dims, of="BAM")
        super().__init__()
        between, self.join = max(1, channels // reduction), join
        self.channel_att = _Channels(channels, between)
        self.spatial_att = _Pixels(channels, between, dilation=dilation, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        channels, pixels = self.channel_att(x), self.spatial_att(x)
        joined = channels + pixels if self.join == "sum" else channels * pixels
        return x * (1 + joined.sigmoid())

    def extra_repr(self) -> str:
        return f"join={self.join!r}"


class _Channels(Module):
    """(n, channels, 1, ...): two linear layers on the means, with a norm between them."""

    def __init__(self, channels: int, between: int) -> None:
        super().__init__()
        self.gate_c = Sequential(
            OrderedDict(
                gate_c_fc_0=Linear(channels, between),
                gate_c_bn_1=BatchNorm1d(between),
                gate_c_relu_1=ReLU(),
                gate_c_fc_final=Linear(between, channels),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        reduce, norm, activation, expand = self.gate_c
        y = reduce(x.flatten(2).mean(2))
        # Twice the same values: their norm is the same, and in training a batch of one has it too.
        y = expand(activation(norm(y.unsqueeze(2).expand(-1, -1, 2))[:, :, 0]))
        return y[(..., *(None for _ in range(x.ndim - 2)))]


class _Pixels(Module):
    """(n, 1, *size): dilated convolutions on few channels."""

    def __init__(self, channels: int, between: int, *, dilation: int, dims: int) -> None:
        super().__init__()
        kit = layers(dims, of="BAM")
        row: dict[str, Module] = {"gate_s_conv_reduce0": kit.conv(channels, between, 1)}
        row |= {"gate_s_bn_reduce0": kit.batch_norm(between), "gate_s_relu_reduce0": ReLU()}
        for number in range(2):
            row[f"gate_s_conv_di_{number}"] = kit.conv(between, between, 3, padding=dilation, dilation=dilation)
            row |= {f"gate_s_bn_di_{number}": kit.batch_norm(between), f"gate_s_relu_di_{number}": ReLU()}
        row["gate_s_conv_final"] = kit.conv(between, 1, 1)
        self.gate_s = Sequential(OrderedDict(row))

    def forward(self, x: Tensor) -> Tensor:
        return self.gate_s(x)
