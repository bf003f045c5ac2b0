"""Networks for classification and for segmentation learn: a few steps on a few images bring their loss down.

That their numbers are right is tested elsewhere; here, that nothing on the way stops what training needs.
"""

import pytest

import mcore
import models
from mcore import functional as F
from models.catalog import NAMES
from models.functional.sizes import crop_center
from tests.models.rows.medical import SMALL as MEDICAL
from tests.models.test_pairs import BACKBONES

pytestmark = pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine has gradients")

STEPS = 6

# Whole networks that score pixels, with small arguments, and those that score images.
SEGMENTING = {
    "UNet": {"in_channels": 3, "channels": [8, 16, 32]},
    "UNetPlusPlus": {"backbone": "resnet18"},
    "LinkNet": {"backbone": "resnet18"},
    "DeepLabV3": {"backbone": "resnet18"},
    "DeepLabV3Plus": {"backbone": "resnet18"},
    "PSPNet": {"backbone": "resnet18"},
    "SegFormer": {},
    "HRNetOCR": {"backbone": "hrnet_w18_small"},
    "SegmentationFPN": {"backbone": "resnet18"},
    **{name: {"in_channels": 3, "dims": 2, **small} for name, (small, _) in MEDICAL.items()},
    "VNet": {"in_channels": 3, "width": 6, "dims": 2},
}
# With how many steps: without norms they begin slowly.
CLASSIFYING = {"LeNet": ({"in_channels": 3}, 25), "AlexNet": ({}, 8)}


def learned(net, x, loss, *, steps=STEPS, rate=1e-3):
    """How much of the loss is left after a few steps on the same images."""
    import torch

    optimizer = torch.optim.AdamW(net.parameters(), lr=rate)
    losses = []
    for _ in range(steps + 1):
        value = loss(net(x))
        losses.append(float(value.detach()))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return min(losses[-2:]) / losses[0]


def scores(result):
    """The scores themselves, of a network that gives others beside."""
    if isinstance(result, dict):
        return next(iter(result.values()))
    return result[0] if isinstance(result, tuple) else result


def classifies(net, size, *, steps=STEPS, rate=1e-3):
    mcore.manual_seed(0)
    x, labels = mcore.randn(4, 3, *size), mcore.tensor([0, 1, 2, 1])
    return learned(net.train(), x, lambda result: F.cross_entropy(scores(result), labels), steps=steps, rate=rate)


@pytest.mark.long
@pytest.mark.parametrize("title", BACKBONES)
def test_a_classifier_learns(title):
    mcore.manual_seed(0)
    name = title.partition(",")[0]
    size = (224, 224) if name.startswith(("vit", "swin")) else (96, 96)

    # With large linear layers, or attention, steps of that length go astray.
    rate = 1e-4 if name.startswith(("vgg", "swin")) else 1e-3
    assert classifies(models.create(name, kind="backbone", num_classes=3, **BACKBONES[title]), size, rate=rate) < 0.9


@pytest.mark.parametrize("name", CLASSIFYING)
def test_a_network_for_images_learns(name):
    mcore.manual_seed(0)

    arguments, steps = CLASSIFYING[name]

    assert classifies(models.create(name, num_classes=3, **arguments), (96, 96), steps=steps) < 0.95


@pytest.mark.parametrize("name", SEGMENTING)
def test_a_network_for_pixels_learns_at_an_odd_size(name):
    mcore.manual_seed(0)
    net = models.create(name, num_classes=3, **SEGMENTING[name]).train()
    x = mcore.randn(2, 3, 79, 101)
    labels = (x.mean(1) * 3).clamp(0, 2).long()

    # Those of a few channels take longer steps.
    rate = 1e-2 if name in MEDICAL else 1e-3
    assert learned(net, x, lambda result: F.cross_entropy(scores(result), labels), rate=rate) < 0.95


def test_every_network_that_scores_pixels_or_images_learns():
    others = {
        *("Darknet", "YOLOv3", "YOLOv3Tiny", "YOLOv3SPP", "YOLOv4", "YOLOv4Tiny", "YOLOv4CSP", "YOLOv3-tiny"),
        *("YOLOv4-tiny", "RetinaNet", "FCOS", "SSD300", "CenterNet"),
        # Gives images back, and has its own: tests/models/test_autoencoder.py.
        "AutoEncoder_CNNV3",
        # Volumes alone: tests/models/test_emvision.py.
        *(name for name, target in NAMES["network"].items() if ".emvision" in target or ".dtu2" in target),
        # Below; and what stands for a network in tests.
        *("CNNectomeUNet", "CNNectomeUNetModule", "DummyArchitecture"),
    }

    assert set(NAMES["network"]) - others == {*SEGMENTING, *CLASSIFYING}


@pytest.mark.parametrize("shape", [(64, 60), (5, 18, 20, 18)], ids=["images", "films"])
def test_a_network_of_dacapo_learns_what_lies_in_the_middle(shape):
    mcore.manual_seed(0)
    config = {"name": "em", "input_shape": list(shape), "fmaps_out": 8, "fmaps_in": 1, "num_fmaps": 8}
    config |= {"fmap_inc_factor": 2, "downsample_factors": [2] if len(shape) == 4 else [2, 2]}
    body = models.create("CNNectomeUNet", architecture_config=config)
    dims = min(len(shape), 3)
    net = mcore.Sequential(body, (mcore.Conv2d if dims == 2 else mcore.Conv3d)(8, 3, 1)).train()
    x = mcore.randn(2, 1, *shape)
    image = x if len(shape) == 2 else x[:, :, 2]
    labels = (crop_center(image, net(x).shape[2:])[:, 0] * 3).clamp(0, 2).long()

    assert learned(net, x, lambda result: F.cross_entropy(result, labels), steps=15, rate=1e-2) < 0.95
