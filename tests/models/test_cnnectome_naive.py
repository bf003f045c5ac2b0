"""CNNectome's U-Net against the same written plainly, in double precision: values and gradients."""

import pytest
import torch
from torch.nn import functional as F

import mcore
from models.networks import CNNectomeUNetModule
from tests.models.naive_cnnectome import Naive

pytestmark = pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine has double precision")

ACTIVATIONS = {"ReLU": torch.relu, "ELU": F.elu, None: None}
PLAIN = {
    "in_channels": 2,
    "num_fmaps": 2,
    "fmap_inc_factor": 2,
    "downsample_factors": [(2, 3), (3, 1)],
    "kernel_size_down": [[(3, 2)], [(2, 3), (1, 3)], [(3, 3)]],
    "kernel_size_up": [[(2, 4)], [(3, 2), (2, 1)]],
    "activation": "ReLU",
    "num_heads": 1,
    "constant_upsample": False,
    "padding": "valid",
    "activation_on_upsample": False,
    "use_attention": False,
    "batch_norm": False,
}
ODD = {
    "padding": "same",
    "kernel_size_down": [[(3, 1)], [(1, 5)], [(3, 3)]],
    "kernel_size_up": [[(3, 5)], [(5, 3), (3, 1)]],
}
FILM = {
    "downsample_factors": [(1, 2, 2)],
    "kernel_size_down": [[(2, 1, 3, 3), (4, 3, 1, 1)], [(3, 1, 3, 3), (1, 3, 3)]],
    "kernel_size_up": [[(1, 3, 3)]],
}
CASES = {
    "valid": {},
    "constant": {"constant_upsample": True, "activation_on_upsample": True, "upsample_channel_contraction": True},
    "gates": {"use_attention": True, "batch_norm": True, "num_fmaps_out": 3, "activation": "ELU"},
    "heads": {"num_heads": 3, "upsample_channel_contraction": [True, False], "activation": None},
    "same": ODD,
    "same, gates": {**ODD, "use_attention": True, "constant_upsample": True, "batch_norm": True},
    "even and same": {**ODD, "kernel_size_down": [[(4, 2)], [(1, 5)], [(3, 3)]]},
    "film": {**FILM, "num_fmaps_out": 3},
    "film, gates": {**FILM, "use_attention": True, "batch_norm": True, "num_heads": 2, "constant_upsample": True},
}


def filled(arguments):
    """A network in double precision whose state is random, with variances about 1."""
    net = CNNectomeUNetModule(**arguments).double().eval()
    state = net.state_dict()
    for key, value in state.items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5 if key.endswith("var") else 0.5 * torch.randn_like(value))
    net.load_state_dict(state)
    return net


def naive(net, arguments):
    """The same network, written plainly, with the same weights."""
    state = dict(net.named_parameters()) | dict(net.named_buffers())
    keys = ("padding", "num_heads", "batch_norm", "constant_upsample", "activation_on_upsample", "use_attention")
    told = {key: arguments[key] for key in keys} | {"activation": ACTIVATIONS[arguments["activation"]]}
    levels = {"down": "kernel_size_down", "up": "kernel_size_up", "factors": "downsample_factors"}
    return Naive(state, told | {ours: arguments[key] for ours, key in levels.items()})


def sizes(net):
    """The second size of each axis that fits."""
    return [max(net.valid_sizes(1, axis=axis, count=2)) for axis in range(net.dims)]


def maps(out):
    return out if isinstance(out, list) else [out]


@pytest.mark.parametrize("more", CASES.values(), ids=CASES)
def test_values_are_those_of_the_plain_one(more):
    arguments = {**PLAIN, **more}
    net = filled(arguments)
    x = torch.randn(2, 2, *sizes(net), dtype=torch.double)

    with torch.no_grad():
        got, expected = maps(net(x)), naive(net, arguments).unet(x)

    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("more", CASES.values(), ids=CASES)
def test_gradients_are_those_of_the_plain_one(more):
    arguments = {**PLAIN, **more}
    net = filled(arguments)
    x = torch.randn(2, 2, *sizes(net), dtype=torch.double, requires_grad=True)
    wanted = [x, *net.parameters()]

    got = torch.autograd.grad(sum(y.sin().sum() for y in maps(net(x))), wanted)

    expected = torch.autograd.grad(sum(y.sin().sum() for y in naive(net, arguments).unet(x)), wanted)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
