"""Contract of reading by index and of the words that name elements by tensors."""

from tests.words.contract import A, B, Error, I, Row, Sample, T

HALF = {"rtol": 2e-3, "atol": 2e-3}
FLOATS = ("float64", "float16")
INTS = ("int64", "int32", "int16", "int8", "uint8")
ALL = (*FLOATS, *INTS, "bool")
NAN, INF = float("nan"), float("inf")
ELLIPSIS, ALL_OF_IT = ..., slice(None)


def of_type(dtype, *shape, seed=0):
    """An array of any element type; whole numbers small enough for every one."""
    if dtype == "bool":
        return B(*shape, seed=seed)
    if "int" in dtype:
        return I(*shape, low=0 if dtype == "uint8" else -3, high=4, dtype=dtype, seed=seed)
    return A(*shape, dtype=dtype, seed=seed)


def typed(kinds, make):
    """The sample that `make` makes of an element type, for several of them."""
    samples = []
    for kind in kinds:
        sample = make(kind)
        if kind == "float16":
            sample.rtol, sample.atol = 2e-3, 2e-3
        samples.append(sample)
    return samples


def index(*parts):
    """An index as the program writes it: `x[a, b]` gets a tuple, `x[a]` does not."""
    return parts[0] if len(parts) == 1 else parts


def reducing(how, own):
    """Samples of one reduction in any element type."""
    return lambda d: Sample(of_type(d, 3, 4), 1, I(3, 3, high=4), of_type(d, 3, 3, seed=1), how, include_self=own)


BASIC = [
    (0,), (-1,), (1, 2), (0, -1, 3), (ALL_OF_IT,), (ELLIPSIS,), (None,), (None, 0, None), (ELLIPSIS, 0), (0, ELLIPSIS, 1), (ELLIPSIS, None),
    (slice(1, None),), (slice(None, -1),), (slice(None, None, 2),), (slice(1, 9, 2), slice(-2, None)), (ALL_OF_IT, slice(0, 2), ELLIPSIS),
    (slice(5, 2),), (slice(-9, 9),), (ALL_OF_IT, 1, slice(None, None, 3)), (slice(0, 1), 0, slice(1, 3)), (ALL_OF_IT, ALL_OF_IT, None, 2), (ALL_OF_IT, -1),
    (slice(2, 2),), (1, slice(1, 2), None, slice(None, None, 2)),
]  # fmt: skip

READING = Row("Tensor.__getitem__", samples=[
    *(Sample(A(3, 4, 5), index(*parts)).other(A(4, 6, 7), index(*parts)) for parts in BASIC),
    Sample(A(3, 4), ()), Sample(A(), None), Sample(A(), ...), Sample(A(), ()),
    # Index tensors: one, several together, several apart (the result axis moves to the front), with numbers.
    Sample(A(3, 4), I(5, high=3)).other(A(3, 7), I(2, high=3)), Sample(A(3, 4), I(5, low=-3, high=3, dtype="int32")), Sample(A(3, 4), I(2, 2, high=3)),
    Sample(A(3, 4, 5), (ALL_OF_IT, I(2, high=4))).other(A(2, 4, 6), (ALL_OF_IT, I(3, high=4))), Sample(A(3, 4, 5), (I(2, high=3), I(2, high=4))),
    Sample(A(3, 4, 5), (I(2, high=3), ALL_OF_IT, I(2, high=5))).other(A(3, 6, 5), (I(4, high=3), ALL_OF_IT, I(4, high=5))),
    Sample(A(3, 4, 5), (ALL_OF_IT, I(2, 1, high=4), I(3, high=5))).other(A(2, 4, 5), (ALL_OF_IT, I(4, 1, high=4), I(2, high=5))),
    Sample(A(3, 4, 5), (0, ALL_OF_IT, I(2, high=5))), Sample(A(3, 4, 5), (I(2, high=3), 1, I(2, high=5))), Sample(A(3, 4, 5), (I(2, high=3), None, I(2, high=4))),
    Sample(A(3, 4, 5), (I(2, high=3), I(3, 1, high=4), None, ELLIPSIS)), Sample(A(3, 4, 5), (slice(1, 3), I(2, high=4))), Sample(A(3, 4, 5), (ELLIPSIS, I(2, high=5))),
    Sample(A(3, 4, 5), (slice(None, None, 2), I(2, low=-4, high=4), slice(1, 3))), Sample(A(2, 3, 4, 5), (ALL_OF_IT, I(2, high=3), I(2, high=4))),
    Sample(A(3, 4), T(1, "int64")), Sample(A(3, 4), (ALL_OF_IT, T(-1, "int64"))), Sample(A(3, 4), (T(1, "int8"), T(2, "int64"))),
    Sample(A(3, 4), [0, 2]), Sample(A(3, 4), ([0, 2], [1, -1])), Sample(A(3, 4), range(2)), Sample(A(3, 4), []), Sample(A(3, 4), (ALL_OF_IT, [[0], [1]])),
    Sample(A(3, 4), T([], "int64")), Sample(A(3, 4), ([], ALL_OF_IT)),
    # Masks, whose sizes depend on data, and booleans.
    Sample(A(3, 4), B(3)).other(A(5, 2), B(5)), Sample(A(3, 4), B(3, 4)).other(A(2, 5), B(2, 5)), Sample(A(3, 4, 5), (ALL_OF_IT, B(4, 5))).other(A(2, 3, 6), (ALL_OF_IT, B(3, 6))),
    Sample(A(3, 4, 5), (ALL_OF_IT, B(4))), Sample(A(3, 4, 5), (B(3, 4), 0)), Sample(A(3, 4), T([0, 1, 1], "uint8")), Sample(A(3, 4), [True, False, True]),
    Sample(A(3, 4, 5), (T([True, False, True], "bool"), ALL_OF_IT, I(2, high=5))), Sample(A(3, 4), T([False] * 3, "bool")), Sample(A(3, 4), (T([1, 2], "int64"), T([True, False, True, False], "bool"))),
    Sample(A(3, 4), True), Sample(A(3, 4), False), Sample(A(3, 4), (True, 0)), Sample(A(3, 4), (True, [0, 1])), Sample(A(), True), Sample(A(), False), Sample(A(3), T(True, "bool")),
    Sample(A(), T(False, "bool")),
    *typed(ALL, lambda d: Sample(of_type(d, 3, 4), (ALL_OF_IT, slice(1, 3)))), *typed(ALL, lambda d: Sample(of_type(d, 3, 4), (I(2, high=3), I(2, high=4)))),
    *typed(ALL, lambda d: Sample(of_type(d, 3, 4), B(3, 4))),
], errors=[
    Error(IndexError, "too many indices for tensor of dimension 3", A(2, 3, 4), (0, 0, 0, 0)), Error(IndexError, "too many indices for tensor of dimension 2", A(2, 3), (ELLIPSIS, 0, 0, 0)),
    Error(IndexError, "index 5 is out of bounds for dimension 0 with size 2", A(2, 3), 5), Error(IndexError, "index -3 is out of bounds for dimension 0 with size 2", A(2, 3), -3),
    Error(IndexError, "index 5 is out of bounds for dimension 1 with size 3", A(2, 3), (0, 5)), Error(IndexError, "index 5 is out of bounds for dimension 0 with size 2", A(2, 3), [5]),
    Error(IndexError, "index 7 is out of bounds for dimension . with size 3", A(2, 3), (ALL_OF_IT, T([7], "int64"))),
    Error(ValueError, "step must be greater than zero", A(3), slice(None, None, -1)), Error(ValueError, "slice step cannot be zero", A(3), slice(None, None, 0)),
    Error(IndexError, r"only integers, slices \(`:`\), ellipsis \(`...`\), None and long or byte Variables are valid indices \(got float\)", A(3), 1.0),
    Error(TypeError, "slice indices must be integers or None or have an __index__ method", A(3), slice(None, 1.5)),
    Error(IndexError, "tensors used as indices must be long, int, byte or bool tensors", A(3), A(2)), Error(IndexError, "tensors used as indices must be long", A(3), I(2, dtype="int16")),
    Error(IndexError, r"The shape of the mask \[3\] at index 0 does not match the shape of the indexed tensor \[2, 3\] at index 0", A(2, 3), B(3)),
    Error(IndexError, r"The shape of the mask \[2, 3\] at index 0 does not match the shape of the indexed tensor \[2, 3, 4\] at index 1", A(2, 3, 4), (ALL_OF_IT, B(2, 3))),
    Error(IndexError, r"shape mismatch: indexing tensors could not be broadcast together with shapes \[2\], \[3\]", A(3, 4), ([0, 1], [0, 1, 2])),
    Error(IndexError, "invalid index of a 0-dim tensor", A(), 0), Error(IndexError, r"slice\(\) cannot be applied to a 0-dim tensor", A(), ALL_OF_IT), Error(TypeError, "invalid data type 'str'", A(3), "a"),
], signature=False, reason="a slot of the type")  # fmt: skip

BY_METHOD = [
    Row("torch.select", "Tensor.select", samples=[Sample(A(2, 3, 4), 1, 2).other(A(5, 3, 2), 1, 2), Sample(A(2, 3), -1, -1), Sample(A(2, 3), dim=0, index=1)], errors=[
        Error(IndexError, r"select\(\): index 3 out of range for tensor of size \[2, 3, 4\] at dimension 1", A(2, 3, 4), 1, 3),
        Error(IndexError, r"select\(\) cannot be applied to a 0-dim tensor", A(), 0, 0), Error(IndexError, "Dimension out of range", A(2), 5, 0),
    ]),
    Row("torch.narrow", "Tensor.narrow", samples=[
        Sample(A(5, 3), 0, 1, 2).other(A(7, 3), 0, 1, 2), Sample(A(2, 5), 1, -3, 2).other(A(2, 9), 1, -3, 2), Sample(A(5), 0, 5, 0), Sample(A(5), 0, 0, 5),
        Sample(A(5, 2), 0, T(1, "int64"), 2), Sample(A(5, 2), 0, T(-2, "int64"), 2), Sample(A(4), dim=0, start=1, length=2),
    ], errors=[
        Error(RuntimeError, r"start \(1\) \+ length \(2\) exceeds dimension size \(2\)", A(2, 3), 0, 1, 2), Error(RuntimeError, r"narrow\(\): length must be non-negative", A(2), 0, 0, -1),
        Error(IndexError, r"start out of range \(expected to be in range of \[-2, 2\], but got 3\)", A(2, 3), 0, 3, 1),
    ]),
    Row("torch.index_select", "Tensor.index_select", samples=[
        Sample(A(3, 4), 1, I(5, high=4)).other(A(2, 4), 1, I(3, high=4)), Sample(A(3, 4), 0, T([2, 0, 2], "int32")), Sample(A(3, 4), -1, T(1, "int64")), Sample(A(), 0, T([0], "int64")),
        Sample(A(3, 4), 0, T([], "int64")), *typed(ALL, lambda d: Sample(of_type(d, 3, 4), 1, I(2, high=4))),
    ], errors=[
        Error(IndexError, r"index_select\(\): Index is supposed to be a vector", A(2, 3), 1, T([[0]], "int64")), Error(RuntimeError, r"index_select\(\): Expected dtype int32 or int64 for index", A(2, 3), 1, A(2)),
        Error(RuntimeError, "out of|bounds", A(2, 3), 1, T([5], "int64")),
    ]),
    Row("torch.gather", "Tensor.gather", samples=[
        Sample(A(3, 4), 1, I(3, 2, high=4)).other(A(5, 4), 1, I(5, 6, high=4)), Sample(A(3, 4), 0, I(7, 2, high=3)), Sample(A(2, 3, 4), -1, I(1, 3, 5, high=4)), Sample(A(3), 0, I(high=3)),
        Sample(A(), 0, I(high=1)), Sample(A(), 0, I(2, high=1)), Sample(A(3, 4), 1, I(3, 0)), Sample(A(3, 4), 1, T([], "int64")), Sample(A(3, 4), 1, I(3, 4, high=4, dtype="int32")),
        Sample(A(3, 4), dim=1, index=I(2, 2, high=4), sparse_grad=False), *typed(ALL, lambda d: Sample(of_type(d, 3, 4), 1, I(3, 2, high=4))),
    ], errors=[
        Error(RuntimeError, r"Size does not match at dimension 0 expected index \[3, 3\] to be no larger than self \[2, 3\] apart from dimension 1", A(2, 3), 1, I(3, 3, high=3)),
        Error(RuntimeError, "Index tensor must have the same number of dimensions as input tensor", A(2, 3), 1, I(2, high=3)), Error(RuntimeError, r"gather\(\): Expected dtype int32/int64 for index", A(2, 3), 1, A(2, 3)),
        Error(RuntimeError, "index 5 is out of bounds for dimension 1 with size 3", A(2, 3), 1, T([[0, 5]], "int64")),
    ]),
    Row("torch.take", "Tensor.take", samples=[Sample(A(3, 4), I(2, 5, low=-12, high=12)).other(A(3, 6), I(3, 1, high=18)), Sample(A(3, 4), T(1, "int64")), *typed(ALL, lambda d: Sample(of_type(d, 3, 4), I(2, high=12)))],
        errors=[Error(IndexError, "out of range: tried to access index 9 on a tensor of 6 elements", A(2, 3), T([9], "int64"))]),
    Row("torch.take_along_dim", "Tensor.take_along_dim", samples=[
        Sample(A(3, 4), I(3, 2, high=4), 1).other(A(5, 4), I(5, 2, high=4), 1), Sample(A(3, 4), I(1, 2, low=-4, high=4), 1), Sample(A(1, 4), I(3, 2, high=4), 1), Sample(A(3, 4), I(5, high=12)), Sample(A(3, 4), indices=I(2, 4, high=3), dim=0),
    ], errors=[Error(RuntimeError, "input and indices should have the same number of dimensions, but got 2 dimensions for input, and 1 dimensions for indices", A(2, 3), I(2, high=2), 1)]),
]  # fmt: skip

SCATTERING = [
    Row("torch.scatter", "Tensor.scatter", samples=[
        Sample(A(3, 4), 1, I(3, 2, high=4), A(3, 2)).other(A(5, 4), 1, I(5, 2, high=4), A(5, 2)), Sample(A(3, 4), 0, I(2, 4, high=3), A(3, 5)), Sample(A(3, 4), 1, I(2, 2, high=4), 1.5), Sample(A(3, 4), 1, I(2, 2, high=4), value=2),
        Sample(A(2, 3), 1, T([[0, 0, 0]], "int64"), T([[5.0, 6.0, 7.0]])), Sample(A(3, 4), 1, I(3, 4, high=4), A(3, 4), reduce="add"), Sample(A(3, 4), 1, I(3, 4, high=4), 2.0, reduce="multiply"),
        Sample(A(3, 4), 1, I(3, 0), A(3, 0)), Sample(A(), 0, I(high=1), A()), Sample(A(3, 4), 1, I(3, 2, high=4, dtype="int32"), A(3, 2)),
        *typed(ALL, lambda d: Sample(of_type(d, 3, 4), 1, T([[0, 2], [3, 1], [1, 0]], "int64"), of_type(d, 3, 2, seed=1))), *typed((*FLOATS, *INTS), lambda d: Sample(of_type(d, 3, 4), 1, I(3, 4, high=4), of_type(d, 3, 4, seed=1), reduce="add")),
    ], errors=[
        Error(RuntimeError, r"scatter\(\): Expected self.dtype to be equal to src.dtype", A(2, 3), 1, I(2, 2, high=3), I(2, 2)), Error(RuntimeError, "reduce argument must be either add or multiply", A(2, 3), 1, I(2, 2, high=3), 1.0, reduce="mean"),
        Error(RuntimeError, r"Expected index \[1, 4\] to be no larger than self \[2, 3\] apart from dimension 1 and to be no larger size than src \[1, 3\]", A(2, 3), 1, I(1, 4, high=3), A(1, 3)),
        Error(RuntimeError, r"Expected index \[3, 1\] to be no larger than self \[2, 3\] apart from dimension 1", A(2, 3), 1, I(3, 1, high=3), 1.0),
        Error(RuntimeError, "Index tensor must have the same number of dimensions as self tensor", A(2, 3), 1, I(2, high=3), 1.0), Error(RuntimeError, "index 9 is out of bounds for dimension 1 with size 3", A(2, 3), 1, T([[9]], "int64"), 1.0),
    ]),
    Row("torch.scatter_add", "Tensor.scatter_add", samples=[
        Sample(A(3, 4), 1, I(3, 7, high=4), A(3, 7)).other(A(5, 4), 1, I(5, 3, high=4), A(5, 3)), Sample(A(3, 4), 0, I(6, 4, high=3), A(8, 4)), Sample(A(3, 4), 1, I(3, 0), A(3, 0)),
        *typed(ALL, lambda d: Sample(of_type(d, 3, 4), 1, I(3, 7, high=4), of_type(d, 3, 7, seed=1))),
    ], errors=[Error(TypeError, r"scatter_add\(\): argument 'src' \(position [34]\) must be Tensor, not float", A(2, 3), 1, I(2, 2, high=3), 5.0)]),
    Row("torch.scatter_reduce", "Tensor.scatter_reduce", samples=[
        *(Sample(A(3, 4), 1, I(3, 7, high=4), A(3, 7), how, include_self=own).other(A(5, 4), 1, I(5, 3, high=4), A(5, 3), how, include_self=own)
          for how in ("sum", "prod", "mean", "amax", "amin") for own in (True, False)),
        *(s for how in ("sum", "prod", "mean", "amax", "amin") for own in (True, False) for s in typed((*FLOATS, *INTS), reducing(how, own))),
        *(Sample(B(3, 4), 1, I(3, 3, high=4), B(3, 3, seed=1), how, include_self=own) for how in ("sum", "prod", "amax", "amin") for own in (True, False)),
        *(Sample(T([1.0, NAN, 3.0, -INF]), 0, T([0, 1, 2, 3], "int64"), T([NAN, 2.0, INF, 1.0]), how, include_self=own) for how in ("sum", "amax", "amin", "mean") for own in (True, False)),
        Sample(A(3), 0, I(4, high=3), A(4), reduce="amax"),
    ], errors=[Error(RuntimeError, "reduce argument must be either sum, prod, mean, amax or amin, got foo", A(2, 3), 1, I(2, 2, high=3), A(2, 2), "foo")]),
    Row("torch.index_add", "Tensor.index_add", samples=[
        Sample(A(3, 4), 1, I(6, high=4), A(3, 6)).other(A(5, 4), 1, I(3, high=4), A(5, 3)), Sample(A(3, 4), 0, I(6, high=3), A(6, 4)), Sample(A(3, 4), 0, I(2, high=3), A(2, 4), alpha=-1.5),
        *typed(ALL, lambda d: Sample(of_type(d, 3, 4), 1, I(6, high=4), of_type(d, 3, 6, seed=1))), Sample(I(3, 4), 0, I(2, high=3), I(2, 4), alpha=2),
    ], errors=[
        Error(RuntimeError, r"index_add_\(\): Number of indices \(2\) should be equal to source.size\(dim\): \(3\), for dim: 1", A(2, 3), 1, I(2, high=3), A(2, 3)),
        Error(RuntimeError, r"index_add_\(\): self \(Float\) and source \(Int\) must have the same scalar type", A(2, 3), 1, I(2, high=3), I(2, 2, dtype="int32")),
        Error(RuntimeError, r"source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape = \[2, 3\] source.shape = \[3, 2\]", A(2, 3), 1, I(2, high=3), A(3, 2)),
    ]),
    Row("torch.index_copy", "Tensor.index_copy", samples=[
        Sample(A(3, 4), 1, T([2, 0], "int64"), A(3, 2)).other(A(5, 4), 1, T([3, 1], "int64"), A(5, 2)), Sample(A(3, 4), 0, T([1], "int64"), A(1, 4)), *typed(ALL, lambda d: Sample(of_type(d, 3, 4), 1, T([2, 0], "int64"), of_type(d, 3, 2, seed=1))),
    ], errors=[
        Error(IndexError, r"index_copy_\(\): Number of indices \(2\) should be equal to source.size\(dim\) \(3\)", A(2, 3), 1, I(2, high=3), A(2, 3)),
        Error(RuntimeError, r"index_copy_\(\): self and source expected to have the same dtype, but got \(self\) Float and \(source\) Int", A(2, 3), 1, I(2, high=3), I(2, 2, dtype="int32")),
    ]),
    Row("torch.index_fill", "Tensor.index_fill", samples=[
        Sample(A(3, 4), 1, T([2, 0], "int64"), 1.5).other(A(5, 6), 1, T([2, 0], "int64"), 1.5), Sample(A(3, 4), 0, T([-1], "int64"), 7), Sample(A(3, 4), 0, T(1, "int64"), T(2.5)), Sample(A(3, 4), 1, T([], "int64"), 7),
        *typed(ALL, lambda d: Sample(of_type(d, 3, 4), 1, T([2, 0], "int64"), 1)),
    ], errors=[Error(RuntimeError, r"index_fill_ only supports a 0-dimensional value tensor, but got tensor with 1 dimension\(s\)", A(2, 3), 1, I(1, high=3), A(1)), Error(IndexError, "index 5 is out of bounds for dimension 1 with size 3", A(2, 3), 1, T([5], "int64"), 1)]),
    Row("torch.index_reduce", "Tensor.index_reduce", samples=[
        *(Sample(A(3, 4), 1, I(6, high=4), A(3, 6), how, include_self=own).other(A(5, 4), 1, I(3, high=4), A(5, 3), how, include_self=own) for how in ("prod", "mean", "amax", "amin") for own in (True, False)),
    ]),
    Row("torch.index_put", "Tensor.index_put", samples=[
        Sample(A(3, 4), (T([0, 2], "int64"), T([1, 3], "int64")), A(2)).other(A(5, 6), (T([0, 2, 4], "int64"), T([1, 3, 5], "int64")), A(3)), Sample(A(3, 4), (T([0, -1], "int64"),), A()), Sample(A(3, 4), (B(3, 4),), T(5.0)),
        Sample(A(3, 4), (I(9, high=3), I(9, high=4)), A(9), accumulate=True), Sample(A(3, 4), [T([0], "int64")], A(4)), Sample(A(3, 4), (I(5, high=3),), A(5, 4), True),
        *typed(ALL, lambda d: Sample(of_type(d, 3, 4), (I(9, high=3), I(9, high=4)), of_type(d, 9, seed=1), accumulate=True)), *typed(ALL, lambda d: Sample(of_type(d, 3, 4), (T([0, 2], "int64"),), of_type(d, 2, 4, seed=1))),
    ], errors=[
        Error(RuntimeError, "Index put requires the source and destination dtypes match, got Float for the destination and Long for the source", A(2, 3), (T([0], "int64"),), I(3)), Error(IndexError, "too many indices for tensor of dimension 2", A(2, 3), (T([0], "int64"),) * 3, A(1)),
        Error(RuntimeError, r"shape mismatch: value tensor of shape \[2\] cannot be broadcast to indexing result of shape \[1, 3\]", A(2, 3), (T([0], "int64"),), A(2)),
    ]),
    Row("torch.put", "Tensor.put", samples=[
        Sample(A(3, 4), T([0, -1, 5], "int64"), A(3)).other(A(5, 4), T([0, -1, 5], "int64"), A(3)), Sample(A(3, 4), T([[0, 1]], "int64"), A(2, 1)), Sample(A(3, 4), T([1, 1], "int64"), A(2), accumulate=True),
    ], errors=[Error(IndexError, r"put_\(\): Expected source and index to have the same number of elements, but got source.numel\(\) = 2, index.numel\(\) = 1", A(2, 3), T([0], "int64"), A(2))]),
]  # fmt: skip

MASKS = [
    Row("torch.masked_select", "Tensor.masked_select", samples=[Sample(A(3, 4), B(3, 4)).other(A(5, 2), B(5, 2)), Sample(A(3, 4), B(4)), Sample(A(4), B(3, 4)), Sample(A(), T(True, "bool")), *typed(ALL, lambda d: Sample(of_type(d, 3, 4), B(3, 4)))], errors=[
        Error(RuntimeError, "masked_select: expected BoolTensor for mask", A(2), A(2)), Error(RuntimeError, r"The size of tensor a \(2\) must match the size of tensor b \(3\) at non-singleton dimension 1", A(2, 3), B(2)),
    ]),
    Row("torch.masked_scatter", "Tensor.masked_scatter", samples=[
        Sample(A(3, 4), B(3, 4), A(12)).other(A(5, 2), B(5, 2), A(10)), Sample(A(3, 4), B(4), A(4, 3)), Sample(A(4), B(3, 4), A(12)), Sample(A(3), T([False] * 3, "bool"), A(0)), *typed(ALL, lambda d: Sample(of_type(d, 3, 4), B(3, 4), of_type(d, 12, seed=1))),
    ], errors=[
        Error(RuntimeError, "masked_scatter_? only supports boolean masks, but got mask with dtype Float", A(2), A(2), A(2)), Error(RuntimeError, "expected self and source to have same dtypes but got ?Float and Int", A(2), B(2), I(2, dtype="int32")),
    ]),
    Row("torch.nonzero", "Tensor.nonzero", samples=[
        Sample(I(3, 4, high=2)).other(I(5, 2, high=2)), Sample(B(3, 4, 2)), Sample(I(3, 4, high=2), as_tuple=True).other(I(5, 2, high=2), as_tuple=True), Sample(T(3.0)), Sample(T(0.0)), Sample(T(3.0), as_tuple=True), Sample(A(0, 2)),
        Sample(T([0, 0])), *typed(ALL, lambda d: Sample(of_type(d, 3, 4))),
    ]),
    Row("torch.argwhere", "Tensor.argwhere", samples=[Sample(I(3, 4, high=2)).other(I(5, 2, high=2)), Sample(T(3.0)), Sample(B(5))]),
    Row("torch.select_scatter", "Tensor.select_scatter", samples=[Sample(A(2, 3), A(2), 1, 0).other(A(5, 3), A(5), 1, 0), Sample(A(2, 3), A(3), 0, -1), *typed(ALL, lambda d: Sample(of_type(d, 2, 3), of_type(d, 2, seed=1), 1, 2))],
        errors=[Error(RuntimeError, r"expected src to have a size equal to the slice of self. src size = \[3\], slice size = \[2\]", A(2, 3), A(3), 1, 0)]),
    Row("torch.slice_scatter", "Tensor.slice_scatter", samples=[
        Sample(A(2, 5), A(2, 2), 1, 1, 3).other(A(4, 7), A(4, 2), 1, 1, 3), Sample(A(2, 5), A(2, 3), 1, 0, None, 2), Sample(A(6, 2), A(2, 2), start=-2), Sample(A(3), A(3)), Sample(A(2, 6), A(2, 3), 1, 1, 6, 2).other(A(2, 7), A(2, 3), 1, 1, 7, 2)
        .without("export", "another index").without("recording", "another index"), *typed(ALL, lambda d: Sample(of_type(d, 2, 5), of_type(d, 2, 2, seed=1), 1, 0, 3, 2)),
    ]),
    Row("torch.diagonal_scatter", "Tensor.diagonal_scatter", samples=[Sample(A(3, 4), A(3)).other(A(3, 6), A(3)), Sample(A(3, 4), A(3), 1), Sample(A(3, 4), A(1), -2), Sample(A(2, 3, 4), A(2, 3), 0, 1, 2), *typed(ALL, lambda d: Sample(of_type(d, 3, 4), of_type(d, 3, seed=1)))],
        errors=[Error(RuntimeError, r"expected src to have a size equal to the slice of self", A(2, 3), A(3))]),
]  # fmt: skip

ROWS = [READING, *BY_METHOD, *SCATTERING, *MASKS]
