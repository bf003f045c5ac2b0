"""The network of nnU-Net, with kernels and strides of each level by axis.

Source: Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation",
arXiv:1904.08128, figure 2; residual blocks: Futrega et al., "Optimized U-Net for Brain Tumor Segmentation",
arXiv:2110.03352; both as MONAI's `DynUNet` implements them.
Names: levels are numbered, the finest first, where MONAI nests them: the table `monai_dynunet` renames its files,
which hold every layer twice; what stands under `skip_layers` counts, and the rest is reported as unexpected.
"""

from collections.abc import Sequence
from typing import Any, Literal

import mcore
from mcore import Identity, Module, ModuleList, Tensor
from models.backbones.base import Weights
from models.basicblocks.conv import Pixels, each
from models.basicblocks.layers import Choice, Factory, activation_layer, layers, norm_layer
from models.functional.sizes import resize
from models.networks.fitting import Fit, Fitting, odd
from models.utils.initialise import kaiming_fan_out

# Channels of the finest level in nnU-Net, and the most that a level has, in images and in volumes.
FINEST, MOST = 32, {1: 512, 2: 512, 3: 320}


class DynUNet(Fitting):
    """nnU-Net's network: scores of each class for every pixel.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, num_classes, *ceil(size / strides[0])), before softmax; in training with `supervised` a tuple:
            these, then those of inner levels from the finest on, brought to the same size

    Args:
        in_channels: channels of the image.
        num_classes: how many scores for each pixel.
        strides: of the first convolution of each level, finest first, for every axis or by axis. Those of the
            first level make the result coarser than the image.
        kernel_size: of convolutions, for every axis or by axis; or a list of these, one for each level. As many
            numbers as there are axes are one kernel for all levels.
        channels: of each level; where left out, 32 doubling up to 320 in volumes and 512 else, as nnU-Net has.
        residual: blocks on the way down have a shortcut.
        supervised: how many inner levels are scored too in training: deep supervision.
        norm: "batch", "instance", "group", one with arguments ({"name": "group", "num_groups": 4}), a
            constructor, or None. An instance norm needs two pixels or more at the coarsest level.
        activation: a name, a name with arguments, or a constructor.
        up_bias: whether transposed convolutions have a bias.
        fit: what happens to sizes that the strides don't divide: "pad" adds zeros and crops the result, "refuse"
            says which sizes fit.
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = ("down.0.conv1", "down.0.conv3"), "out"

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        strides: Sequence[Pixels] = (1, 2, 2, 2, 2, 2),
        kernel_size: Pixels | Sequence[Pixels] = 3,
        channels: Sequence[int] | None = None,
        residual: bool = False,
        supervised: int = 0,
        norm: Choice = "instance",
        activation: Choice = "leaky_relu",
        up_bias: bool = False,
        fit: Fit = "pad",
        dims: Literal[1, 2, 3] = 3,
        weights: Weights = None,
    ) -> None:
        super().__init__(strides, fit=fit, dims=dims, coarser=strides[0] if strides else 1)
        widths = _widths(channels, len(strides), dims)
        kernels = _kernels(kernel_size, len(strides), dims)
        if not 0 <= supervised < len(strides) - 1:
            raise ValueError(f"DynUNet: supervised={supervised} isn't 0 to {len(strides) - 2}, the inner levels.")
        block: dict[str, Any] = {"norm": norm, "activation": activation, "dims": dims}
        fed, last = [in_channels, *widths[:-1]], len(strides) - 1
        rows = [_Block(*row, residual=residual, **block) for row in zip(fed, widths, kernels, strides, strict=True)]
        self.down, self.bottom = ModuleList(rows[:-1]), rows[-1]
        self.up = ModuleList(
            _Up(widths[level + 1], widths[level], kernels[level + 1], strides[level + 1], bias=up_bias, **block)
            for level in range(last)
        )
        conv = layers(dims, of="DynUNet").conv
        self.out = conv(widths[0], num_classes, 1)
        self.heads = ModuleList(conv(widths[level], num_classes, 1) for level in range(1, supervised + 1))
        kaiming_fan_out(self)
        self._complete(weights)

    def scores(self, x: Tensor) -> Any:
        skips = []
        for level in self.down:
            x = level(x)
            skips.append(x)
        x = self.bottom(x)
        raised = []
        for level in reversed(self.up):
            x = level(x, skips.pop())
            raised.append(x)
        out = self.out(x)
        if not self.training or not len(self.heads):
            return out
        inner = [head(y) for head, y in zip(self.heads, reversed(raised[:-1]), strict=False)]
        return (out, *(resize(y, out.shape[2:], mode="nearest") for y in inner))


class _Block(Module):
    """Two convolutions, each with a norm and activation; a residual one adds its shortcut before the last."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel_size: Pixels,
        stride: Pixels,
        *,
        norm: Choice,
        activation: Choice,
        dims: int,
        residual: bool = False,
    ) -> None:
        conv = layers(dims, of="DynUNet").conv
        make: Factory = norm_layer(norm, dims, of="DynUNet") or _identity
        super().__init__()
        around, kept = _padding(kernel_size, stride, dims), _padding(kernel_size, 1, dims)
        self.conv1 = conv(in_channels, channels, kernel_size, stride=stride, padding=around, bias=False)
        self.norm1 = make(channels)
        self.conv2 = conv(channels, channels, kernel_size, padding=kept, bias=False)
        self.norm2 = make(channels)
        self.act = activation_layer(activation, of="DynUNet")
        self.residual = residual
        self.conv3: Module | None = None
        self.norm3: Module = Identity()
        if residual and (in_channels != channels or max(each(stride, dims)) > 1):
            self.conv3 = conv(in_channels, channels, 1, stride=stride, bias=False)
            self.norm3 = make(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))
        if not self.residual:
            return self.act(inner)
        return self.act(inner + (x if self.conv3 is None else self.norm3(self.conv3(x))))


class _Up(Module):
    """A transposed convolution as large as its stride, the map that joins behind it, then two convolutions."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel_size: Pixels,
        stride: Pixels,
        *,
        bias: bool,
        dims: int,
        **block: Any,
    ) -> None:
        conv = layers(dims, of="DynUNet").conv_transpose
        super().__init__()
        self.transp_conv = conv(in_channels, channels, each(stride, dims), stride=stride, bias=bias)
        self.conv_block = _Block(2 * channels, channels, kernel_size, 1, dims=dims, **block)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.conv_block(mcore.cat((self.transp_conv(x), skip), dim=1))


def _identity(channels: int) -> Module:
    return Identity()


def _padding(kernel_size: Pixels, stride: Pixels, dims: int) -> tuple[int, ...]:
    """What makes a convolution divide fitting sizes by its stride."""
    pairs = zip(each(kernel_size, dims), each(stride, dims), strict=True)
    return tuple(max(0, (size - step + 1) // 2) for size, step in pairs)


def _widths(channels: Sequence[int] | None, levels: int, dims: int) -> list[int]:
    """Channels of each level.

    Raises:
        ValueError: a single level, or another number of channels.
    """
    if levels < 2:
        raise ValueError(f"DynUNet: strides are of {levels} levels; it needs two or more.")
    if channels is None:
        return [min(FINEST << level, MOST[dims]) for level in range(levels)]
    if len(channels) != levels:
        raise ValueError(f"DynUNet: channels={list(channels)} are {len(channels)} for {levels} levels of strides.")
    return [*channels]


def _kernels(kernel_size: Pixels | Sequence[Pixels], levels: int, dims: int) -> list[tuple[int, ...]]:
    """The kernel of each level, by axis. As many numbers as there are axes are one kernel for all levels.

    Raises:
        ValueError: another number of kernels, or an even one.
    """
    given: Any = kernel_size
    shared = isinstance(given, int) or (len(given) == dims and all(isinstance(size, int) for size in given))
    rows = [given] * levels if shared else [*given]
    if len(rows) != levels:
        raise ValueError(f"DynUNet: kernel_size={given} are {len(rows)} kernels for {levels} levels of strides.")
    return [odd("DynUNet", "kernel_size", row, dims) for row in rows]
