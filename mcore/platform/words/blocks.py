"""Matrices of blocks, and the shape that several shapes broadcast to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcore.platform.tensor import Size, Tensor
from mcore.platform.word import WORDS, publish, word
from mcore.platform.words._common import plain


def broadcast_shapes(*shapes: int | Sequence[int]) -> Size:
    """The shape that arrays of these shapes broadcast to. Raises RuntimeError where they don't."""
    given = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    out: list[int] = [1] * max(map(len, given), default=0)
    for index, shape in enumerate(given):
        for axis in range(-1, -1 - len(shape), -1):
            if int(shape[axis]) not in (1, int(out[axis])):
                if int(out[axis]) != 1:
                    raise RuntimeError(
                        f"Attempting to broadcast a dimension of length {int(shape[axis])} at {axis}! Mismatching "
                        f"argument at index {index} had {shape}; but expected shape should be broadcastable to "
                        f"{plain(out)}"
                    )
                out[axis] = shape[axis]
    return Size(out)


publish(broadcast_shapes, "torch.broadcast_shapes")


@word("torch.block_diag")
def block_diag(*tensors: Any) -> Tensor:
    """A matrix with the given matrices on its diagonal, zeros elsewhere; vectors are rows, numbers 1x1."""
    blocks = [_matrix(tensor) for tensor in tensors]
    width = sum((block.shape[1] for block in blocks), 0)
    rows, left = [], 0
    for block in blocks:
        right = width - left - block.shape[1]
        rows.append(WORDS["F.pad"](block, (left, right)))
        left = left + block.shape[1]
    return WORDS["torch.cat"](rows, 0)


def _matrix(tensor: Tensor) -> Tensor:
    if tensor.ndim > 2:
        raise RuntimeError(
            f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input has {tensor.ndim} dimensions: "
            f"{plain(tensor.shape)}"
        )
    return WORDS["torch.reshape"](tensor, (1,) * (2 - tensor.ndim) + tuple(tensor.shape))
