"""Labels that no class has: told by file, before a loss on an accelerator can only say that something was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import torch
from torch import Tensor

from mcore.training.errors import DataError
from mcore.training.objectives.criterion import Criterion
from mcore.training.objectives.objective import NAME, Objective


def check_targets(outputs: Any, batch: Mapping[str, Any], objective: Objective) -> None:
    """Refuses labels below 0 or beyond the classes that the head has scores of.

    Of the outputs only shapes are read, and of labels the least and the greatest: give the batch as it was before it
    was moved to an accelerator, and nothing waits for that one.

    Raises:
        DataError: the file, the label and the classes that there are.
    """
    found = objective.by_head(outputs)
    for term in objective.terms:
        criterion = term.criterion
        if term.head not in found or not criterion.compares or not _of_classes(criterion):
            continue
        key = objective.key_of(term.head, term.settings.target, batch)
        target, output = batch[key], found[term.head]
        if not isinstance(target, Tensor) or target.dtype.is_floating_point or target.dtype == torch.bool:
            continue
        if output.ndim < 1 or target.numel() == 0 or term.settings.of is not None:
            continue
        # A single score says yes or no.
        classes = max(2, output.shape[1]) if output.ndim > 1 and target.shape != output.shape else 2
        _check(target, classes, ignored=ignored(criterion), key=key, batch=batch, head=term.head)


def _of_classes(criterion: Criterion) -> bool:
    return criterion.relation in ("classes", "scores", "either")


def ignored(criterion: Criterion) -> int | None:
    """The label that a loss leaves out, if any: torch's leave out -100."""
    loss = getattr(criterion, "loss", criterion)
    return getattr(loss, "ignore_index", None)


def _check(target: Tensor, classes: int, *, ignored: int | None, key: str, batch: Mapping[str, Any], head: str) -> None:
    if _within(target, classes):
        return
    if ignored is not None:
        target = target.masked_fill(target == ignored, 0)
        if _within(target, classes):
            return
    place = ((target < 0) | (target >= classes)).nonzero()[0].tolist()
    _refuse(target, place, classes=classes, key=key, batch=batch, head=head)


def _within(target: Tensor, classes: int) -> bool:
    low, high = (int(end) for end in torch.aminmax(target))
    return low >= 0 and high < classes


def _refuse(
    target: Tensor, place: list[int], *, classes: int, key: str, batch: Mapping[str, Any], head: str
) -> NoReturn:
    sample, *pixel = place
    label = int(target[tuple(place)])
    names = batch.get(NAME, ())
    file = names[sample] if sample < len(names) else f"sample {sample}"
    where = f" at {tuple(pixel)}" if pixel else ""
    raise DataError(
        f"{file}: the label {label} in {key!r}{where} is none of the {classes} classes of the head {head!r}, 0 to "
        f"{classes - 1}; correct it, give the head more classes, or leave it out of the loss (ignore_index: {label})."
    )


__all__ = ["check_targets"]
