"""LeNet-5.

Source: LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proceedings of the IEEE 86 (1998),
section II.B and figure 2.
Differs: as in most ports, maps of the second convolution see all of the first, pooling has no weights, tanh isn't
scaled, and the last layer is linear instead of comparing with stored pictures of digits.
Names: attributes are those of PyTorch's tutorial on neural networks.
"""

from typing import Literal

from mcore import Linear, Tensor
from models.backbones.base import Weights
from models.basicblocks.layers import Choice, activation_layer, layers
from models.component import Component
from models.utils.arguments import one_of
from models.utils.weights import load_weights

# Pixels of the last maps along each axis.
PIXELS = 5


class LeNet(Component):
    """LeNet-5: scores of each class for images of digits.

    Shapes:
        x: (n, in_channels, *size), 32 pixels along each axis in the paper; of any other size from 16 on, the last
            maps are averaged to the 5 pixels that the paper's have
        returns: (n, num_classes), before softmax

    Args:
        in_channels: channels of the image.
        num_classes: how many scores.
        activation: after each layer but the last: "tanh" as in the paper, "relu", ...
        pool: "avg" as in the paper, or "max".
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "conv1", "fc3"

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 10,
        *,
        activation: Choice = "tanh",
        pool: Literal["avg", "max"] = "avg",
        dims: Literal[1, 2, 3] = 2,
        weights: Weights = None,
    ) -> None:
        one_of(("avg", "max"), of="LeNet", pool=pool)
        super().__init__()
        kit, self.dims = layers(dims, of="LeNet"), dims
        self.conv1, self.conv2 = kit.conv(in_channels, 6, 5), kit.conv(6, 16, 5)
        self.pool = kit.avg_pool(2) if pool == "avg" else kit.max_pool(2)
        # Changes nothing at the paper's size.
        self.resize = kit.adaptive_avg_pool(PIXELS)
        self.fc1, self.fc2 = Linear(16 * PIXELS**dims, 120), Linear(120, 84)
        self.fc3 = Linear(84, num_classes)
        self.activation = activation_layer(activation, of="LeNet")
        if weights is not None:
            self.weights_report = load_weights(self, weights)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.activation(self.conv1(x)))
        x = self.pool(self.activation(self.conv2(x)))
        x = self.activation(self.fc1(self.resize(x).flatten(1)))
        return self.fc3(self.activation(self.fc2(x)))
