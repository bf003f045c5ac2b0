"""A branch on a size exports the side that was taken; sizes from both sides are refused, and nothing is left."""

import pytest
import torch

import mcore


class Branching(torch.nn.Module):
    def forward(self, x):
        return x * 2 if x.shape[2] > x.shape[3] else x * 3


def test_sizes_from_both_sides_of_a_branch_are_refused_with_the_line_and_leave_nothing(tmp_path):
    sizes = [(1, 3, 8, 6), (2, 3, 10, 7), (1, 3, 6, 8)]

    with pytest.raises(RuntimeError, match=r"one graph cannot hold the size 1x3x6x8.*test_guarded_sizes\.py:\d+"):
        mcore.toplatform(Branching().eval(), tmp_path / "net", sizes=sizes)

    assert not list(tmp_path.iterdir())
