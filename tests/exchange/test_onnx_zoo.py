"""Networks of the zoo out to ONNX and back into the torch engine, as trainable modules."""

import io
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import models
from mcore.exchange.export import to_onnx
from mcore.exchange.onnx_torch import OnnxModule

pytestmark = pytest.mark.long

# name -> constructor arguments, and two sizes: the exported one and another.
NETS = {
    "resnet18": ({"num_classes": 5}, (2, 3, 64, 64), (1, 3, 96, 64)),
    "convnext_tiny": ({"num_classes": 5}, (2, 3, 64, 64), (1, 3, 96, 64)),
    "efficientnet_b0": ({"num_classes": 5}, (2, 3, 64, 64), (1, 3, 96, 64)),
    "mobilenetv3_small_100": ({"num_classes": 5}, (2, 3, 64, 64), (1, 3, 96, 64)),
    "UNet": ({"in_channels": 1, "num_classes": 2}, (2, 1, 32, 32), (1, 1, 48, 64)),
    "AttentionUNet": ({"in_channels": 1, "num_classes": 2}, (2, 1, 32, 32), (1, 1, 48, 64)),
    "VNet": ({"width": 4}, (2, 1, 16, 16, 16), (1, 1, 32, 16, 48)),
    "SegResNet": ({"in_channels": 1, "num_classes": 2, "dims": 3}, (1, 1, 16, 16, 16), (2, 1, 24, 16, 32)),
    "DeepLabV3Plus": ({"num_classes": 3}, (2, 3, 64, 64), (1, 3, 96, 128)),
    "RetinaNet": ({"num_classes": 3}, (1, 3, 64, 64), (2, 3, 96, 64)),
    "RSUNet": ({"in_channels": 1, "out_channels": 3}, (1, 1, 4, 32, 32), (2, 1, 6, 64, 32)),
    "mit_b0": ({}, (1, 3, 64, 64), (2, 3, 96, 64)),
}
# Deep networks in float32, each layer summed in another order by the runtime.
DEEP = {"rtol": 1e-3, "atol": 5e-5}


def made(name):
    torch.manual_seed(0)
    net = models.create(name, **NETS[name][0]).eval()
    for module in net.modules():
        if getattr(module, "running_var", None) is not None:
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean, 0.0, 0.1)
    return net


def leaves(result):
    return [t for t in torch.utils._pytree.tree_leaves(result) if isinstance(t, torch.Tensor)]


def assert_near(got, wanted):
    for one, other in zip(leaves(got), wanted, strict=True):
        scale = max(float(np.abs(other).max()), 1e-3)
        np.testing.assert_allclose(one.detach().numpy() / scale, other / scale, **DEEP)


def ran(model, x):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x.numpy()})


@pytest.mark.parametrize("name", NETS)
def test_a_network_comes_back_at_every_size_and_goes_out_again(name):
    net, (_, size, other) = made(name), NETS[name]
    model = to_onnx(net, torch.zeros(size), strict=True)
    module = OnnxModule(model)
    again = to_onnx(module, torch.zeros(size), strict=True)

    for shape in (size, other):
        x = torch.randn(shape)
        assert_near(module(x), ran(model, x))
        assert_near(module(x), [t.detach().numpy() for t in leaves(net(x))])
        assert_near(module(x), ran(again, x))


@pytest.mark.parametrize("name", NETS)
def test_gradients_of_what_comes_back_are_the_networks(name):
    net, x = made(name), torch.randn(NETS[name][1])
    module = OnnxModule(to_onnx(net, x, strict=True))

    for each in (net, module):
        sum(t.square().mean() for t in leaves(each(x)) if t.is_floating_point()).backward()

    got = dict(module.named_parameters())
    shared = {n: p.grad for n, p in net.named_parameters() if p.grad is not None and n in got}
    assert len(shared) >= len(list(net.parameters())) // 2
    whole = torch.stack([g.norm() for g in shared.values()]).norm()
    for key, grad in shared.items():
        assert float((got[key].grad - grad).norm() / (grad.norm() + 1e-3 * whole)) < 1e-3, key


@pytest.mark.parametrize("name", ["resnet18", "UNet", "SegResNet", "RetinaNet"])
@pytest.mark.parametrize("dynamo", [False, True])
def test_files_of_torchs_exporters_come_back_too(name, dynamo):
    net, x, file = made(name), torch.randn(NETS[name][1]), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (x,), file, dynamo=dynamo, **({"verbose": False} if dynamo else {}))

    module = OnnxModule(onnx.load_from_string(file.getvalue()))

    assert_near(module(x), [t.detach().numpy() for t in leaves(net(x))])
