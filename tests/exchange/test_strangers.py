"""Modules as strangers write them: exported without a fallback, right at other sizes, and honest about the rest."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mcore.exchange.export import export
from mcore.exchange.ortrun import Runner
from mcore.platform import dim as dims
from tests.exchange.strangers import STRANGERS


class Forward(nn.Module):
    """A module whose forward is a function of the module and its input."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(self, x)


def inputs(shapes, seed):
    draw = np.random.RandomState(seed)
    return tuple(
        torch.from_numpy(draw.randint(1, shape[0], shape[1:]) if isinstance(shape, list) else draw.randn(*shape))
        if isinstance(shape, list) else torch.from_numpy(draw.randn(*shape).astype("float32"))
        for shape in shapes
    )  # fmt: skip


def assert_as_torch(model, net, given):
    run = Runner(model.SerializeToString())
    with torch.no_grad():
        want = net(*[t.clone() for t in given])
    want = [want] if isinstance(want, torch.Tensor) else want
    got = run([t.numpy() for t in given])
    for a, b in zip(got, want, strict=True):
        assert (a.shape, a.dtype) == (tuple(b.shape), b.numpy().dtype)
        largest = float(b.double().abs().max()) if b.numel() else 0.0
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-4, atol=1e-5 * max(1.0, largest))


@pytest.mark.parametrize("case", STRANGERS, ids=lambda case: case.build.__name__)
def test_a_strangers_module_exports_and_is_right_at_every_size(case):
    torch.manual_seed(0)
    net = case.build().eval()

    exported = export(net, inputs(case.sizes[0], 0), strict=True)

    assert not exported.report.fixed or case.fixed
    for seed, sizes in enumerate(case.sizes):
        assert_as_torch(exported.model, net, inputs(sizes, seed))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular", "constant"])
def test_padding_to_a_multiple_that_is_nothing_at_the_first_size_is_something_at_the_next(mode):
    def forward(self, x):
        missing = math.ceil(x.shape[3] / 4) * 4 - x.shape[3]
        return F.pad(x, (missing // 2, missing - missing // 2, 0, 0), mode=mode)

    net = Forward(forward)
    exported = export(net, torch.randn(1, 2, 5, 8), strict=True)

    assert not exported.report.notes
    for width in (8, 9, 11, 5):
        assert_as_torch(exported.model, net, (torch.randn(2, 2, 5, width),))


def test_a_comparison_that_holds_at_every_size_is_no_guard():
    def forward(self, x):
        missing = max((math.ceil(x.shape[3] / 2) - 1) * 2 + 3 - x.shape[3], 0)
        return F.pad(x, (0, missing)) if missing > 0 else x

    assert not export(Forward(forward), torch.randn(1, 2, 5, 8), strict=True).report.guards


def test_a_comparison_of_a_quotient_of_sizes_is_a_guard():
    net = Forward(lambda self, x: x * 2 if x.shape[2] / x.shape[3] > 1 else x * 3)

    report = export(net, torch.randn(1, 2, 5, 8), strict=True).report

    assert any("(height / width) <= 1" in guard and "test_strangers.py" in guard for guard in report.guards)


def test_int_of_a_quotient_is_named_where_it_happened():
    def forward(self, x):
        count = int(x.shape[0] * x.shape[2] / x.shape[2])
        return x.reshape(count, -1)

    report = export(Forward(forward), torch.randn(2, 2, 5, 8), strict=True).report

    line = forward.__code__.co_firstlineno + 1
    assert any(f"test_strangers.py:{line} (a // b" in text for text in report.fixed)


def test_a_value_made_of_sizes_alone_may_be_read_and_is_told():
    def forward(self, x):
        mask = torch.ones(x.shape[2], x.shape[2]).tril()
        return x * 2 if mask.sum() > 3 else x

    report = export(Forward(forward), torch.randn(1, 2, 5, 8), strict=True).report

    assert any("made of sizes alone was read as True" in guard for guard in report.guards)


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.sum() > 0,
        lambda x: (torch.ones(x.shape[2]) * x[0, 0, 0, 0]).sum() > 0,
        lambda x: torch.ones(x[x > 0].shape[0]).sum() > 3,
    ],
    ids=["data", "sizes and data", "size of data"],
)  # fmt: skip
def test_a_value_made_of_data_is_never_read(read):
    with pytest.raises(RuntimeError, match=r"cannot be exported: the graph has no value to decide by"):
        export(Forward(lambda self, x: x if read(x) else -x), torch.randn(1, 2, 5, 8), strict=True)


@pytest.mark.parametrize(
    "function",
    [
        lambda self, x: x.data.clone().mul_(2),
        lambda self, x: copy.deepcopy(x) + 1,
        lambda self, x: (repr(x), x + 1)[1],
        lambda self, x: x.real * x.itemsize,
    ],
    ids=["data", "deepcopy", "repr", "real"],
)
def test_what_old_code_asks_of_a_tensor_is_answered(function):
    net, x = Forward(function), torch.randn(1, 2, 5, 8)

    assert_as_torch(export(net, x, strict=True).model, net, (x,))


def test_an_attribute_without_a_word_is_named():
    def forward(self, x):
        x.data = x * 2
        return x

    with pytest.raises(NotImplementedError, match=r"torch.Tensor.data \(assigned\) has no word"):
        export(Forward(forward), torch.randn(2, 3), strict=True)


def test_a_network_left_in_train_mode_is_told():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))

    trained = export(net.train(), torch.randn(2, 3, 8, 8), strict=True).report
    ready = export(net.eval(), torch.randn(2, 3, 8, 8), strict=True).report

    assert any("in train mode, where the network computes something else (1: each" in n for n in trained.notes)
    assert not ready.notes


@pytest.mark.parametrize(
    "rounded",
    [
        lambda h: math.ceil(h / 4), lambda h: math.floor(h * 0.5), lambda h: math.ceil(h * 0.75 + 1),
        lambda h: math.floor((h - 1) / 2 + 1), lambda h: math.ceil(h / 7 * 2), lambda h: math.floor(h / 0.3),
        lambda h: math.trunc(h / 3), lambda h: round(h / 2), lambda h: math.floor(h // 2.0),
        lambda h: math.ceil(100 / h),
    ],
)  # fmt: skip
def test_rounded_quotients_of_sizes_are_right_at_other_sizes(rounded):
    net = Forward(lambda self, x: F.pad(x, (0, rounded(x.shape[3]))))

    exported = export(net, torch.randn(1, 1, 1, 9), strict=True, dynamic={"x": [3]})

    for width in (1, 6, 7, 8, 21, 28, 30):
        assert_as_torch(exported.model, net, (torch.randn(1, 1, 1, width),))


@pytest.mark.parametrize(
    ("expression", "least"),
    [
        (lambda h: math.ceil(h / 4) * 4 - h, 0), (lambda h: (math.ceil(h / 4) * 4 - h) // 2, 0),
        (lambda h: -h % 4, 0), (lambda h: 2 * math.ceil(h / 2) - h + 1, 1), (lambda h: h - h // 2 * 2, 0),
        (lambda h: 2 * math.ceil(math.ceil(h / 2) / 2) - math.ceil(h / 2) + 3, 3),
    ],
)  # fmt: skip
def test_the_least_value_of_an_expression_is_never_above_what_it_takes(expression, least):
    found = dims.least(dims.expr_of(expression(dims.make(19, dims.symbol("h")))))

    assert found == least
    assert min(expression(h) for h in range(1, 200)) >= least


def test_train_mode_that_changes_nothing_is_not_mentioned():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).train()

    assert not export(net, torch.randn(2, 3, 8, 8), strict=True).report.notes


def test_an_axis_opened_on_demand_that_python_fixed_is_doubted():
    net = Forward(lambda self, x: x * (0.5 * x.shape[2]))  # a float times an int: Python never asks the int

    report = export(net, torch.randn(1, 2, 5, 8), strict=True, dynamic={"x": [2]}).report

    assert any("no other size gives the same graph" in note and "test_strangers.py" in note for note in report.notes)
