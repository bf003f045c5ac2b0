"""Products of other kinds: outer, kron, cross, and distances between points."""

from __future__ import annotations

import math

from mcore.platform import dtypes
from mcore.platform.errors import ShapeError
from mcore.platform.tensor import Tensor, constant
from mcore.platform.word import word
from mcore.platform.words._common import axis_of, cast, promote
from mcore.platform.words._pieces import (
    binary,
    fill,
    hand_out,
    reduce,
    reshape,
    swap,
    take,
    test,
    unary,
    unsqueeze,
)
from mcore.platform.words.linear import matmul


@word("torch.outer", "Tensor.outer", "torch.ger", "Tensor.ger")
def outer(input: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """All products of two vectors."""
    for position, x in (("self", input), ("vec2", vec2)):
        if x.ndim != 1:
            raise ShapeError(f"outer: Expected 1-D argument {position}, but got {x.ndim}-D")
    (a, b), _ = promote(input, vec2)
    return hand_out(multiplied(unsqueeze(a, 1), b), out)


def multiplied(a: Tensor, b: Tensor) -> Tensor:
    """A product; of bools, whether both hold."""
    return test("And", a, b) if a._dtype is dtypes.bool_ else binary("Mul", a, b)


@word("torch.kron", "Tensor.kron")
def kron(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Kronecker product: each element of `input` times all of `other`."""
    (a, b), _ = promote(input, other)
    rank = max(a.ndim, b.ndim)
    a, b = unsqueeze(a, *range(rank - a.ndim)), unsqueeze(b, *range(rank - b.ndim))
    shape = [m * n for m, n in zip(a.shape, b.shape, strict=True)]
    product = multiplied(unsqueeze(a, *range(1, 2 * rank, 2)), unsqueeze(b, *range(0, 2 * rank, 2)))
    return hand_out(reshape(product, shape), out)


def _cross(a: Tensor, b: Tensor, dim: int) -> Tensor:
    """Vectors along a negative axis."""
    after, before = constant([1, 2, 0]), constant([2, 0, 1])
    at = lambda x, places: take(x, places, x.ndim + dim)  # noqa: E731
    left = binary("Mul", at(a, after), at(b, before))
    return binary("Sub", left, binary("Mul", at(a, before), at(b, after)))


@word("linalg.cross")
def linalg_cross(input: Tensor, other: Tensor, *, dim: int = -1, out: Tensor | None = None) -> Tensor:
    """Cross product of vectors of three along an axis; the others broadcast."""
    if input.ndim != other.ndim:
        raise ShapeError("linalg.cross: inputs must have the same number of dimensions.")
    axis = axis_of(dim, input.ndim) - input.ndim
    if int(input.shape[axis]) != 3 or int(other.shape[axis]) != 3:
        raise ShapeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. "
            f"Got {int(input.shape[axis])} and {int(other.shape[axis])}"
        )
    (a, b), _ = promote(input, other)
    return hand_out(_cross(a, b, axis), out)


@word("torch.cross", "Tensor.cross")
def cross(input: Tensor, other: Tensor, dim: int | None = None, *, out: Tensor | None = None) -> Tensor:
    """Cross product of vectors of three along `dim`, the first axis of size 3 unless told."""
    if dim is None:
        dim = next((k for k, size in enumerate(input.shape) if int(size) == 3), None)
        if dim is None:
            raise ShapeError("no dimension of size 3 in input")
    return linalg_cross(input, other, dim=dim, out=out)


@word("linalg.vecdot")
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1, out: Tensor | None = None) -> Tensor:
    """Inner products along an axis; the others broadcast."""
    (a, b), _ = promote(x, y)
    product = binary("Mul", a, b)
    return hand_out(reduce("ReduceSum", product, (axis_of(dim, product.ndim),)), out)


# --- distances


def power_norm(x: Tensor, p: float, axes: tuple[int, ...], keepdim: bool = False) -> Tensor:
    """`sum(|x| ** p) ** (1 / p)` over axes, with its limits at 0 and the infinities."""
    if p == 2:
        return reduce("ReduceL2", x, axes, keepdim)
    if p == 1:
        return reduce("ReduceL1", x, axes, keepdim)
    if p == 0:
        return reduce("ReduceSum", cast(cast(x, dtypes.bool_), x._dtype), axes, keepdim)
    size = unary("Abs", x)
    if math.isinf(p):
        from mcore.platform.words.extremes import extreme

        return extreme("ReduceMax" if p > 0 else "ReduceMin", size, axes, keepdim)
    total = reduce("ReduceSum", binary("Pow", size, fill(p, x)), axes, keepdim)
    return binary("Pow", total, fill(1 / p, x))


_DIRECT, _BY_PRODUCT = "donot_use_mm_for_euclid_dist", "use_mm_for_euclid_dist"
# From so many points on torch computes Euclidean distances by a matrix product.
_MANY = 25


@word("torch.cdist")
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """Distances between all points of two sets.

    Shapes:
        x1: (..., p, m), x2: (..., r, m)
        returns: (..., p, r)
    """
    if x1.ndim < 2 or x2.ndim < 2:
        which, x = ("X1", x1) if x1.ndim < 2 else ("X2", x2)
        raise ShapeError(f"cdist only supports at least 2D tensors, {which} got: {x.ndim}D")
    if int(x1.shape[-1]) != int(x2.shape[-1]):
        raise ShapeError(
            f"X1 and X2 must have the same number of columns. X1: {int(x1.shape[-1])} X2: {int(x2.shape[-1])}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    many = int(x1.shape[-2]) > _MANY or int(x2.shape[-2]) > _MANY
    if p == 2 and compute_mode != _DIRECT and (many or compute_mode == _BY_PRODUCT):
        return _euclidean(x1, x2)
    difference = binary("Sub", unsqueeze(x1, -2), unsqueeze(x2, -3))
    return power_norm(difference, p, (difference.ndim - 1,))


def _euclidean(a: Tensor, b: Tensor) -> Tensor:
    """`sqrt(|a|^2 + |b|^2 - 2 a.b)`, one matrix product instead of all differences."""
    squares = binary(
        "Add",
        reduce("ReduceSumSquare", a, (a.ndim - 1,), keepdim=True),
        swap(reduce("ReduceSumSquare", b, (b.ndim - 1,), keepdim=True), b.ndim - 2, b.ndim - 1),
    )
    product = matmul(a, swap(b, b.ndim - 2, b.ndim - 1))
    gap = binary("Sub", squares, binary("Mul", product, fill(2, a)))
    return unary("Sqrt", binary("Max", gap, fill(0, a)))
