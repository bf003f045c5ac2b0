"""The head of the pyramid attention network.

Source: Li et al., "Pyramid Attention Network for Semantic Segmentation", arXiv:1805.10180, figures 3 and 4, in
the form of segmentation-models' PANDecoder: its pyramid has one channel, and convolutions have a bias before
their norm.
Differs: maps smaller than 8 pixels work too; an axis of one pixel stays so when it is halved.
"""

from collections.abc import Sequence
from typing import Any, Literal

from mcore import Module, Sequential, Sigmoid, Tensor
from mcore import functional as F
from models.basicblocks.layers import layers
from models.component import Part, strides_from
from models.functional.maps import as_channels
from models.functional.sizes import resize
from models.heads.decoding import MODES, Mode, from_stride, taken, to_image
from models.utils.arguments import one_of


class PAN(Part):
    """Scores of each class for every pixel: attention of several sizes on the coarsest map guides the finer ones.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first; those from stride 4 on are used
        size: of the image, in pixels, to which scores are resized; None leaves them at the finest map's size
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        channels: of every level.
        interpolation: how coarser levels come up to finer ones, "linear" or "nearest".
        in_channels: of the maps fed; from `models.assemble`, where left out.
        in_strides: of the maps fed; where left out, doubling from 4.
        dims: 1, 2 or 3.

    Names: those of segmentation-models' decoder, gau1 the finest; classifier stands for segmentation_head.0.
    """

    dense = True

    def __init__(
        self,
        num_classes: int,
        channels: int = 32,
        *,
        interpolation: Mode = "linear",
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        one_of(MODES, of="PAN", interpolation=interpolation)
        super().__init__()
        fed = as_channels(in_channels or ())
        self.dims, self.fed = dims, len(fed)
        #: Positions of the maps that it uses, among those fed.
        self.used = from_stride(strides_from(in_strides, len(fed), first=4), 4)
        *finer, coarsest = [fed[place] for place in self.used]
        self.fpa = FeaturePyramidAttention(coarsest, channels, dims=dims)
        self.levels = [f"gau{number}" for number in range(len(finer), 0, -1)]
        for name, width in zip(self.levels, reversed(finer), strict=True):
            self.add_module(name, GlobalAttentionUp(width, channels, interpolation=interpolation, dims=dims))
        self.classifier = layers(dims, of="PAN").conv(channels, num_classes, 3, padding=1)

    def forward(self, features: Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
        *finer, coarsest = taken(features, self.used, of=self.fed, title="PAN")
        x = self.fpa(coarsest)
        for name, skip in zip(self.levels, reversed(finer), strict=True):
            x = getattr(self, name)(skip, x)
        return to_image(self.classifier(x), size, align_corners=True)


class ConvNorm(Module):
    """A convolution with bias that keeps the size, norm, and ReLU where `activated`."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, activated: bool = True, dims: int = 2
    ) -> None:
        super().__init__()
        kit = layers(dims, of="PAN")
        self.conv = kit.conv(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.bn = kit.batch_norm(out_channels)
        self.activated = activated

    def forward(self, x: Tensor, size: Sequence[int] | None = None) -> Tensor:
        x = self.conv(x)
        # One pixel is repeated before the norm, which in training needs more than one value of a channel.
        x = self.bn(x if size is None else x.expand(-1, -1, *size))
        return F.relu(x) if self.activated else x


class FeaturePyramidAttention(Module):
    """A map weighed by what three sizes of context see in it, and its mean.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *size)

    Source: figure 3.
    """

    def __init__(self, in_channels: int, out_channels: int, *, dims: int = 2) -> None:
        super().__init__()
        kit = layers(dims, of="PAN")
        pool: Any = kit.max_pool
        self.branch1 = Sequential(kit.adaptive_avg_pool(1), ConvNorm(in_channels, out_channels, 1, dims=dims))
        self.mid = Sequential(ConvNorm(in_channels, out_channels, 1, dims=dims))
        self.down1 = Sequential(pool(2, stride=2), ConvNorm(in_channels, 1, 7, dims=dims))
        self.down2 = Sequential(pool(2, stride=2), ConvNorm(1, 1, 5, dims=dims))
        self.down3 = Sequential(pool(2, stride=2), ConvNorm(1, 1, 3, dims=dims), ConvNorm(1, 1, 3, dims=dims))
        self.conv2 = ConvNorm(1, 1, 5, dims=dims)
        self.conv1 = ConvNorm(1, 1, 7, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        pool, convolve = self.branch1
        mean = convolve(pool(x), x.shape[2:])
        half = self.down1(_halvable(x))
        quarter = self.down2(_halvable(half))
        eighth = self.down3(_halvable(quarter))
        context = self.conv2(quarter) + resize(eighth, quarter.shape[2:], align_corners=True)
        context = self.conv1(half) + resize(context, half.shape[2:], align_corners=True)
        return self.mid(x) * resize(context, x.shape[2:], align_corners=True) + mean


def _halvable(x: Tensor) -> Tensor:
    """`x` with its pixel repeated along axes that have only one, so that a half of it is one pixel still."""
    # The second amount is 1 for one pixel and 0 for more, without asking how many there are.
    more = [amount for pixels in reversed(x.shape[2:]) for amount in (0, 2 // (pixels + 1) % 2)]
    return F.pad(x, more, mode="replicate")


class GlobalAttentionUp(Module):
    """A coarse map brought up, and a fine one weighed by the coarse one's mean.

    Shapes:
        x: (n, in_channels, *size), the fine map
        y: (n, out_channels, *coarser)
        returns: (n, out_channels, *size)

    Source: figure 4.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        interpolation: Mode = "linear",
        dims: int = 2,
    ) -> None:
        super().__init__()
        gate = ConvNorm(out_channels, out_channels, 1, activated=False, dims=dims)
        self.conv1 = Sequential(layers(dims, of="PAN").adaptive_avg_pool(1), gate, Sigmoid())
        self.conv2 = ConvNorm(in_channels, out_channels, 3, dims=dims)
        self.interpolation: Mode = interpolation

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        size = x.shape[2:]
        pool, convolve, sigmoid = self.conv1
        weight = sigmoid(convolve(pool(y), size))
        return resize(y, size, mode=self.interpolation, align_corners=True) + self.conv2(x) * weight
