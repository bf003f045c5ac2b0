"""SegNet: a decoder that puts each maximum back where the encoder found it.

Source: Badrinarayanan et al., "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image Segmentation",
arXiv:1511.00561, figure 2 and section 3.
Names: encoder.<level>.<convolution> and decoder.<level>.<convolution>, the finest level first; each convolution has
conv, norm and act.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

from mcore import MaxUnpool1d, MaxUnpool2d, MaxUnpool3d, ModuleList, Sequential, Tensor
from models.backbones.base import Weights
from models.basicblocks.conv import CONV_NORM_ACT, ConvNormAct
from models.basicblocks.layers import Choice, layers
from models.networks.fitting import Fit, Fitting

UNPOOL = {1: MaxUnpool1d, 2: MaxUnpool2d, 3: MaxUnpool3d}


class SegNet(Fitting):
    """SegNet: scores of each class for every pixel.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, num_classes, *size), before softmax

    Args:
        in_channels: channels of the image.
        num_classes: how many scores for each pixel.
        channels: of each level, finest first; those of VGG-16, where left out.
        depths: convolutions of each level, on the way down and on the way up; those of VGG-16, where left out.
        norm: "batch", "instance", "group", one with arguments ({"name": "group", "num_groups": 4}), a
            constructor, or None.
        activation: a name, a name with arguments, or a constructor.
        fit: what happens to sizes that don't halve evenly: "pad" adds zeros and crops the result, "refuse" says
            which sizes fit.
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "encoder.0.0.conv", "classifier_conv"

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        channels: Sequence[int] = (64, 128, 256, 512, 512),
        depths: Sequence[int] = (2, 2, 3, 3, 3),
        norm: Choice = "batch",
        activation: Choice = "relu",
        fit: Fit = "pad",
        dims: Literal[1, 2, 3] = 2,
        weights: Weights = None,
    ) -> None:
        if not channels or len(channels) != len(depths) or min(depths) < 1:
            raise ValueError(
                f"SegNet: channels={list(channels)} and depths={list(depths)} are {len(channels)} and {len(depths)} "
                "levels; give as many of both, with one convolution or more each."
            )
        super().__init__([2] * len(channels), fit=fit, dims=dims)
        kit = layers(dims, of="SegNet")

        def level(counts: list[int]) -> Sequential:
            """Convolutions from each of `counts` channels to the next."""
            same: dict[str, Any] = {"norm": norm, "activation": activation, "names": CONV_NORM_ACT, "dims": dims}
            return Sequential(*(ConvNormAct(fed, given, **same) for fed, given in pairwise(counts)))

        fed = [in_channels, *channels[:-1]]
        # On the way up, the last convolution of a level gives the channels of the next finer one; that of the
        # finest, the scores.
        self.encoder = ModuleList(
            level([first, *[own] * depth]) for first, own, depth in zip(fed, channels, depths, strict=True)
        )
        self.decoder = ModuleList(
            level([*[own] * depth, *([channels[index - 1]] if index else [])])
            for index, (own, depth) in enumerate(zip(channels, depths, strict=True))
        )
        self.pool, self.unpool = kit.max_pool(2, return_indices=True), UNPOOL[dims](2)
        self.classifier_conv = kit.conv(channels[0], num_classes, 3, padding=1)
        self._complete(weights)

    def scores(self, x: Tensor) -> Tensor:
        places = []
        for level in self.encoder:
            x, found = self.pool(level(x))
            places.append(found)
        for level in reversed(self.decoder):
            x = level(self.unpool(x, places.pop()))
        return self.classifier_conv(x)
