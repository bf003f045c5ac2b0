"""Layers of Darknet without weights, and the module of each section.

Source: github.com/pjreddie/darknet and github.com/AlexeyAB/darknet, for what each section computes.
"""

from collections.abc import Callable, Mapping

import mcore
from mcore import Dropout, Identity, MaxPool2d, Module, Tensor
from mcore import functional as F
from models.darknet.cfg import Flavour
from models.darknet.joining import Route, Scale, Shortcut
from models.darknet.plan import DETECTORS, Layer, boxes_of
from models.darknet.trained import ACTIVATIONS, BatchNorm, Connected, Convolutional, Local
from models.functional.sizes import crop_center, resize


class MaxPool(Module):
    """Maximum over windows, with `padding` pixels in all along each axis, the smaller half in front.

    Shapes:
        x: (n, channels, h, w)
        returns: (n, channels, ceil(h / stride), ceil(w / stride)) with the usual padding of size - 1
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        size, stride, padding = (layer.options[name] for name in ("size", "stride", "padding"))
        before = padding // 2
        # Windows that only lack pixels behind the last are those that rounding up adds.
        rounds = size == stride == padding + 1 == 2
        self.pad = None if rounds or padding == 2 * before <= size else (before, padding - before) * 2
        self.pool = MaxPool2d(size, stride, 0 if rounds or self.pad else before, ceil_mode=rounds)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x if self.pad is None else F.pad(x, self.pad, value=-float("inf")))


class AvgPool(Module):
    """The mean over all pixels.

    Shapes:
        x: (n, channels, h, w)
        returns: (n, channels, 1, 1)
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3), keepdim=True)


class Upsample(Module):
    """Every pixel `stride` times along each axis, or as often as it takes to the size of `like`.

    Shapes:
        x: (n, channels, h, w)
        like: (n, c, H, W), or none
        returns: (n, channels, stride * h, stride * w), or (n, channels, H, W)
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.stride, self.scale = layer.options["stride"], layer.options["scale"]

    def forward(self, x: Tensor, like: Tensor | None = None) -> Tensor:
        size = [self.stride * pixels for pixels in x.shape[2:]] if like is None else like.shape[2:]
        x = resize(x, size, mode="nearest")
        return x if self.scale == 1.0 else self.scale * x


class Reorg(Module):
    """Squares of pixels made channels, or with `reverse` the other way.

    Shapes:
        x: (n, channels, h, w), sizes that `stride` divides
        returns: (n, channels * stride**2, h / stride, w / stride)

    [reorg] mixes pixels up on the way, as YOLOv2 was trained: it reads the numbers of a map of `channels` as
    if there were fewer channels of larger maps. [reorg3d] keeps them where they are.
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.step, self.reverse = layer.options["stride"], bool(layer.options["reverse"])
        self.mixed, self.channels = layer.kind == "reorg", layer.in_channels[0]

    def forward(self, x: Tensor) -> Tensor:
        step, channels, (height, width) = self.step, self.channels, x.shape[2:]
        if self.reverse:
            fewer = channels // step**2
            x = x.reshape(-1, step, step, fewer, height, width).permute(0, 3, 4, 1, 5, 2)
            return x.reshape(-1, fewer, step * height, step * width)
        if self.mixed:
            x = x.reshape(-1, channels // step**2, height, step, width, step)
        else:
            x = x.reshape(-1, channels, height // step, step, width // step, step)
        x = x.permute(0, 3, 5, 1, 2, 4)
        return x.reshape(-1, channels * step**2, height // step, width // step)


class Softmax(Module):
    """Softmax over all numbers of an image, of each group by itself; with `spatial`, over channels.

    Shapes:
        x: (n, channels, h, w)
        returns: the same
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.groups, self.spatial = layer.options["groups"], layer.options["spatial"]
        self.temperature, self.channels = layer.options["temperature"], layer.channels

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        x = (x / self.temperature).reshape(-1, self.groups, self.channels // self.groups, *size)
        if self.spatial:
            return F.softmax(x, dim=2).flatten(1, 2)
        return F.softmax(x.flatten(2), dim=2).reshape(-1, self.channels, *size)


class Crop(Module):
    """The middle of the image, brought from 0..1 to -1..1 unless `noadjust`.

    Shapes:
        x: (n, channels, h, w)
        returns: (n, channels, crop_height, crop_width)
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.size = layer.size or (1, 1)
        self.adjust = not layer.options["noadjust"]

    def forward(self, x: Tensor) -> Tensor:
        x = crop_center(x, self.size)
        return 2.0 * x - 1.0 if self.adjust else x


class Boxes(Module):
    """A map of boxes as Darknet leaves it: what stands for a share is between 0 and 1, sizes stay raw.

    Shapes:
        x: (n, boxes * (5 + classes), h, w): x, y, width, height, objectness and classes of each box
        returns: the same; x, y, objectness and classes after the sigmoid, x and y spread by `scale_x_y`

    [region] has softmax over classes where the section says so. With `new_coords` the layer before has made
    shares of everything. What [Gaussian_yolo] and [detection] read is passed as it is.
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.raw, options = layer.kind in ("Gaussian_yolo", "detection"), layer.options
        boxes = len(boxes_of(layer))
        self.split, self.channels = (boxes, layer.channels // boxes), layer.channels
        self.scale, self.shares = options.get("scale_x_y", 1.0), bool(options.get("new_coords"))
        self.softmax = bool(options.get("softmax"))

    def forward(self, x: Tensor) -> Tensor:
        if self.raw:
            return x
        size = x.shape[2:]
        x = x.reshape(-1, *self.split, *size)
        at, extent, shares = x[:, :, :2], x[:, :, 2:4], x[:, :, 4:]
        if not self.shares:
            at = F.sigmoid(at)
            shares = F.sigmoid(shares) if not self.softmax else self._softmax(shares)
        if self.scale != 1.0:
            at = self.scale * at - 0.5 * (self.scale - 1.0)
        return mcore.cat((at, extent, shares), dim=2).reshape(-1, self.channels, *size)

    def _softmax(self, shares: Tensor) -> Tensor:
        return mcore.cat((F.sigmoid(shares[:, :, :1]), F.softmax(shares[:, :, 1:], dim=2)), dim=2)


def module_of(layer: Layer, flavour: Flavour) -> Module:
    """The module of a layer."""
    makers: Mapping[str, Callable[[], Module]] = {
        "convolutional": lambda: Convolutional(layer, flavour),
        "connected": lambda: Connected(layer, flavour),
        "local": lambda: Local(layer),
        "batchnorm": lambda: BatchNorm(layer, flavour),
        "activation": lambda: ACTIVATIONS[layer.options["activation"]](),
        "shortcut": lambda: Shortcut(layer),
        "route": lambda: Route(layer),
        "scale_channels": lambda: Scale(layer),
        "sam": lambda: Scale(layer),
        "maxpool": lambda: MaxPool(layer),
        "avgpool": AvgPool,
        "upsample": lambda: Upsample(layer),
        "reorg": lambda: Reorg(layer),
        "reorg3d": lambda: Reorg(layer),
        "softmax": lambda: Softmax(layer),
        "dropout": lambda: Dropout(layer.options["probability"]),
        "crop": lambda: Crop(layer),
        **dict.fromkeys(DETECTORS, lambda: Boxes(layer)),
    }
    # [cost] and [empty] pass what comes.
    return makers.get(layer.kind, Identity)()
