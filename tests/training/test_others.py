"""Our networks under other people's loops: accelerate and Lightning Fabric give the weights that a bare loop gives."""

import pytest

from tests.isolation import run

CODE = """
import torch, models
from torch.nn import functional as F

net = models.assemble(backbone=models.backbones.resnet18(in_channels=1), head=models.heads.Classification(3)).train()
data = [(torch.randn(4, 1, 32, 32, generator=torch.manual_seed(n)), torch.arange(4) % 3) for n in range(3)]
own = {name: value.clone() for name, value in net.state_dict().items()}
optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)
for image, label in data:
    optimiser.zero_grad()
    F.cross_entropy(net(image), label).backward()
    optimiser.step()
expected = {name: value.clone() for name, value in net.state_dict().items()}

net.load_state_dict(own)
optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)
THEIRS
for name, value in net.state_dict().items():
    assert torch.equal(value, expected[name]), name
print("the same")
"""
ACCELERATE = """
from accelerate import Accelerator

accelerator = Accelerator(cpu=True)
prepared, optimiser = accelerator.prepare(net, optimiser)
for image, label in data:
    optimiser.zero_grad()
    accelerator.backward(F.cross_entropy(prepared(image), label))
    optimiser.step()
"""
FABRIC = """
from lightning_fabric import Fabric

fabric = Fabric(accelerator="cpu", devices=1)
prepared, optimiser = fabric.setup(net, optimiser)
for image, label in data:
    optimiser.zero_grad()
    fabric.backward(F.cross_entropy(prepared(image), label))
    optimiser.step()
"""


@pytest.mark.parametrize("theirs", [ACCELERATE, FABRIC], ids=["accelerate", "fabric"])
def test_our_networks_train_alike_under_another_loop(theirs):
    said = run(CODE.replace("THEIRS", theirs), engine="torch", timeout=280)

    assert said.splitlines()[-1] == "the same"
