"""VGG backbones and classifiers.

Source: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
arXiv:1409.1556, table 1 (A, B, D and E), without and with batch norms (`_bn`).
Differs: as in torchvision, what comes to the classifier is averaged to 7 pixels along each axis; timm, whose first
layer is a 7x7 convolution, slides it over larger images and averages the results.
Names: attributes are torchvision's, so its weights load as they are; timm's by the table "timm_vgg", with the
first two layers of the classifier flattened.
"""

from collections.abc import Sequence
from typing import Literal

from mcore import Dropout, Linear, Module, ReLU, Sequential, Tensor
from models.backbones.base import Backbone, Weights, levels_of, row_of
from models.basicblocks.layers import layers
from models.component import sized
from models.utils.initialise import kaiming_fan_out

# Convolutions of each of the five stages.
DEPTHS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
DEPTHS |= {f"{name}_bn": depths for name, depths in DEPTHS.items()}

# Channels of each stage.
WIDTHS = (64, 128, 256, 512, 512)


class VGG(Backbone):
    """VGG: a tuple of feature maps, finest first; with `num_classes` the published classifier.

    The maps are the five stages before they are pooled, the first at full resolution, level -1; and the last
    after it is pooled, level 4.

    Shapes:
        x: (n, in_channels, *size)
        returns: one (n, channels, *floor(size / stride)) for each of `features`; or (n, num_classes)

    Args:
        variant: a row of `DEPTHS`.
        in_channels: channels of the image.
        num_classes: makes it the classifier, which brings what comes to 7 pixels along every axis; None, a
            backbone without one.
        dims: 1, 2 or 3 for sequences, images or volumes.
        out_indices: levels to return, -1 at full resolution to 4 at stride 32; those after the last aren't
            built.
        hidden_features: of the classifier's two hidden layers.
        dropout: the share of those that training leaves out.
        frozen_stages: the last stage that isn't trained, 0 being the one at full resolution; -1 trains all.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "features.0", "classifier.6"
    rounds_up = False

    def __init__(
        self,
        variant: str,
        in_channels: int = 3,
        *,
        num_classes: int | None = None,
        dims: Literal[1, 2, 3] = 2,
        out_indices: Sequence[int] | None = None,
        hidden_features: int = 4096,
        dropout: float = 0.5,
        frozen_stages: int = -1,
        weights: Weights = None,
    ) -> None:
        depths = row_of(DEPTHS, variant, of="VGG")
        levels = levels_of((*WIDTHS, WIDTHS[-1]), first=-1)
        super().__init__(variant, levels, dims=dims, num_classes=num_classes, out_indices=out_indices)
        kit, norms = layers(dims, of=variant), variant.endswith("_bn")
        row: list[Module] = []
        #: Where the layers of each stage end, the pooling that follows not counted.
        self.ends: list[int] = []
        for width, depth in list(zip(WIDTHS, depths, strict=True))[: self.last_level + 2]:
            if row:
                row.append(kit.max_pool(2))
            for _ in range(depth):
                row += [kit.conv(in_channels, width, 3, padding=1), *([kit.batch_norm(width)] * norms), ReLU()]
                in_channels = width
            self.ends.append(len(row))
        if self.last_level == 4:
            row.append(kit.max_pool(2))
        self._put("features", Sequential(*row))
        if num_classes is not None:
            self.avgpool = kit.adaptive_avg_pool(7)
            self._put("classifier", _classifier(WIDTHS[-1] * 7**dims, hidden_features, num_classes, dropout))
        kaiming_fan_out(self)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        maps = []
        for number, layer in enumerate(self._layer("features")):
            if number in self.ends:
                maps.append(x)
            x = layer(x)
        if self.num_classes is not None:
            return self._layer("classifier")(self.avgpool(x).flatten(1))
        return self.chosen([*maps, x], first=-1)

    def by_stage(self) -> list[list[Module]]:
        row, starts = list(self._layer("features")), [0, *self.ends]
        return [row[start:end] for start, end in zip(starts, [*self.ends, len(row)], strict=True) if start < end]


def _classifier(features: int, hidden: int, num_classes: int, dropout: float) -> Sequential:
    return Sequential(
        Linear(features, hidden),
        ReLU(),
        Dropout(dropout),
        Linear(hidden, hidden),
        ReLU(),
        Dropout(dropout),
        Linear(hidden, num_classes),
    )


vgg11 = sized(VGG, "vgg11")
vgg11_bn = sized(VGG, "vgg11_bn")
vgg13 = sized(VGG, "vgg13")
vgg13_bn = sized(VGG, "vgg13_bn")
vgg16 = sized(VGG, "vgg16")
vgg16_bn = sized(VGG, "vgg16_bn")
vgg19 = sized(VGG, "vgg19")
vgg19_bn = sized(VGG, "vgg19_bn")
