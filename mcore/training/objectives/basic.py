"""Losses of one line of torch: of classes, of scores, and of differences."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mcore.training.objectives.criterion import Criterion

# Labels that torch's losses leave out.
IGNORED = -100


class CrossEntropy(Criterion):
    """Cross-entropy of scores before softmax, averaged over all pixels.

    Shapes:
        output: (n, c, *size)
        target: (n, *size), labels; or (n, c, *size), the share of each class

    Args:
        ignore_index: a label that is left out.
        label_smoothing: the share of each target that is spread over all classes, from 0 to 1.
        class_weights: of each class, in their order.

    Raises:
        ValueError: a share that is none.
    """

    relation = "classes"

    def __init__(
        self,
        ignore_index: int = IGNORED,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing={label_smoothing} is not from 0 to 1")
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", None if class_weights is None else torch.tensor(list(class_weights)))

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        weights = self.class_weights
        if weights is not None and len(weights) != output.shape[1]:
            raise ValueError(f"class_weights has {len(weights)} numbers, but there are {output.shape[1]} classes")
        return F.cross_entropy(
            output,
            target,
            weight=None if weights is None else weights.to(output.dtype),
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )


class BinaryCrossEntropy(Criterion):
    """Cross-entropy of each score by itself, before sigmoid.

    Shapes:
        output: (n, c, *size)
        target: (n, c, *size), from 0 to 1; of one channel also (n, *size)

    Args:
        pos_weight: what pixels that should be 1 count, one number or one for each channel.
        ignore_index: a value of the target that is left out, such as 255.
    """

    relation = "scores"

    def __init__(self, pos_weight: float | Sequence[float] | None = None, ignore_index: int | None = None) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        many = [pos_weight] if isinstance(pos_weight, int | float) else pos_weight
        self.pos_weight: Tensor | None
        self.register_buffer("pos_weight", None if many is None else torch.tensor([float(one) for one in many]))

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        weight = self.pos_weight
        if weight is not None:
            if len(weight) not in (1, output.shape[1]):
                raise ValueError(f"pos_weight has {len(weight)} numbers, but there are {output.shape[1]} channels")
            weight = weight.to(output.dtype).view(-1, *[1] * (output.ndim - 2))
        if self.ignore_index is None:
            return F.binary_cross_entropy_with_logits(output, target, pos_weight=weight)
        known = target != self.ignore_index
        each = F.binary_cross_entropy_with_logits(output, target * known, pos_weight=weight, reduction="none")
        return (each * known).sum() / known.sum().clamp(min=1)


class L1(Criterion):
    """The mean absolute difference."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(output, target)


class L2(Criterion):
    """The mean squared difference."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(output, target)


class Huber(Criterion):
    """Squared differences up to `delta`, absolute ones beyond it.

    Raises:
        ValueError: `delta` isn't above 0.
    """

    def __init__(self, delta: float = 1.0) -> None:
        super().__init__()
        self.delta = _above_zero("delta", delta)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(output, target, delta=self.delta)


class Charbonnier(Criterion):
    """`sqrt(difference ** 2 + eps ** 2)` on average: absolute differences, smooth at zero.

    Source: Lai et al., "Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution", arXiv:1704.03915,
    section 3.2.

    Raises:
        ValueError: `eps` isn't above 0.
    """

    def __init__(self, eps: float = 1e-3) -> None:
        super().__init__()
        self.eps = _above_zero("eps", eps)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return ((output - target).square() + self.eps**2).sqrt().mean()


class Cosine(Criterion):
    """One less the cosine of the angle between output and target along the channels, on average."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return 1 - F.cosine_similarity(output, target, dim=1).mean()


def _above_zero(name: str, value: float) -> float:
    if not value > 0:
        raise ValueError(f"{name}={value} is not above 0")
    return value


__all__ = ["IGNORED", "L1", "L2", "BinaryCrossEntropy", "Charbonnier", "Cosine", "CrossEntropy", "Huber"]
