"""`patched_torch`: torch's containers are mcore's for the length of a block."""

import sys

import pytest
import torch

import mcore
from tests.isolation import failure

NAMES = ("Module", "Sequential", "ModuleList", "ModuleDict")
THEIRS = """
import torch
from torch import nn
from torch.nn.modules import Module as Aliased

class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU())
        self.parts = nn.ModuleList([nn.ModuleDict({"a": nn.Linear(width, 2)})])
        self.attention = nn.TransformerEncoderLayer(width, 1, batch_first=True)

    def forward(self, x):
        return self.parts[0]["a"](self.body(x).mean((2, 3)))
"""


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    (tmp_path / "their_package.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    yield "their_package"
    sys.modules.pop("their_package", None)


def test_classes_of_a_package_imported_inside_travel_to_the_platform(theirs, tmp_path):
    with mcore.patched_torch():
        import their_package

    net = their_package.Net(4).eval()
    made = net.toplatform(tmp_path / "net", sizes=[(1, 3, 8, 8)])

    assert isinstance(net, mcore.Module)
    assert made.description["arguments"] == {"width": 4}
    assert their_package.Net.fromplatform(tmp_path / "net").body[0].weight.equal(net.body[0].weight)
    assert issubclass(their_package.Aliased, mcore.Module)


def originals():
    return [getattr(place, name) for place in (torch.nn, torch.nn.modules) for name in NAMES]


def test_torch_is_as_it_was_afterwards_also_after_an_error():
    before = originals()

    with pytest.raises(KeyError, match="mine"), mcore.patched_torch():  # noqa: PT012
        assert torch.nn.Module is mcore.Module
        assert torch.nn.Sequential is mcore.Sequential
        raise KeyError("mine")

    assert originals() == before
    assert torch.nn.Module is not mcore.Module


def test_blocks_may_be_nested():
    before = originals()

    with mcore.patched_torch():
        with mcore.patched_torch():
            pass
        assert torch.nn.Module is mcore.Module

    assert originals() == before


def test_layers_made_inside_work_as_ever():
    with mcore.patched_torch():
        net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
        assert isinstance(net[0], torch.nn.Module)
        net(torch.ones(4, 2)).sum().backward()

    assert next(iter(net.state_dict())) == "0.weight"


def test_the_platform_has_no_torch_to_patch():
    code = "import mcore\nwith mcore.patched_torch(): pass"

    assert "MCORE_BACKEND=torch" in failure(code, engine="platform", without=["torch"])
