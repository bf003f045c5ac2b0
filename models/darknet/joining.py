"""Layers of Darknet that join several maps: sums, maps side by side, products.

Source: github.com/pjreddie/darknet and github.com/AlexeyAB/darknet, for what each section computes.
"""

import mcore
from mcore import Module, Parameter, Tensor, ones
from mcore import functional as F
from models.darknet.plan import Layer
from models.darknet.trained import ACTIVATIONS


class Shortcut(Module):
    """The sum of the map before and earlier ones, each weighted where the section says so; then activation.

    Shapes:
        x: (n, channels, h, w)
        others: maps (n, c, k * h, k * w) of a whole number k
        returns: as x

    Differs: of a finer map every k-th pixel counts, and of one with more or fewer channels those that both
    have, as pjreddie's program adds them; AlexeyAB's adds such maps number by number, whatever pixel that is.
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.normalization = layer.options["weights_normalization"]
        self.channels, self.given = layer.channels, layer.in_channels[1:]
        first, *others = layer.in_strides
        self.steps = [1 if first is None or one is None else int(first.height / one.height) for one in others]
        shape = {"none": None, "per_channel": (len(layer.inputs), layer.channels)}
        each = shape.get(layer.options["weights_type"], (len(layer.inputs),))
        self.weights = None if each is None else Parameter(ones(*each))
        self.act = ACTIVATIONS[layer.options["activation"]]()

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        if self.weights is not None:
            shares = self._shares(self.weights)
            maps = (x, *others)
            return self.act(sum(one * share for one, share in zip(maps[1:], shares[1:], strict=True)) + x * shares[0])
        for other, channels, step in zip(others, self.given, self.steps, strict=True):
            if step > 1:
                other = other[:, :, ::step, ::step]
            if channels < self.channels:
                other = F.pad(other, (0, 0, 0, 0, 0, self.channels - channels))
            x = x + (other[:, : self.channels] if channels > self.channels else other)
        return self.act(x)

    def _shares(self, weights: Tensor) -> list[Tensor]:
        """The weight of each map, or of each of its channels."""
        if self.normalization == "softmax":
            weights = (weights - weights.amax(dim=0, keepdim=True)).exp()
        elif self.normalization != "none":
            weights = F.relu(weights)
        if self.normalization != "none":
            weights = weights / (weights.sum(dim=0, keepdim=True) + 1e-4)
        return [weights[index].reshape(1, -1, 1, 1) for index in range(len(self.given) + 1)]


class Route(Module):
    """Earlier maps side by side, or of each the channels of one group.

    Shapes:
        maps: (n, c, h, w) each
        returns: (n, sum of c / groups, h, w)
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        groups, part = layer.options["groups"], layer.options["group_id"]
        parts = [channels // groups for channels in layer.in_channels]
        self.taken = None if groups == 1 else [slice(part * size, (part + 1) * size) for size in parts]

    def forward(self, *maps: Tensor) -> Tensor:
        if self.taken is not None:
            maps = tuple(x[:, channels] for x, channels in zip(maps, self.taken, strict=True))
        return maps[0] if len(maps) == 1 else mcore.cat(maps, dim=1)


class Scale(Module):
    """An earlier map times the one before: a number for each channel, or for each pixel.

    Shapes:
        scale: (n, channels, 1, 1), (n, 1, h, w) or as x
        x: (n, channels, h, w)
        returns: as x
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.act = ACTIVATIONS[layer.options["activation"]]()

    def forward(self, scale: Tensor, x: Tensor) -> Tensor:
        return self.act(scale * x)
