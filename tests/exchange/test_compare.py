"""What counts as the same result."""

import ml_dtypes
import numpy as np
import pytest

from mcore.exchange.compare import difference, unlike

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("got", "expected", "found"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.0], [1.0, 4.0], 0.5),
        ([0.5], [0.0], 0.5),
        ([], [], 0.0),
        ([NAN, 1.0], [NAN, 1.0], 0.0),
        ([INF, -INF], [INF, -INF], 0.0),
        ([INF], [-INF], INF),
        ([NAN, 1.0], [1.0, 1.0], INF),
        ([1.0, 1.0], [NAN, 1.0], INF),
        ([INF, 1.0], [3.0, 1.0], INF),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_floats_differ_by_their_distance_over_the_largest(got, expected, found, dtype):
    assert difference(np.array(got, dtype), np.array(expected, dtype)) == found


def test_whole_numbers_differ_by_their_share():
    assert difference(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5])) == 0.25
    assert unlike("y", np.arange(10_000), np.arange(10_000)) is None
    nearly = np.arange(10_000)
    nearly[0] = 7
    assert unlike("y", nearly, np.arange(10_000)) is None
    assert "share of unequal elements" in unlike("y", np.zeros(4, bool), np.ones(4, bool))


def test_other_shapes_and_types_never_pass():
    assert difference(np.ones((2, 1)), np.ones((1, 2))) == INF
    assert "has shape (2,) instead of (3,)" in unlike("y", np.ones(2), np.ones(3))
    assert "has type float32 instead of float64" in unlike("y", np.ones(2, np.float32), np.ones(2))
