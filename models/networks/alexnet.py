"""AlexNet.

Source: Krizhevsky, "One Weird Trick for Parallelizing Convolutional Neural Networks", arXiv:1404.5997, the network
for one machine; after Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks" (2012).
Differs: what comes to the classifier is averaged to 6 pixels along each axis, whatever the image's size; there is
no local response normalisation.
Names: attributes are torchvision's, so its weights load as they are.
"""

from typing import Literal

from mcore import Dropout, Linear, ReLU, Sequential, Tensor
from models.backbones.base import Weights
from models.basicblocks.layers import layers
from models.component import Component
from models.utils.weights import load_weights

PIXELS = 6


class AlexNet(Component):
    """AlexNet: scores of each class for whole images.

    Shapes:
        x: (n, in_channels, *size), at least 63 pixels along each axis; 224 in the paper
        returns: (n, num_classes), before softmax

    Args:
        in_channels: channels of the image.
        num_classes: how many scores.
        hidden_features: of the classifier's two hidden layers.
        dropout: the share of what comes to them that training leaves out.
        dims: 1, 2 or 3.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "features.0", "classifier.6"
    # Has no maps to give: `features.0` is torchvision's name of a layer.
    features: tuple[tuple[int, int], ...] = ()

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 1000,
        *,
        hidden_features: int = 4096,
        dropout: float = 0.5,
        dims: Literal[1, 2, 3] = 2,
        weights: Weights = None,
    ) -> None:
        super().__init__()
        kit, self.dims = layers(dims, of="AlexNet"), dims
        features = Sequential(
            kit.conv(in_channels, 64, 11, stride=4, padding=2),
            ReLU(),
            kit.max_pool(3, stride=2),
            kit.conv(64, 192, 5, padding=2),
            ReLU(),
            kit.max_pool(3, stride=2),
            kit.conv(192, 384, 3, padding=1),
            ReLU(),
            kit.conv(384, 256, 3, padding=1),
            ReLU(),
            kit.conv(256, 256, 3, padding=1),
            ReLU(),
            kit.max_pool(3, stride=2),
        )
        classifier = Sequential(
            Dropout(dropout),
            Linear(256 * PIXELS**dims, hidden_features),
            ReLU(),
            Dropout(dropout),
            Linear(hidden_features, hidden_features),
            ReLU(),
            Linear(hidden_features, num_classes),
        )
        self._put("features", features)
        self.avgpool = kit.adaptive_avg_pool(PIXELS)
        self._put("classifier", classifier)
        if weights is not None:
            self.weights_report = load_weights(self, weights)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self._layer("features")(x))
        return self._layer("classifier")(x.flatten(1))
