"""What heads that find boxes have in common. Every one of them follows one protocol:

1. In training, and with `output="raw"`, a head returns what its convolutions give: a dict by name, each entry a
   tuple of maps, one for each level, channels first. Losses take these.
2. `decode(outputs, size)` makes boxes of them: "boxes" (n, k, 4), corners in pixels of the image of `size`, and
   "scores" (n, k, classes), 0 to 1, of every place of every level. With `output="boxes"`, this is what the head
   returns in eval mode.
3. `detect(outputs, size)` chooses among those: "boxes" (n, top, 4), "scores" (n, top) and "labels" (n, top), as
   `models.functional.detections` tells. With `output="detections"`, this is what the head returns in eval mode, and
   what is exported: suppression included, with a symbolic batch and symbolic sizes.

`output`, `score_threshold`, `nms`, `top` and `candidates` are plain attributes: a network that was trained with raw
results is exported with detections by setting `head.output`.

A family names its branches, gives its maps in `raw`, and in `levels` the boxes and scores of each level. Places are
flattened by row, column, then the boxes of one place: `flattened` does that.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import mcore
from mcore import Conv2d, Module, Sequential, Tensor, init
from models.component import Part, strides_from
from models.functional.detections import detections
from models.functional.maps import as_channels, as_maps
from models.utils.arguments import one_of

Output = Literal["raw", "boxes", "detections"]
Raw = Mapping[str, Sequence[Tensor]]

# The score that all classes have before training, so that the many empty places don't drown the few others.
# Source: Lin et al., "Focal Loss for Dense Object Detection", arXiv:1708.02002, section 4.1.
PRIOR = 0.01


class Detection(Part):
    """Boxes of objects, with a score for each class. Abstract; images only.

    Args:
        num_classes: how many scores each box has.
        in_channels: of the maps fed, finest first.
        in_strides: of the maps fed; where left out, doubling from `first_stride`.
        dims: 2; others are refused.
        output: what eval mode returns: "raw" maps, all "boxes", or "detections".
        score_threshold: detections have a score above it.
        nms: the overlap from which a detection removes a worse one of its class; None removes none.
        top: how many detections are returned for each image.
    """

    dense = True
    first_stride = 8
    # The layers that score classes, to adapt weights from files, and how many numbers of each box come before.
    classifier: str | tuple[str, ...] = ()
    before_classes = 0
    # How many boxes take part in suppression: of each level, or `by_class` of each class.
    candidates = 1000
    by_class = False

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int | Sequence[int] | None,
        in_strides: Sequence[int] | None,
        dims: int,
        output: Output,
        score_threshold: float,
        nms: float | None,
        top: int,
    ) -> None:
        name = type(self).__name__
        if dims != 2:
            raise ValueError(f"{name}: dims={dims}, but boxes are found in images alone, dims=2.")
        one_of(("raw", "boxes", "detections"), of=name, output=output)
        if nms is not None and not 0.0 <= nms <= 1.0:
            raise ValueError(f"{name}: nms={nms} is not an overlap, 0 to 1, or None.")
        if num_classes < 1 or top < 1:
            raise ValueError(f"{name}: num_classes={num_classes} and top={top}; both are at least 1.")
        super().__init__()
        self.dims, self.num_classes, self.output = dims, num_classes, output
        self.score_threshold, self.nms, self.top = score_threshold, nms, top
        #: Channels and strides of the maps fed.
        self.in_channels = as_channels(in_channels or ())
        self.in_strides = strides_from(in_strides, len(self.in_channels), first=self.first_stride)
        if not self.in_channels or len(self.in_strides) != len(self.in_channels):
            raise ValueError(
                f"{name}: in_channels={list(self.in_channels)} and in_strides={list(self.in_strides)} don't give "
                "channels and stride of one map or more."
            )

    def forward(self, features: Tensor | Sequence[Tensor], size: Sequence[int] | None = None) -> dict[str, Any]:
        maps = as_maps(features)
        if len(maps) != len(self.in_channels):
            raise ValueError(
                f"{type(self).__name__}: {len(maps)} maps came, but it was built for in_channels of "
                f"{len(self.in_channels)}, finest first."
            )
        outputs = self.raw(maps)
        if self.training or self.output == "raw":
            return outputs
        if size is None:
            size = [pixels * self.in_strides[0] for pixels in maps[0].shape[2:]]
        return self.decode(outputs, size) if self.output == "boxes" else self.detect(outputs, size)

    def raw(self, maps: Sequence[Tensor]) -> dict[str, Any]:
        """What the convolutions give, by name, for each level."""
        raise NotImplementedError(f"{type(self).__name__} has no branches.")

    def levels(self, outputs: Raw, size: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """Boxes (n, k, 4), in pixels, and scores (n, k, num_classes) of each level."""
        raise NotImplementedError(f"{type(self).__name__} doesn't say what its results mean.")

    def decode(self, outputs: Raw, size: Sequence[int]) -> dict[str, Tensor]:
        """All boxes and their scores.

        Shapes:
            outputs: what `raw` gave
            size: of the image, (height, width) in pixels
            returns: "boxes" (n, k, 4), "scores" (n, k, num_classes)
        """
        boxes, scores = zip(*self.levels(outputs, size), strict=True)
        return {"boxes": mcore.cat(boxes, dim=1), "scores": mcore.cat(scores, dim=1)}

    def detect(self, outputs: Raw, size: Sequence[int]) -> dict[str, Tensor]:
        """The best boxes of each image.

        Shapes:
            outputs: what `raw` gave
            size: of the image, (height, width) in pixels
            returns: "boxes" (n, top, 4), "scores" (n, top), "labels" (n, top); rows of nothing have the label -1
        """
        boxes, scores = zip(*self.levels(outputs, size), strict=True)
        if self.by_class:
            boxes, scores = (mcore.cat(boxes, dim=1),), (mcore.cat(scores, dim=1),)
        return detections(
            boxes,
            scores,
            score_threshold=self.score_threshold,
            nms=self.nms,
            top=self.top,
            candidates=self.candidates,
            by_class=self.by_class,
        )


class Branch(Module):
    """A tower of convolutions and, on its result, a 3x3 convolution for each of its `outputs`, name to channels.

    Shapes:
        x: (n, channels, h, w)
        returns: one (n, outputs[name], h, w) for each

    Names: `conv` and the names given.
    """

    def __init__(self, tower: Sequential, channels: int, outputs: Mapping[str, int]) -> None:
        super().__init__()
        self.conv, self._names = tower, tuple(outputs)
        for name, count in outputs.items():
            self.add_module(name, Conv2d(channels, count, 3, padding=1))
        for module in self.modules():
            if isinstance(module, Conv2d):
                init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    init.zeros_(module.bias)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.conv(x)
        return [getattr(self, name)(x) for name in self._names]


def flattened(x: Tensor, values: int) -> Tensor:
    """(n, boxes * values, h, w) to (n, h * w * boxes, values)."""
    return x.unflatten(1, (-1, values)).permute(0, 3, 4, 1, 2).flatten(1, 3)


def start_at_prior(conv: Any) -> None:
    """Sets a bias so that scores begin at `PRIOR`."""
    init.constant_(conv.bias, -math.log((1 - PRIOR) / PRIOR))


def alike(title: str, channels: Sequence[int]) -> int:
    """The channels that all maps have, where one branch serves all levels."""
    if len(set(channels)) != 1:
        raise ValueError(
            f"{title}: in_channels={list(channels)}, but its branches serve all levels, so that maps must have the "
            "same channels; feed it with a neck such as FPN."
        )
    return channels[0]


def map_strides(x: Tensor, stride: int, size: Sequence[int], *, fit: bool) -> Sequence[int]:
    """Pixels of the image from one place of a map to the next, (y, x).

    With `fit` as torchvision's published weights expect: how often the map fits into the image, which is padded to
    a multiple of 32 there. That differs from the level's stride where a map was rounded up: 61 for 64, and 114 for
    128, at 800 pixels.
    """
    if not fit:
        return stride, stride
    height, width = size
    rows, columns = x.shape[2:]
    return -(-height // 32) * 32 // rows, -(-width // 32) * 32 // columns
