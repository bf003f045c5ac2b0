"""Scores for whole images: one class of several, or each of several labels, by itself."""

import itertools
import math
from collections.abc import Sequence
from typing import Literal

from mcore import BatchNorm1d, Linear, Module, Parameter, ReLU, Sequential, Tensor, full, init
from mcore import functional as F
from models.functional.maps import Merge
from models.heads.pooled import PooledHead
from models.utils.arguments import one_of


class Classification(PooledHead):
    """One score for each class: the mean over all pixels, dropout and a linear map.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), or one
        returns: (n, num_classes), before softmax

    Args:
        num_classes: how many scores.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        dropout: the share of the averaged channels that training leaves out.
        merge: which maps: "coarsest", "finest", "sum" or "concat" of all; where left out, "sum" for maps of
            the same channels, as a pyramid's are, else "coarsest".

    Names: fc, as torchvision's ResNet has.
    """

    classifier = "fc"

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int | Sequence[int] | None = None,
        dropout: float = 0.0,
        merge: Merge | None = None,
    ) -> None:
        super().__init__(in_channels, dropout=dropout, merge=merge)
        self.fc = Linear(self.wide, num_classes)

    def forward(self, features: Tensor | Sequence[Tensor]) -> Tensor:
        return self.fc(self.pooled(features))


class MLPClassification(PooledHead):
    """One score for each class through hidden layers: linear map, batch norm, ReLU and dropout each.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), or one
        returns: (n, num_classes), before softmax

    Args:
        num_classes: how many scores.
        hidden: channels of each hidden layer.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        norm: of hidden layers: "batch", which needs batches of two or more in training, or None.
        dropout: the share of the averaged channels that training leaves out.
        merge: which maps, as for `Classification`.
    """

    classifier = "fc"

    def __init__(
        self,
        num_classes: int,
        hidden: Sequence[int] = (512,),
        *,
        in_channels: int | Sequence[int] | None = None,
        norm: Literal["batch"] | None = "batch",
        dropout: float = 0.0,
        merge: Merge | None = None,
    ) -> None:
        one_of(("batch", None), of="MLPClassification", norm=norm)
        super().__init__(in_channels, dropout=dropout, merge=merge)
        widths = (self.wide, *hidden)
        self.hidden = Sequential(*(layer for pair in itertools.pairwise(widths) for layer in _layer(*pair, norm)))
        self.fc = Linear(widths[-1], num_classes)

    def forward(self, features: Tensor | Sequence[Tensor]) -> Tensor:
        return self.fc(self.hidden(self.pooled(features)))


class CosineClassification(PooledHead):
    """One score for each class: the cosine between the image's vector and the class's, times a learnt scale.

    Lengths don't count, so classes with few images aren't outweighed.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), or one
        returns: (n, num_classes), before softmax, between -scale and scale

    Args:
        num_classes: how many scores.
        scale: at the start of training.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        dropout: the share of the averaged channels that training leaves out.
        merge: which maps, as for `Classification`.

    Source: Gidaris and Komodakis, "Dynamic Few-Shot Visual Learning without Forgetting", arXiv:1804.09042,
    section 3.2, equation 3.
    """

    classifier = "fc"

    def __init__(
        self,
        num_classes: int,
        *,
        scale: float = 10.0,
        in_channels: int | Sequence[int] | None = None,
        dropout: float = 0.0,
        merge: Merge | None = None,
    ) -> None:
        if not scale > 0:
            raise ValueError(f"CosineClassification: scale={scale} is not greater than 0.")
        super().__init__(in_channels, dropout=dropout, merge=merge)
        self.fc = Linear(self.wide, num_classes, bias=False)
        self.scale = Parameter(full((1,), float(scale)))

    def forward(self, features: Tensor | Sequence[Tensor]) -> Tensor:
        return self.scale * F.linear(F.normalize(self.pooled(features)), F.normalize(self.fc.weight))


class MultiLabel(PooledHead):
    """A score for each label by itself, any number of which an image may have.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), or one
        returns: (n, num_labels), before the sigmoid

    Args:
        num_labels: how many scores.
        prior: how often a label is there, at the start of training, in 0 < prior < 1: rare labels then don't
            begin with a loss from all the images that lack them.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        dropout: the share of the averaged channels that training leaves out.
        merge: which maps, as for `Classification`.

    Source: the prior is that of Lin et al., "Focal Loss for Dense Object Detection", arXiv:1708.02002, section 3.3.
    """

    classifier = "fc"

    def __init__(
        self,
        num_labels: int,
        *,
        prior: float = 0.5,
        in_channels: int | Sequence[int] | None = None,
        dropout: float = 0.0,
        merge: Merge | None = None,
    ) -> None:
        if not 0.0 < prior < 1.0:
            raise ValueError(f"MultiLabel: prior={prior} is not in 0 < prior < 1.")
        super().__init__(in_channels, dropout=dropout, merge=merge)
        self.fc = Linear(self.wide, num_labels)
        init.constant_(self.fc.bias, -math.log((1.0 - prior) / prior))

    def forward(self, features: Tensor | Sequence[Tensor]) -> Tensor:
        return self.fc(self.pooled(features))


def _layer(in_features: int, out_features: int, norm: str | None) -> list[Module]:
    # A norm brings its own bias.
    linear = Linear(in_features, out_features, bias=norm is None)
    return [linear, *([BatchNorm1d(out_features)] if norm else []), ReLU()]
