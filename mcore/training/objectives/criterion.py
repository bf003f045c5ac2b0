"""What every loss is: a module called with an output and its target, which says how these two fit."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from mcore.training.errors import DataError

# How an output and its target fit together; see `fitted`.
Relation = Literal["classes", "scores", "either", "same", "free"]


class Criterion(torch.nn.Module):
    """Abstract: a loss. `forward(output, target)` gives one number; without a target, `forward(output)`.

    Attributes:
        relation: "classes": scores of classes (n, c, *size) and labels (n, *size), or their shares (n, c, *size);
            "scores": each channel by itself, with targets from 0 to 1 (n, c, *size); "either": the first where the
            target holds whole numbers and c is above 1, else the second; "same": targets as the output is; "free": the
            loss knows.
        compares: whether it has a target at all.
    """

    relation: ClassVar[Relation] = "same"
    compares: ClassVar[bool] = True


class Adapted(Criterion):
    """Final: a loss of somebody else's, told how its output and target fit.

    Args:
        loss: a module or function of (output, target), or of the output alone.
        relation: see `Criterion`.
        compares: whether it has a target.
        channel: gives labels a channel axis of one, which losses of MONAI have.
    """

    def __init__(self, loss: Any, *, relation: Relation, compares: bool = True, channel: bool = False) -> None:
        super().__init__()
        self.loss, self._channel = loss, channel
        self.relation, self.compares = relation, compares  # type: ignore[misc]  # this class adapts any

    def forward(self, output: Tensor, *target: Tensor) -> Tensor:
        if self._channel:
            target = tuple(one.unsqueeze(1) if one.ndim == output.ndim - 1 else one for one in target)
        return self.loss(output, *target)


def is_labels(output: Tensor, target: Tensor) -> bool:
    """Whether a target holds numbers of classes, of which the output has a score each."""
    whole = not target.dtype.is_floating_point and not target.dtype.is_complex
    return whole and output.ndim > 1 and output.shape[1] > 1 and target.shape != output.shape


def fitted(relation: Relation, output: Tensor, target: Tensor, *, title: str) -> Tensor:
    """The target as the loss takes it: of the output's type, with the channel axis that was left out, or without the
    one that labels don't have. Nothing is resized.

    Raises:
        DataError: their sizes don't fit.
    """
    if relation == "free":
        return target
    labels = relation == "classes" or (relation == "either" and is_labels(output, target))
    if labels and output.ndim > 1:
        shape = (output.shape[0], *output.shape[2:])
        if tuple(target.shape) == shape:
            return _whole(target, title)
        # A mask that was read with its channel.
        if tuple(target.shape) == (shape[0], 1, *shape[1:]) and output.shape[1] > 1:
            return _whole(target.squeeze(1), title)
    else:
        shape = tuple(output.shape)
    if target.shape == output.shape:
        return target.to(output.dtype)
    if not labels and output.ndim > 1 and output.shape[1] == 1 and target.shape == output.shape[:1] + output.shape[2:]:
        return target.unsqueeze(1).to(output.dtype)
    raise DataError(_told(title, output, target, shape))


def _whole(target: Tensor, title: str) -> Tensor:
    if target.dtype.is_floating_point:
        raise DataError(
            f"{title}: labels are whole numbers, but the target is {target.dtype} of shape {tuple(target.shape)}; read "
            "them as int64, or give the share of every class along a channel axis."
        )
    return target.long()


def _told(title: str, output: Tensor, target: Tensor, shape: tuple[int, ...]) -> str:
    sizes = tuple(output.shape[2:])
    text = f"{title}: the output is {tuple(output.shape)}, the target {tuple(target.shape)}; {shape} fits. "
    if target.shape[0] != output.shape[0]:
        return text + "They hold different numbers of samples."
    if sizes and tuple(target.shape[-len(sizes) :]) != sizes:
        return text + (
            "Nothing is resized here: have the data read at the size that the network gives, or give the network a "
            "head that comes back to the image's size."
        )
    return text + "Give the head as many channels as the target has, or name another target (target: ...)."


__all__ = ["Adapted", "Criterion", "Relation", "fitted", "is_labels"]
