"""Fusing, averaging and counting."""

import numpy as np
import pytest

import mcore
import models
from models import functional, utils
from models.utils.averaging import EMA
from models.utils.fusing import fused
from tests.models.golden import fill


def filled(net):
    """A network whose norms are far from the identity."""
    state = net.state_dict()
    net.load_state_dict({k: mcore.from_numpy(fill(k, tuple(map(int, v.shape)), 1.0)) for k, v in state.items()})
    return net.eval()


@pytest.mark.parametrize(
    ("name", "arguments", "size"),
    [("resnet18", {"num_classes": 5}, (1, 3, 32, 32)), ("resnet18", {"dims": 1, "num_classes": 3}, (2, 3, 64))],
)
def test_a_fused_network_gives_the_same_without_norms(name, arguments, size):
    net = filled(models.create(name, **arguments))

    result = fused(net, size)

    x = mcore.rand(*size)
    assert not [m for m in result.modules() if "BatchNorm" in type(m).__name__]
    np.testing.assert_allclose(result(x).detach().numpy(), net(x).detach().numpy(), rtol=1e-4, atol=1e-4)


def test_fusing_leaves_the_network_as_it_was():
    net = filled(models.create("resnet18", num_classes=5))
    before = {key: value.clone() for key, value in net.state_dict().items()}

    fused(net, (1, 3, 32, 32))

    assert all((net.state_dict()[key] == value).all() for key, value in before.items())


class Beside(mcore.Module):
    """Reads a convolution's result beside its norm."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = mcore.Conv2d(3, 4, 3), mcore.BatchNorm2d(4)

    def forward(self, x):
        x = self.conv(x)
        return x * 3 + self.norm(x)


def test_a_result_that_is_read_beside_its_norm_is_refused():
    with pytest.raises(RuntimeError, match="fused: Beside gives something else afterwards"):
        fused(filled(Beside()), (1, 3, 8, 8))


class Twice(mcore.Module):
    """Calls one convolution twice, its norm once."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = mcore.Conv2d(3, 3, 1), mcore.BatchNorm2d(3)

    def forward(self, x):
        return self.norm(self.conv(self.conv(x)))


def test_a_convolution_that_is_called_twice_keeps_its_norm():
    assert isinstance(fused(filled(Twice()), (1, 3, 8, 8)).norm, mcore.BatchNorm2d)


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


def test_emvisions_helpers_come_from_their_packages():
    assert utils.sum3((1, 2, 3), (4, 5, 6)) == (5, 7, 9)
    assert tuple(functional.crop3d(mcore.zeros(1, 1, 4, 6, 6), (1, 2, 2)).shape) == (1, 1, 2, 2, 2)
    assert set(functional.__all__) | set(utils.__all__) <= {*dir(functional), *dir(utils)}
