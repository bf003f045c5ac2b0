"""Contract of the words that look at elements under another shape, order or repetition, and of joining."""

from tests.words.contract import A, B, Error, I, Row, Sample, T

DTYPES = ("float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")


def of_type(dtype: str, *shape: int):
    """An array of any element type."""
    return B(*shape) if dtype == "bool" else (I if "int" in dtype else A)(*shape, dtype=dtype)


def typed(shape: tuple, make) -> list:
    """The sample that `make` makes of an array, in every element type; the runtime takes no bfloat16 arrays."""
    samples = [make(of_type(d, *shape)) for d in DTYPES]
    samples[2].without("export", "no bfloat16 arrays").without("recording", "no bfloat16 arrays")
    return samples


NO_SIGNATURE = {"signature": False, "reason": "a getter, whose signature torch does not show"}
RESHAPING = [
    Row("torch.reshape", samples=[
        Sample(A(2, 3, 4), (6, 4)),
        Sample(A(2, 3, 4), (-1, 4)).other(A(5, 3, 4), (-1, 4)),
        Sample(A(2, 3, 4), (3, -1, 2)).other(A(5, 3, 4), (3, -1, 2)),
        Sample(A(2, 3, 4), [2, 12]),
        Sample(A(0, 3), (0, 5)), Sample(A(0, 3), (2, -1)), Sample(A(1), ()), Sample(A(), (1, 1)), Sample(A(), (-1,)),
        Sample(input=A(4, 6), shape=(2, 12)),
        *typed((2, 3), lambda x: Sample(x, (3, 2))),
    ], errors=[
        Error(RuntimeError, r"shape '\[5, -1\]' is invalid for input of size 24", A(2, 3, 4), (5, -1)),
        Error(RuntimeError, r"shape '\[2, 5\]' is invalid for input of size 24", A(2, 3, 4), (2, 5)),
        Error(RuntimeError, "only one dimension can be inferred", A(2, 3), (-1, -1)),
        Error(RuntimeError, r"invalid shape dimension -2 at index 0 of shape \[-2, 3\]", A(2, 3), (-2, 3)),
        Error(RuntimeError, r"cannot reshape tensor of 0 elements into shape \[-1, 0\] because the unspecified "
              "dimension size -1 can be any value and is ambiguous", A(0, 3), (-1, 0)),
    ]),
    Row("Tensor.reshape", samples=[
        Sample(A(2, 3, 4), 6, 4), Sample(A(2, 3, 4), (6, 4)), Sample(A(2, 3, 4), -1), Sample(A(2, 3), I(low=3, high=4), 2)
        .without("module", "a size read from data is a number").without("export", "the same").without("recording", "the same"),
    ]),
    Row("Tensor.view", samples=[
        Sample(A(2, 3, 4), 6, 4), Sample(A(2, 3, 4), (2, -1)).other(A(2, 5, 4), (2, -1)),
        Sample(A(2, 3), "dtype:float32"), Sample(B(2, 3), "dtype:uint8"), Sample(I(2, 3, low=-9, dtype="int8"), "dtype:uint8"),
    ], errors=[
        Error(RuntimeError, r"shape '\[4, 5\]' is invalid for input of size 24", A(2, 3, 4), 4, 5),
    ]),
    Row("Tensor.view_as", "Tensor.reshape_as", samples=[Sample(A(2, 6), A(3, 4)).other(A(2, 9), A(6, 3))]),
    Row("torch.flatten", "Tensor.flatten", samples=[
        Sample(A(2, 3, 4)).other(A(3, 3, 5)),
        Sample(A(2, 3, 4), 1).other(A(5, 3, 4), 1),
        Sample(A(2, 3, 4), start_dim=1).other(A(5, 7, 4), start_dim=1),
        Sample(A(2, 3, 4, 5), 1, 2).other(A(3, 3, 2, 7), 1, 2), Sample(A(2, 3), -1), Sample(A(2, 3, 4), -2, -1),
        Sample(A()), Sample(A(3)), Sample(A(0, 3)), Sample(A(2, 0, 3), 1),
    ], errors=[
        Error(RuntimeError, "start_dim cannot come after end_dim", A(2, 3, 4), 2, 1),
        Error(IndexError, r"Dimension out of range \(expected to be in range of \[-3, 2\], but got 5\)", A(2, 3, 4), 0, 5),
    ]),
    Row("torch.ravel", "Tensor.ravel", samples=[Sample(A(2, 3)).other(A(4, 5)), Sample(A())]),
    Row("torch.unflatten", samples=[
        Sample(A(2, 6, 4), 1, (3, -1)).other(A(2, 9, 4), 1, (3, -1)), Sample(A(2, 6), -1, (2, 3)),
        Sample(A(4, 6), 0, (-1, 2)).other(A(6, 5), 0, (-1, 2)), Sample(A(6), dim=0, sizes=(1, 6)),
    ], errors=[
        Error(RuntimeError, r"unflatten: Provided sizes \[2, 2\] don't multiply up to the size of dim 1 \(3\) in the "
              "input tensor", A(2, 3), 1, (2, 2)),
        Error(RuntimeError, "unflatten: sizes must be non-empty", A(2, 3), 1, ()),
    ]),
    Row("Tensor.unflatten", samples=[Sample(A(2, 6), 1, (3, 2)), Sample(A(2, 6), dim=1, sizes=[3, -1])]),
]  # fmt: skip

AXES = [
    Row("torch.squeeze", "Tensor.squeeze", samples=[
        Sample(A(1, 3, 1)), Sample(A(2, 1, 3), 1).other(A(4, 1, 5), 1), Sample(A(2, 1, 3), -2), Sample(A(2, 3), 0),
        Sample(A(1, 1, 3, 1), (0, -1)), Sample(A(2, 1), dim=(0, 1)), Sample(A()), Sample(A(), 0), Sample(A(1)), Sample(A(2, 3), ()),
        *typed((1, 3), lambda x: Sample(x)),
    ], errors=[
        Error(IndexError, "Dimension out of range", A(2, 3), 5),
        Error(RuntimeError, "dim 0 appears multiple times in the list of dims", A(1, 3), (0, 0)),
    ]),
    Row("torch.unsqueeze", "Tensor.unsqueeze", samples=[
        Sample(A(2, 3), 0).other(A(4, 5), 0), Sample(A(2, 3), 1), Sample(A(2, 3), 2), Sample(A(2, 3), -1), Sample(A(2, 3), dim=-3),
        Sample(A(), 0), Sample(A(), -1), Sample(B(2), 0),
    ], errors=[Error(IndexError, r"expected to be in range of \[-3, 2\], but got 5", A(2, 3), 5)]),
    Row("torch.permute", samples=[
        Sample(A(2, 3, 4), (2, 0, 1)).other(A(5, 3, 2), (2, 0, 1)), Sample(A(2, 3, 4), [0, -1, -2]), Sample(A(2, 3), (0, 1)),
        Sample(A(), ()), *typed((2, 3), lambda x: Sample(x, (1, 0))),
    ], errors=[
        Error(RuntimeError, r"input.dim\(\) = 3 is not equal to len\(dims\) = 2", A(2, 3, 4), (0, 1)),
        Error(RuntimeError, r"permute\(\): duplicate dims are not allowed", A(2, 3, 4), (0, 1, 1)),
        Error(IndexError, "Dimension out of range", A(2, 3, 4), (0, 1, 5)),
    ]),
    Row("Tensor.permute", samples=[Sample(A(2, 3, 4), 0, 2, 1), Sample(A(2, 3, 4), (0, 2, 1)), Sample(A(2, 3, 4), dims=(1, 2, 0))]),
    Row("torch.transpose", "Tensor.transpose", "torch.swapdims", "Tensor.swapdims", samples=[
        Sample(A(2, 3, 4), 1, 2).other(A(2, 5, 7), 1, 2), Sample(A(2, 3, 4), -1, 0), Sample(A(2, 3), 1, 1), Sample(A(), 0, -1),
        Sample(A(2, 3), dim0=0, dim1=1),
    ], errors=[Error(IndexError, "Dimension out of range", A(2, 3), 0, 5)]),
    Row("torch.swapaxes", "Tensor.swapaxes", samples=[Sample(A(2, 3, 4), 1, 2), Sample(A(2, 3), axis0=0, axis1=-1)]),
    Row("torch.movedim", "Tensor.movedim", "torch.moveaxis", "Tensor.moveaxis", samples=[
        Sample(A(2, 3, 4), 0, -1).other(A(5, 3, 2), 0, -1), Sample(A(2, 3, 4, 5), (0, 1), (-1, 0)), Sample(A(2, 3, 4), 1, 1),
        Sample(A(2, 3, 4), (2, 0), (0, 1)),
    ], errors=[
        Error(RuntimeError, r"movedim: repeated dim in `source` \(\[0, 0\]\)", A(2, 3), (0, 0), (0, 1)),
        Error(RuntimeError, "movedim: repeated dim in `destination`", A(2, 3), (0, 1), (1, 1)),
    ]),
    Row("torch.t", "Tensor.t", samples=[Sample(A(2, 3)).other(A(5, 4)), Sample(A(3)), Sample(A())],
        errors=[Error(RuntimeError, r"t\(\) expects a tensor with <= 2 dimensions, but self is 3D", A(2, 3, 4))]),
    Row("Tensor.T.__get__", samples=[Sample(A(2, 3)), Sample(A(3))], **NO_SIGNATURE),
    Row("Tensor.mT.__get__", samples=[Sample(A(2, 3, 4)), Sample(A(3, 2))], **NO_SIGNATURE,
        errors=[Error(RuntimeError, "tensor.mT is only supported on matrices or batches of matrices. Got 1-D tensor", A(3))]),
    Row("Tensor.mH.__get__", samples=[Sample(A(2, 3, 4))], **NO_SIGNATURE),
    Row("Tensor.H.__get__", samples=[Sample(A(2, 3)), Sample(A())], **NO_SIGNATURE,
        errors=[Error(RuntimeError, "consider using tensor.mH", A(2, 3, 4))]),
    Row("torch.adjoint", "Tensor.adjoint", samples=[Sample(A(2, 3, 4))],
        errors=[Error(RuntimeError, r"tensor.adjoint\(\) is only supported on matrices", A(3))]),
]  # fmt: skip

EXPANDING = [
    Row("Tensor.expand", samples=[
        Sample(A(1, 3), 4, 3), Sample(A(1, 3), (4, -1)).other(A(1, 5), (4, -1)), Sample(A(3), 2, 3), Sample(A(2, 3), 2, 3),
        Sample(A(3, 1), 5, -1, 4).other(A(2, 1), 5, -1, 4), Sample(A(), 2, 3), Sample(A(1, 3), 0, 3), Sample(A(), ()),
        *typed((1, 3), lambda x: Sample(x, 4, 3)),
    ], errors=[
        Error(RuntimeError, r"the number of sizes provided \(2\) must be greater or equal to the number of dimensions in the "
              r"tensor \(3\)", A(2, 3, 4), 2, 3),
        Error(RuntimeError, r"The expanded size of the tensor \(5\) must match the existing size \(4\) at non-singleton dimension "
              r"2.  Target sizes: \[2, 3, 5\].  Tensor sizes: \[2, 3, 4\]", A(2, 3, 4), 2, 3, 5),
        Error(RuntimeError, r"The expanded size of the tensor \(-1\) isn't allowed in a leading, non-existing dimension 0",
              A(2, 3), -1, 2, 3),
    ]),
    Row("Tensor.expand_as", samples=[Sample(A(1, 3), A(4, 3)).other(A(1, 5), A(2, 5)), Sample(A(2, 1, 1), A(2, 3, 4)).other(A(2, 1, 1), A(2, 1, 7))]),
    Row("torch.broadcast_to", "Tensor.broadcast_to", samples=[Sample(A(1, 3), (2, 4, 3)), Sample(A(3), size=(2, 3))]),
    Row("torch.broadcast_tensors", samples=[Sample(A(2, 1), A(3)).other(A(4, 1), A(5)), Sample(A(2, 3)), Sample(A(), B(2, 1), I(3))],
        errors=[Error(RuntimeError, r"The size of tensor a \(4\) must match the size of tensor b \(5\) at non-singleton dimension 1",
                      A(2, 4), A(5))]),
    Row("torch.atleast_1d", "torch.atleast_2d", "torch.atleast_3d", samples=[Sample(A()), Sample(A(2)), Sample(A(2, 3), A())]),
    Row("torch.atleast_2d", samples=[Sample(A()), Sample(A(2)), Sample([A(2, 3), A(3)])]),
    Row("torch.atleast_3d", samples=[Sample(A()), Sample(A(2)), Sample(A(2, 3)), Sample(A(2, 3, 4))]),
    Row("Tensor.repeat", samples=[
        Sample(A(2, 3), 2, 1).other(A(4, 5), 2, 1), Sample(A(2, 3), (2, 1, 3)), Sample(A(3), 2, 2), Sample(A(2, 3), 1, 1), Sample(A(), 3),
        Sample(A(2, 3), 0, 2), *typed((1, 3), lambda x: Sample(x, 2, 2)),
    ], errors=[
        Error(RuntimeError, "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor", A(2, 3), 2),
        Error(RuntimeError, r"Trying to create tensor with negative dimension -3: \[2, -3\]", A(2, 3), 1, -1),
    ]),
    Row("torch.tile", samples=[Sample(A(2, 3), (2,)), Sample(A(3), (2, 2)), Sample(A(2, 3), dims=(2, 1))]),
    Row("Tensor.tile", samples=[Sample(A(2, 3), 2), Sample(A(2, 3), (2, 1, 2)).other(A(5, 3), (2, 1, 2)), Sample(A(2, 3), 2, 2)]),
    Row("torch.repeat_interleave", "Tensor.repeat_interleave", samples=[
        Sample(A(2, 3), 2).other(A(4, 3), 2), Sample(A(2, 3), 2, 1).other(A(2, 5), 2, 1), Sample(A(2, 3), 3, dim=0), Sample(A(2, 3), 1, 0),
        Sample(A(2, 3), 0, 0), Sample(A(3), 2, 0), Sample(A(2, 3), T([1, 2, 0], "int64"), 1), Sample(A(2, 3), T([2], "int64"), 1),
        Sample(A(2, 3), T(2, "int64"), 1), Sample(A(2), T([1, 2], "int64")), Sample(A(2, 3), T([1, 2, 0], "int64"), dim=1, output_size=3),
        Sample(T([1, 2, 0, 3], "int64")), Sample(T([1, 2, 0, 3], "int32")),
    ], errors=[
        Error(RuntimeError, r"repeats must have the same size as input along dim, but got repeats.size\(0\) = 2 and "
              r"input.size\(1\) = 3", A(2, 3), T([1, 2], "int64"), 1),
    ]),
]  # fmt: skip

MOVING = [
    Row("torch.roll", "Tensor.roll", samples=[
        Sample(A(2, 5), 1, 1).other(A(2, 3), 1, 1), Sample(A(4, 5), (-3, 2), (0, 1)).other(A(2, 7), (-3, 2), (0, 1)),
        Sample(A(2, 3), 2).other(A(4, 3), 2), Sample(A(5), 12, 0), Sample(A(5), 0, 0), Sample(A(4), (1, 1), (0, 0)), Sample(A(), 1),
        Sample(A(0, 2), 1, 0), Sample(A(4, 5), shifts=-1, dims=-1), *typed((2, 3), lambda x: Sample(x, 1, 1)),
    ], errors=[
        Error(RuntimeError, "shifts and dimensions must align. shifts: 2, dims:1", A(2, 3), (1, 2), (0,)),
        Error(IndexError, "Dimension out of range", A(2, 3), 1, 5),
    ]),
    Row("torch.flip", samples=[Sample(A(2, 3), (0,)).other(A(5, 4), (0,)), Sample(A(2, 3, 4), [-1, 0]), Sample(A(2, 3), ()), Sample(A(), ()),
                               *typed((2, 3), lambda x: Sample(x, (1,)))],
        errors=[Error(RuntimeError, "dim 0 appears multiple times in the list of dims", A(2, 3), (0, 0))]),
    Row("Tensor.flip", samples=[Sample(A(2, 3), 0, 1), Sample(A(2, 3), (1,)), Sample(A(2, 3), -1)]),
    Row("torch.fliplr", "Tensor.fliplr", samples=[Sample(A(2, 3))], errors=[Error(RuntimeError, "Input must be >= 2-d", A(3))]),
    Row("torch.flipud", "Tensor.flipud", samples=[Sample(A(2, 3)), Sample(A(3))], errors=[Error(RuntimeError, "Input must be >= 1-d", A())]),
    Row("torch.rot90", "Tensor.rot90", samples=[
        *(Sample(A(2, 3, 4), k).other(A(5, 2, 4), k) for k in (0, 1, 2, 3, -1, 5)), Sample(A(2, 3, 4), 1, (2, 0)), Sample(A(2, 3), k=3, dims=[1, 0]),
    ], errors=[
        Error(RuntimeError, "expected rotation dims to be different, but got dim0 = 0 and dim1 = 0", A(2, 3), 1, (0, 0)),
        Error(RuntimeError, "expected total rotation dims == 2, but got dims = 3", A(2, 3), 1, (0, 1, 2)),
    ]),
    Row("Tensor.unfold", samples=[
        Sample(A(2, 7), 1, 3, 2).other(A(2, 9), 1, 3, 2), Sample(A(6, 2), 0, 2, 2).other(A(9, 2), 0, 2, 2), Sample(A(2, 3, 5), -1, 3, 1).other(A(2, 3, 8), -1, 3, 1),
        Sample(A(4), 0, 0, 1), Sample(A(), 0, 1, 1), Sample(A(5), 0, 5, 3), Sample(A(9), 0, 2, 4), Sample(A(2, 7), dimension=1, size=3, step=2),
        *typed((2, 3), lambda x: Sample(x, 1, 2, 1)),
    ], errors=[
        Error(RuntimeError, "maximum size for tensor at dimension 1 is 4 but size is 5", A(2, 4), 1, 5, 1),
        Error(RuntimeError, "step is 0 but must be > 0", A(2, 4), 1, 2, 0), Error(RuntimeError, "size is -1 but must be >= 0", A(2, 4), 1, -1, 1),
    ]),
    Row("torch.diagonal", "Tensor.diagonal", samples=[
        Sample(A(3, 4)).other(A(5, 3)), Sample(A(3, 4), 1), Sample(A(3, 4), -2), Sample(A(3, 4), 9), Sample(A(2, 3, 4), 0, 1, 2).other(A(2, 5, 4), 0, 1, 2),
        Sample(A(2, 3, 4), -1, -1, 0), Sample(A(2, 3, 4), offset=1, dim1=0, dim2=2), *typed((3, 3), lambda x: Sample(x)),
    ], errors=[Error(RuntimeError, "diagonal dimensions cannot be identical 1, 1", A(2, 3), 0, 1, 1)]),
    Row("Tensor.fill_diagonal_", samples=[
        Sample(A(3, 4), 2.5).other(A(5, 3), 2.5), Sample(A(7, 3), 1.0, True), Sample(A(3, 3, 3), fill_value=-1.0, wrap=False), Sample(I(4, 4), 3),
    ], errors=[
        Error(RuntimeError, "dimensions must larger than 1", A(3), 1.0), Error(RuntimeError, "all dimensions of input must be of equal length", A(3, 3, 2), 1.0),
    ]),
    Row("linalg.diagonal", samples=[Sample(A(2, 3, 4)), Sample(A(2, 3, 4), offset=1, dim1=0, dim2=1)]),
    Row("torch.diag", "Tensor.diag", samples=[
        Sample(A(3)).other(A(5)), Sample(A(3), 1).other(A(4), 1), Sample(A(3), -2), Sample(A(3, 4), 1), Sample(A(3, 4), -1).other(A(5, 4), -1),
        Sample(A(3, 4), -5), Sample(A(3, 3), diagonal=0), *typed((2,), lambda x: Sample(x, 1)),
    ], errors=[Error(RuntimeError, r"diag\(\): Supports 1D or 2D tensors. Got 3D", A(2, 3, 4))]),
    Row("torch.diag_embed", "Tensor.diag_embed", samples=[
        Sample(A(2, 3)).other(A(4, 5)), Sample(A(2, 3), 1), Sample(A(2, 3), -2), Sample(A(2, 3), 1, 0, 2), Sample(A(3), offset=0, dim1=1, dim2=0),
    ], errors=[Error(RuntimeError, "diagonal dimensions cannot be identical 0, 0", A(2), 0, 0, 0)]),
    Row("torch.diagflat", "Tensor.diagflat", samples=[Sample(A(2, 3), 1), Sample(A(3)), Sample(A())]),
]  # fmt: skip

JOINING = [
    Row("torch.cat", "torch.concat", "torch.concatenate", samples=[
        Sample([A(2, 3), A(4, 3)]).other([A(5, 3), A(1, 3)]), Sample([A(2, 3), A(2, 4)], 1).other([A(3, 3), A(3, 4)], 1), Sample((A(2, 3),), dim=-1),
        Sample([A(2, 3), I(2, 3)], 0), Sample([I(2, dtype="uint8"), I(2, dtype="int8"), B(2)]), Sample([B(2, 2), B(2, 2)]),
        Sample([A(2, 3), A(0)], 1), Sample([A(0), A(0)]), Sample([A(0), A(2, 3), A(0, 3)]), Sample([A(2, dtype="float16"), A(2, dtype="bfloat16")], rtol=1e-2)
        .without("export", "no bfloat16 arrays").without("recording", "no bfloat16 arrays"),
        *typed((2, 3), lambda x: Sample([x, x], -1)),
    ], errors=[
        Error(ValueError, r"torch.cat\(\): expected a non-empty list of Tensors", []),
        Error(RuntimeError, "Tensors must have same number of dimensions: got 3 and 2", [A(2, 3, 4), A(3, 4)]),
        Error(RuntimeError, "Sizes of tensors must match except in dimension 0. Expected size 3 but got size 4 for tensor number 1 in the list",
              [A(2, 3), A(2, 4)]),
        Error(RuntimeError, r"zero-dimensional tensor \(at position 0\) cannot be concatenated", [A(), A(2)]),
        Error(IndexError, "Dimension out of range", [A(2, 3)], 5), Error(TypeError, "expected Tensor as element 1 in argument 0, but got int", [A(2), 1]),
    ]),
    Row("torch.stack", samples=[
        Sample([A(2, 3), A(2, 3, seed=1)]).other([A(4, 5), A(4, 5)]), Sample([A(2), A(2)], 1), Sample([A(2), A(2)], dim=-2), Sample([A(2), I(2)]), Sample([A(), A()]),
        *typed((2,), lambda x: Sample([x, x])),
    ], errors=[
        Error(RuntimeError, "stack expects a non-empty TensorList", []),
        Error(RuntimeError, r"stack expects each tensor to be equal size, but got \[2, 3\] at entry 0 and \[3\] at entry 1", [A(2, 3), A(3)]),
    ]),
    *(Row(f"torch.{name}", samples=[Sample([A(2, 3, 2), A(2, 3, 2, seed=1)]), Sample([A(3), A(3, seed=1)]), Sample([A(), A(seed=1)])])
      for name in ("hstack", "vstack", "dstack", "column_stack", "row_stack")),
    Row("torch.column_stack", samples=[Sample([A(3), A(3, 2)]).other([A(5), A(5, 2)])]),
    Row("torch.split", samples=[
        Sample(A(5, 3), 2), Sample(A(2, 6), 3, 1).other(A(5, 6), 3, 1), Sample(A(2, 5), [1, 4], -1).other(A(7, 5), [1, 4], -1), Sample(A(5), (2, 0, 3)),
        Sample(A(0, 3), 0), Sample(A(0, 3), 2), Sample(A(3), 9), Sample(tensor=A(4, 2), split_size_or_sections=2, dim=0),
        *typed((2, 3), lambda x: Sample(x, 2, 1)),
    ], errors=[
        Error(RuntimeError, "split_size can only be 0 if dimension size is 0, but got dimension size of 3", A(2, 3), 0, 1),
        Error(RuntimeError, "split expects split_size be non-negative, but got split_size=-1", A(2, 3), -1, 1),
        Error(RuntimeError, r"split_with_sizes expects split_sizes to sum exactly to 3 \(input tensor's size at dimension 1\), but got "
              r"split_sizes=\[1, 1\]", A(2, 3), [1, 1], 1),
        Error(RuntimeError, r"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes=\[1, -1, 3\]", A(2, 3), [1, -1, 3], 1),
        Error(RuntimeError, "split expects at least a 1-dimensional tensor", A(), 1),
    ]),
    Row("Tensor.split", samples=[Sample(A(5, 3), 2), Sample(A(5, 3), [1, 2], dim=1), Sample(A(5, 3), split_size=3)]),
    Row("torch.split_with_sizes", "Tensor.split_with_sizes", "torch.unsafe_split_with_sizes", "Tensor.unsafe_split_with_sizes",
        samples=[Sample(A(2, 3), (1, 2), 1), Sample(A(3), split_sizes=[3, 0])]),
    Row("torch.unsafe_split", "Tensor.unsafe_split", samples=[Sample(A(2, 3), 2, 1)]),
    Row("torch.chunk", "Tensor.chunk", "torch.unsafe_chunk", "Tensor.unsafe_chunk", samples=[
        Sample(A(2, 6), 3, 1).other(A(5, 6), 3, 1), Sample(A(2, 7), 2, 1).other(A(2, 5), 2, 1), Sample(A(9), 3).other(A(14), 3), Sample(A(4), 3),
        Sample(A(4), 9), Sample(A(0, 2), 3), Sample(A(3), 1), Sample(A(2, 4), chunks=2, dim=-1),
    ], errors=[
        Error(RuntimeError, "chunk expects `chunks` to be greater than 0, got: 0", A(2), 0), Error(RuntimeError, "chunk expects at least a 1-dimensional tensor", A(), 1),
    ]),
    Row("torch.tensor_split", "Tensor.tensor_split", samples=[
        Sample(A(7), 3).other(A(11), 3), Sample(A(2, 4), 3, 1), Sample(A(2, 4), (1, 3), -1).other(A(2, 6), (1, 3), -1), Sample(A(4), (3, 1, 9, -1)), Sample(A(2), 4),
        Sample(A(4), T([1, 3], "int64")).without("module", "reads data").without("export", "reads data").without("recording", "reads data"),
    ], errors=[Error(RuntimeError, "number of sections must be larger than 0, got 0", A(2), 0)]),
    Row("torch.hsplit", "Tensor.hsplit", samples=[Sample(A(2, 4), 2), Sample(A(4), (1, 2)), Sample(A(2, 4), (1,))],
        errors=[Error(RuntimeError, "torch.hsplit attempted to split along dimension 1, but the size of the dimension 3 is not divisible by the split_size 2!", A(2, 3), 2)]),
    Row("torch.vsplit", "Tensor.vsplit", samples=[Sample(A(4, 2), 2)],
        errors=[Error(RuntimeError, "torch.vsplit requires a tensor with at least 2 dimension, but got a tensor with 1 dimensions!", A(4), 2)]),
    Row("torch.dsplit", "Tensor.dsplit", samples=[Sample(A(2, 2, 4), 2)]),
    Row("torch.unbind", "Tensor.unbind", samples=[Sample(A(3, 2)).other(A(3, 5)), Sample(A(2, 3), 1), Sample(A(2, 3), dim=-1), Sample(B(2, 2)),
        Sample(A(0, 2)).without("export", "nothing comes out").without("recording", "nothing comes out")],
        errors=[Error(IndexError, "Dimension specified as 0 but tensor has no dimensions", A())]),
]  # fmt: skip

ROWS = RESHAPING + AXES + EXPANDING + MOVING + JOINING
