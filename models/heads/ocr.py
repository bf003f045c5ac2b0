"""Object-contextual representations, the head of HRNet-OCR.

Source: Yuan et al., "Object-Contextual Representations for Semantic Segmentation", arXiv:1909.11065, figure 3
and section 3.3.
"""

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import mcore
from mcore import Module, ReLU, Sequential, Tensor
from mcore import functional as F
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import layers
from models.component import Part
from models.functional.maps import as_channels
from models.functional.sizes import resize
from models.heads.decoding import channel_dropout, taken, to_image


class OCR(Part):
    """Scores of each class for every pixel: each pixel sees the mean of every class's region, by likeness.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first; all are joined at the finest's size
        size: of the image, in pixels, to which scores are resized; None leaves them at the finest map's size
        returns: (n, num_classes, *size), before softmax; in training with `auxiliary`, a dict of these under
            "out" and the scores of the regions under "aux"

    Args:
        num_classes: how many scores for each pixel.
        channels: of pixels and regions.
        key_channels: in which pixels and regions are compared.
        dropout: the share of the channels that training leaves out.
        auxiliary: gives the scores of the regions too in training, whose loss the paper weighs with 0.4.
        align_corners: how maps and scores are resized; True as in the authors' code.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        dims: 1, 2 or 3.

    Names: those of the authors' HRNet-Semantic-Segmentation.

    Raises:
        ValueError: there is one class, whose region would be all that pixels can see.
    """

    dense = True

    classifier = ("aux_head.3", "cls_head")

    def __init__(
        self,
        num_classes: int,
        channels: int = 512,
        *,
        key_channels: int = 256,
        dropout: float = 0.05,
        auxiliary: bool = False,
        align_corners: bool = True,
        in_channels: int | Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        if num_classes < 2:
            raise ValueError(f"OCR: num_classes={num_classes} is one region, to which all pixels are alike; give 2.")
        super().__init__()
        conv, fed = layers(dims, of="OCR").conv, as_channels(in_channels or ())
        joined = sum(fed)
        self.dims, self.fed = dims, len(fed)
        self.auxiliary, self.align_corners = auxiliary, align_corners
        self.aux_head = Sequential(*ConvNormAct(joined, joined, 1, bias=True, dims=dims), conv(joined, num_classes, 1))
        self.conv3x3_ocr = ConvNormAct(joined, channels, bias=True, dims=dims)
        self.ocr_distri_head = RegionAttention(channels, key_channels, dropout=dropout, dims=dims)
        self.cls_head = conv(channels, num_classes, 1)

    def forward(self, features: Tensor | Sequence[Tensor], size: Sequence[int] | None = None) -> Any:
        finest, *coarser = taken(features, range(self.fed), of=self.fed, title="OCR")
        raised = [resize(x, finest.shape[2:], align_corners=self.align_corners) for x in coarser]
        x = mcore.cat([finest, *raised], dim=1)
        regions = self.aux_head(x)
        x = self.conv3x3_ocr(x)
        out = self.cls_head(self.ocr_distri_head(x, means(x, regions)))
        out = to_image(out, size, align_corners=self.align_corners)
        if self.auxiliary and self.training:
            return {"out": out, "aux": to_image(regions, size, align_corners=self.align_corners)}
        return out


def means(x: Tensor, scores: Tensor) -> Tensor:
    """The mean of each class's region, whose pixels count as the scores say: (n, channels, num_classes)."""
    weights = F.softmax(scores.flatten(2), dim=2)
    return mcore.matmul(x.flatten(2), weights.transpose(1, 2))


class RegionAttention(Module):
    """Each pixel beside a mix of regions, those most like it above all.

    Shapes:
        x: (n, channels, *size)
        regions: (n, channels, num_classes)
        returns: (n, channels, *size)
    """

    def __init__(self, channels: int, key_channels: int, *, dropout: float, dims: int = 2) -> None:
        super().__init__()
        self.object_context_block = ObjectContext(channels, key_channels, dims=dims)
        self.conv_bn_dropout = Sequential(
            *_pointwise(2 * channels, channels, dims=dims), channel_dropout(dropout, dims=dims)
        )

    def forward(self, x: Tensor, regions: Tensor) -> Tensor:
        return self.conv_bn_dropout(mcore.cat([self.object_context_block(x, regions), x], dim=1))


class ObjectContext(Module):
    """Attention of pixels to regions.

    Shapes:
        x: (n, channels, *size)
        regions: (n, channels, num_classes)
        returns: (n, channels, *size)
    """

    def __init__(self, channels: int, key_channels: int, *, dims: int = 2) -> None:
        super().__init__()
        self.key_channels, self.dims = key_channels, dims
        self.f_pixel = _pointwise(channels, key_channels, key_channels, dims=dims)
        self.f_object = _pointwise(channels, key_channels, key_channels, dims=dims)
        self.f_down = _pointwise(channels, key_channels, dims=dims)
        self.f_up = _pointwise(key_channels, channels, dims=dims)

    def forward(self, x: Tensor, regions: Tensor) -> Tensor:
        # Regions as a map of one pixel each, for the same convolutions.
        for _ in range(self.dims - 1):
            regions = regions.unsqueeze(-1)
        pixels = self.f_pixel(x)
        keys, values = self.f_object(regions).flatten(2), self.f_down(regions).flatten(2)
        likeness = mcore.matmul(pixels.flatten(2).transpose(1, 2), keys) * self.key_channels**-0.5
        mixed = mcore.matmul(F.softmax(likeness, dim=2), values.transpose(1, 2))
        return self.f_up(mixed.transpose(1, 2).reshape(pixels.shape))


def _pointwise(*channels: int, dims: int) -> Sequential:
    """1x1 convolutions between these channels, each with norm and ReLU, which are one entry by the authors' names."""
    kit, row = layers(dims, of="OCR"), []
    for before, after in itertools.pairwise(channels):
        row += [kit.conv(before, after, 1, bias=False), Sequential(kit.batch_norm(after), ReLU())]
    return Sequential(*row)
