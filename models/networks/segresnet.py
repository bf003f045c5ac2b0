"""SegResNet: pre-activated residual blocks, wide on the way down and thin on the way up.

Source: Myronenko, "3D MRI brain tumor segmentation using autoencoder regularization", arXiv:1810.11654, figure 1, as
MONAI's `SegResNet` implements it.
Differs: the variational branch, which only regularises training, is left out.
Names: attributes are MONAI's, but for convolutions, which stand one level deeper there: the table `monai_segresnet`.
"""

from collections.abc import Sequence
from typing import Any, Literal

from mcore import Identity, Module, ModuleList, Sequential, Tensor, Upsample
from models.backbones.base import Weights
from models.basicblocks.layers import Choice, activation_layer, layers, norm_layer
from models.heads.decoding import DROPOUTS
from models.networks.fitting import Fit, Fitting

# The norm of the paper.
GROUPS = {"name": "group", "num_groups": 8}


class SegResNet(Fitting):
    """SegResNet: scores of each class for every pixel.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, num_classes, *size), before softmax

    Args:
        in_channels: channels of the image.
        num_classes: how many scores for each pixel.
        width: channels of the finest level; each further one has twice those of the one before.
        down_depths: blocks of each level on the way down.
        up_depths: blocks of each level on the way up, coarsest first; one level less.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        activation: a name, a name with arguments, or a constructor.
        up: "linear" interpolation, or "transposed" convolutions.
        dropout: share of channels that are zeroed in training behind the first convolution.
        fit: what happens to sizes that don't halve evenly: "pad" adds zeros and crops the result, "refuse" says
            which sizes fit.
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "convInit", "conv_final.2"

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        width: int = 8,
        down_depths: Sequence[int] = (1, 2, 2, 4),
        up_depths: Sequence[int] = (1, 1, 1),
        norm: Choice = GROUPS,
        activation: Choice = "relu",
        up: Literal["linear", "transposed"] = "linear",
        dropout: float = 0.0,
        fit: Fit = "pad",
        dims: Literal[1, 2, 3] = 2,
        weights: Weights = None,
    ) -> None:
        _check(down_depths, up_depths, up)
        super().__init__([2] * len(up_depths), fit=fit, dims=dims)
        kit, make_norm = layers(dims, of="SegResNet"), norm_layer(norm, dims, of="SegResNet")
        block: dict[str, Any] = {"norm": norm, "activation": activation, "dims": dims}
        widths = [width << level for level in range(len(down_depths))]
        self.convInit = kit.conv(in_channels, width, 3, padding=1, bias=False)
        self.dropout = DROPOUTS[dims](dropout)
        self.down_layers = ModuleList()
        for level, (channels, depth) in enumerate(zip(widths, down_depths, strict=True)):
            lower = kit.conv(widths[level - 1], channels, 3, stride=2, padding=1, bias=False) if level else Identity()
            self.down_layers.append(Sequential(lower, *(_Block(channels, **block) for _ in range(depth))))
        self.up_layers, self.up_samples = ModuleList(), ModuleList()
        for channels, depth in zip(reversed(widths[:-1]), up_depths, strict=True):
            self.up_layers.append(Sequential(*(_Block(channels, **block) for _ in range(depth))))
            self.up_samples.append(_raise(2 * channels, channels, up, dims))
        self.conv_final = Sequential(
            Identity() if make_norm is None else make_norm(width),
            activation_layer(activation, of="SegResNet"),
            kit.conv(width, num_classes, 1),
        )
        self._complete(weights)

    def scores(self, x: Tensor) -> Tensor:
        x = self.dropout(self.convInit(x))
        maps = []
        for level in self.down_layers:
            x = level(x)
            maps.append(x)
        x = maps.pop()
        for up, blocks in zip(self.up_samples, self.up_layers, strict=True):
            x = blocks(up(x) + maps.pop())
        return self.conv_final(x)


class _Block(Module):
    """Two convolutions, each after a norm and activation, and the identity beside: `x + branch(x)`."""

    def __init__(self, channels: int, *, norm: Choice, activation: Choice, dims: int) -> None:
        conv, make_norm = layers(dims, of="SegResNet").conv, norm_layer(norm, dims, of="SegResNet")
        super().__init__()
        self.norm1, self.norm2 = (Identity() if make_norm is None else make_norm(channels) for _ in range(2))
        self.act = activation_layer(activation, of="SegResNet")
        self.conv1, self.conv2 = (conv(channels, channels, 3, padding=1, bias=False) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(self.act(self.norm1(x)))
        return x + self.conv2(self.act(self.norm2(inner)))


def _raise(in_channels: int, out_channels: int, up: str, dims: int) -> Sequential:
    """A step up: fewer channels, then twice the size."""
    kit = layers(dims, of="SegResNet")
    if up == "linear":
        finer: Module = Upsample(scale_factor=2, mode=kit.linear, align_corners=False)
    else:
        finer = kit.conv_transpose(out_channels, out_channels, 2, stride=2)
    return Sequential(kit.conv(in_channels, out_channels, 1, bias=False), finer)


def _check(down_depths: Sequence[int], up_depths: Sequence[int], up: str) -> None:
    if len(down_depths) < 2 or len(up_depths) != len(down_depths) - 1:
        raise ValueError(
            f"SegResNet: up_depths={list(up_depths)} has {len(up_depths)} levels; with "
            f"down_depths={list(down_depths)} it takes {len(down_depths) - 1}, and down_depths two or more."
        )
    if up not in ("linear", "transposed"):
        raise ValueError(f"SegResNet: up={up!r} is not 'linear' or 'transposed'.")
