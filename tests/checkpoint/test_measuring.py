"""What a network costs: figures that mean something, and a network that is afterwards what it was."""

import pytest

import mcore
import models
from mcore import BatchNorm1d, Linear, Module, Sequential
from mcore.checkpoint.parts.measuring import measure
from tests.checkpoint.saved import arrays_of, assert_same
from tests.checkpoint.tiny import Tiny

TORCH = mcore.backend() == "torch"
needs_torch = pytest.mark.skipif(not TORCH, reason="only torch has gradients")


def quickly(net, sizes=(1, 8, 8), **options):
    return measure(net, sizes, **{"runs": 3, "warmup": 1, **options})


def test_a_cost_says_what_was_measured():
    (cost,) = quickly(Tiny(), batch=2)

    assert (cost.shape, cost.runs, cost.precision) == ((2, 1, 8, 8), 3, "fp32")
    assert cost.device.startswith("cpu")
    assert cost.forward_ms > 0
    assert (cost.forward_backward_ms is not None) is TORCH


def test_there_is_a_cost_for_each_size():
    assert [cost.shape for cost in quickly(Tiny(), [(1, 8, 8), (1, 12, 4)])] == [(1, 1, 8, 8), (1, 1, 12, 4)]


def test_more_work_takes_longer():
    net = models.create("UNet", in_channels=1, num_classes=2, channels=(8, 16))

    small, large = measure(net, [(1, 16, 16), (1, 256, 256)], runs=3, warmup=1, training=False)

    assert large.forward_ms > 2 * small.forward_ms


def test_a_larger_image_takes_more_memory():
    net = models.create("UNet", in_channels=1, num_classes=2, channels=(8, 16))

    small, large = measure(net, [(1, 16, 16), (1, 512, 512)], runs=1, warmup=1, training=False)

    if large.memory_bytes is None:
        pytest.skip("this system doesn't tell its memory")
    # The first convolution alone gives 8 maps of a million bytes.
    assert large.memory_bytes > max(small.memory_bytes, 8 * 512 * 512 * 4)


@needs_torch
def test_training_takes_more_memory_than_a_pass_without_a_graph():
    net = models.create("UNet", in_channels=1, num_classes=2, channels=(8, 16))

    (cost,) = measure(net, (1, 512, 512), runs=1, warmup=1)

    if cost.memory_bytes is None:
        pytest.skip("this system doesn't tell its memory")
    assert cost.training_memory_bytes > 1.5 * cost.memory_bytes


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_afterwards_what_it_was(training):
    net = Tiny().train(training)
    net.body[1].eval()
    before, modes = arrays_of(net), [module.training for module in net.modules()]

    quickly(net, batch=4)

    assert_same(arrays_of(net), before)
    assert [module.training for module in net.modules()] == modes


@needs_torch
def test_statistics_are_put_back_where_training_moved_them():
    seen = []

    class Noting(Tiny):
        def forward(self, x):
            y = super().forward(x)
            seen.append(float(self.body[1].running_mean.abs().sum()))
            return y

    net = Noting()

    quickly(net, batch=4)

    assert max(seen) > 0
    assert float(net.body[1].running_mean.abs().sum()) == 0


@needs_torch
def test_buffers_that_a_network_replaces_are_put_back():
    import torch

    class Counting(Module):
        def __init__(self):
            super().__init__()
            self.layer = Linear(2, 2)
            self.register_buffer("steps", torch.zeros(()), persistent=False)

        def forward(self, x):
            self.steps = self.steps + 1
            return self.layer(x)

    net = Counting()
    held = net.steps

    quickly(net, (2,))

    assert net.steps is held
    assert float(held) == 0


@needs_torch
def test_gradients_and_random_numbers_are_left_alone():
    import torch

    net = Sequential(Linear(2, 2), torch.nn.Dropout(0.5))
    net[0].weight.grad = torch.full((2, 2), 3.0)
    state = torch.get_rng_state()

    quickly(net, (2,))

    assert torch.equal(net[0].weight.grad, torch.full((2, 2), 3.0))
    assert net[0].bias.grad is None
    assert torch.equal(torch.get_rng_state(), state)


@needs_torch
def test_a_failing_network_is_put_back_too():
    net = Sequential(Linear(2, 2), BatchNorm1d(2)).eval()
    before = arrays_of(net)

    with pytest.raises(ValueError, match=r"can't be trained on a single tensor of \(1, 2\): .*Give a larger batch"):
        quickly(net, (2,))

    assert not net.training
    assert_same(arrays_of(net), before)


@needs_torch
def test_a_frozen_network_is_not_trained():
    (cost,) = quickly(Tiny().requires_grad_(False))

    assert cost.forward_backward_ms is None


@needs_torch
def test_outputs_of_any_form_have_a_mean():
    class Several(Tiny):
        def forward(self, x):
            y = super().forward(x)
            return {"a": y, "b": (y, y.argmax(1))}

    (cost,) = quickly(Several())

    assert cost.forward_backward_ms > 0


def test_training_can_be_left_out():
    (cost,) = quickly(Tiny(), training=False)

    assert (cost.forward_backward_ms, cost.training_memory_bytes) == (None, None)


def test_the_precision_is_the_network_s():
    (cost,) = quickly(Sequential(Linear(2, 2)).to(mcore.float16), (2,), training=False)

    assert cost.precision == "fp16"


@pytest.mark.parametrize(
    ("sizes", "options", "match"),
    [
        ([], {}, r"sizes are shapes without the batch, as in \[\(3, 224, 224\)\]"),
        ([(1, 0)], {}, "a size has positive whole numbers"),
        ([(1, 8), 8], {}, "a size has positive whole numbers"),
        ((1, 8, 8), {"batch": 0}, "batch=0 is not 1 or more"),
        ((1, 8, 8), {"runs": 0}, "runs=0 is not 1 or more"),
        ((1, 8, 8), {"warmup": -1}, "warmup=-1 is no number of passes"),
    ],
)
def test_sizes_and_counts_that_mean_nothing_are_refused(sizes, options, match):
    with pytest.raises(ValueError, match=match):
        quickly(Tiny(), sizes, **options)


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(RuntimeError, match=r"(?s)cuda:77|cuda"):
        quickly(Tiny(), device="cuda:77")


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match="expected a Module, got int"):
        quickly(3)


@needs_torch
def test_a_gpu_is_measured_and_left():
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    net = Tiny()
    before = arrays_of(net)

    (cost,) = quickly(net, batch=4, device="cuda")

    assert torch.cuda.get_device_name() in cost.device
    assert cost.memory_bytes > 0
    assert {str(p.device) for p in net.parameters()} == {"cpu"}
    assert_same(arrays_of(net), before)
