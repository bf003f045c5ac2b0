"""Receptive fields: by rule, and as gradients and changed pixels show them."""

import numpy as np
import pytest

import mcore
import models
from mcore.exchange.receptive import receptive_fields


def fields(net, shape):
    return receptive_fields(mcore.to_onnx(net.eval(), (mcore.zeros(*shape),), dynamic=None))


def test_a_stem_sees_what_its_kernels_span():
    seen = fields(models.create("resnet18", out_indices=[0, 1]), (1, 3, 64, 64))

    assert (seen["conv1"], seen["maxpool"], seen["layer1.0.conv1"]) == ((7, 7), (11, 11), (19, 19))


@pytest.mark.parametrize(("name", "expected"), [("resnet18", 435), ("resnet34", 899), ("resnet50", 427)])
def test_the_last_stage_of_a_resnet_sees_what_its_kernels_and_strides_add_up_to(name, expected):
    """Counted by hand: resnet18 is 11 + 4 * 8 + (4 + 3 * 8) * 2 + (8 + 3 * 16) * 2 + (16 + 3 * 32) * 2."""
    seen = fields(models.create(name), (1, 3, 64, 64))

    last = "layer4.1" if name == "resnet18" else "layer4.2"
    assert seen[last] == (expected, expected)


def test_means_over_the_image_see_all_of_it():
    seen = fields(models.create("resnet18", num_classes=2), (1, 3, 64, 64))

    assert seen["fc"] is None


class Window(mcore.Module):
    """Dilated, strided, raised again: kernels of each kind."""

    def __init__(self):
        super().__init__()
        self.a = mcore.Conv1d(1, 1, 3, dilation=2, padding=2, bias=False)
        self.b = mcore.Conv1d(1, 1, 3, stride=2, padding=1, bias=False)
        self.c = mcore.ConvTranspose1d(1, 1, 4, stride=2, padding=1, bias=False)
        self.d = mcore.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x):
        return self.d(self.c(self.b(self.a(x))))


def test_the_field_is_as_wide_as_the_pixels_that_change_the_result():
    net = Window().eval()
    net.load_state_dict({key: mcore.ones(*map(int, value.shape)) for key, value in net.state_dict().items()})
    size = 64
    base = net(mcore.zeros(1, 1, size)).detach().numpy()

    reach = []
    for place in range(24, 34):
        pixels = [p for p in range(size) if net(spike(size, p)).detach().numpy()[0, 0, place] != base[0, 0, place]]
        reach.append(pixels[-1] - pixels[0] + 1)

    # The transposed convolution gives even and odd places different taps: the rule tells the most.
    assert fields(net, (1, 1, size))["d"][0] >= max(reach) >= fields(net, (1, 1, size))["d"][0] - 2


def spike(size, place):
    x = np.zeros((1, 1, size), np.float32)
    x[0, 0, place] = 1
    return mcore.from_numpy(x)
