"""Losses of segmentation where classes are of unlike size: overlap, and the pixels that are hard."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mcore.training.objectives.criterion import Criterion, is_labels


class Dice(Criterion):
    """One less the overlap of output and target, of every sample and class, on average.

    Labels are compared with the softmax over the channels; targets that have the output's channels with the sigmoid
    of each.

    Shapes:
        output: (n, c, *size), before softmax or sigmoid
        target: (n, *size), labels; or (n, c, *size), from 0 to 1; of one channel also (n, *size)

    Args:
        smooth: added above and below the line, for classes that a sample doesn't have.
        background: whether the first of several channels counts.
        together: counts the pixels of the whole batch as if they were one sample.
        ignore_index: a label that is left out.

    Source: Milletari et al., "V-Net", arXiv:1606.04797, section 3.
    Differs: without squares in the sum below the line, as most libraries have it.
    """

    relation = "either"

    def __init__(
        self,
        smooth: float = 1e-5,
        background: bool = True,
        together: bool = False,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__()
        self.smooth, self.background, self.together, self.ignore_index = smooth, background, together, ignore_index

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        share, target, known = probabilities(output, target, ignore_index=self.ignore_index)
        if known is not None:
            share, target = share * known, target * known
        if not self.background and output.shape[1] > 1:
            share, target = share[:, 1:], target[:, 1:]
        axes = [axis for axis in range(output.ndim) if axis != 1 and (axis > 0 or self.together)]
        both = (share * target).sum(axes) if axes else share * target
        each = (share + target).sum(axes) if axes else share + target
        return (1 - (2 * both + self.smooth) / (each + self.smooth)).mean()


class Focal(Criterion):
    """Cross-entropy of which each pixel counts less the surer it is: times `(1 - p) ** gamma`.

    Shapes:
        output: (n, c, *size), before softmax or sigmoid
        target: (n, *size), labels; or (n, c, *size), from 0 to 1; of one channel also (n, *size)

    Args:
        gamma: 0 gives cross-entropy.
        alpha: of labels, a weight for each class; of scores, the weight of pixels that should be 1, from 0 to 1, the
            others having the rest.
        ignore_index: a label that is left out.

    Source: Lin et al., "Focal Loss for Dense Object Detection", arXiv:1708.02002, section 3.
    Differs: the mean over pixels, not the sum over boxes that hold something.

    Raises:
        ValueError: `gamma` is below 0.
    """

    relation = "either"

    def __init__(
        self, gamma: float = 2.0, alpha: float | Sequence[float] | None = None, ignore_index: int | None = None
    ) -> None:
        super().__init__()
        if not gamma >= 0:
            raise ValueError(f"gamma={gamma} is below 0")
        self.gamma, self.ignore_index = gamma, ignore_index
        many = [alpha] if isinstance(alpha, int | float) else alpha
        self.alpha: Tensor | None
        self.register_buffer("alpha", None if many is None else torch.tensor([float(one) for one in many]))

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        known = None if self.ignore_index is None else target != self.ignore_index
        if known is not None:
            target = target * known
        each = self._of_labels(output, target) if is_labels(output, target) else self._of_scores(output, target)
        if known is None:
            return each.mean()
        return (each * known).sum() / known.sum().clamp(min=1)

    def _of_labels(self, output: Tensor, target: Tensor) -> Tensor:
        log = F.log_softmax(output, 1).gather(1, target.unsqueeze(1)).squeeze(1)
        weights = 1.0 if self.alpha is None else self._weights(output.shape[1]).to(output.dtype)[target]
        return -weights * _less(log, self.gamma) * log

    def _of_scores(self, output: Tensor, target: Tensor) -> Tensor:
        yes, no = F.logsigmoid(output), F.logsigmoid(-output)
        first, second = (1.0, 1.0) if self.alpha is None else self._balance(output)
        return -first * target * _less(yes, self.gamma) * yes - second * (1 - target) * _less(no, self.gamma) * no

    def _weights(self, classes: int) -> Tensor:
        assert self.alpha is not None
        if len(self.alpha) != classes:
            raise ValueError(f"alpha has {len(self.alpha)} numbers, but there are {classes} classes")
        return self.alpha

    def _balance(self, output: Tensor) -> tuple[Tensor, Tensor]:
        assert self.alpha is not None
        if len(self.alpha) not in (1, output.shape[1]):
            raise ValueError(f"alpha has {len(self.alpha)} numbers, but there are {output.shape[1]} channels")
        weight = self.alpha.to(output.dtype).view(-1, *[1] * (output.ndim - 2))
        return weight, 1 - weight


def probabilities(
    output: Tensor, target: Tensor, *, ignore_index: int | None = None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Shares of each channel by output and by target, (n, c, *size) both, and where they count: (n, 1 or c, *size)."""
    labels = is_labels(output, target)
    known = None if ignore_index is None else target != ignore_index
    if known is not None:
        target = target * known
        known = known.unsqueeze(1) if labels else known
    if not labels:
        return output.sigmoid(), target, known
    hot = torch.zeros_like(output).scatter_(1, target.unsqueeze(1), 1.0)
    return output.softmax(1), hot, known


def _less(log: Tensor, gamma: float) -> Tensor:
    """`(1 - p) ** gamma` of the logarithm of p."""
    if gamma == 0:
        return torch.ones_like(log)
    # The slope of a power below 1 has no value at 0.
    return (-torch.expm1(log)).clamp(min=torch.finfo(log.dtype).tiny) ** gamma


__all__ = ["Dice", "Focal", "probabilities"]
