"""Words that ONNX cannot express: torch has them, the platform says so; and attributes of tensors."""

from tests.words.contract import A, Error, Row, Sample

WORDS = "has no ONNX operator"
REASON = "torch's signature is that of a dispatcher or of C"

ROWS = [
    *(
        Row(
            f"F.fractional_max_pool{n}d", f"F.fractional_max_pool{n}d_with_indices", samples=[], signature=False,
            reason=REASON, errors=[Error(NotImplementedError, WORDS, A(1, 2, *[8] * n), 2, 4, only="platform")],
        )
        for n in (2, 3)
    ),
    Row(
        "torch.as_strided", "Tensor.as_strided", samples=[],
        errors=[Error(NotImplementedError, WORDS, A(2, 3), (2,), (1,), only="platform")],
    ),
    *(
        Row(f"Tensor.{name}", samples=[Sample(A(2, 3)).other(A(4, 5))], signature=False, reason="an attribute")
        for name in ("T", "H", "mT", "mH")
    ),
]  # fmt: skip
