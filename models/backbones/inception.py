"""Inception v3, backbone and classifier.

Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", arXiv:1512.00567, table 1.
Differs: as the authors' published network, from which all ports come: 35x35 blocks have a 5x5 branch.
Names: attributes are torchvision's (and timm's), so published weights load as they are; torchvision's have the
auxiliary classifier, `auxiliary=True`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from mcore import Linear, Module, Tensor
from models.backbones.base import Backbone, Weights, levels_of
from models.basicblocks.inception import (
    InceptionA,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
    Padding,
    conv_maker,
    margin,
)
from models.basicblocks.layers import layers
from models.component import sized
from models.utils.initialise import kaiming_fan_out

CHANNELS = (64, 192, 288, 768, 2048)

# The level that the auxiliary classifier sees.
AUXILIARY = 3


class Inception(Backbone):
    """Inception v3: a tuple of feature maps, finest first; with `num_classes` the published classifier.

    Shapes:
        x: (n, in_channels, *size), at least 75 pixels along each axis; 299 is what it was trained with
        returns: one (n, channels, *pixels) for each of `features`; or (n, num_classes). The original pads
            little, so that maps lack pixels: 147, 71, 35, 17 and 8 of 299; with padding="same", pixels are
            ceil(size / stride) and any size fits

    Args:
        variant: "inception_v3".
        in_channels: channels of the image.
        num_classes: makes it the classifier; None, a backbone without one.
        dims: 1, 2 or 3 for sequences, images or volumes.
        out_indices: levels to return, 0 at stride 2 to 4 at stride 32; those after the last aren't built.
        padding: "valid" is the original's; "same" suits decoders, and the weights serve it too.
        auxiliary: adds the classifier at stride 16 that torchvision's has; in training the classifier then
            returns two scores, its own and that one's, which needs images of 299 pixels.
        frozen_stages: the last stage that isn't trained, 0 being the stem; -1 trains all.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "Conv2d_1a_3x3.conv", "fc"

    def __init__(
        self,
        variant: str,
        in_channels: int = 3,
        *,
        num_classes: int | None = None,
        dims: Literal[1, 2, 3] = 2,
        out_indices: Sequence[int] | None = None,
        padding: Padding = "valid",
        auxiliary: bool = False,
        frozen_stages: int = -1,
        weights: Weights = None,
    ) -> None:
        if variant != "inception_v3":
            raise ValueError(f"Inception: variant {variant!r} is not inception_v3.")
        if auxiliary and num_classes is None:
            raise ValueError(f"{variant}: auxiliary=True adds a second classifier; give num_classes for the first.")
        levels = levels_of(CHANNELS)
        super().__init__(variant, levels, dims=dims, num_classes=num_classes, out_indices=out_indices)
        around = margin(padding, of=variant)
        self.rounds_up = padding == "same"
        #: Names of the layers of each stage, in the order in which they run.
        self._names: list[list[str]] = []
        for number, stage in enumerate(_stages(in_channels, around, dims)[: self.last_level + 1]):
            # Between the stages, as torchvision's state has it; it isn't one of them.
            if auxiliary and number == AUXILIARY + 1:
                self.AuxLogits = _Auxiliary(CHANNELS[AUXILIARY], num_classes or 0, dims=dims)
            for name, make in stage.items():
                self.add_module(name, make())
            self._names.append(list(stage))
        if num_classes is not None:
            self.fc = Linear(CHANNELS[-1], num_classes)
        self.auxiliary = auxiliary
        kaiming_fan_out(self)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        maps = []
        for stage in self.by_stage():
            for layer in stage:
                x = layer(x)
            maps.append(x)
        if self.num_classes is None:
            return self.chosen(maps)
        scores = self.fc(x.flatten(2).mean(2))
        return (scores, self.AuxLogits(maps[AUXILIARY])) if self.auxiliary and self.training else scores

    def by_stage(self) -> list[list[Module]]:
        return [[getattr(self, name) for name in names] for names in self._names]


class _Auxiliary(Module):
    """Scores from an inner map, which training adds to the loss: section 4."""

    def __init__(self, in_channels: int, num_classes: int, *, dims: int) -> None:
        super().__init__()
        conv = conv_maker(dims)
        self.pool = layers(dims, of="Inception").avg_pool(5, stride=3)
        self.conv0, self.conv1 = conv(in_channels, 128, 1), conv(128, 768, 5, padding=0)
        self.fc = Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv1(self.conv0(self.pool(x))).flatten(2).mean(2))


def _stages(in_channels: int, around: int, dims: int) -> list[dict[str, Callable[[], Module]]]:
    """What makes the layers of each stage, by name; a level is where a stage ends."""
    # Only made when called, since a stage may not be wanted.
    conv = partial(partial, conv_maker(dims))
    block = partial(partial, dims=dims)
    pool = partial(layers(dims, of="Inception").max_pool, 3, stride=2, padding=around)
    padding: Padding = "same" if around else "valid"
    return [
        {
            "Conv2d_1a_3x3": conv(in_channels, 32, 3, stride=2, padding=around),
            "Conv2d_2a_3x3": conv(32, 32, 3, padding=around),
            "Conv2d_2b_3x3": conv(32, 64, 3),
        },
        {
            "maxpool1": pool,
            "Conv2d_3b_1x1": conv(64, 80, 1),
            "Conv2d_4a_3x3": conv(80, 192, 3, padding=around),
        },
        {
            "maxpool2": pool,
            "Mixed_5b": block(InceptionA, 192, 32),
            "Mixed_5c": block(InceptionA, 256, 64),
            "Mixed_5d": block(InceptionA, 288, 64),
        },
        {
            "Mixed_6a": block(InceptionB, 288, padding=padding),
            "Mixed_6b": block(InceptionC, 768, 128),
            "Mixed_6c": block(InceptionC, 768, 160),
            "Mixed_6d": block(InceptionC, 768, 160),
            "Mixed_6e": block(InceptionC, 768, 192),
        },
        {
            "Mixed_7a": block(InceptionD, 768, padding=padding),
            "Mixed_7b": block(InceptionE, 1280),
            "Mixed_7c": block(InceptionE, 2048),
        },
    ]


inception_v3 = sized(Inception, "inception_v3")
