"""Detection: non-maximum suppression."""

import numpy as np

from tests.words.contract import A, Error, I, Row, Sample, T


def crowd(*shape, seed=0, dtype="float32"):
    """Boxes around few places, so that many overlap."""
    random = np.random.RandomState(seed)
    centre, size = random.randint(0, 4, (*shape, 2)) * 16, random.randint(6, 30, (*shape, 2))
    corner = centre + random.randint(-5, 6, (*shape, 2))
    return T(np.concatenate((corner, corner + size), axis=-1), dtype)


INF = np.inf
TWO = T([[0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]])

ROWS = [
    Row(
        "own.nms_mask",
        samples=[
            Sample(crowd(60), A(60)).other(crowd(41, seed=1), A(41)),
            Sample(crowd(3, 60), A(3, 60), 0.3).other(crowd(2, 90), A(2, 90), 0.3),
            Sample(crowd(2, 3, 40), A(2, 3, 40), iou_threshold=0.7),
            Sample(crowd(2, 60), A(2, 60), 0.2, I(2, 60, high=4)).other(
                crowd(3, 50), A(3, 50), 0.2, I(3, 50, low=-1, high=7)
            ),
            Sample(crowd(30), A(30), labels=I(30, low=5, high=8, dtype="int32")),
            # Equal scores: the first is the better.
            Sample(crowd(50), I(50, high=3, dtype="float32"), 0.4),
            # Corners in another order, boxes without an area, scores that take no part.
            Sample(T([[10, 10, 0, 0], [0, 0, 10, 10], [5, 5, 5, 5], [5, 5, 5, 5]]), T([1.0, 2.0, 3.0, 4.0])),
            Sample(TWO, T([-INF, 1.0, INF])),
            Sample(TWO, T([-INF, -INF, -INF])),
            Sample(TWO, T([3.0, 2.0, 1.0]), 0.9),  # exactly at the threshold: both stay
            Sample(TWO, T([3.0, 2.0, 1.0]), 0.0),
            Sample(TWO, T([3.0, 2.0, 1.0]), 1),
            Sample(crowd(40, dtype="float64"), A(40, dtype="float64")),
            Sample(crowd(40, dtype="float16"), A(40, dtype="float16")),
            Sample(crowd(0), A(0)),
            Sample(A(0, 5, 4), A(0, 5), labels=I(0, 5)),
        ],
        errors=[
            Error(ValueError, r"iou_threshold=1\.5 is not in 0 to 1", TWO, A(3), 1.5),
            Error(RuntimeError, r"boxes must be \(\.\.\., k, 4\), got \(3, 5\)", A(3, 5), A(3)),
            Error(RuntimeError, r"scores must be \(3,\), one for each box, got \(2,\)", TWO, A(2)),
            Error(RuntimeError, r"labels must be \(3,\), one for each box, got \(3, 1\)", TWO, A(3), 0.5, I(3, 1)),
        ],
    ),
]
