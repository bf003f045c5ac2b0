"""Norms of many values on the platform keep the digits that torch keeps."""

import numpy as np
import pytest

import mcore.platform as platform
from tests.platform.engines import tensor

# Off zero, as images are.
VOLUME = np.random.default_rng(0).standard_normal((1, 1, 36, 64, 64)) + 1.0
# Single precision rounds at 6e-8; sums of 147,000 values taken in order are off by more than 1e-5.
TOLERANCE = 2e-6

# What each norm averages over, of a volume as (n, groups, c / groups, z, y, x).
NORMS = {
    "batch": (lambda: platform.BatchNorm3d(1), (0, 2, 3, 4, 5)),
    "instance": (lambda: platform.InstanceNorm3d(1, affine=True), (2, 3, 4, 5)),
    "group": (lambda: platform.GroupNorm(1, 1), (2, 3, 4, 5)),
}


@pytest.mark.parametrize("name", NORMS)
def test_a_volume_is_normed_to_single_precision(name):
    make, axes = NORMS[name]
    exact = VOLUME[:, :, None]
    exact = (exact - exact.mean(axes, keepdims=True)) / np.sqrt(exact.var(axes, keepdims=True) + 1e-5)

    got = make().train()(tensor(VOLUME)).numpy()

    np.testing.assert_allclose(got, exact[:, :, 0], rtol=0, atol=TOLERANCE * np.abs(exact).max())


def test_running_statistics_of_a_volume_are_single_precision():
    norm = platform.BatchNorm3d(1, momentum=1.0).train()

    norm(tensor(VOLUME)).numpy()

    np.testing.assert_allclose(norm.running_mean.numpy(), VOLUME.mean((0, 2, 3, 4)), rtol=TOLERANCE)
    np.testing.assert_allclose(norm.running_var.numpy(), VOLUME.var((0, 2, 3, 4), ddof=1), rtol=TOLERANCE)
