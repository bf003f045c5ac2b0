"""Matrix products, einsum, norms."""

import math

from tests.words.contract import A, B, Error, I, Row, Sample, T
from tests.words.holes import eager_only

HALF = {"rtol": 2e-3, "atol": 2e-3}
BFLOAT = {"rtol": 3e-2, "atol": 3e-2}
INTS = ("uint8", "int8", "int16", "int32", "int64")
CANNOT = r"mat1 and mat2 shapes cannot be multiplied \(2x3 and 4x5\)"
DTYPES = "expected m1 and m2 to have the same dtype, but got: float != long int"
NO_BOOL = Error(NotImplementedError, "\"addmm_impl_cpu_\" not implemented for 'Bool'", B(2, 3), B(3, 2))

LINEAR = [
    Row(
        "F.linear",
        samples=[
            Sample(A(2, 3), A(5, 3)).other(A(4, 3), A(5, 3)),
            Sample(A(2, 3), A(5, 3), A(5)).other(A(6, 3), A(5, 3), A(5)),
            Sample(A(2, 7, 3), A(5, 3), A(5)).other(A(4, 9, 3), A(5, 3), A(5)),
            Sample(A(2, 7, 4, 3), A(5, 3)).other(A(1, 3, 6, 3), A(5, 3)),
            Sample(A(3), A(5, 3), A(5)),
            Sample(A(4, 3), A(3)),
            Sample(A(3), A(3)),
            Sample(A(2, 3), A(5, 3), A(1)),
            Sample(A(0, 3), A(5, 3), A(5)),
            Sample(A(2, 0), A(5, 0), A(5)),
            Sample(A(2, 7, 0), A(5, 0)),
            Sample(I(2, 3), I(5, 3), I(5)),
            Sample(I(2, 4, 3), I(5, 3)),
            Sample(A(2, 3, dtype="float64"), A(5, 3, dtype="float64"), A(5, dtype="float64")),
            Sample(A(2, 3, dtype="float16"), A(5, 3, dtype="float16"), A(5, dtype="float16"), **HALF),
            Sample(A(2, 3, dtype="bfloat16"), A(5, 3, dtype="bfloat16"), A(5, dtype="bfloat16"), **BFLOAT),
        ],
        errors=[
            Error(RuntimeError, CANNOT, A(2, 3), A(5, 4)),
            Error(RuntimeError, r"\(14x3 and 4x5\)", A(2, 7, 3), A(5, 4), A(5)),
            Error(RuntimeError, "inconsistent tensor size, expected tensor \\[3\\] and src \\[4\\]", A(3), A(4)),
            Error(
                RuntimeError,
                r"The expanded size of the tensor \(5\) must match the existing size \(4\)",
                A(2, 3),
                A(5, 3),
                A(4),
            ),
            Error(RuntimeError, DTYPES, A(2, 3), I(5, 3)),
            Error(RuntimeError, "both arguments to linear need to be at least 1D", A(), A(5, 3)),
        ],
    ),
    Row(
        "F.bilinear",
        "torch.bilinear",
        samples=[
            Sample(A(4, 3), A(4, 5), A(6, 3, 5), A(6)).other(A(7, 3), A(7, 5), A(6, 3, 5), A(6)),
            Sample(A(2, 4, 3), A(2, 4, 5), A(6, 3, 5), None).other(A(3, 5, 3), A(3, 5, 5), A(6, 3, 5), None),
        ],
        errors=[
            Error(
                RuntimeError,
                r"bilinear\(\): input1 size does not match weight size: got 4 but expected 3",
                A(2, 4),
                A(2, 5),
                A(6, 3, 5),
                A(6),
            )
        ],
    ),
]

MATMUL = [
    Row(
        "torch.matmul",
        "Tensor.matmul",
        "Tensor.__matmul__",
        "linalg.matmul",
        samples=[
            Sample(A(3), A(3)).other(A(5), A(5)),
            Sample(A(2, 3), A(3)).other(A(4, 5), A(5)),
            Sample(A(3), A(3, 4)),
            Sample(A(2, 3), A(3, 4)).other(A(5, 3), A(3, 6)),
            Sample(A(2, 3, 4), A(4, 5)).other(A(6, 7, 4), A(4, 5)),
            Sample(A(2, 3, 4), A(2, 4, 5)).other(A(3, 6, 4), A(3, 4, 7)),
            Sample(A(4, 5), A(2, 5, 3)),
            Sample(A(2, 1, 3, 4), A(5, 4, 2)).other(A(3, 1, 5, 4), A(6, 4, 2)),
            Sample(A(4), A(2, 4, 5)),
            Sample(A(2, 3, 4), A(4)),
            Sample(A(2, 0), A(0, 3)),
            Sample(A(0, 2), A(2, 3)),
            *[Sample(I(2, 3, dtype=d), I(3, 4, dtype=d, seed=1)) for d in INTS],
            Sample(I(2, 3, high=200, dtype="uint8"), I(3, 2, high=200, dtype="uint8")),
            Sample(A(2, 3, dtype="float64"), A(3, 4, dtype="float64")),
            Sample(A(2, 3, dtype="float16"), A(3, 4, dtype="float16"), **HALF),
            Sample(A(2, 3, dtype="bfloat16"), A(3, 4, dtype="bfloat16"), **BFLOAT),
        ],
        errors=[
            Error(RuntimeError, CANNOT, A(2, 3), A(4, 5)),
            Error(RuntimeError, r"\(1x4 and 2x3\)", A(4), A(2, 3)),
            Error(RuntimeError, r"\(4x3 and 4x5\)", A(2, 2, 3), A(4, 5)),
            Error(
                RuntimeError,
                "inconsistent tensor size, expected tensor \\[2\\] and src \\[3\\] to have the same number",
                A(2),
                A(3),
            ),
            Error(RuntimeError, r"size mismatch, got input \(2\), mat \(2x3\), vec \(4\)", A(2, 3), A(4)),
            Error(
                RuntimeError,
                r"Expected size for first two dimensions of batch2 tensor to be: \[2, 3\] but got: \[2, 4\]",
                A(2, 2, 3),
                A(2, 4, 5),
            ),
            Error(
                RuntimeError,
                r"The size of tensor a \(2\) must match the size of tensor b \(3\) at non-singleton "
                r"dimension 0",
                A(2, 2, 3),
                A(3, 3, 5),
            ),
            Error(
                RuntimeError,
                "both arguments to matmul need to be at least 1D, but they are 0D and 1D",
                A(),
                A(2),
            ),
            Error(RuntimeError, DTYPES, A(2, 3), I(3, 2)),
            NO_BOOL,
        ],
    ),
    Row("Tensor.__rmatmul__", samples=[Sample(A(3, 4), A(2, 3)).other(A(3, 5), A(6, 3))]),
    Row(
        "torch.mm",
        "Tensor.mm",
        samples=[Sample(A(2, 3), A(3, 4)).other(A(5, 6), A(6, 7)), Sample(I(2, 3), I(3, 4))],
        errors=[
            Error(RuntimeError, CANNOT, A(2, 3), A(4, 5)),
            Error(RuntimeError, "mat2 must be a matrix", A(2, 3), A(3)),
        ],
    ),
    Row(
        "torch.bmm",
        "Tensor.bmm",
        samples=[
            Sample(A(2, 3, 4), A(2, 4, 5)).other(A(3, 6, 4), A(3, 4, 7)),
            Sample(I(2, 3, 4), I(2, 4, 5)),
        ],
        errors=[
            Error(RuntimeError, "batch1 must be a 3D tensor", A(2, 3), A(3)),
            Error(RuntimeError, r"to be: \[2, 3\] but got: \[3, 3\]", A(2, 2, 3), A(3, 3, 5)),
        ],
    ),
    Row(
        "torch.mv",
        "Tensor.mv",
        samples=[Sample(A(2, 3), A(3)).other(A(5, 4), A(4))],
        errors=[Error(RuntimeError, r"size mismatch, got input \(2\), mat \(2x3\), vec \(4\)", A(2, 3), A(4))],
    ),
    *(
        Row(
            f"torch.{n}",
            f"Tensor.{n}",
            samples=[Sample(A(3), A(3, seed=1)).other(A(7), A(7, seed=1)), Sample(I(4), I(4))],
            errors=[
                Error(RuntimeError, "inconsistent tensor size, expected tensor \\[2\\]", A(2), A(3)),
                Error(RuntimeError, "1D tensors expected, but got 2D and 1D tensors", A(2, 2), A(2)),
            ],
        )
        for n in ("dot", "vdot")
    ),
    Row(
        "torch.addmm",
        "Tensor.addmm",
        samples=[
            Sample(A(4), A(2, 3), A(3, 4)).other(A(4), A(5, 3), A(3, 4)),
            Sample(A(2, 4), A(2, 3), A(3, 4), beta=0.5, alpha=2),
            Sample(T([math.nan]), A(2, 3), A(3, 4), beta=0),
            Sample(I(2, 4), I(2, 3), I(3, 4), beta=2, alpha=3),
            Sample(A(2, 1), A(2, 3), A(3, 4)),
            Sample(A(), A(2, 3), A(3, 4)),
        ],
        errors=[
            Error(RuntimeError, CANNOT, A(3), A(2, 3), A(4, 5)),
            Error(
                RuntimeError,
                r"The expanded size of the tensor \(5\) must match the existing size \(7\)",
                A(7),
                A(2, 3),
                A(3, 5),
            ),
        ],
    ),
    Row(
        "torch.baddbmm",
        "Tensor.baddbmm",
        samples=[
            Sample(A(2, 3, 5), A(2, 3, 4), A(2, 4, 5)).other(A(3, 6, 5), A(3, 6, 4), A(3, 4, 5)),
            Sample(A(5), A(2, 3, 4), A(2, 4, 5), beta=0.5, alpha=2),
            Sample(A(1), A(2, 3, 4), A(2, 4, 5), beta=0),
        ],
        errors=[
            Error(
                RuntimeError,
                r"The expanded size of the tensor \(6\) must match the existing size \(5\) at "
                r"non-singleton dimension 2",
                A(2, 3, 5),
                A(2, 3, 4),
                A(2, 4, 6),
            )
        ],
    ),
    Row(
        "torch.addbmm",
        "Tensor.addbmm",
        samples=[
            Sample(A(3, 5), A(2, 3, 4), A(2, 4, 5)).other(A(3, 5), A(4, 3, 6), A(4, 6, 5)),
            Sample(I(3, 5), I(2, 3, 4), I(2, 4, 5), beta=2),
        ],
    ),
    Row(
        "torch.addmv",
        "Tensor.addmv",
        samples=[
            Sample(A(2), A(2, 3), A(3)).other(A(4), A(4, 5), A(5)),
            Sample(A(2), A(2, 3), A(3), beta=0.5, alpha=2),
        ],
        errors=[Error(RuntimeError, "size mismatch|The expanded size", A(3), A(2, 3), A(4))],
    ),
    Row(
        "torch.addr",
        "Tensor.addr",
        samples=[
            Sample(A(2, 3), A(2), A(3)).other(A(4, 5), A(4), A(5)),
            Sample(A(3), A(2), A(3), beta=0.5, alpha=2),
        ],
        errors=[
            Error(
                RuntimeError,
                r"The expanded size of the tensor \(4\) must match the existing size \(3\)",
                A(2, 3),
                A(2),
                A(4),
            )
        ],
    ),
    Row(
        "torch.chain_matmul",
        samples=[
            Sample(A(2, 3), A(3, 4), A(4, 5)).other(A(7, 3), A(3, 4), A(4, 1)),
            Sample(A(9, 3), A(3, 4), A(4, 1)),
        ],
    ),
    Row(
        "linalg.multi_dot",
        samples=[
            Sample([A(2, 3), A(3, 4), A(4, 5)]).other([A(7, 3), A(3, 4), A(4, 1)]),
            Sample([A(3), A(3, 4), A(4)]),
        ],
    ),
    Row(
        "linalg.matrix_power",
        "torch.matrix_power",
        "Tensor.matrix_power",
        samples=[Sample(A(2, 3, 3), 5).other(A(4, 3, 3), 5), Sample(A(3, 3), 0), Sample(A(3, 3), 1)],
        errors=[Error(NotImplementedError, "Supported: n >= 0", A(3, 3), -1, only="platform")],
    ),
    Row(
        "torch.outer",
        "Tensor.outer",
        "torch.ger",
        "Tensor.ger",
        samples=[Sample(A(3), A(4)).other(A(5), A(2)), Sample(I(3), A(4)), Sample(B(3), B(4, seed=1))],
        errors=[Error(RuntimeError, "outer: Expected 1-D argument self, but got 2-D", A(2, 2), A(2))],
    ),
    Row(
        "torch.kron",
        "Tensor.kron",
        samples=[
            Sample(A(2, 3), A(4, 2)).other(A(3, 3), A(4, 5)),
            Sample(A(2), A(3, 3)),
            Sample(A(2, 2, 2), I(3)),
        ],
    ),
    Row(
        "torch.inner",
        "Tensor.inner",
        samples=[
            Sample(A(2, 3), A(4, 3)).other(A(5, 6), A(7, 6)),
            Sample(A(3), A(3)),
            Sample(A(), A(3)),
            Sample(A(2, 3, 4), A(5, 4)),
        ],
        errors=[
            Error(
                RuntimeError,
                r"inner\(\) the last dimension must match on both input tensors",
                A(2, 3),
                A(2, 4),
            )
        ],
    ),
    Row(
        "torch.cross",
        "Tensor.cross",
        samples=[
            Sample(A(4, 3), A(4, 3, seed=1), 1).other(A(6, 3), A(6, 3, seed=1), 1),
            Sample(A(3, 5), A(3, 5, seed=1)),
            Sample(I(4, 3), I(4, 3, seed=1), dim=-1),
        ],
        errors=[Error(RuntimeError, "no dimension of size 3 in input", A(2, 4), A(2, 4))],
    ),
    Row(
        "linalg.cross",
        samples=[Sample(A(4, 3), A(1, 3)).other(A(6, 3), A(1, 3)), Sample(A(3, 5), A(3, 5, seed=1), dim=0)],
        errors=[
            Error(
                RuntimeError,
                "linalg.cross: inputs dimension -1 must have length 3. Got 4 and 4",
                A(2, 4),
                A(2, 4),
            )
        ],
    ),
    Row(
        "linalg.vecdot",
        samples=[
            Sample(A(4, 3), A(4, 3, seed=1)).other(A(6, 5), A(6, 5, seed=1)),
            Sample(A(3, 5), A(5), dim=-1),
        ],
    ),
    Row(
        "torch.cdist",
        samples=[
            Sample(A(4, 3), A(5, 3)).other(A(6, 3), A(7, 3)),
            Sample(A(2, 4, 3), A(2, 5, 3), 1.0).other(A(3, 2, 3), A(3, 6, 3), 1.0),
            *[Sample(A(4, 3), A(5, 3), p=p) for p in (0.0, 0.5, 3.0, math.inf)],
            Sample(A(30, 3), A(40, 3), rtol=1e-4),
            Sample(A(4, 3), A(5, 3), compute_mode="use_mm_for_euclid_dist", rtol=1e-4),
            Sample(A(4, 3), A(5, 3), compute_mode="donot_use_mm_for_euclid_dist"),
            Sample(A(2, 1, 4, 3), A(3, 5, 3)),
        ],
        errors=[Error(RuntimeError, "X1 and X2 must have the same number of columns. X1: 3 X2: 4", A(2, 3), A(2, 4))],
    ),
]


def es(equation: str, *shapes: tuple, **kwargs) -> Sample:
    return Sample(equation, *[A(*s, seed=k) for k, s in enumerate(shapes)], **kwargs)


def es2(equation: str, first: list, second: list) -> Sample:
    return es(equation, *first).other(equation, *[A(*s, seed=k) for k, s in enumerate(second)])


EINSUM = [
    Row(
        "torch.einsum",
        samples=[
            es2("ij,jk->ik", [(2, 3), (3, 4)], [(5, 6), (6, 7)]),
            es2("bhid,bhjd->bhij", [(2, 3, 4, 5), (2, 3, 6, 5)], [(1, 3, 7, 5), (1, 3, 8, 5)]),
            es2("bhij,bhjd->bhid", [(2, 3, 4, 5), (2, 3, 5, 6)], [(3, 3, 2, 7), (3, 3, 7, 6)]),
            es2("bhwc,hkc->bhwk", [(2, 3, 4, 5), (3, 6, 5)], [(4, 2, 6, 5), (2, 6, 5)]),
            es2("bhwc,wkc->bhwk", [(2, 3, 4, 5), (4, 6, 5)], [(4, 2, 6, 5), (6, 6, 5)]),
            es2("nchw,kc->nkhw", [(2, 3, 4, 5), (6, 3)], [(1, 3, 7, 6), (6, 3)]),
            es2("b c h w, b c -> b h w", [(2, 3, 4, 5), (2, 3)], [(4, 3, 6, 5), (4, 3)]),
            es2("ncthw,ncthw->nthw", [(2, 3, 2, 4, 5), (2, 3, 2, 4, 5)], [(1, 3, 3, 6, 4), (1, 3, 3, 6, 4)]),
            es2("ij->ji", [(2, 3)], [(5, 4)]),
            es2("ij->", [(2, 3)], [(5, 4)]),
            es("ij", (2, 3)),
            es("ba", (2, 3)),
            es2("ii->i", [(3, 3)], [(5, 5)]),
            es("ii", (3, 3)),
            es("bii->bi", (2, 3, 3)),
            es("i,j->ij", (2,), (3,)),
            es("i,i->", (3,), (3,)),
            es("ij,ij->ij", (2, 3), (2, 3)),
            es("ij,j", (2, 3), (3,)),
            es2("...ij,...jk->...ik", [(2, 3, 4, 5), (3, 5, 6)], [(1, 2, 7, 5), (2, 5, 6)]),
            es("...i,...i->...", (2, 3, 4), (2, 3, 4)),
            es("i...->...i", (2, 3, 4)),
            es("...ij->...ji", (2, 3, 4)),
            es("a...b,b->a...", (2, 3, 4, 5), (5,)),
            es2("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)], [(6, 3), (3, 2), (2, 7)]),
            es("bi,oij,bj->bo", (4, 3), (6, 3, 5), (4, 5)),
            es("ijk,jkl->il", (2, 3, 4), (3, 4, 5)),
            es2("ijkl,jl->ik", [(2, 3, 4, 5), (3, 5)], [(3, 4, 2, 6), (4, 6)]),
            es("ij,jk->ik", (2, 1), (3, 4)),
            es("ij,ij->i", (2, 1), (2, 3)),
            es("ij,ik->ijk", (2, 3), (1, 4)),
            es("b i d, b j d -> b i j", (2, 3, 4), (2, 5, 4)),
            es("ijk,lmk->ijlm", (2, 3, 4), (5, 6, 4)),
            es("bij,bjk->", (2, 3, 4), (2, 4, 5)),
            es("ijj,jk->ik", (2, 3, 3), (3, 4)),
            Sample("ij,jk->ik", I(2, 3), I(3, 4)),
            Sample("ij,jk->ik", I(2, 3, dtype="int16"), I(3, 4, dtype="int16")),
            Sample("i,j->ij", A(2, dtype="float64"), A(3, dtype="float64")),
            Sample(A(2, 3), [0, 1], A(3, 4), [1, 2], [0, 2]),
            Sample(A(2, 3), [0, 1], A(3, 4), [1, 2]),
            Sample(A(2, 3, 4), [Ellipsis, 1], A(4, 5), [1, 2], [Ellipsis, 2]),
            Sample("ij,jk->ik", [A(2, 3), A(3, 4)]),
            Sample("ij,jk->ik", A(2, 3, dtype="float16"), A(3, 4, dtype="float16"), **HALF),
        ],
        errors=[
            Error(
                RuntimeError,
                r"einsum\(\): subscript j has size 4 for operand 1 which does not broadcast with "
                r"previously seen size 3",
                "ij,jk->ik",
                A(2, 3),
                A(4, 5),
            ),
            Error(
                RuntimeError,
                r"output subscript l does not appear in the equation for any input operand",
                "ij,jk->il",
                A(2, 3),
                A(3, 5),
            ),
            Error(
                RuntimeError,
                r"the number of subscripts in the equation \(2\) does not match the number of "
                r"dimensions \(3\) for operand 0",
                "ij",
                A(2, 3, 4),
            ),
            Error(RuntimeError, "fewer operands were provided than specified in the equation", "ij,jk", A(2, 3)),
            Error(
                RuntimeError,
                "subscript i is repeated for operand 0 but the sizes don't match, 3 != 2",
                "ii->i",
                A(2, 3),
            ),
        ],
    ),
    Row(
        "torch.tensordot",
        samples=[
            Sample(A(2, 3, 4), A(3, 4, 5)).other(A(6, 3, 4), A(3, 4, 2)),
            Sample(A(2, 3), A(3, 4), 1),
            Sample(A(2, 3), A(4, 5), 0),
            Sample(A(2, 3, 4), A(4, 3, 5), ([1, 2], [1, 0])),
            Sample(A(2, 3, 4), A(5, 4), dims=([-1], [-1])),
            Sample(A(2, 1), A(3, 4), 1),
            Sample(I(2, 3), I(3, 4), 1),
        ],
        errors=[
            Error(
                RuntimeError,
                "contracted dimensions need to match, but first has size 3 in dim -1 and second has size 4 in dim 0",
                A(2, 3),
                A(4, 5),
                1,
            ),
            Error(RuntimeError, "both dimension lists should have same length", A(2, 3), A(4, 5), ([0], [0, 1])),
        ],
    ),
]

ROWS = [*LINEAR, *MATMUL, *EINSUM]

INF = math.inf
NORM_DIMS = [
    Sample(A(3, 4, 5)).other(A(2, 6, 7)),
    *[Sample(A(3, 4), p).other(A(5, 6), p) for p in (2, 1, 0, 3, 0.5, -1, INF, -INF)],
    Sample(A(3, 4), 2, 1).other(A(5, 6), 2, 1),
    Sample(A(3, 4), 3, dim=-1, keepdim=True),
    Sample(A(3, 4, 5), 1, (0, 2)),
    Sample(A(3, 4), dtype="dtype:float64"),
    Sample(A(3, 4), 2, None, True),
    Sample(A(), 2),
    Sample(A(0), 2),
    Sample(A(3, 4, dtype="float16"), 3, **HALF),
    Sample(A(3, 4, dtype="bfloat16"), **BFLOAT),
    Sample(T([[0.0, -2.0], [3.0, 0.0]]), 0, 1),
    Sample(A(2, 3, dtype="float64"), 2, 1),
]
NOT_FLOAT = Error(
    RuntimeError, "linalg.vector_norm: Expected a floating point or complex tensor as input. Got Long", I(3)
)
NORMS = [
    *(
        Row(
            name,
            samples=[
                *NORM_DIMS,
                Sample(A(3, 4), "fro"),
                Sample(A(3, 4), "fro", 1),
                Sample(A(3, 4), "fro", (0, 1), True),
                Sample(A(3, 4), p=None),
            ],
            errors=[
                NOT_FLOAT,
                Error(RuntimeError, "Order x not supported", A(2, 3), "x"),
                Error(NotImplementedError, "singular values", A(2, 3), "nuc", only="platform"),
            ],
        )
        for name in ("torch.norm", "Tensor.norm")
    ),
    Row(
        "linalg.vector_norm",
        samples=[*NORM_DIMS, Sample(A(3, 4), 1, dim=())],
        errors=[
            NOT_FLOAT,
            Error(
                RuntimeError,
                "cannot compute the inf norm on an empty tensor because the operation does not have an identity",
                A(0),
                INF,
            ),
        ],
    ),
    Row(
        "linalg.matrix_norm",
        samples=[
            Sample(A(2, 3, 4)).other(A(3, 5, 6)),
            *[Sample(A(2, 3, 4), p).other(A(3, 5, 6), p) for p in (1, -1, INF, -INF)],
            Sample(A(2, 3, 4), 1, (0, 2), True),
            Sample(A(3, 4), INF, dim=(1, 0)),
            Sample(A(3, 4), dtype="dtype:float64"),
        ],
        errors=[
            Error(RuntimeError, "linalg.matrix_norm: The input tensor A must have at least 2 dimensions", A(3)),
            Error(RuntimeError, "Order 3 not supported", A(3, 3), 3),
            Error(NotImplementedError, r"ord=2 \(singular values\)", A(3, 3), 2, only="platform"),
            Error(RuntimeError, "dims must be different", A(3, 3), "fro", (0, 0)),
        ],
    ),
    Row(
        "linalg.norm",
        samples=[
            Sample(A(3, 4)).other(A(5, 6)),
            *[Sample(A(3, 4), p) for p in (1, -1, INF, -INF, "fro")],
            Sample(A(5), 3),
            Sample(A(3, 4), 1, 0),
            Sample(A(3, 4), 1, (0, 1)),
            Sample(A(2, 3, 4)),
            Sample(A(3, 4), dim=(0, 1), keepdim=True),
            Sample(A(3, 4), 0, dim=1),
        ],
        errors=[
            Error(
                RuntimeError,
                "If dim is not specified but ord is, the input must be 1D or 2D. Got 3D",
                A(2, 2, 2),
                2,
            ),
            NOT_FLOAT,
        ],
    ),
    Row(
        "torch.dist",
        "Tensor.dist",
        samples=[
            Sample(A(3, 4), A(4)).other(A(2, 5), A(5)),
            Sample(A(3), A(3, seed=1), 3),
            Sample(A(3), A(3, seed=1), INF),
            Sample(A(3), A(3, seed=1), 0),
        ],
    ),
    Row(
        "torch.renorm",
        "Tensor.renorm",
        samples=[
            Sample(A(3, 4, 5), 2, 0, 3.0).other(A(2, 6, 5), 2, 0, 3.0),
            Sample(A(3, 4), 1, 1, 0.5),
            Sample(A(3, 4), 2, -1, 100.0),
        ],
    ),
    Row(
        "torch.det",
        "Tensor.det",
        "linalg.det",
        samples=[
            Sample(A(3, 3)).other(A(5, 5)),
            Sample(A(2, 4, 3, 3)).other(A(3, 5, 3, 3)),
            Sample(A(2, 2, dtype="float64")),
            Sample(A(1, 1)),
        ],
        errors=[
            Error(RuntimeError, "A must be batches of square matrices, but they are 2 by 3 matrices", A(2, 3)),
            Error(RuntimeError, "must have at least 2 dimensions", A(3)),
            Error(
                RuntimeError,
                "linalg.det: Expected a floating point or complex tensor as input. Got Long",
                I(2, 2),
            ),
        ],
    ),
    Row("torch.logdet", "Tensor.logdet", samples=[Sample(T([[2.0, 0.5], [0.1, 1.0]])), Sample(A(2, 3, 3))]),
    Row(
        "torch.trace",
        "Tensor.trace",
        samples=[
            Sample(A(3, 4)).other(A(6, 5)),
            Sample(A(4, 3)),
            Sample(I(3, 3)),
            Sample(I(3, 3, dtype="int32")),
            Sample(A(0, 3)),
        ],
        errors=[Error(RuntimeError, "trace: expected a matrix, but got tensor with dim 1", A(3))],
    ),
]

ROWS = [*ROWS, *NORMS]

eager_only(ROWS)
eager_only(ROWS, "torch.det", dtype="float64")
