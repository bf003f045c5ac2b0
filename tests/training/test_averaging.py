"""The average of a network's weights over training steps."""

import numpy as np
import pytest
import torch

import mcore
from mcore.training import EMA
from tests.training import tiny


def test_the_average_follows_the_weights_by_its_rule():
    net = mcore.Linear(1, 1, bias=False)
    net.load_state_dict({"weight": mcore.zeros(1, 1)})
    ema = EMA(net, decay=0.75)

    means = []
    for _ in range(3):
        net.load_state_dict({"weight": mcore.ones(1, 1)})
        ema.update()
        means.append(float(ema.state_dict()["weight"].sum()))

    # The decays of the ramp are 2/11, 3/12 and 4/13, all below 0.75.
    expected = [1 - 2 / 11, 1 - 2 / 11 * 3 / 12, 1 - 2 / 11 * 3 / 12 * 4 / 13]
    np.testing.assert_allclose(means, expected, rtol=1e-6)


def test_the_network_has_its_own_weights_back_after_the_average():
    net = mcore.Linear(2, 1)
    ema, own = EMA(net), net.weight.detach().clone()
    net.load_state_dict({"weight": own + 1, "bias": net.bias.detach().clone()})

    with ema.applied() as averaged:
        assert (averaged.weight == own).all()

    assert (net.weight == own + 1).all()


def test_counters_are_taken_as_they_are():
    net = mcore.BatchNorm1d(2).train()
    ema = EMA(net)
    net(mcore.rand(4, 2))

    ema.update()

    assert int(ema.state_dict()["num_batches_tracked"]) == 1


def test_a_mean_of_another_network_is_refused():
    with pytest.raises(KeyError, match="EMA: names differ from the network's: bias"):
        EMA(mcore.Linear(2, 1, bias=False)).load_state_dict(EMA(mcore.Linear(2, 1)).state_dict())


def test_a_decay_beyond_one_is_refused():
    with pytest.raises(ValueError, match=r"EMA: decay=1\.5 is not in 0 <= decay < 1"):
        EMA(mcore.Linear(2, 1), decay=1.5)


def test_a_mean_that_is_loaded_goes_on_as_the_one_it_is_of():
    net = tiny.net()
    first = EMA(net, 0.9)
    for _ in range(5):
        _moved(net)
        first.update()
    second, settled = EMA(net, 0.9), EMA(net, 0.9)
    second.load_state_dict(first.state_dict(), steps=first.steps)
    settled.load_state_dict(first.state_dict())
    held = first.state_dict()["head.bias"].clone()
    _moved(net)

    for ema in (first, second, settled):
        ema.update()

    tiny.same(first.state_dict(), second.state_dict())
    torch.testing.assert_close(settled.state_dict()["head.bias"], held.lerp(net.head.bias.detach(), 0.1))


@torch.no_grad()
def _moved(net):
    for parameter in net.parameters():
        parameter.add_(torch.ones_like(parameter))
