"""Layers of Darknet that have weights: convolutions, linear maps, batch norms; and activations.

Source: github.com/pjreddie/darknet and github.com/AlexeyAB/darknet, for what each section computes.
Names: conv, bn and fc; those of [local] are weight and bias.
"""

from collections.abc import Callable
from typing import Any

import mcore
from mcore import (
    ELU,
    GELU,
    SELU,
    BatchNorm2d,
    Conv2d,
    Hardtanh,
    Identity,
    LeakyReLU,
    Linear,
    Mish,
    Module,
    Parameter,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Tanh,
    Tensor,
    zeros,
)
from mcore import functional as F
from models.darknet.cfg import Flavour
from models.darknet.plan import Layer


class Ramp(Module):
    """`relu(x) + 0.1 x`.

    Shapes:
        x: any
        returns: the same
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x) + 0.1 * x


class Loggy(Module):
    """`2 sigmoid(x) - 1`.

    Shapes:
        x: any
        returns: the same
    """

    def forward(self, x: Tensor) -> Tensor:
        return mcore.tanh(0.5 * x)


ACTIVATIONS: dict[str, Callable[[], Module]] = {
    "linear": Identity,
    "leaky": lambda: LeakyReLU(0.1),
    "mish": Mish,
    "swish": SiLU,
    "logistic": Sigmoid,
    "relu": ReLU,
    "relu6": ReLU6,
    "elu": ELU,
    "selu": SELU,
    "gelu": lambda: GELU(approximate="tanh"),
    "tanh": Tanh,
    "hardtan": Hardtanh,
    "loggy": Loggy,
    "ramp": Ramp,
    "relie": LeakyReLU,
}


class RootNorm(BatchNorm2d):
    """Batch norm of pjreddie's program: `(x - mean) / (sqrt(variance) + 1e-6)`, where others add to the variance.

    Shapes:
        x: (n, channels, h, w)
        returns: the same
    """

    margin = 1e-6

    def __init__(self, channels: int) -> None:
        # In training, the largest eps that gives the same without variance.
        super().__init__(channels, eps=self.margin**2, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return super().forward(x)
        variance: Any = self.running_var
        variance = (variance.sqrt() + self.margin).square()
        return F.batch_norm(x, self.running_mean, variance, self.weight, self.bias, eps=0.0)


def norm(channels: int, flavour: Flavour) -> BatchNorm2d:
    """The batch norm of a program: AlexeyAB's has an eps of 1e-5 beside the variance."""
    return RootNorm(channels) if flavour == "pjreddie" else BatchNorm2d(channels, eps=1e-5)


class Convolutional(Module):
    """Convolution, batch norm where the section has it, activation.

    Shapes:
        x: (n, in_channels, h, w)
        returns: (n, filters, h', w')
    """

    def __init__(self, layer: Layer, flavour: Flavour) -> None:
        super().__init__()
        options = layer.options
        normalized = bool(options["batch_normalize"] or options["cbn"])
        self.conv = Conv2d(
            layer.in_channels[0],
            layer.channels,
            options["size"],
            stride=options["strides"],
            padding=options["padding"] * options["dilation"],
            dilation=options["dilation"],
            groups=options["groups"],
            bias=not normalized,
        )
        self.bn = norm(layer.channels, flavour) if normalized else None
        self.act = ACTIVATIONS[options["activation"]]()

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.act(x if self.bn is None else self.bn(x))


class Connected(Module):
    """A linear map of all pixels and channels at once.

    Shapes:
        x: (n, in_channels, h, w), of the size that [net] tells
        returns: (n, output, 1, 1)
    """

    def __init__(self, layer: Layer, flavour: Flavour) -> None:
        super().__init__()
        height, width = layer.in_size or (1, 1)
        normalized = bool(layer.options["batch_normalize"])
        self.fc = Linear(layer.in_channels[0] * height * width, layer.channels, bias=not normalized)
        self.bn = norm(layer.channels, flavour) if normalized else None
        self.act = ACTIVATIONS[layer.options["activation"]]()

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc(x.flatten(1))[:, :, None, None]
        return self.act(x if self.bn is None else self.bn(x))


class Local(Module):
    """A convolution with weights of its own at each pixel.

    Shapes:
        x: (n, in_channels, h, w), of the size that [net] tells
        returns: (n, filters, h', w')
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        options, self.size = layer.options, layer.size or (1, 1)
        self.window = {"kernel_size": options["size"], "stride": options["stride"], "padding": options["pad"]}
        pixels, inputs = self.size[0] * self.size[1], layer.in_channels[0] * options["size"] ** 2
        self.bias = Parameter(zeros(layer.channels, *self.size))
        self.weight = Parameter(mcore.randn(pixels, layer.channels, inputs) * (2.0 / inputs) ** 0.5)
        self.act = ACTIVATIONS[options["activation"]]()

    def forward(self, x: Tensor) -> Tensor:
        windows = F.unfold(x, **self.window)
        x = mcore.einsum("nip,pci->ncp", windows, self.weight)
        return self.act(x.unflatten(2, self.size) + self.bias)


class BatchNorm(Module):
    """A batch norm that is a layer by itself.

    Shapes:
        x: (n, channels, h, w)
        returns: the same
    """

    def __init__(self, layer: Layer, flavour: Flavour) -> None:
        super().__init__()
        self.bn = norm(layer.channels, flavour)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(x)
