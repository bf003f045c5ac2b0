"""V-Net.

Source: Milletari et al., "V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image Segmentation",
arXiv:1606.04797, figure 2, as MONAI's `VNet` implements it.
Differs: convolutions have batch norms; activations are ELUs, where the paper has PReLUs (`activation="prelu"`, which
has a slope for each channel). Scores are given before the softmax.
Names: levels are numbered where MONAI counts their channels: the table `monai_vnet` renames its files.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import mcore
from mcore import Module, ModuleList, Sequential, Tensor
from models.backbones.base import Weights
from models.basicblocks.conv import CONV_NORM_ACT, ConvNormAct
from models.basicblocks.layers import Choice, activation_layer, layers
from models.heads.decoding import DROPOUTS
from models.networks.fitting import Fit, Fitting


class VNet(Fitting):
    """V-Net: scores of each class for every pixel.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, num_classes, *size), before softmax

    Args:
        in_channels: channels of the image; they divide `width`.
        num_classes: how many scores for each pixel.
        width: channels of the finest level; each further one has twice those of the one before.
        down_depths: convolutions of each level on the way down, behind the first.
        up_depths: convolutions of each level on the way up, coarsest first.
        activation: a name, a name with arguments, or a constructor.
        dropout: share of channels that are zeroed in training: of the two coarsest levels, and of all that join.
        bias: of convolutions on the way down.
        fit: what happens to sizes that don't halve evenly: "pad" adds zeros and crops the result, "refuse" says
            which sizes fit.
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv = "in_tr.conv_block.conv"

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 1,
        *,
        width: int = 16,
        down_depths: Sequence[int] = (1, 2, 3, 2),
        up_depths: Sequence[int] = (2, 2, 1, 1),
        activation: Choice = "elu",
        dropout: float = 0.5,
        bias: bool = False,
        fit: Fit = "pad",
        dims: Literal[1, 2, 3] = 3,
        weights: Weights = None,
    ) -> None:
        if width % in_channels:
            raise ValueError(f"VNet: in_channels={in_channels} doesn't divide width={width}; the image is repeated.")
        if not down_depths or len(down_depths) != len(up_depths):
            raise ValueError(
                f"VNet: down_depths={list(down_depths)} and up_depths={list(up_depths)} are "
                f"{len(down_depths)} and {len(up_depths)} levels; give as many of both, one or more."
            )
        super().__init__([2] * len(down_depths), fit=fit, dims=dims)
        plain: dict[str, Any] = {"activation": activation, "dims": dims}
        levels = len(down_depths)
        self.in_tr = _In(in_channels, width, bias=bias, **plain)
        self.down_tr = ModuleList(
            _Down(width << level, depth, dropout=dropout if level >= levels - 2 else 0.0, bias=bias, **plain)
            for level, depth in enumerate(down_depths)
        )
        self.up_tr = ModuleList()
        below = width << levels
        for step, depth in enumerate(up_depths):
            # Half comes from below and half over the skip connection.
            channels = 2 * (width << (levels - 1 - step))
            self.up_tr.append(
                _Up(below, channels, depth, dropout=dropout if step < 2 else 0.0, skip_dropout=dropout, **plain)
            )
            below = channels
        self.out_tr = _Out(below, num_classes, bias=bias, **plain)
        self._complete(weights)

    def scores(self, x: Tensor) -> Tensor:
        maps = [self.in_tr(x)]
        for level in self.down_tr:
            maps.append(level(maps[-1]))
        x = maps.pop()
        for level in self.up_tr:
            x = level(x, maps.pop())
        return self.out_tr(x)


class _In(Module):
    """The first convolution, to which the image is added, repeated over the channels."""

    def __init__(self, in_channels: int, channels: int, *, activation: Choice, bias: bool, dims: int) -> None:
        super().__init__()
        self.repeats = channels // in_channels
        self.act_function = _activation(activation, channels)
        self.conv_block = _conv(in_channels, channels, bias=bias, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        return self.act_function(self.conv_block(x) + mcore.cat([x] * self.repeats, dim=1))


class _Down(Module):
    """A level on the way down: a strided convolution, then others with what it gave beside."""

    def __init__(
        self, in_channels: int, depth: int, *, activation: Choice, dropout: float, bias: bool, dims: int
    ) -> None:
        kit, channels = layers(dims, of="VNet"), 2 * in_channels
        super().__init__()
        self.down_conv = kit.conv(in_channels, channels, 2, stride=2, bias=bias)
        self.bn1 = kit.batch_norm(channels)
        self.act_function1, self.act_function2 = (_activation(activation, channels) for _ in range(2))
        self.ops = _convs(channels, depth, activation=activation, bias=bias, dims=dims)
        self.dropout = DROPOUTS[dims](dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act_function1(self.bn1(self.down_conv(x)))
        return self.act_function2(self.ops(self.dropout(x)) + x)


class _Up(Module):
    """A level on the way up: a transposed convolution, the map that joins, then convolutions with both beside."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        depth: int,
        *,
        activation: Choice,
        dropout: float,
        skip_dropout: float,
        dims: int,
    ) -> None:
        kit = layers(dims, of="VNet")
        super().__init__()
        self.up_conv = kit.conv_transpose(in_channels, channels // 2, 2, stride=2)
        self.bn1 = kit.batch_norm(channels // 2)
        self.dropout, self.dropout2 = DROPOUTS[dims](dropout), DROPOUTS[dims](skip_dropout)
        self.act_function1, self.act_function2 = (_activation(activation, c) for c in (channels // 2, channels))
        self.ops = _convs(channels, depth, activation=activation, bias=False, dims=dims)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.act_function1(self.bn1(self.up_conv(self.dropout(x))))
        x = mcore.cat((x, self.dropout2(skip)), dim=1)
        return self.act_function2(self.ops(x) + x)


class _Out(Module):
    """Scores: a convolution to the classes, and a 1x1 convolution among them."""

    def __init__(self, in_channels: int, num_classes: int, *, activation: Choice, bias: bool, dims: int) -> None:
        super().__init__()
        self.act_function1 = _activation(activation, num_classes)
        self.conv_block = _conv(in_channels, num_classes, bias=bias, dims=dims)
        self.conv2 = layers(dims, of="VNet").conv(num_classes, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.act_function1(self.conv_block(x)))


class _Conv(Module):
    """A convolution with norm and activation."""

    def __init__(self, channels: int, *, activation: Choice, bias: bool, dims: int) -> None:
        super().__init__()
        self.act_function = _activation(activation, channels)
        self.conv_block = _conv(channels, channels, bias=bias, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        return self.act_function(self.conv_block(x))


def _convs(channels: int, depth: int, *, activation: Choice, bias: bool, dims: int) -> Sequential:
    return Sequential(*(_Conv(channels, activation=activation, bias=bias, dims=dims) for _ in range(depth)))


def _conv(in_channels: int, channels: int, *, bias: bool, dims: int) -> ConvNormAct:
    """A convolution of 5 pixels and its norm."""
    return ConvNormAct(in_channels, channels, 5, bias=bias, activation=None, names=CONV_NORM_ACT, dims=dims)


def _activation(activation: Choice, channels: int) -> Module:
    """The activation; a PReLU has a slope for each channel."""
    if activation == "prelu" or (isinstance(activation, Mapping) and activation.get("name") == "prelu"):
        more = activation if isinstance(activation, Mapping) else {"name": "prelu"}
        activation = {**more, "num_parameters": channels}
    return activation_layer(activation, of="VNet")
