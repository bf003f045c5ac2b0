"""Stages whose activations are computed again: the same numbers, fewer kept."""

import pytest
import torch

from mcore.training.errors import TrainingError
from mcore.training.recompute import chosen, recomputed
from tests.training import tiny


def trained(patterns, *, steps=3):
    """The state and the gradients after some steps."""
    net = tiny.net().train()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    with recomputed(net, patterns):
        for step in range(steps):
            torch.manual_seed(step)
            optimiser.zero_grad()
            net(torch.randn(2, 1, 8, 8)).square().mean().backward()
            optimiser.step()
    return net


def test_the_trained_network_is_the_same_in_every_bit_with_its_norms_statistics_and_dropout():
    tiny.same(trained(["encoder", "decoder"]).state_dict(), trained([]).state_dict())


def kept(patterns):
    """Bytes that the graph of gradients holds."""
    net, held = tiny.net(width=8).train(), []
    with (
        recomputed(net, patterns),
        torch.autograd.graph.saved_tensors_hooks(lambda t: held.append(t.numel()) or t, lambda t: t),
    ):
        net(torch.randn(2, 1, 32, 32)).sum()
    return sum(held)


def test_less_is_kept_for_the_backward_pass():
    assert kept(["encoder", "decoder"]) < 0.6 * kept([])


def test_names_stay_and_the_modules_are_as_they_were_afterwards():
    net = tiny.net()
    names = list(net.state_dict())

    with recomputed(net, ["encoder"]) as paths:
        assert paths == ["encoder"]
        assert list(net.state_dict()) == names

    assert "forward" not in net.encoder.__dict__


def test_patterns_mean_the_outermost_that_they_match():
    assert chosen(tiny.net(), ["encoder*", "head"]) == ["encoder", "head"]


def test_a_list_of_stages_means_each_of_them_since_it_is_never_called_itself():
    net = torch.nn.Module()
    net.stages = torch.nn.ModuleList([torch.nn.Linear(1, 1), torch.nn.ModuleList([torch.nn.Linear(1, 1)])])

    assert chosen(net, ["stages"]) == ["stages.0", "stages.1.0"]


def test_a_pattern_that_means_nothing_is_refused_with_the_nearest():
    with pytest.raises(TrainingError, match=r"train\.recompute: no part of the network is called 'encodr'.*encoder"):
        chosen(tiny.net(), ["encodr"])
