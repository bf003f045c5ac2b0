"""Fusing and counting."""

import numpy as np
import pytest

import mcore
import models
from models import functional, utils
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


def test_emvisions_helpers_come_from_their_packages():
    assert utils.sum3((1, 2, 3), (4, 5, 6)) == (5, 7, 9)
    assert tuple(functional.crop3d(mcore.zeros(1, 1, 4, 6, 6), (1, 2, 2)).shape) == (1, 1, 2, 2, 2)
    assert set(functional.__all__) | set(utils.__all__) <= {*dir(functional), *dir(utils)}
