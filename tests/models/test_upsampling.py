"""Upsampling blocks and Focus: exact sizes, the order of pixels, CARAFE written again in numpy, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcore
from mcore import functional as F
from models.basicblocks import CARAFE, Focus, UpsampleInterpolate, UpsampleShuffle, UpsampleTransposed
from models.functional.shuffle import depth_to_space, space_to_depth
from tests.models.golden import _input, fill

CLOSE = {"rtol": 0, "atol": 1e-5}
BLOCKS = [CARAFE, UpsampleInterpolate, UpsampleShuffle, UpsampleTransposed]


def call(net, array):
    with mcore.no_grad():
        return net(mcore.from_numpy(array)).numpy()


def filled(net):
    """`net` in eval mode with known weights, and those weights by name."""
    state = {key: fill(key, tuple(map(int, value.shape)), 1.0) for key, value in net.state_dict().items()}
    net.load_state_dict({key: mcore.from_numpy(value) for key, value in state.items()})
    return net.eval(), state


@pytest.mark.parametrize("block", BLOCKS)
@given(size=st.lists(st.integers(1, 6), min_size=1, max_size=3), scale=st.integers(2, 3))
@settings(max_examples=15)
def test_a_block_multiplies_every_size_by_its_scale(block, size, scale):
    arguments = {"kernel_size": 3, "compressed": 2} if block is CARAFE else {}
    net = block(2, 3, scale, dims=len(size), **arguments).eval()

    assert call(net, np.zeros((1, 2, *size), np.float32)).shape == (1, 3, *(scale * pixels for pixels in size))


@given(
    pixels=st.integers(1, 6),
    scale=st.integers(2, 4),
    more=st.integers(0, 4),
)
@settings(max_examples=25)
def test_a_transposed_convolution_multiplies_the_size_whatever_its_kernel(pixels, scale, more):
    net = UpsampleTransposed(2, 3, scale, kernel_size=scale + more, dims=1)

    assert call(net, np.zeros((1, 2, pixels), np.float32)).shape == (1, 3, scale * pixels)


def test_depth_to_space_is_a_pixel_shuffle():
    x = mcore.from_numpy(_input("shuffle", (2, 18, 4, 5)))

    np.testing.assert_array_equal(depth_to_space(x, 3).numpy(), F.pixel_shuffle(x, 3).numpy())


@pytest.mark.parametrize("size", [(6,), (6, 4), (2, 6, 4)])
def test_space_to_depth_undoes_depth_to_space(size):
    x = _input("shuffle", (2, 3, *size))

    again = depth_to_space(space_to_depth(mcore.from_numpy(x), 2), 2)

    np.testing.assert_array_equal(again.numpy(), x)


def test_depth_to_space_puts_channels_on_the_places_of_a_block_in_volumes():
    x = np.arange(8, dtype=np.float32).reshape(1, 8, 1, 1, 1)

    got = depth_to_space(mcore.from_numpy(x), 2).numpy()

    np.testing.assert_array_equal(got, x.reshape(1, 1, 2, 2, 2))


def test_sub_pixel_convolution_starts_as_an_upsampling_to_nearest_pixels():
    net = UpsampleShuffle(3, 4, 2).eval()

    y = call(net, _input("shuffle", (1, 3, 5, 6)))

    coarse = y[:, :, ::2, ::2]
    np.testing.assert_allclose(y, coarse.repeat(2, axis=2).repeat(2, axis=3), **CLOSE)


@pytest.mark.parametrize("dims", [2, 3])
def test_carafe_gives_means_with_weights_made_from_what_lies_around(dims):
    net, state = filled(CARAFE(4, kernel_size=3, encoder_size=1, compressed=3, scale=2, dims=dims))
    x = _input("carafe", (1, 4, 3, 5, 4)[: 2 + dims])
    size = x.shape[2:]

    def linear(name, y):
        weight = state[f"{name}.weight"].reshape(len(state[f"{name}.weight"]), -1)
        return np.tensordot(weight, y, axes=1) + state[f"{name}.bias"].reshape(-1, *(1 for _ in size))

    weights = linear("content_encoder", linear("channel_compressor", x[0]))
    weights = np.exp(weights.reshape(3**dims, 2**dims, *size))
    weights = weights / weights.sum(0)
    padded = np.pad(x[0], ((0, 0), *((1, 1) for _ in size)))
    expected = np.zeros((4, *(2 * pixels for pixels in size)))
    for place in np.ndindex(*(2 * pixels for pixels in size)):
        source = tuple(axis // 2 for axis in place)
        inside = np.ravel_multi_index([axis % 2 for axis in place], (2,) * dims)
        around = padded[:, *(slice(axis, axis + 3) for axis in source)].reshape(4, -1)
        expected[:, *place] = around @ weights[:, inside, *source]

    np.testing.assert_allclose(call(net, x)[0], expected, **CLOSE)


def test_carafe_has_the_names_of_mmcv():
    keys = [f"{name}.{leaf}" for name in ("channel_compressor", "content_encoder") for leaf in ("weight", "bias")]

    net = CARAFE(256)

    assert list(net.state_dict()) == keys
    assert [tuple(p.shape) for p in net.parameters()] == [(64, 256, 1, 1), (64,), (100, 64, 3, 3), (100,)]


def test_focus_takes_pixels_of_a_block_column_by_column():
    net = Focus(1, 4, norm=None, activation=None)
    net.load_state_dict({"conv.conv.weight": mcore.eye(4).reshape(4, 4, 1, 1), "conv.conv.bias": mcore.zeros(4)})

    y = call(net, np.arange(8, dtype=np.float32).reshape(1, 1, 2, 4))

    np.testing.assert_array_equal(y[0, :, 0], [[0, 2], [4, 6], [1, 3], [5, 7]])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: UpsampleInterpolate(1, 1, 1), "UpsampleInterpolate: scale=1 is not 2 or more"),
        (lambda: UpsampleInterpolate(1, 1, mode="cubic"), "UpsampleInterpolate: mode='cubic' is not one of 'nearest'"),
        (lambda: UpsampleInterpolate(1, 1, dims=4), "dims=4 is not 1, 2 or 3"),
        (lambda: UpsampleShuffle(1, 1, kernel_size=2), "UpsampleShuffle: kernel_size=2 is not odd"),
        (lambda: UpsampleTransposed(1, 1, 3, kernel_size=2), "UpsampleTransposed: kernel_size=2 leaves gaps"),
        (lambda: CARAFE(1, encoder_size=4), "CARAFE: encoder_size=4 is not odd"),
        (lambda: Focus(1, 1, 2), "Focus: kernel_size=2 is not odd"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_by_name(build, message):
    with pytest.raises(ValueError, match=message):
        build()
