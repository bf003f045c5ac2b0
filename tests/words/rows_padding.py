"""Contract of `F.pad`: every mode, rank and sign, and what it refuses."""

from tests.words.contract import A, B, Error, I, Row, Sample


def unrun(sample: Sample) -> Sample:
    """A sample whose file cannot be run: the runtime takes no bfloat16 arrays."""
    return sample.without("export", "no bfloat16 arrays").without("recording", "no bfloat16 arrays")


CONSTANT = [
    Sample(A(2, 3), (1, 2)).other(A(4, 5), (1, 2)), Sample(A(1, 2, 3, 4), (1, 1, 2, 0)).other(A(2, 2, 5, 7), (1, 1, 2, 0)),
    Sample(A(2, 3), (1, 2, 3, 4), "constant", 1.5), Sample(A(2, 3), (1, 1), value=-float("inf")), Sample(A(2, 3), (1, 1), value=float("nan")),
    Sample(A(4, 5), (-1, -2)).other(A(4, 8), (-1, -2)), Sample(A(4, 5), (-1, 2, 1, -1), value=2.0).other(A(3, 7), (-1, 2, 1, -1), value=2.0),
    Sample(A(2, 3), (0, 0)), Sample(A(2, 3), ()), Sample(A(1, 0, 2), (1, 1, 1, 1)), Sample(A(1, 1, 1, 1, 1, 2), (1, 1) * 6),
    Sample(A(3), [1, 1]), Sample(A(2, 3), (-3, 1)), Sample(A(2, 2), pad=(0, 1), mode="constant", value=None),
    *(Sample(I(2, 3, dtype=d), (1, 1), value=3) for d in ("int64", "int32", "int16", "int8", "uint8")),
    Sample(I(2, 3), (1, 1), value=1.7), Sample(B(2, 3), (1, 1), value=True), Sample(B(2, 3), (1, 1)),
    *(Sample(A(2, 3, dtype=d), (1, 1), value=0.5) for d in ("float16", "float64")),
    unrun(Sample(A(2, 3, dtype="bfloat16"), (1, 1), value=0.5)),
]  # fmt: skip

MIRRORED = [
    Sample(A(2, 3, 4), (1, 2), mode).other(A(2, 3, 7), (1, 2), mode) for mode in ("reflect", "replicate", "circular")
] + [
    Sample(A(2, 3, 4, 5), (1, 2, 2, 1), mode).other(A(1, 3, 5, 3), (1, 2, 2, 1), mode)
    for mode in ("reflect", "replicate", "circular")
] + [
    Sample(A(1, 2, 3, 4, 5), (1, 2, 0, 1, 2, 1), mode).other(A(1, 2, 4, 3, 3), (1, 2, 0, 1, 2, 1), mode)
    for mode in ("reflect", "replicate", "circular")
] + [
    Sample(A(3, 4), pad, mode)
    for mode in ("reflect", "replicate", "circular")
    for pad in ((1, 1), (3, 3), (-1, 2), (2, -1), (-1, 3), (0, 0), (-1, -1), (0, 2))
] + [
    Sample(A(1, 2, 4, 5), (1, -1, -2, 1), mode).other(A(1, 2, 5, 6), (1, -1, -2, 1), mode)
    for mode in ("reflect", "replicate", "circular")
] + [
    Sample(A(3, 4), (4, 4), "circular"), Sample(A(3, 4), (9, 7), "replicate"), Sample(A(0, 3, 4), (1, 1), "reflect"),
    Sample(B(3, 4), (1, 2), "circular"), Sample(A(3, 4), (-2, -2), "circular"),
] + [
    Sample(I(3, 4, dtype=d), (1, 2), mode)
    for mode in ("reflect", "replicate", "circular")
    for d in ("int64", "int32", "int16", "int8", "uint8")
] + [
    Sample(A(3, 4, dtype=d), (1, 2), mode)
    for mode in ("reflect", "replicate", "circular")
    for d in ("float16", "float64")
] + [
    unrun(Sample(A(3, 4, dtype="bfloat16"), (1, 2), mode)) for mode in ("reflect", "replicate", "circular")
]  # fmt: skip

ROWS = [
    Row("F.pad", samples=[*CONSTANT, *MIRRORED], errors=[
        Error(RuntimeError, "Padding length must be divisible by 2", A(2, 3), (1,)),
        Error(RuntimeError, "Padding length should be less than or equal to two times the input dimension but got padding length 8 and "
              "input of dimension 3", A(2, 3, 4), (1, 1) * 4),
        Error(NotImplementedError, "Unrecognised padding mode foo", A(2, 3), (1, 1), "foo"),
        Error(RuntimeError, r"Argument #4: Padding size should be less than the corresponding input dimension, but got: padding \(4, 0\) at "
              r"dimension 2 of input \[1, 3, 4\]", A(1, 3, 4), (4, 0), "reflect"),
        Error(RuntimeError, r"Argument #6: Padding size should be less than the corresponding input dimension, but got: padding \(3, 0\) at "
              r"dimension 2 of input \[1, 1, 3, 4\]", A(1, 1, 3, 4), (1, 1, 3, 0), "reflect"),
        Error(RuntimeError, "Padding value causes wrapping around more than once", A(1, 3, 4), (5, 0), "circular"),
        Error(RuntimeError, "Negative padding value is resulting in an empty dimension", A(1, 3, 4), (-5, 0), "circular"),
        Error(RuntimeError, r"input \(W: 4\) is too small. Calculated output W: 0", A(1, 3, 4), (-2, -2), "reflect"),
        Error(RuntimeError, r"input \(W: 4\) is too small. Calculated output W: -1", A(1, 3, 4), (-5, 0), "replicate"),
        Error(NotImplementedError, "Padding size 2 is not supported for 4D input tensor", A(1, 1, 3, 4), (1, 1), "circular"),
        Error(NotImplementedError, "\"reflection_pad1d\" not implemented for 'Bool'", B(3, 4), (1, 1), "reflect"),
        Error(RuntimeError, "narrow\\(\\): length must be non-negative", A(1, 3, 4), (-3, -3)),
        Error(RuntimeError, 'Padding mode "reflect" doesn\'t take in value argument', A(3, 4), (1, 1), "reflect", 1.0),
        Error(RuntimeError, "value cannot be converted to type uint8_t without overflow", I(2, 3, dtype="uint8"), (1, 1), value=-1),
    ]),
    Row("torch.constant_pad_nd", samples=[Sample(A(2, 3), (1, 2), 4.0), Sample(A(2, 3), (1, -1))]),
]  # fmt: skip
