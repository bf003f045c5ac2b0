"""UNet: published sizes, the paper's recipe, any input size or a refusal by name."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcore
import models
from models.networks import UNet
from models.utils.summary import parameters

SMALL = {"in_channels": 1, "num_classes": 2, "channels": (2, 4, 8)}


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ({"in_channels": 1, "num_classes": 2, "norm": None}, 31_030_658),
        ({"in_channels": 3, "num_classes": 2}, 31_037_698),
        ({"in_channels": 3, "num_classes": 2, "bias": True}, 31_043_586),
        ({"in_channels": 3, "num_classes": 2, "up": "bilinear"}, 17_263_042),
    ],
)
def test_it_has_the_published_number_of_parameters(arguments, count):
    assert parameters(UNet(**arguments)) == count


@given(h=st.integers(1, 40), w=st.integers(1, 40))
@settings(max_examples=25)
def test_any_size_comes_back_as_it_was(h, w):
    net = UNet(**SMALL).eval()

    assert tuple(net(mcore.zeros(1, 1, h, w)).shape) == (1, 2, h, w)


@pytest.mark.parametrize("padding", ["same", "valid"])
@given(pixels=st.integers(1, 120))
@settings(max_examples=40)
def test_output_size_tells_what_comes_or_that_it_is_refused(padding, pixels):
    net = UNet(**SMALL, padding=padding, fit="refuse").eval()
    expected = net.output_size(pixels)
    fitting = next(iter(net.valid_sizes(around=64, count=1)))
    x = mcore.zeros(1, 1, pixels, fitting)

    if expected is None:
        with pytest.raises(ValueError, match=rf"UNet: {pixels} pixels along axis 2 don't go through.*the nearest"):
            net(x)
    else:
        assert net(x).shape[2] == expected


def test_the_paper_turns_572_pixels_into_388():
    net = UNet(1, 2, norm=None, padding="valid", channels=(2, 2, 2, 2, 2)).eval()

    assert tuple(net(mcore.zeros(1, 1, 572, 572)).shape) == (1, 2, 388, 388)


def test_padding_changes_nothing_where_the_size_fits():
    net, x = UNet(**SMALL).eval(), mcore.randn(1, 1, 32, 48)
    other = UNet(**SMALL, fit="refuse").eval()
    other.load_state_dict(net.state_dict())

    assert (other(x) == net(x)).all()


def test_attributes_are_those_of_the_common_port():
    keys = [key for key in UNet(**SMALL).state_dict() if key.endswith("0.weight") or "up.weight" in key]

    assert keys == [
        "inc.double_conv.0.weight",
        "down1.maxpool_conv.1.double_conv.0.weight",
        "down2.maxpool_conv.1.double_conv.0.weight",
        "up1.up.weight",
        "up1.conv.double_conv.0.weight",
        "up2.up.weight",
        "up2.conv.double_conv.0.weight",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"up": "nearest"}, "UNet: up='nearest' is not one of 'transposed', 'bilinear'"),
        ({"padding": "full"}, "UNet: padding='full' is not one of"),
        ({"fit": "crop"}, "UNet: fit='crop' is not one of"),
        ({"padding": "valid", "fit": "pad"}, 'UNet: fit="pad" keeps the size'),
        ({"channels": [8]}, r"UNet: channels=\(8,\) is 1 level; it needs two or more"),
        ({"norm": "bach"}, "UNet: norm='bach' is none of batch, instance, group.*the nearest is 'batch'"),
        ({"activation": "rellu"}, "UNet: activation='rellu' is none of .*the nearest is 'relu'"),
        ({"dims": 0}, "UNet: dims=0 is not 1, 2 or 3"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        UNet(**{**SMALL, **arguments})


def test_a_norm_with_arguments_comes_from_a_configuration():
    norm = {"name": "group", "num_groups": 2}
    spec = {"type": "UNet", "in_channels": 1, "num_classes": 2, "channels": [4, 8], "norm": norm}

    net = models.from_config({"mcore": 1, "model": spec})

    assert net.inc.double_conv[1].num_groups == 2
