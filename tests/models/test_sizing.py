"""Sizes that fit: the nearest, by axis, with what they give."""

import pytest

import models
from models.networks import UNet
from models.sizing import SizeError, valid_sizes


def test_a_network_without_limits_says_so():
    with pytest.raises(TypeError, match="valid_sizes: ResNet doesn't tell its sizes"):
        valid_sizes(models.create("resnet18"), around=32)


def test_another_number_of_axes_is_refused():
    with pytest.raises(ValueError, match=r"around=\(8, 8, 8\) are 3 numbers, but UNet has 2 axes"):
        valid_sizes(UNet(1, 2, channels=(4, 4)), around=(8, 8, 8))


def test_the_smallest_size_is_found_from_far_below():
    net = UNet(1, 2, channels=(2, 2, 2, 2, 2), padding="valid")

    assert valid_sizes(net, around=1, count=1) == [{188: 4}, {188: 4}]


def test_a_refused_image_names_the_nearest_sizes():
    net = UNet(1, 2, channels=(4, 4, 4), fit="refuse")

    with pytest.raises(SizeError, match=r"UNet: 33 pixels along axis 3 .* fit are 28, 32, 36"):
        net.check_size((32, 33))
