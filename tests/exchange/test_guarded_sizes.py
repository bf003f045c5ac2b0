"""A branch on a size exports the side that was taken; sizes from both sides are refused, and nothing is left."""

import math

import pytest
import torch

import mcore
from mcore.exchange.axes import MOST


class Branching(torch.nn.Module):
    def forward(self, x):
        return x * 2 if x.shape[2] > x.shape[3] else x * 3


def test_sizes_from_both_sides_of_a_branch_are_refused_with_the_line_and_leave_nothing(tmp_path):
    sizes = [(1, 3, 8, 6), (2, 3, 10, 7), (1, 3, 6, 8)]

    with pytest.raises(RuntimeError, match=r"one graph cannot hold the size 1x3x6x8.*test_guarded_sizes\.py:\d+"):
        mcore.toplatform(Branching().eval(), tmp_path / "net", sizes=sizes)

    assert not list(tmp_path.iterdir())


class Halving(torch.nn.Module):
    """Takes seven frames, and images whose sides are even; remembers the most values that came."""

    most = 0

    def forward(self, x):
        self.most = max(self.most, math.prod(map(int, x.shape)))
        if x.shape[2] != 7 or any(size % 2 for size in x.shape[3:]):
            raise ValueError("seven frames of even sides")
        return x.flatten(1, 2).mean(1)


def test_sizes_that_fill_the_memory_are_not_tried(tmp_path):
    x, net = torch.zeros(1, 1, 7, 20, 20, 20), Halving().eval()

    report = mcore.toplatform(net, tmp_path / "net", inputs=[(x,), (x[..., 2:],), (x[..., 4:],)]).report

    assert set(report.axes["x"]) == {0, 3, 4, 5}
    assert net.most <= MOST
