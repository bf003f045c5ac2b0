"""RepVGG: the fused form gives what the branches give."""

import numpy as np
import pytest

import mcore
import models
from models.backbones import repvgg_a0
from models.basicblocks import RepVGG
from tests.models.golden import fill

# Single precision: sums in another order, through 22 layers.
FUSED = 1e-5


def filled(net):
    """`net` in eval mode, with statistics in its norms."""
    state = net.state_dict()
    net.load_state_dict({key: mcore.from_numpy(fill(key, tuple(map(int, x.shape)), 1.0)) for key, x in state.items()})
    return net.eval()


def assert_same(got, expected):
    """Compares up to `FUSED` of the largest value.

    Raises:
        AssertionError: a value differs by more.
    """
    got, expected = got.detach().numpy(), expected.detach().numpy()
    np.testing.assert_allclose(got, expected, rtol=0, atol=FUSED * np.abs(expected).max())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2},
        {"dilation": 2},
        {"groups": 2},
        {"dims": 1},
        {"dims": 3, "groups": 4},
    ],
    ids=str,
)
def test_a_fused_block_gives_what_its_branches_give(options):
    block = filled(RepVGG(8, 8, **options))
    x = mcore.randn(2, 8, *(9, 7, 5)[: options.get("dims", 2)])

    assert_same(block.fused()(x), block(x))


def test_a_block_that_changes_the_channels_is_fused_too():
    block = filled(RepVGG(4, 6))
    x = mcore.randn(1, 4, 5, 5)

    assert_same(block.fused()(x), block(x))


def test_a_fused_block_is_one_convolution():
    fused = RepVGG(4, 4).fused()

    assert {key: tuple(x.shape) for key, x in fused.state_dict().items()} == {
        "reparam_conv.weight": (4, 4, 3, 3),
        "reparam_conv.bias": (4,),
    }
    assert fused.fused() is fused


def test_a_fused_classifier_gives_the_scores_of_the_network_it_was_made_from():
    net = filled(repvgg_a0(num_classes=5))
    x = mcore.randn(2, 3, 33, 40)

    assert_same(net.fuse()(x), net(x))


def test_a_fused_backbone_gives_the_maps_of_the_network_it_was_made_from():
    net = filled(repvgg_a0(out_indices=[0, 2], output_stride=8))
    x = mcore.randn(1, 3, 32, 32)

    for got, expected in zip(net.fuse()(x), net(x), strict=True):
        assert_same(got, expected)


def test_a_network_is_unchanged_by_fusing():
    net = filled(repvgg_a0(out_indices=[1]))
    before = {key: value.numpy().copy() for key, value in net.state_dict().items()}

    net.fuse()

    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])


def test_the_configuration_of_a_fused_network_builds_a_fused_network():
    net = repvgg_a0(out_indices=[1]).fuse()

    again = models.from_config(net.config())

    assert list(again.state_dict()) == list(net.state_dict())


@pytest.mark.parametrize("fused", [False, True])
def test_every_convolution_that_sees_the_image_is_adapted_to_another_number_of_channels(fused):
    state = repvgg_a0(out_indices=[0], fused=fused).state_dict()

    net = repvgg_a0(in_channels=1, out_indices=[0], fused=fused, weights={"state": state})

    assert len(net.weights_report.adapted) == (1 if fused else 2)
