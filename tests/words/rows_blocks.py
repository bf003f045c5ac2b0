"""Rows of `words/blocks.py`."""

from tests.words.contract import A, Error, I, Row, Sample

ROWS = [
    Row(
        "torch.block_diag",
        samples=[
            Sample(A(2, 3), A(1, 2)).other(A(4, 3), A(2, 5)),
            Sample(A(3), A(2, 2), A()),
            Sample(A(2, 2), I(1, 2)),
        ],
        errors=[Error(RuntimeError, "must have 2 or fewer dimensions", A(2, 2, 2))],
    ),
    Row(
        "torch.broadcast_shapes",
        samples=[Sample((2, 1), (3,)), Sample(4, (1, 1)), Sample((5, 1, 3), (1, 2, 1))],
        errors=[Error(RuntimeError, "Attempting to broadcast a dimension of length 3 at -1! Mismatching", (2,), (3,))],
    ),
]
