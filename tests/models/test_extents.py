"""Sizes that come out of layers: the arithmetic gives what running them gives."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcore
from mcore import Module, Sequential
from models.utils.extents import axes_of, extent

small = st.integers(1, 3)


@st.composite
def layers(draw):
    """A layer of two axes, of one channel."""
    kernel, stride, dilation = draw(small), draw(small), draw(st.integers(1, 2))
    ceil, inside = draw(st.booleans()), draw(st.integers(0, kernel // 2))
    mode = draw(st.sampled_from(("zeros", "reflect", "replicate", "circular")))
    made = {
        "conv": lambda: mcore.Conv2d(1, 1, kernel, stride, draw(st.integers(0, 2)), dilation, padding_mode=mode),
        "same": lambda: mcore.Conv2d(1, 1, kernel, 1, "same", dilation, padding_mode=mode),
        "transposed": lambda: mcore.ConvTranspose2d(1, 1, kernel, stride, inside, min(stride, dilation) - 1),
        "max": lambda: mcore.MaxPool2d(kernel, stride, inside, dilation, ceil_mode=ceil),
        "mean": lambda: mcore.AvgPool2d(kernel, stride, inside, ceil_mode=ceil),
        "adaptive": lambda: mcore.AdaptiveAvgPool2d((None, kernel)),
        "up": lambda: mcore.Upsample(scale_factor=draw(st.sampled_from((1.5, 2, (1.0, 2.0))))),
        "size": lambda: mcore.Upsample(size=(kernel, 5)),
        "pad": lambda: mcore.ReflectionPad2d((0, inside, kernel, stride)),
        "zeros": lambda: mcore.ZeroPad2d((0, 1, kernel, stride)),
        "shuffle": lambda: mcore.PixelUnshuffle(kernel),
        "norm": lambda: Sequential(mcore.BatchNorm2d(1), mcore.ReLU(), mcore.Dropout2d()).eval(),
    }
    return made[draw(st.sampled_from(sorted(made)))]()


@settings(max_examples=150, deadline=None)
@given(layer=layers(), pixels=st.tuples(st.integers(1, 12), st.integers(1, 12)))
def test_an_extent_is_the_size_of_the_result(layer, pixels):
    expected = [extent(layer, size, axis) for axis, size in enumerate(pixels)]

    try:
        with mcore.no_grad():
            got = [int(size) for size in layer(mcore.zeros(1, 1, *pixels)).shape[2:]]
    except (RuntimeError, ValueError):
        got = [None, None]

    # Where one axis doesn't go through, nothing does.
    assert got == (expected if None not in expected else [None, None])


def test_a_layer_of_ones_own_is_asked():
    class Half(Module):
        def output_size(self, pixels, axis=0):
            return pixels // 2

    assert extent(Sequential(Half(), mcore.ReLU()), 9) == 4


def test_a_layer_that_is_not_known_is_named():
    class Strange(Module):
        pass

    with pytest.raises(TypeError, match=r"what Strange makes of a size isn't known; give it a method output_size"):
        extent(Strange(), 9)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_layers_of_torch_tell_their_number_of_axes(count):
    assert axes_of(getattr(mcore, f"AvgPool{count}d")(2)) == count
