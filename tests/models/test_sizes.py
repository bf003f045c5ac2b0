"""Resizing, padding, cropping and weighing of maps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcore
from models.functional.sizes import crop, crop_center, gaussian_weights, pad_to_multiple

sizes = st.lists(st.integers(1, 9), min_size=1, max_size=3)


@given(size=sizes, multiple=st.integers(1, 5))
def test_cropping_takes_back_what_padding_added(size, multiple):
    x = mcore.rand(1, 2, *size)

    padded = pad_to_multiple(x, multiple)

    assert all(pixels % multiple == 0 for pixels in padded.shape[2:])
    np.testing.assert_array_equal(crop(padded, size).numpy(), x.numpy())


@given(size=sizes, less=st.integers(0, 8))
def test_the_middle_has_margins_that_differ_by_one_pixel_at_most(size, less):
    kept = [max(1, pixels - less) for pixels in size]
    grid = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij")).astype(np.float32)[None]

    first = crop_center(mcore.from_numpy(grid), kept).numpy().reshape(len(size), -1)[:, 0]

    assert all(0 <= pixels - count - 2 * before <= 1 for pixels, count, before in zip(size, kept, first, strict=True))


@given(size=sizes)
def test_weights_of_a_tile_are_the_same_from_both_ends_and_greatest_in_the_middle(size):
    weights = gaussian_weights(size).numpy()

    np.testing.assert_allclose(weights, np.flip(weights), rtol=1e-6)
    assert weights.min() > 0
    assert weights.max() == weights[tuple(pixels // 2 for pixels in size)]


def test_weights_without_a_width_are_refused():
    with pytest.raises(ValueError, match=r"gaussian_weights: sigma=0\.0 is not greater than 0"):
        gaussian_weights([4], sigma=0.0)
