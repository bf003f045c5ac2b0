"""Training on a network's own outputs: how they are fed back, where gradients stop, and that it learns."""

import pytest
import torch
from torch import nn

from mcore.training.errors import TrainingError
from mcore.training.settings import Unrolled
from mcore.training.unrolled import passes, result, rollout
from models.networks import dynamic_rsunet
from tests.training.objectives.made import objective


class Recorded(nn.Module):
    """A convolution that keeps what it was given."""

    def __init__(self, taken, given):
        super().__init__()
        self.conv, self.seen = nn.Conv2d(taken, given, 3, padding=1), []

    def forward(self, x):
        self.seen.append(x)
        return self.conv(x)


@pytest.fixture
def samples():
    return {"image": torch.randn(2, 1, 6, 6), "mask": torch.randint(0, 2, (2, 2, 6, 6)).float()}


def test_an_output_stands_beside_the_image_where_the_network_takes_more_channels(samples):
    net, image = Recorded(3, 2), samples["image"]

    first, _ = list(passes(net, image, Unrolled(steps=2)))

    assert torch.equal(net.seen[0], torch.cat([image, torch.zeros(2, 2, 6, 6)], 1))
    assert torch.equal(net.seen[1], torch.cat([image, first], 1))


def test_an_output_takes_the_place_of_the_image_where_the_network_takes_as_many_channels(samples):
    net = Recorded(1, 1)

    first, second = list(passes(net, samples["image"], Unrolled(steps=2)))

    assert torch.equal(net.seen[0], samples["image"])
    assert torch.equal(net.seen[1], first)
    assert torch.equal(second, net.conv(first))
    assert torch.equal(result(net, samples["image"], Unrolled(steps=2)), second)


def test_outputs_by_head_are_fed_back_in_a_row():
    class Two(Recorded):
        def forward(self, x):
            y = super().forward(x)
            return {"a": y[:, :1], "b": y[:, 1:]}

    net, image = Two(3, 2), torch.randn(1, 1, 4, 4)

    first, _ = list(passes(net, image, Unrolled(steps=2)))

    assert torch.equal(net.seen[1], torch.cat([image, first["a"], first["b"]], 1))


def test_the_loss_is_the_mean_in_which_earlier_steps_count_less(samples):
    net = Recorded(3, 2)
    unrolled = Unrolled(steps=3, discount=0.5)
    whole = objective("l2")
    losses = [whole(output, samples)[0].item() for output in passes(net, samples["image"], unrolled)]

    total, parts = rollout(net, samples, unrolled, loss=whole)

    assert total.item() == pytest.approx((0.25 * losses[0] + 0.5 * losses[1] + losses[2]) / 1.75)
    assert {name: float(part) for name, part in parts.items()} == {
        "l2.step1": pytest.approx(losses[0]),
        "l2.step2": pytest.approx(losses[1]),
        "l2": pytest.approx(losses[2]),
    }


@pytest.mark.parametrize("detach", [True, False])
def test_gradients_of_later_steps_reach_earlier_ones_unless_they_are_stopped(samples, detach):
    net = Recorded(3, 2)
    outputs = list(passes(net, samples["image"], Unrolled(steps=2, detach=detach)))

    (gradient,) = torch.autograd.grad(outputs[1].sum(), outputs[0], allow_unused=True)

    assert (gradient is None) == detach


def test_each_step_of_a_dynamic_rsunet_has_norms_of_its_own():
    net = dynamic_rsunet([4, 8], unroll=2, in_channels=2, out_channels=1)
    samples = {"image": torch.randn(1, 1, 2, 8, 8), "mask": torch.ones(1, 1, 2, 8, 8)}

    rollout(net, samples, Unrolled(steps=2), loss=objective("l2", net))[0].backward()

    assert all(parameter.grad is not None for parameter in net.parameters())
    first, second = net.final.norm
    assert first.num_batches_tracked == second.num_batches_tracked == 1


def test_a_dynamic_rsunet_learns_to_clean_a_toy_volume():
    net = dynamic_rsunet([4, 8], unroll=3, in_channels=2, out_channels=1)
    truth = torch.zeros(1, 1, 4, 16, 16)
    truth[..., 4:12, 4:12] = 1
    whole, unrolled = objective(["binary_cross_entropy", "dice"], net), Unrolled(steps=3, discount=0.7)
    optimiser, losses = torch.optim.AdamW(net.parameters(), 0.01), []
    for _ in range(30):
        samples = {"image": truth + 0.5 * torch.randn_like(truth), "mask": truth}
        total, parts = rollout(net, samples, unrolled, loss=whole)
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        losses.append(total.item())

    assert losses[-1] < 0.3 * losses[0]
    assert parts["dice"] < 0.2


def test_a_network_wrapped_for_several_processes_is_seen_through():
    class Wrapped(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, *args, **kwargs):
            return self.module(*args, **kwargs)

    net = dynamic_rsunet([4, 8], unroll=2, in_channels=2, out_channels=1)

    result(Wrapped(net), torch.rand(1, 1, 2, 8, 8), Unrolled(steps=2))

    assert [norm.num_batches_tracked.item() for norm in net.final.norm] == [1, 1]


@pytest.mark.parametrize(
    ("net", "image", "match"),
    [
        (Recorded(1, 3), torch.zeros(1, 3, 4, 4), "takes 1 channels, the images have 3; set in_channels to 3"),
        (Recorded(3, 1), torch.zeros(1, 1, 4, 4), r"gives \(1, 1, 4, 4\), but \(1, 2, 4, 4\) is what it takes beside"),
        (
            Recorded(1, 2),
            torch.zeros(1, 1, 4, 4),
            r"gives \(1, 2, 4, 4\), but \(1, 1, 4, 4\) is what it takes in place of",
        ),
        (nn.Linear(4, 4), torch.zeros(1, 1, 4, 4), "Linear has no convolution that would say how many channels"),
    ],
)
def test_a_network_that_cannot_be_fed_what_it_gives_is_told(net, image, match):
    with pytest.raises(TrainingError, match=match):
        list(passes(net, image, Unrolled(steps=2)))


def test_another_number_of_steps_than_there_are_norms_is_refused():
    net = dynamic_rsunet([4, 8], unroll=3, in_channels=2, out_channels=1)
    with pytest.raises(TrainingError, match=r"steps is 2, but dynamic_rsunet has norms for 3 applications.*steps: 3"):
        list(passes(net, torch.zeros(1, 1, 2, 8, 8), Unrolled(steps=2)))
