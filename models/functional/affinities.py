"""Targets for affinities and boundaries, from labels of objects.

Source: Turaga et al., Neural Computation 22 (2010), section 3.
"""

from collections.abc import Sequence

import mcore
from mcore import Tensor


def check_offsets(offsets: Sequence[Sequence[int]], dims: int, *, of: str) -> list[tuple[int, ...]]:
    """Offsets as tuples.

    Raises:
        ValueError: one has another number of axes, is no step at all, or stands there twice.
    """
    steps = [tuple(offset) for offset in offsets]
    for step in steps:
        if len(step) != dims or not any(step):
            raise ValueError(f"{of}: offset {step} is no step in {dims} dimensions; write one number for each axis.")
    if len(set(steps)) < len(steps):
        raise ValueError(f"{of}: an offset stands there twice: {steps}.")
    return steps


def affinities(labels: Tensor, offsets: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Which pixels belong to the same object as the one at each offset, and where that can be said.

    Shapes:
        labels: (n, *size), whole numbers; 0 is background, which belongs to nothing
        returns: two of (n, len(offsets), *size): 1.0 where both pixels have the same label, else 0.0; and 1.0
            where the other pixel lies inside the image, to weigh the loss with

    >>> same, known = affinities(mcore.tensor([[1, 1, 2, 0, 0]]), [[-1]])
    >>> same.tolist(), known.tolist()
    ([[[0.0, 1.0, 0.0, 0.0, 0.0]]], [[[0.0, 1.0, 1.0, 1.0, 1.0]]])

    Raises:
        ValueError: an offset doesn't fit the labels' axes.
    """
    steps = check_offsets(offsets, labels.ndim - 1, of="affinities")
    axes = tuple(range(1, labels.ndim))
    inside = mcore.ones_like(labels)
    found, known = [], []
    for step in steps:
        back = tuple(-pixels for pixels in step)
        other = mcore.roll(labels, back, axes)
        there = inside
        for axis, pixels in zip(axes, step, strict=True):
            place = mcore.arange(labels.shape[axis], device=labels.device) + pixels
            fits = (place >= 0) & (place < labels.shape[axis])
            there = there * fits.reshape([-1 if a == axis else 1 for a in range(labels.ndim)]).to(labels.dtype)
        found.append(((labels == other) & (labels > 0)).to(labels.dtype) * there)
        known.append(there)
    return mcore.stack(found, dim=1).float(), mcore.stack(known, dim=1).float()


def boundaries(labels: Tensor) -> Tensor:
    """Which pixels touch another label, or background, along an axis: targets for `models.heads.Boundary`.

    Shapes:
        labels: (n, *size), whole numbers
        returns: (n, 1, *size), 1.0 at a boundary, else 0.0; the border of the image is none

    >>> boundaries(mcore.tensor([[1, 1, 1, 2, 2]])).tolist()
    [[[0.0, 0.0, 1.0, 1.0, 0.0]]]
    """
    axes = range(1, labels.ndim)
    edge = mcore.zeros_like(labels)
    for axis in axes:
        differs = (labels.narrow(axis, 1, labels.shape[axis] - 1) != labels.narrow(axis, 0, labels.shape[axis] - 1)).to(
            labels.dtype
        )
        none = mcore.zeros_like(labels.narrow(axis, 0, 1))
        edge = edge + mcore.cat((none, differs), dim=axis) + mcore.cat((differs, none), dim=axis)
    return (edge > 0).float().unsqueeze(1)
