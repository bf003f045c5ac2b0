"""Norms of vectors and matrices, distances, determinants, traces."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mcore.platform import dtypes
from mcore.platform.dtypes import dtype as Kind
from mcore.platform.errors import ShapeError, unsupported
from mcore.platform.tensor import Tensor, emit
from mcore.platform.word import inplace, word
from mcore.platform.words._common import axes_of, axis_of, cast, promote
from mcore.platform.words._pieces import (
    binary,
    count_of,
    fill,
    hand_out,
    reduce,
    squeeze,
    test,
    unary,
    where,
)
from mcore.platform.words.einsum import diagonal_last
from mcore.platform.words.extremes import extreme
from mcore.platform.words.products import power_norm

Order = int | float | str
_NO_SINGULAR_VALUES = "orders 'fro', 1, -1, inf, -inf"


def _check_float(x: Tensor, name: str) -> None:
    if x._dtype.category != dtypes.FLOAT:
        raise RuntimeError(f"linalg.{name}: Expected a floating point or complex tensor as input. Got {x._dtype.title}")


def _vector_norm(x: Tensor, p: float, dim: int | Sequence[int] | None, keepdim: bool, dtype: Kind | None) -> Tensor:
    _check_float(x, "vector_norm")
    kind = dtype or x._dtype
    axes = axes_of(dim, x.ndim)
    if (p < 0 or math.isinf(p)) and x.ndim and not int(count_of(x.shape, axes)):
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {p:g} norm on an empty tensor because the operation "
            "does not have an identity"
        )
    # Sums of powers need more digits than 16 bits have.
    x = cast(x, dtypes.float32 if kind.itemsize == 2 else kind)
    if not x.ndim:
        return cast(cast(cast(x, dtypes.bool_), x._dtype) if p == 0 else unary("Abs", x), kind)
    return cast(power_norm(x, p, axes, keepdim), kind)


@word("linalg.vector_norm")
def vector_norm(
    x: Tensor,
    ord: float = 2,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: Kind | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """`sum(|x| ** ord) ** (1 / ord)` over axes; 0 counts what is not 0, infinities take the extreme."""
    return hand_out(_vector_norm(x, ord, dim, keepdim, dtype), out)


@word("linalg.matrix_norm")
def matrix_norm(
    A: Tensor,
    ord: Order = "fro",
    dim: Sequence[int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Kind | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Norm of matrices over two axes: 'fro', 1, -1, inf, -inf.

    Raises:
        NotImplementedError: orders 2, -2 and 'nuc', which need singular values.
    """
    return hand_out(_matrix_norm(A, ord, dim, keepdim, dtype), out)


def _matrix_norm(x: Tensor, order: Order, dim: Sequence[int] | int, keepdim: bool, dtype: Kind | None) -> Tensor:
    if x.ndim < 2:
        raise ShapeError("linalg.matrix_norm: The input tensor A must have at least 2 dimensions.")
    if isinstance(dim, int) or len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}")
    rows, columns = (axis_of(d, x.ndim) for d in dim)
    if rows == columns:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got ({rows}, {columns})")
    if order == "fro":
        return _vector_norm(x, 2, (rows, columns), keepdim, dtype)
    if order in ("nuc", 2, -2):
        raise unsupported("matrix_norm", f"ord={order!r} (singular values)", _NO_SINGULAR_VALUES)
    if isinstance(order, str) or abs(order) not in (1, math.inf):
        raise RuntimeError(f"linalg.matrix_norm: Order {order} not supported.")
    inner, outer = (rows, columns) if abs(order) == 1 else (columns, rows)
    sums = _vector_norm(x, 1, inner, True, dtype)
    result = extreme("ReduceMax" if order > 0 else "ReduceMin", sums, (outer,), True)
    return result if keepdim else squeeze(result, rows, columns)


@word("linalg.norm")
def linalg_norm(
    A: Tensor,
    ord: Order | None = None,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    out: Tensor | None = None,
    dtype: Kind | None = None,
) -> Tensor:
    """Vector norm over one axis or all, matrix norm over two axes when `ord` is given."""
    if ord is None:
        return hand_out(_vector_norm(A, 2, dim, keepdim, dtype), out)
    axes = (dim,) if isinstance(dim, int) else dim
    if axes is None:
        if A.ndim not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {A.ndim}D."
            )
        axes = tuple(range(A.ndim))
    if len(axes) == 2 or isinstance(ord, str):
        return hand_out(_matrix_norm(A, ord, axes, keepdim, dtype), out)
    return hand_out(_vector_norm(A, ord, axes, keepdim, dtype), out)


def _norm(x: Tensor, p: Order | None, dim: int | Sequence[int] | None, keepdim: bool, dtype: Kind | None) -> Tensor:
    """torch.norm: any `p` is a vector norm over all the axes named."""
    if isinstance(p, str) and p != "fro":
        if p == "nuc":
            raise unsupported("norm", "p='nuc' (singular values)", "p='fro' or a number")
        raise RuntimeError(f"linalg.matrix_norm: Order {p} not supported.")
    return _vector_norm(x, 2 if p is None or p == "fro" else p, dim, keepdim, dtype)  # type: ignore[arg-type]


@word("torch.norm")
def norm(
    input: Tensor,
    p: Order | None = "fro",
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    out: Tensor | None = None,
    dtype: Kind | None = None,
) -> Tensor:
    """`p`-norm of the elements along `dim`, or of all."""
    return hand_out(_norm(input, p, dim, keepdim, dtype), out)


@word("Tensor.norm")
def tensor_norm(
    self: Tensor,
    p: Order | None = "fro",
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    dtype: Kind | None = None,
) -> Tensor:
    """`p`-norm of the elements along `dim`, or of all."""
    return _norm(self, p, dim, keepdim, dtype)


@word("torch.dist", "Tensor.dist")
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """`p`-norm of the difference."""
    (a, b), _ = promote(input, other)
    return _vector_norm(binary("Sub", a, b), p, None, False, None)


@word("torch.renorm", "Tensor.renorm")
def renorm(input: Tensor, p: float, dim: int, maxnorm: float, *, out: Tensor | None = None) -> Tensor:
    """Slices along `dim` whose `p`-norm is above `maxnorm` are scaled down to it."""
    axis = axis_of(dim, input.ndim)
    size = _vector_norm(input, p, [k for k in range(input.ndim) if k != axis], True, None)
    factor = binary("Div", fill(maxnorm, size), binary("Add", size, fill(1e-7, size)))
    factor = where(test("Greater", size, fill(maxnorm, size)), factor, fill(1, size))
    return hand_out(binary("Mul", input, factor), out)


inplace(renorm, "Tensor.renorm_")


# --- of square matrices


@word("torch.det", "Tensor.det", "linalg.det")
def det(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Determinants of square matrices."""
    if A.ndim < 2:
        raise ShapeError("linalg.det: The input tensor A must have at least 2 dimensions.")
    if int(A.shape[-1]) != int(A.shape[-2]):
        raise ShapeError(
            f"linalg.det: A must be batches of square matrices, but they are {int(A.shape[-2])} by "
            f"{int(A.shape[-1])} matrices"
        )
    _check_float(A, "det")
    return hand_out(emit("Det", [A], A.shape[:-2], A._dtype), out)


@word("torch.logdet", "Tensor.logdet")
def logdet(input: Tensor) -> Tensor:
    """Logarithm of the determinant; NaN where it is negative."""
    return unary("Log", det(input))


@word("torch.trace", "Tensor.trace")
def trace(input: Tensor) -> Tensor:
    """Sum of the main diagonal of a matrix; of integers in int64."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    if input._dtype is dtypes.bool_:
        raise NotImplementedError("\"trace\" not implemented for 'Bool'")
    x = input if input._dtype.category == dtypes.FLOAT else cast(input, dtypes.int64)
    return reduce("ReduceSum", diagonal_last(x), (0,))
