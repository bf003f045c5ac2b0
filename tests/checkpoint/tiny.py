"""A small network, by the names that files give it."""

import json

import pytest

from mcore import BatchNorm2d, Conv2d, Module, Sequential, registry


class Tiny(Module):
    """A convolution and a norm, so that modes and statistics matter."""

    def __init__(self, channels: int = 2, bias: float = 0.0):
        super().__init__()
        self.body = Sequential(Conv2d(1, channels, 3, padding=1), BatchNorm2d(channels))
        self.bias = bias

    def forward(self, x):
        return self.body(x) + self.bias


class Older(Tiny):
    """What the name meant in earlier versions."""


@pytest.fixture
def tiny_is_registered():
    """`convnet/Tiny`, with two versions that differ, for the length of a test."""
    registry.register("block", "Tiny", namespace="convnet", versions=">=0.0.2")(Tiny)
    registry.register("block", "Tiny", namespace="convnet", versions="<0.0.2")(Older)
    yield
    del registry._registry.entries["convnet", "Tiny"]


def write(path, data):
    """Writes data as JSON, or text as it is."""
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path
