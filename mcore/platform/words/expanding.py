"""Words that repeat elements without copying them: expand and its kin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcore.platform import dim as dims
from mcore.platform.dim import Dim
from mcore.platform.errors import ShapeError
from mcore.platform.tensor import Tensor, View
from mcore.platform.word import word
from mcore.platform.words._common import broadcast, plain
from mcore.platform.words._views import alias, expanded, reshaped, speaking
from mcore.platform.words.shape import sizes_of, spread


def _expanded_view(x: Tensor, shape: tuple) -> Tensor:
    out = expanded(x, shape)
    if out is x:
        return alias(x)
    old = x.shape

    def write(base: Tensor, new: Tensor) -> Tensor:
        if dims.product(map(int, shape)) == dims.product(map(int, old)):  # nothing came to stand twice
            return _folded_back(new, base.shape)
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory "
            "location. Please clone() the tensor before performing the operation."
        )

    def strides(given: list[int]) -> list[int]:
        lead = len(shape) - len(old)
        kept = [
            0 if int(n) == 1 and int(shape[lead + k]) != 1 else s
            for k, (s, n) in enumerate(zip(given, old, strict=True))
        ]
        return [0] * lead + kept

    out._view = View(x, lambda base: _expand(base, shape), write, strides)
    return out


@speaking
def _expand(x: Tensor, shape: tuple) -> Tensor:
    return expanded(x, shape)


def expand_shape(x: Tensor, sizes: Sequence[int]) -> tuple:
    """What `expand` to `sizes` gives, -1 filled in. Raises RuntimeError in torch's words."""
    old = x.shape
    lead = len(sizes) - len(old)
    if lead < 0:
        raise ShapeError(
            f"expand(torch.{x._dtype.title}Tensor{{{plain(old)}}}, size={plain(sizes)}): the number of sizes "
            f"provided ({len(sizes)}) must be greater or equal to the number of dimensions in the tensor ({len(old)})"
        )
    out = []
    for k, size in enumerate(sizes):
        if k < lead:
            if int(size) < 0:
                raise ShapeError(
                    f"The expanded size of the tensor ({int(size)}) isn't allowed in a leading, non-existing "
                    f"dimension {k}"
                )
            out.append(size)
        elif int(size) == -1:
            out.append(old[k - lead])
        elif int(size) == int(old[k - lead]) or (int(old[k - lead]) == 1 and int(size) >= 0):
            out.append(size if type(size) is Dim or int(size) != int(old[k - lead]) else old[k - lead])
        else:
            raise ShapeError(
                f"The expanded size of the tensor ({int(size)}) must match the existing size "
                f"({int(old[k - lead])}) at non-singleton dimension {k}.  Target sizes: {plain(sizes)}.  "
                f"Tensor sizes: {plain(old)}"
            )
    return tuple(out)


@word("Tensor.expand")
def expand(self: Tensor, *sizes: Any, implicit: bool = False, **named: Any) -> Tensor:
    """`self` repeated along axes of size 1 and along new leading axes; -1 keeps a size."""
    return _expanded_view(self, expand_shape(self, spread(sizes, named, "expand", "size")))


@word("Tensor.expand_as")
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """`expand` to the shape of `other`."""
    return _expanded_view(self, expand_shape(self, other.shape))


@word("torch.broadcast_to", "Tensor.broadcast_to")
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """`expand` by numpy's name."""
    return _expanded_view(input, expand_shape(input, sizes_of((size,), "broadcast_to", "size")))


@word("torch.broadcast_tensors")
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Tensors expanded to their common shape."""
    if len(tensors) == 1 and isinstance(tensors[0], tuple | list):
        tensors = tuple(tensors[0])
    shape = broadcast(*(t.shape for t in tensors))
    return tuple(_expanded_view(t, shape) for t in tensors)


@speaking
def _folded_back(x: Tensor, shape: tuple) -> Tensor:
    return reshaped(x, shape)
