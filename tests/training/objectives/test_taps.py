"""Losses of a part of the network: what it gives is seen, compiled, checkpointed, or not."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mcore.config import ConfigError
from mcore.training.errors import TrainingError
from mcore.training.objectives.taps import Taps
from tests.training.objectives.made import objective

OF_CODE = {"type": "InformationBottleneck", "beta": 1.0, "of": "encoder"}


class Autoencoder(nn.Module):
    def __init__(self, recompute=False):
        super().__init__()
        self.encoder, self.decoder = nn.Sequential(nn.Linear(4, 2), nn.Tanh()), nn.Linear(2, 4)
        self.unused, self.pair = nn.Linear(2, 2), Pair()
        self.recompute = recompute

    def forward(self, x):
        code = checkpoint(self.encoder, x, use_reentrant=False) if self.recompute else self.encoder(x)
        self.pair(code)
        return self.decoder(code)


class Pair(nn.Module):
    def forward(self, x):
        return x, x


@pytest.fixture
def samples():
    return {"image": torch.randn(3, 4), "name": ["a", "b", "c"]}


def test_a_loss_of_a_part_is_that_of_what_the_part_gives(samples):
    net = Autoencoder()
    _, parts = objective(["l2", OF_CODE], net)(net(samples["image"]), samples)

    torch.testing.assert_close(parts["information_bottleneck"], net.encoder(samples["image"]).var(0).mean())


def test_a_loss_of_a_part_trains_that_part(samples):
    net = Autoencoder()

    objective(OF_CODE, net)(net(samples["image"]), samples)[0].backward()

    assert net.encoder[0].weight.grad.abs().sum() > 0
    assert net.decoder.weight.grad is None


@pytest.mark.parametrize("whole", [True, False], ids=["torch.compile", "compiled in place"])
def test_a_compiled_network_shows_its_parts(samples, whole):
    net = Autoencoder()
    told = objective(["l2", OF_CODE], net)
    wanted = told(net(samples["image"]), samples)[1]["information_bottleneck"]
    if whole:
        called = torch.compile(net, backend="eager", fullgraph=True)
    else:
        net.compile(backend="eager", fullgraph=True)
        called = net

    for _ in range(2):
        _, parts = told(called(samples["image"]), samples)

    torch.testing.assert_close(parts["information_bottleneck"], wanted)


def test_what_is_computed_again_in_the_backward_pass_is_not_kept(samples):
    net, taken = Autoencoder(recompute=True), []
    taps = Taps(net, ["encoder.0"])
    net.encoder[0].register_forward_hook(lambda *call: taken.append(call))
    output = net(samples["image"])
    before = taps["encoder.0"]

    output.sum().backward()

    assert len(taken) == 2
    assert taps["encoder.0"] is before


def test_only_the_first_samples_of_a_part_count_where_a_number_is_given(samples):
    net = Autoencoder()

    got, _ = objective(OF_CODE, net)(net(samples["image"]), samples, count=2)

    torch.testing.assert_close(got, net.encoder(samples["image"][:2]).var(0).mean())


def test_losses_are_in_the_mode_of_the_network(samples):
    net = Autoencoder()
    told, single = objective(OF_CODE, net), {"image": samples["image"][:1]}
    with pytest.raises(TrainingError, match="a single sample has no variance"):
        told(net(single["image"]), single)

    net.eval()

    assert told(net(single["image"]), single)[0] == 0


def test_closing_takes_every_hook_off(samples):
    net = Autoencoder()
    told = objective(OF_CODE, net)
    net(samples["image"])

    told.close()

    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())


def test_a_refused_objective_leaves_no_hook():
    net = Autoencoder()
    with pytest.raises(ConfigError, match="no loss 'dise'"):
        objective([OF_CODE, "dise"], net)

    assert not any(part._forward_hooks for part in net.modules())


def test_a_part_that_does_not_exist_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"no submodule 'encoder.2'; did you mean 'encoder.[01]'\? At the top are"):
        objective({**OF_CODE, "of": "encoder.2"}, Autoencoder())


def test_a_part_that_the_forward_pass_leaves_out_is_told(samples):
    net = Autoencoder()
    with pytest.raises(TrainingError, match="the forward pass didn't call 'unused'"):
        objective({**OF_CODE, "of": "unused"}, net)(net(samples["image"]), samples)


def test_what_a_part_gave_in_an_earlier_pass_is_not_taken_for_this_one(samples):
    net = Autoencoder()
    told = objective({**OF_CODE, "of": "encoder.1"}, net)
    told(net(samples["image"]), samples)
    net.encoder = net.encoder[0]

    with pytest.raises(TrainingError, match=r"the forward pass didn't call 'encoder\.1'"):
        told(net(samples["image"]), samples)


def test_a_part_that_gives_no_tensor_is_told(samples):
    net = Autoencoder()
    with pytest.raises(TrainingError, match="of 'pair': it gives a tuple of 2; name a submodule that gives one tensor"):
        objective({**OF_CODE, "of": "pair"}, net)(net(samples["image"]), samples)
