"""Linear layers and matrix products.

Integers: the runtime multiplies matrices of int32 and int64; the narrow ones are computed in int32 and
wrap when they are cast back, as torch's do.
"""

from __future__ import annotations

from collections.abc import Sequence

from mcore.platform import dtypes
from mcore.platform.errors import ShapeError
from mcore.platform.tensor import Tensor, emit
from mcore.platform.word import inplace, word
from mcore.platform.words._common import broadcast, cast, plain, promote
from mcore.platform.words._pieces import binary, hand_out, permute, reduce, scaled, unsqueeze

Number = int | float
# The names that torch's messages take from C++.
_C_NAMES = {
    "bool": "bool",
    "uint8": "unsigned char",
    "int8": "signed char",
    "int16": "short int",
    "int32": "int",
    "int64": "long int",
    "float16": "c10::Half",
    "bfloat16": "c10::BFloat16",
    "float32": "float",
    "float64": "double",
}


def check_alike(a: Tensor, b: Tensor) -> None:
    """Raises RuntimeError unless both have one type: products do not promote."""
    if a._dtype is not b._dtype:
        names = f"{_C_NAMES[a._dtype.name]} != {_C_NAMES[b._dtype.name]}"
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {names}")
    if a._dtype is dtypes.bool_:
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")


def _cannot_multiply(a: Sequence[int], b: Sequence[int]) -> ShapeError:
    return ShapeError(
        f"mat1 and mat2 shapes cannot be multiplied ({'x'.join(map(str, plain(a)))} and {'x'.join(map(str, plain(b)))})"
    )


def _rows(shape: Sequence[int]) -> int:
    """The rows of a tensor folded to a matrix."""
    out = 1
    for size in shape[:-1]:
        out *= int(size)
    return out


def _check_expand(shape: Sequence[int], target: Sequence[int]) -> None:
    """Raises ShapeError, in torch's words, unless `shape` broadcasts to `target`."""
    for k in range(1, len(shape) + 1):
        want = int(target[-k]) if k <= len(target) else -1
        if int(shape[-k]) not in (1, want):
            raise ShapeError(
                f"The expanded size of the tensor ({want}) must match the existing size "
                f"({int(shape[-k])}) at "
                f"non-singleton dimension {max(len(target), len(shape)) - k}.  Target sizes: "
                f"{plain(target)}.  "
                f"Tensor sizes: {plain(shape)}"
            )


# --- F.linear


@word("F.linear")
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`input @ weight.T + bias`.

    Shapes:
        input: (..., in), weight: (out, in) or (in,), bias: (out,) or ()
        returns: (..., out), or (...) for a weight of one axis
    """
    shape, sizes = input.shape, weight.shape
    if not shape or not sizes:
        ranks = f"{len(shape)}D and {len(sizes)}D"
        raise RuntimeError(f"both arguments to linear need to be at least 1D, but they are {ranks}")
    if len(sizes) == 1:
        out = matmul(input, weight)
        return out if bias is None else binary("Add", out, bias)
    kind = input._dtype
    if kind is not weight._dtype:
        check_alike(input, weight)
    if int(shape[-1]) != int(sizes[1]):
        raise _cannot_multiply((_rows(shape), shape[-1]), (sizes[1], sizes[0]))
    out_shape = (*shape[:-1], sizes[0])
    plain_bias = bias is None or (len(bias.shape) == 1 and int(bias.shape[0]) == int(sizes[0]))
    if not plain_bias:
        _check_expand(bias.shape, (_rows(shape), sizes[0]))  # type: ignore[union-attr]
    if kind.category != dtypes.FLOAT:
        out = _product(input, permute(weight, (1, 0)), out_shape)
    elif len(shape) == 2:
        inputs = [input, weight] if bias is None else [input, weight, bias]
        return emit("Gemm", inputs, out_shape, kind, transB=1)
    else:
        turned = emit("Transpose", [weight], (sizes[1], sizes[0]), kind, perm=(1, 0))
        out = emit("MatMul", [input, turned], out_shape, kind)
    return out if bias is None else emit("Add", [out, bias], out_shape, kind)


def _product(a: Tensor, b: Tensor, shape: tuple) -> Tensor:
    """MatMul in a type that the runtime multiplies in."""
    kind = a._dtype
    if kind.category != dtypes.FLOAT:
        check_alike(a, b)
        if kind.itemsize < 4:
            return cast(emit("MatMul", [cast(a, dtypes.int32), cast(b, dtypes.int32)], shape, dtypes.int32), kind)
    return emit("MatMul", [a, b], shape, kind)


# --- matmul of every rank


@word("torch.matmul", "Tensor.matmul", "Tensor.__matmul__", "linalg.matmul")
def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Matrix product: of vectors, matrices, and batches of them that broadcast.

    Shapes:
        input: (..., n, k) or (k,), other: (..., k, m) or (k,)
        returns: (..., n, m), without the axis that a vector lacks
    """
    a, b = input.shape, other.shape
    if input._dtype is not other._dtype:
        check_alike(input, other)
    if not a or not b:
        ranks = f"{len(a)}D and {len(b)}D"
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {ranks}")
    inner = b[-2] if len(b) > 1 else b[0]
    if int(a[-1]) != int(inner):
        raise _mismatch(a, b)
    left, right = a[:-2], b[:-2]
    batch = (tuple(left) if not right else broadcast(left, right)) if left or right else ()
    shape = (*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))
    result = _product(input, other, shape)
    return result if out is None else hand_out(result, out)


def _mismatch(a: Sequence[int], b: Sequence[int]) -> ShapeError:
    """Torch's words for inner sizes that differ; they depend on the ranks."""
    if len(a) == 1 and len(b) == 1:
        return _unequal_vectors(a, b)
    if len(b) == 1:
        rows, inner = _rows(a), int(a[-1])
        return ShapeError(f"size mismatch, got input ({rows}), mat ({rows}x{inner}), vec ({int(b[0])})")
    if len(b) == 2 or len(a) == 1:
        return _cannot_multiply((_rows(a), a[-1]), b[-2:])
    count = _rows((*broadcast(a[:-2], b[:-2]), 1))
    return _batch_mismatch([count, int(a[-1])], [count, int(b[-2])])


def _unequal_vectors(a: Sequence[int], b: Sequence[int]) -> ShapeError:
    m, n = int(a[0]), int(b[0])
    return ShapeError(
        f"inconsistent tensor size, expected tensor [{m}] and src [{n}] to have the same number of elements, "
        f"but got {m} and {n} elements respectively"
    )


def _batch_mismatch(want: list[int], got: list[int]) -> ShapeError:
    return ShapeError(f"Expected size for first two dimensions of batch2 tensor to be: {want} but got: {got}.")


@word("Tensor.__rmatmul__")
def rmatmul(self: Tensor, other: Tensor) -> Tensor:
    """`other @ self`."""
    return matmul(other, self)


@word("torch.mm", "Tensor.mm")
def mm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Product of two matrices."""
    for position, matrix in (("self", input), ("mat2", mat2)):
        if matrix.ndim != 2:
            raise ShapeError(f"{position} must be a matrix")
    return matmul(input, mat2, out=out)


def _check_batches(a: Tensor, b: Tensor) -> None:
    for position, batch in (("batch1", a), ("batch2", b)):
        if batch.ndim != 3:
            raise ShapeError(f"{position} must be a 3D tensor")
    if int(a.shape[0]) != int(b.shape[0]) or int(a.shape[2]) != int(b.shape[1]):
        raise _batch_mismatch([int(a.shape[0]), int(a.shape[2])], plain(b.shape[:2]))


@word("torch.bmm", "Tensor.bmm")
def bmm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Products of two batches of matrices, pair by pair."""
    _check_batches(input, mat2)
    return matmul(input, mat2, out=out)


@word("torch.mv", "Tensor.mv")
def mv(input: Tensor, vec: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Product of a matrix and a vector."""
    if input.ndim != 2 or vec.ndim != 1:
        raise ShapeError(f"vector + matrix @ vector expected, got 1, {input.ndim}, {vec.ndim}")
    return matmul(input, vec, out=out)


@word("torch.dot", "Tensor.dot", "torch.vdot", "Tensor.vdot")
def dot(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Inner product of two vectors."""
    if input.ndim != 1 or other.ndim != 1:
        raise ShapeError(f"1D tensors expected, but got {input.ndim}D and {other.ndim}D tensors")
    if input._dtype is not other._dtype:
        raise RuntimeError(
            f"dot : expected both vectors to have same dtype, but found {input._dtype.title} and {other._dtype.title}"
        )
    return matmul(input, other, out=out)


# --- sums with products


def _blend(input: Tensor, product: Tensor, beta: Number, alpha: Number) -> Tensor:
    """`beta * input + alpha * product`, of the product's shape; at beta 0 the input doesn't count."""
    _check_expand(input.shape, product.shape)
    product = scaled(product, alpha)
    return product if beta == 0 else binary("Add", scaled(input, beta), product)


@word("torch.addmm", "Tensor.addmm")
def addmm(
    input: Tensor,
    mat1: Tensor,
    mat2: Tensor,
    *,
    beta: Number = 1,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor:
    """`beta * input + alpha * mat1 @ mat2`."""
    if mat1.ndim != 2 or mat2.ndim != 2:
        raise ShapeError(
            f"mat1 must be a matrix, got {mat1.ndim}-D tensor"
            if mat1.ndim != 2
            else f"mat2 must be a matrix, got {mat2.ndim}-D tensor"
        )
    check_alike(mat1, mat2)
    if mat1._dtype.category != dtypes.FLOAT:
        return hand_out(_blend(input, mm(mat1, mat2), beta, alpha), out)
    if int(mat1.shape[1]) != int(mat2.shape[0]):
        raise _cannot_multiply(mat1.shape, mat2.shape)
    shape = (mat1.shape[0], mat2.shape[1])
    _check_expand(input.shape, shape)
    attributes = {k: float(v) for k, v in (("alpha", alpha), ("beta", beta)) if v != 1}
    inputs = [mat1, mat2] if beta == 0 else [mat1, mat2, input]
    if beta == 0:
        attributes.pop("beta")
    return hand_out(emit("Gemm", inputs, shape, mat1._dtype, **attributes), out)


@word("torch.baddbmm", "Tensor.baddbmm")
def baddbmm(
    input: Tensor,
    batch1: Tensor,
    batch2: Tensor,
    *,
    beta: Number = 1,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor:
    """`beta * input + alpha * batch1 @ batch2`, matrix by matrix."""
    return hand_out(_blend(input, bmm(batch1, batch2), beta, alpha), out)


@word("torch.addbmm", "Tensor.addbmm")
def addbmm(
    input: Tensor,
    batch1: Tensor,
    batch2: Tensor,
    *,
    beta: Number = 1,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor:
    """`beta * input + alpha * sum(batch1 @ batch2)` over the batch."""
    product = bmm(batch1, batch2)
    wide = product if product._dtype.category == dtypes.FLOAT else cast(product, dtypes.int64)
    total = cast(reduce("ReduceSum", wide, (0,)), product._dtype)
    return hand_out(_blend(input, total, beta, alpha), out)


@word("torch.addmv", "Tensor.addmv")
def addmv(
    input: Tensor, mat: Tensor, vec: Tensor, *, beta: Number = 1, alpha: Number = 1, out: Tensor | None = None
) -> Tensor:
    """`beta * input + alpha * mat @ vec`."""
    return hand_out(_blend(input, mv(mat, vec), beta, alpha), out)


@word("torch.addr", "Tensor.addr")
def addr(
    input: Tensor,
    vec1: Tensor,
    vec2: Tensor,
    *,
    beta: Number = 1,
    alpha: Number = 1,
    out: Tensor | None = None,
) -> Tensor:
    """`beta * input + alpha * outer(vec1, vec2)`."""
    (a, b, c), _ = promote(vec1, vec2, input)
    return hand_out(_blend(c, binary("Mul", unsqueeze(a, 1), unsqueeze(b, 0)), beta, alpha), out)


for _function in (addmm, baddbmm, addbmm, addmv, addr):
    inplace(_function, f"Tensor.{_function.__name__}_")


# --- chains


def _chain(matrices: Sequence[Tensor]) -> Tensor:
    """A product of several, from the end where the first step is smaller work."""
    first = int(matrices[0].shape[0]) * int(matrices[-1].shape[-2 if matrices[-1].ndim > 1 else 0])
    last = int(matrices[-1].shape[-1]) * int(matrices[0].shape[-1])
    result = None
    if first <= last:
        for m in matrices:
            result = m if result is None else matmul(result, m)
    else:
        for m in reversed(matrices):
            result = m if result is None else matmul(m, result)
    assert result is not None
    return result


@word("torch.chain_matmul")
def chain_matmul(*matrices: Tensor, out: Tensor | None = None) -> Tensor:
    """Product of several matrices."""
    return hand_out(_chain(matrices), out)


@word("linalg.multi_dot")
def multi_dot(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Product of several matrices; the first and the last may be vectors."""
    if len(tensors) < 2:
        raise RuntimeError("multi_dot(): expected at least 2 tensors but got " + str(len(tensors)))
    return hand_out(_chain(tensors), out)


@word("linalg.matrix_power", "torch.matrix_power", "Tensor.matrix_power")
def matrix_power(input: Tensor, n: int, *, out: Tensor | None = None) -> Tensor:
    """`n`-fold product of a square matrix with itself. Raises NotImplementedError for a negative `n`."""
    from mcore.platform.errors import unsupported

    if input.ndim < 2 or int(input.shape[-1]) != int(input.shape[-2]):
        raise ShapeError(
            f"linalg.matrix_power: A must be batches of square matrices, but they are "
            f"{int(input.shape[-2]) if input.ndim > 1 else 0} by "
            f"{int(input.shape[-1]) if input.ndim else 0} matrices"
        )
    if n < 0:
        raise unsupported("matrix_power", f"n={n} (an inverse)", "n >= 0")
    if n == 0:
        from mcore.platform.words._pieces import counted, expand, test

        places = counted(input.shape[-1])
        eye = cast(test("Equal", unsqueeze(places, 0), unsqueeze(places, 1)), input._dtype)
        return hand_out(expand(eye, input.shape), out)
    result, power = None, input
    while n:
        if n & 1:
            result = power if result is None else matmul(result, power)
        n >>= 1
        if n:
            power = matmul(power, power)
    return hand_out(result, out)  # type: ignore[arg-type]
