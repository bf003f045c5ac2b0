"""The hash of a network's code: what changes it, and what doesn't."""

import importlib
import sys

import pytest

import mcore
import models
from mcore.exchange.code_hash import code_hash
from models.backbones.resnet import ResNet
from models.networks import UNet
from tests.isolation import run

SOURCE = '''
"""A module."""
from mcore import Conv2d, Module
from mcore import functional as F

WIDTH = 8

def act(x):
    """Activation."""
    return F.relu(x)

class Net(Module):
    """A network."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.conv = Conv2d(3, width, 3)  # a comment

    def forward(self, x):
        return act(self.conv(x))

def unused(x):
    return x
'''


@pytest.fixture
def hashed(tmp_path, monkeypatch):
    """Hash of the class Net in a source text, as a module of its own project."""
    monkeypatch.syspath_prepend(tmp_path)
    count = 0

    def of(source):
        nonlocal count
        count += 1
        name = f"project{count}"
        (tmp_path / f"{name}.py").write_text(source)
        importlib.invalidate_caches()
        try:
            return code_hash(importlib.import_module(name).Net)
        finally:
            sys.modules.pop(name)

    return of


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # a comment", ""),
        ('"""Activation."""', '"""Something else."""'),
        ("width: int = WIDTH", "width = WIDTH"),
        ("Conv2d(3, width, 3)", "Conv2d(\n            3, width, 3\n        )"),
        ("def unused(x):\n    return x", ""),
    ],
)
def test_the_hash_stays_where_the_meaning_does(hashed, old, new):
    assert old in SOURCE
    assert hashed(SOURCE.replace(old, new)) == hashed(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("WIDTH = 8", "WIDTH = 9"),
        ("F.relu(x)", "F.gelu(x)"),
        ("Conv2d(3, width, 3)", "Conv2d(3, width, 5)"),
        ("import functional as F", "import init as F"),
        ("Conv2d, Module", "Conv3d as Conv2d, Module"),
    ],
)
def test_the_hash_changes_with_what_the_class_reaches(hashed, old, new):
    assert old in SOURCE
    assert hashed(SOURCE.replace(old, new)) != hashed(SOURCE)


def test_both_engines_give_the_same_hash():
    code = """
        from mcore.exchange.code_hash import code_hash
        from models.backbones.resnet import ResNet
        print(code_hash(ResNet))
    """

    assert run(code, engine="platform", without=["torch"]) == code_hash(ResNet)


def test_networks_differ():
    assert code_hash(UNet) != code_hash(ResNet)


def test_an_assembled_network_has_the_hash_of_its_parts():
    classes = [
        models.assemble("resnet18", neck, head={"type": "Segmentation", "num_classes": 2}) for neck in ("FPN", None)
    ]

    assert len({code_hash(net) for net in classes}) == 2


def test_a_class_without_source_has_a_hash_of_its_bytecode():
    made = {}
    exec("class Net:\n    def f(self, x): return x + 1\nclass Other:\n    def f(self, x): return x + 2", made)

    assert code_hash(made["Net"]) != code_hash(made["Other"])


def test_a_layer_of_the_vocabulary_has_a_hash():
    assert code_hash(mcore.Conv2d) != code_hash(mcore.Linear)
